"""Rules that would explain how a path differs, read off the values that were seen there. Pure; whoever asks tries them out.

The narrowest comes first: whatever a rule allows, a fault may hide behind. For a path that is noisy anything that fits may be
proposed, to ignore it as the last resort. For one that noise does not explain only what looks harmless: the same text or
number in another form, clocks seconds apart, two UUIDs, an unset field beside its default, a list in another order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import Message

from mirror.core.compare.classes import in_class
from mirror.core.compare.normalise import same_text
from mirror.core.compare.reflect import is_time, set_fields
from mirror.core.compare.values import EnumNumber
from mirror.core.model import Kind
from mirror.core.path import AnySteps, Field, PathPattern, PathSyntaxError
from mirror.core.rules import NormalisedText, Scope

HARMLESS_TIME_S: Final = 5.0  # clocks of two machines, and the time between two calls
HARMLESS_RELATIVE: Final = 1e-6  # sums in another order, another library's rounding
PLACES: Final = (6, 5, 4, 3, 2)  # of decimals that a float may be rounded to and still be the same figure
TOLERANCE_MAX: Final = 0.1  # relative; numbers farther apart are not the same number
WINDOWS: Final = (
    (0.1, "100ms"),
    (1, "1s"),
    (5, "5s"),
    (10, "10s"),
    (30, "30s"),
    (60, "1m"),
    (120, "2m"),
    (300, "5m"),
    (600, "10m"),
    (1800, "30m"),
    (3600, "1h"),
)
_UUID: Final = r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_TIME: Final = r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?"
_HEX: Final = r"\b[0-9a-fA-F]{8,}\b"
_NUMBER: Final = r"\d+(\.\d+)?"
# What stands in a text that else stays the same; tried in this order, each alone and then with those before.
_PARTS: Final = ((_UUID, "UUID"), (_TIME, "TIME"), (_HEX, "HEX"), (_NUMBER, "N"))


@dataclass(frozen=True, slots=True)
class Seen:
    """One difference as it was seen: its kind, and the values of both sides as the comparer has them."""

    kind: Kind
    left: Any
    right: Any


@dataclass(frozen=True, slots=True)
class Proposal:
    """One rule to try: its type and parameters as `mirror.yaml` names them."""

    type: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    harmless: bool = False  # fit to be proposed where noise does not explain the path
    last_resort: bool = False


def proposals(pattern: str, seen: Sequence[Seen], *, noisy: bool) -> Iterator[Proposal]:
    """The rules that fit all of `seen` at a path pattern, the narrowest first.

    `noisy`: two instances of one build differ here too; else only harmless ones. None for a path that no rule can name.
    """
    try:
        steps = PathPattern.parse(pattern).steps
    except PathSyntaxError:
        return
    if not seen or pattern.startswith("("):
        return
    plain = isinstance(steps[0], Field) and steps[0].name in {"response", "responses", "outbound"}
    for one in _fitting(seen, streamed=len(steps) == 1) if plain else ():
        if noisy or one.harmless:
            yield one
    if noisy:
        yield Proposal("ignore", why="nothing narrower fits what was seen", last_resort=True)


def scope_of(pattern: str, method: str) -> Scope:
    """Where a proposal applies: at the pattern, in the one method."""
    return Scope(path=PathPattern.parse(pattern), methods=(method,))


def _fitting(seen: Sequence[Seen], *, streamed: bool) -> Iterator[Proposal]:
    kinds = {one.kind for one in seen}
    if kinds == {Kind.ORDER}:
        yield Proposal("unordered", why="the same elements in another order", harmless=not streamed)
    elif kinds <= {Kind.MISSING, Kind.ADDED}:
        # Of a private value neither side is known.
        if all((one.left is None) != (one.right is None) and _is_default(one.left or one.right) for one in seen):
            yield Proposal("presence", why="unset on one side, the default on the other", harmless=True)
    elif kinds == {Kind.VALUE}:
        pairs = [(one.left, one.right) for one in seen]
        for find in (_times, _classes, _numbers, _texts, _loose):
            yield from find(pairs)


_Pairs = Sequence[tuple[Any, Any]]


def _times(pairs: _Pairs) -> Iterator[Proposal]:
    """Timestamps and Durations."""
    if not _all(pairs, _is_time):
        return
    apart = max(abs(_seconds(left) - _seconds(right)) for left, right in pairs)
    # Half as much again: what was seen is a sample.
    window = next(((limit, text) for limit, text in WINDOWS if limit >= 1.5 * apart), None)
    if window is not None:
        why = f"times at most {apart:.3g} s apart"
        yield Proposal("time_window", {"within": window[1]}, why, harmless=apart <= HARMLESS_TIME_S)


def _is_time(value: Any) -> bool:
    kind: Any = type(value)  # a field may be called DESCRIPTOR
    return isinstance(value, Message) and is_time(kind.DESCRIPTOR)


def _seconds(value: Any) -> float:
    return float(value.seconds + value.nanos / 1e9)


def _classes(pairs: _Pairs) -> Iterator[Proposal]:
    if all(in_class("uuid", left, right) for left, right in pairs):
        yield Proposal("value_class", {"class": "uuid"}, "both sides are UUIDs", harmless=True)
    elif all(in_class("timestamp", left, right) for left, right in pairs):
        yield Proposal("value_class", {"class": "timestamp"}, "both sides are points in time")


def _numbers(pairs: _Pairs) -> Iterator[Proposal]:
    if not _all(pairs, _is_number) or all(left == right for left, right in pairs):
        return
    absolute = max(abs(left - right) for left, right in pairs)
    relative = max(abs(left - right) / max(abs(left), abs(right)) for left, right in pairs if left != right)
    places = next((n for n in PLACES if all(_one_rounded(left, right, n) for left, right in pairs)), None)
    if places is not None:
        why = f"one side is the other, rounded to {places} places"
        yield Proposal("tolerance", {"absolute": 10.0**-places}, why, harmless=True)
    elif relative <= TOLERANCE_MAX:
        why = f"numbers at most {absolute:.3g} apart, {relative:.2g} of their size"
        sizes = [max(abs(left), abs(right)) for left, right in pairs]
        harmless = relative <= HARMLESS_RELATIVE
        if max(sizes) <= 100 * min(sizes):
            yield Proposal("tolerance", {"absolute": _nice(absolute)}, why, harmless)
        yield Proposal("tolerance", {"relative": min(1.0, _nice(relative))}, why, harmless)


def _one_rounded(left: float, right: float, places: int) -> bool:
    unit = 10.0**-places
    close = abs(left - right) <= unit / 2 * (1 + 1e-6)
    return close and any(abs(one - round(one, places)) <= 1e-9 * max(1.0, abs(one)) for one in (left, right))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool | EnumNumber) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)


def _nice(value: float) -> float:
    """The next of 1, 2 and 5 times a power of ten; what is just there stays."""
    unit = 10.0 ** math.floor(math.log10(value))
    return next(float(f"{step * unit:.6g}") for step in (1, 2, 5, 10) if step * unit >= value * (1 - 1e-9))


def _texts(pairs: _Pairs) -> Iterator[Proposal]:
    """The same text in another form."""
    if not _all(pairs, lambda value: isinstance(value, str | bytes)):
        return
    forms: tuple[tuple[dict[str, Any], str], ...] = (
        ({"whitespace": "strip"}, "the same but for white space at the ends"),
        ({"whitespace": "collapse"}, "the same but for the amount of white space"),
        ({"case": "ignore"}, "the same but for upper and lower case"),
        ({"whitespace": "collapse", "case": "ignore"}, "the same but for white space and case"),
        ({"json": True}, "the same JSON, written in another way"),
    )
    for parameters, why in forms:
        if _same(pairs, **parameters):
            yield Proposal("text", parameters, why, harmless=True)
            return
    for chosen in (*((part,) for part in _PARTS), *(_PARTS[:n] for n in range(2, len(_PARTS) + 1))):
        if _same(pairs, replace=chosen) and not _emptied(pairs, chosen):
            names = ", ".join(by for _, by in chosen)
            replace = [{"pattern": pattern, "with": by} for pattern, by in chosen]
            yield Proposal("text", {"replace": replace}, f"the same but for what stands in it: {names}")
            return


def _same(pairs: _Pairs, **parameters: Any) -> bool:
    rule = NormalisedText(scope=_ANYWHERE, id="", **parameters)
    return all(same_text(rule, left, right) for left, right in pairs)


def _emptied(pairs: _Pairs, parts: Sequence[tuple[str, str]]) -> bool:
    """Whether nothing but the parts is left of some text: then a class says more."""
    rule = NormalisedText(
        scope=_ANYWHERE, id="", replace=tuple((pattern, "") for pattern, _ in parts), whitespace="ignore"
    )
    return any(same_text(rule, left, "") for left, _ in pairs)


_ANYWHERE: Final = Scope(path=PathPattern((AnySteps(),)))


def _loose(pairs: _Pairs) -> Iterator[Proposal]:
    """Only the form can be checked, and little of it."""
    for name, why in (
        ("same_length", "texts of the same length"),
        ("same_sign", "numbers of the same sign"),
        ("non_empty", "neither side is ever empty"),
    ):
        if all(in_class(name, left, right) for left, right in pairs) and not _all(pairs, _is_narrow):
            yield Proposal("value_class", {"class": name}, why)


def _is_narrow(value: Any) -> bool:
    """No class is for enums and bools; of a message only whether it is set could be said."""
    return isinstance(value, bool | EnumNumber | Message)


def _is_default(value: Any) -> bool:
    """Unset, or what a field has by default: nothing, 0, an empty message."""
    return not set_fields(value) if isinstance(value, Message) else not value


def _all(pairs: _Pairs, test: Callable[[Any], bool]) -> bool:
    return all(test(value) for pair in pairs for value in pair)
