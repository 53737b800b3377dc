"""What is compared, and under which rules and options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from google.protobuf import any_pb2
from google.protobuf.message import Message

from mirror.core.compare import REFERENCE, CompareOptions, FieldOptions, Lists
from mirror.core.path import PathPattern
from mirror.core.rules import Ignore, KeyedList, NormalisedText, Scope, UnorderedList

from .building import (
    BYTES,
    any_of,
    anys,
    bush,
    deep,
    deep_groups,
    documents,
    entries,
    keyed_by_message,
    ladder,
    many,
    near_equal,
    nested_any,
    node,
    part_of,
    shifted,
    sides,
    stream,
    texts,
    trees,
    unknown_groups,
    varint,
)


@dataclass(frozen=True)
class Kind:
    """Two messages, as bytes, and how they are compared."""

    build: Callable[[], tuple[bytes, bytes]]
    options: CompareOptions = CompareOptions()  # noqa: RUF009 - frozen
    rules: tuple[Any, ...] = ()
    any: bool = False  # the message is an Any
    stream: bool = False  # the kids are the messages of a stream
    private: int = 0  # leaves of each message of the stream that were taken out

    @property
    def message_type(self) -> type[Message]:
        """The class of both."""
        return any_pb2.Any if self.any else node()


_SET: Final = replace(REFERENCE, lists=Lists.SET, differences_max=100)
_KEY: Final = (FieldOptions("hostile.Node.kids", by=("i",)),)


def _rule(kind: type[Any], **own: Any) -> tuple[Any, ...]:
    return (kind(scope=Scope(path=PathPattern.parse("response.kids")), id="r", **own),)


def _at(path: str, kind: type[Any], **own: Any) -> Any:
    return kind(scope=Scope(path=PathPattern.parse(path)), id=f"{kind.__name__} {path}", **own)


_MANY_STATES: Final = (
    _at("response.**.kid" + ".**.kids[*]" * 2 + ".*" * 12, Ignore),
    _at("response.**.kids[*]" + ".*" * 8 + ".kid.i", Ignore),
)
_JSON: Final = (_at("response.texts", NormalisedText, json=True), _at("response.texts", UnorderedList))
_JSON_KIDS: Final = (_at("response.kids[*].s", NormalisedText, json=True), _at("response.kids", UnorderedList))
_PATTERN: Final = (_at("response.texts", NormalisedText, replace=((r"\d,", "x"),)),)


def _lengths(count: int) -> Callable[[], tuple[bytes, bytes]]:
    return lambda: (near_equal(0, count), near_equal(1, count - 3))


KINDS: Final[dict[str, Kind]] = {
    "deep": Kind(sides(lambda side: deep(b"\x12" + varint(BYTES) + b"x" * (BYTES - 1) + bytes([97 + side])))),
    "deep chains": Kind(sides(lambda side: many(part_of(4, deep(b"\x08" + bytes([side + 1]))[3:])))),
    "deep groups": Kind(sides(deep_groups)),
    "trees, aligned": Kind(sides(trees)),
    "trees, sets": Kind(sides(trees), options=_SET),
    "trees, smart sets": Kind(sides(trees), options=replace(_SET, lists=Lists.SMART_SET)),
    "ladder, aligned": Kind(sides(ladder)),
    "ladder, sets": Kind(sides(ladder), options=_SET),
    "ladder, smart sets": Kind(sides(ladder), options=replace(_SET, lists=Lists.SMART_SET)),
    "near-equal, unordered": Kind(sides(near_equal), rules=_rule(UnorderedList)),
    "near-equal, sets": Kind(sides(near_equal), options=_SET),
    "near-equal, partial sets": Kind(sides(near_equal), options=replace(_SET, partial=True)),
    "near-equal, smart sets": Kind(sides(near_equal), options=replace(_SET, lists=Lists.SMART_SET)),
    "near-equal, smart lists": Kind(sides(near_equal), options=replace(_SET, lists=Lists.SMART_LIST)),
    "near-equal, one key": Kind(sides(near_equal), options=CompareOptions(fields=_KEY)),
    "near-equal, one key, partial": Kind(sides(near_equal), options=replace(REFERENCE, fields=_KEY, partial=True)),
    "near-equal, one key by rule": Kind(sides(near_equal), rules=_rule(KeyedList, by=("i",))),
    "near-equal, aligned": Kind(_lengths(50_000)),
    "map, all values differ": Kind(sides(entries)),
    "map, other keys": Kind(sides(lambda side: entries(side, shift=500_000))),
    "Any in Any": Kind(sides(nested_any), any=True),
    "Any in Any, large": Kind(sides(lambda side: nested_any(side, 200, BYTES)), any=True),
    "unknown numbers": Kind(sides(lambda side: many(b"\xa0\x06" + bytes([side + 1])))),
    "unknown groups": Kind(sides(unknown_groups)),
    "scalars of a byte, aligned": Kind(sides(lambda side: shifted(side, 7, 1))),
    "doubles, aligned": Kind(sides(lambda side: shifted(side, 9, 8))),
    "doubles, sets": Kind(sides(lambda side: shifted(side, 9, 8)), options=_SET),
    "texts, aligned": Kind(sides(texts)),
    "texts, smart lists": Kind(sides(texts), options=replace(_SET, lists=Lists.SMART_LIST)),
    "unknown numbers, below": Kind(sides(lambda side: part_of(3, many(b"\xa0\x06" + bytes([side + 1]))))),
    "another wire type": Kind(sides(lambda side: many(b"\x11" + bytes([side] * 8)))),
    "another wire type, below": Kind(sides(lambda side: part_of(3, many(b"\x10" + bytes([side + 1]))))),
    "closed enum": Kind(sides(lambda side: many(b"\x60" + bytes([side + 1])))),
    "closed enum, map": Kind(sides(lambda side: many(b"\x72\x08\x08\x80\x80\x80\x01\x10\x80" + bytes([side + 1])))),
    "trees, unordered by rule": Kind(sides(trees), rules=(_at("response.**.kids", UnorderedList),)),
    "bush, rules of many states": Kind(sides(bush), rules=_MANY_STATES),
    "keyed by message": Kind(sides(keyed_by_message), rules=_rule(KeyedList, by=("kid",))),
    "JSON in texts": Kind(sides(lambda side: documents(side, 250_000)), rules=_JSON[:1]),
    "JSON in texts, small": Kind(sides(lambda side: documents(side, 20)), rules=_JSON[:1]),
    "JSON in texts, unordered": Kind(sides(lambda side: documents(side, 250_000)), rules=_JSON),
    "JSON in messages, unordered": Kind(sides(lambda side: documents(side, 60_000, 2)), rules=_JSON_KIDS),
    "patterns in texts": Kind(sides(lambda side: documents(side, 1000)), rules=_PATTERN),
    "stream": Kind(sides(stream), stream=True),
    "stream, unordered": Kind(sides(stream), stream=True, rules=(_at("responses", UnorderedList),)),
    "stream, private": Kind(sides(lambda side: stream(side, private=True)), stream=True, private=60),
    "stream, all private": Kind(sides(lambda side: stream(side, 14, private=True)), stream=True, private=5_000),
    "one message, private": Kind(sides(lambda side: part_of(4, b"\x08" + bytes([side]))), stream=True, private=60_000),
    "Any of empty messages": Kind(sides(lambda side: any_of(many(b"\x22\x00", BYTES - 100) + b"\x08" + bytes([side])))),
    "Anys, aligned": Kind(sides(lambda side: anys(side, part_of(2, b"x" * 1000)))),
    "Anys, aligned, small": Kind(sides(lambda side: anys(side, b""))),
    "one string": Kind(sides(lambda side: part_of(2, b"x" * BYTES + bytes([97 + side])))),
}
