"""Hypothesis strategies: pairs of messages that are nearly the same, and sets of options.

Each is one draw of bytes, cut into tapes (see building.py): with several draws hypothesis leaves a quarter of them all zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final

from google.protobuf.message import Message
from hypothesis import strategies as st

from mirror.core.compare import REFERENCE, CompareOptions, FieldOptions, Lists
from tests.core.compare.building import Builder, Tape
from tests.core.compare.editing import edited
from tests.core.compare.zoo import New, Old, fields_of, shape

Pair = tuple[Message, Message]
_MESSAGE: Final = 160  # bytes of a tape
_EDITS: Final = 48
_OPTIONS: Final = 24
_ALL: Final = _MESSAGE + _EDITS + _OPTIONS
# Under these, nearness of the values in building.py is transitive: 1 and 1.125 are near each other, or not, and no others.
_MARGINS: Final = (None, None, 0.0, 0.25)
_FRACTIONS: Final = (None, None, 0.0, 0.15)
_LISTS: Final = (Lists.LIST, *Lists)
_KEYS: Final = (("one_int32",), ("one_string", "one_int32"), ("kid.one_int32",), ("one_bool",))
_FLOATS: Final = ("one_double", "one_float", "all_double", "ByNumberEntry.value")


def pairs(*, wild: bool = True) -> st.SearchStrategy[Pair]:
    """A message and an edited copy, now and then a stranger. `wild`: see Builder."""
    return _tapes().map(lambda data: _pair(data, wild=wild))


def options() -> st.SearchStrategy[tuple[Pair, CompareOptions]]:
    """A pair, and options of the reference for the pair's type in any combination (its root fields apart)."""
    return _tapes().map(lambda data: (_pair(data, wild=True), _options(data)))


def rooted() -> st.SearchStrategy[tuple[Pair, CompareOptions]]:
    """A pair, and options that say which fields of the two roots to look at.

    No list is named for one side only: the reference then calls even two empty ones different, and reports nothing.
    """
    return _tapes().map(lambda data: (_pair(data, wild=True), _only(data)))


def _tapes() -> st.SearchStrategy[bytes]:
    return st.binary(min_size=_ALL, max_size=_ALL)


def _kind(data: bytes) -> type[Message]:
    return (Old, New)[data[-1] % 2]


def _pair(data: bytes, *, wild: bool) -> Pair:
    build = Builder(Tape(data[:_MESSAGE]), wild=wild)
    left = build.message(_kind(data))
    if data[_MESSAGE] % 16 == 15:
        return left, build.message(_kind(data))
    return left, edited(left, Builder(Tape(data[_MESSAGE + 1 : -_OPTIONS]), wild=wild))


def _options(data: bytes) -> CompareOptions:
    tape = Tape(data[-_OPTIONS:-1])
    fields = [_field_option(_kind(data), tape) for _ in range(tape.pick((0, 1, 2, 3)))]
    return replace(
        REFERENCE,
        equivalent=tape.below(3) == 1,
        partial=tape.below(3) == 1,
        force_no_presence=tape.below(3) == 1,
        approximate=tape.below(3) == 1,
        nan_equal=tape.below(3) == 1,
        margin=tape.pick(_MARGINS),
        fraction=tape.pick(_FRACTIONS),
        lists=tape.pick(_LISTS),
        fields=tuple({own.name: own for own in fields}.values()),
    )


def _field_option(kind: type[Message], tape: Tape) -> FieldOptions:
    name = kind.DESCRIPTOR.full_name
    match tape.below(4):
        case 0:
            return FieldOptions(f"{name}.kids", by=tape.pick(_KEYS))
        case 1:
            margin, fraction = tape.pick(_MARGINS), tape.pick(_FRACTIONS)
            return FieldOptions(f"{name}.{tape.pick(_FLOATS)}", margin=margin, fraction=fraction)
        case 2:
            return FieldOptions(tape.pick(_named(kind, "list")), lists=tape.pick(tuple(Lists)))
        case _:
            return FieldOptions(tape.pick(_named(kind, "")), ignore=True)


def _only(data: bytes) -> CompareOptions:
    chosen: list[Callable[[int], bool]] = [
        lambda bit: bool(data[-1 - bit // 8] >> bit % 8 & 1),
        lambda bit: bool(data[-9 - bit // 8] >> bit % 8 & 1),
    ]
    singular = {*_named(_kind(data), "scalar"), *_named(_kind(data), "message")}
    names: tuple[list[str], list[str]] = ([], [])
    own = [name for name in _named(_kind(data), "") if "Entry." not in name]
    for bit, name in enumerate(own[:64]):
        for side in (0, 1):
            if chosen[side if name in singular else 0](bit):
                names[side].append(name)
    return replace(_options(data), only=(tuple(names[0]), tuple(names[1])))


@cache
def _named(kind: type[Message], of_shape: str) -> tuple[str, ...]:
    """Full names of the fields of one shape, or of all, those of map entries too."""
    fields = fields_of(kind())
    if of_shape:
        return tuple(field.full_name for field in fields if shape(field) == of_shape)
    names = [field.full_name for field in fields]
    for field in fields:
        if shape(field) == "map":
            names += [inner.full_name for inner in field.message_type.fields]
    return tuple(names)
