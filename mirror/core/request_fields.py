"""The fields of one request as plain values by path pattern: what sets calls apart is looked for in them. Pure.

Bounded whatever was sent, so that a sample of calls costs little: some paths, a few values of each, short texts. What
redaction took out is never among them; its paths are named, so that nothing is concluded from its absence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from grpc_mirror.v1 import capture_pb2

from mirror.core.compare.reflect import is_any, is_time, set_fields
from mirror.core.compare.values import is_repeated
from mirror.core.path import ANY_ELEMENT, Field, Index, Key, PatternStep, render
from mirror.core.private import steps_of
from mirror.core.requests import one_request

Value: TypeAlias = bool | int | float | str | None  # None: not set
TypeLookup: TypeAlias = Callable[[str, str], type[Message]]  # by schema fingerprint and full name; may raise ValueError

PATHS_MAX: Final = 80  # of one request
VALUES_MAX: Final = 8  # of one path
ELEMENTS_MAX: Final = 200  # of a list, or messages of a stream, that are looked at
ENTRIES_MAX: Final = 8  # of a map by key; one with more is only counted
DEPTH_MAX: Final = 6
TEXT_MAX: Final = 64  # characters of one text
BYTES_MAX: Final = 4096  # of one request's fields as JSON; what came first stays
_WRAPPERS: Final = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String")
)
_Pattern: TypeAlias = tuple[PatternStep, ...]


@dataclass(frozen=True, slots=True)
class RequestFields:
    """`values` by path pattern, some of each; `counts` of elements, or bytes; `private`: patterns that were taken out."""

    values: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    private: frozenset[str] = frozenset()

    def to_json(self) -> str:
        """One line, of at most BYTES_MAX and little more."""
        values = {path: list(found) for path, found in self.values.items()}
        return json.dumps({"v": values, "n": dict(self.counts), "p": sorted(self.private)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> RequestFields:
        """What `to_json` made."""
        found = json.loads(text)
        return cls({path: tuple(v) for path, v in found["v"].items()}, found["n"], frozenset(found["p"]))


def request_fields(capture: bytes, types: TypeLookup) -> RequestFields | None:
    """The fields of the request (or of all messages of a streamed one) of a serialised Capture, and its captured metadata.

    None where they cannot be read: no schema, no such type, malformed. Never raises for what came from a call.
    """
    try:
        call = capture_pb2.Capture.FromString(capture)
        sent = [m for m in call.messages if m.direction == capture_pb2.DIRECTION_REQUEST][:ELEMENTS_MAX]
        bodies = [m.body for m in sent if not m.omission]
        kind = types(call.schema_fingerprint, call.request_type) if bodies else None
        messages = [kind.FromString(body) for body in bodies] if kind else []
    except (DecodeError, ValueError, RecursionError):
        return None
    single = one_request(call)
    root: _Pattern = (Field("request"),) if single else (Field("requests"), ANY_ELEMENT)
    walk = _Walk()
    for entry in call.request_metadata:
        if not entry.key.endswith("-bin"):
            walk.put((Field("request_metadata"), Key(entry.key)), entry.value.decode("utf-8", "replace"))
    if not single:
        walk.count((Field("requests"),), call.request_count)
    for message in messages:
        walk.message(message, root, DEPTH_MAX)
    private = {render(_pattern((*root, *steps_of(leaf.path)))) for m in sent for leaf in m.private_leaves}
    private |= {render(steps_of(leaf.path)) for leaf in call.private_leaves}
    return walk.result(frozenset(private))


class _Walk:
    """Collects values until the limits are reached."""

    def __init__(self) -> None:
        self._values: dict[str, dict[Value, None]] = {}
        self._counts: dict[str, int] = {}

    def result(self, private: frozenset[str]) -> RequestFields:
        values: dict[str, tuple[Value, ...]] = {}
        room = BYTES_MAX
        for path, found in self._values.items():
            kept = _some([*found])
            room -= len(path) + sum(len(str(value)) + 4 for value in kept)
            if room < 0:
                break
            if not is_below_any(path, private):
                values[path] = kept
        counts = {path: n for path, n in self._counts.items() if not is_below_any(path, private)}
        return RequestFields(values, counts, private)

    def put(self, path: _Pattern, value: Value) -> None:
        """One value at a path."""
        text = render(path)
        if text in self._values or len(self._values) < PATHS_MAX:
            self._values.setdefault(text, {})[value] = None

    def count(self, path: _Pattern, n: int) -> None:
        """How many elements, or bytes, are at a path; of several the most."""
        text = render(path)
        if text in self._counts or len(self._counts) < PATHS_MAX:
            self._counts[text] = max(n, self._counts.get(text, 0))

    def message(self, message: Message, path: _Pattern, depth: int) -> None:
        """All fields of a message, those that are not set too."""
        kind: Any = type(message)
        descriptor: Descriptor = kind.DESCRIPTOR
        there = {found.number: value for found, value in set_fields(message)}
        for one in descriptor.fields:
            at = (*path, Field(one.name))
            if is_repeated(one):
                self._repeated(one, there.get(one.number), at, depth)
            elif one.number in there:
                self._single(one, there[one.number], at, depth)
            else:
                self.put(at, None if one.has_presence else _scalar(one, one.default_value))

    def _repeated(self, one: FieldDescriptor, value: Any, path: _Pattern, depth: int) -> None:
        self.count(path, len(value) if value is not None else 0)
        if value is None:
            return
        if one.message_type is not None and one.message_type.GetOptions().map_entry:
            of_value = one.message_type.fields_by_name["value"]
            if len(value) <= ENTRIES_MAX:
                for key in sorted(value, key=str):
                    self._single(of_value, value[key], (*path, Key(key)), depth)
            return
        for element in _first(value):
            self._single(one, element, (*path, ANY_ELEMENT), depth)

    def _single(self, one: FieldDescriptor, value: Any, path: _Pattern, depth: int) -> None:
        inner = one.message_type
        if inner is None:
            if isinstance(value, bytes):
                self.count(path, len(value))
            else:
                self.put(path, _scalar(one, value))
        elif is_time(inner):
            self.put(path, value.seconds + value.nanos / 1e9 if value.nanos else value.seconds)
        elif is_any(inner):
            self.put(path, value.type_url.rpartition("/")[2])
        elif inner.full_name in _WRAPPERS and len(inner.fields) == 1:
            self.put(
                path, _scalar(inner.fields[0], next((v for _, v in set_fields(value)), inner.fields[0].default_value))
            )
        elif depth:
            self.message(value, path, depth - 1)


def is_below_any(path: str, private: Iterable[str]) -> bool:
    """Whether a path pattern, as text, is one of these or lies below one."""
    return any(path.startswith(one) and path[len(one) : len(one) + 1] in {"", ".", "["} for one in private)


def _pattern(path: _Pattern) -> _Pattern:
    """As the walk names it: elements without their place."""
    return tuple(ANY_ELEMENT if isinstance(step, Index) else step for step in path)


def _first(value: Any) -> Iterator[Any]:
    for position, element in enumerate(value):
        if position >= ELEMENTS_MAX:
            return
        yield element


def _scalar(one: FieldDescriptor, value: Any) -> Value:
    if one.enum_type is not None:
        known = one.enum_type.values_by_number.get(value)
        return str(known.name) if known else int(value)
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, str):
        return value if len(value) <= TEXT_MAX else value[: TEXT_MAX - 1] + "…"
    return value if isinstance(value, bool | int | float) else str(value)


def _some(found: list[Value]) -> tuple[Value, ...]:
    """At most VALUES_MAX: what is empty or 0, the smallest and the largest number, then the first ones."""
    if len(found) <= VALUES_MAX:
        return tuple(found)
    numbers = [v for v in found if isinstance(v, int | float)]
    first = [v for v in found if not v] + ([min(numbers), max(numbers)] if numbers else [])
    return tuple(dict.fromkeys([*first, *found]))[:VALUES_MAX]
