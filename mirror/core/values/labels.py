"""Families of labels: what is looked at in one value. Pure.

Given the primary and the past, the values of candidate and secondary may be swapped where both builds behave alike. So any
label that is fixed before the call, and the same for both, gives fair votes: raw where the candidate's value has it and the
secondary's has not, noise the other way round. Source: facts on noise, section 6.

Every path has all families, whatever its type, so that nothing has to be known of it before: one that cannot hold (the
length of a number) never votes, and only thins the mean a little.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias

from google.protobuf.message import Message

from mirror.core.compare.classes import in_class
from mirror.core.compare.reflect import is_time
from mirror.core.compare.values import NS_PER_S, EnumNumber
from mirror.core.compare.walk import descriptor_of
from mirror.core.model import Hashed

TEXT_MAX: Final = 256  # characters looked at for the class of a text; longer ones are "other"
LENGTHS: Final = 16  # log2 of length, the last one and beyond together
MAGNITUDES: Final = (-4, 3)  # log2 of magnitude less that of the primary's first value, the ends and beyond together
QUANTILES: Final = (10, 50, 90)
SPANS_S: Final = (("1s", 1), ("1min", 60), ("1h", 3600), ("1d", 86400))
_UUID_CHARS_MIN: Final = 32
_HEX: Final = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)


class Family(StrEnum):
    """What a label is about."""

    CLASS = "class"
    LENGTH = "length"  # of text and bytes, by log2
    MAGNITUDE = "magnitude"  # of numbers: sign with log2
    TIME = "time"  # of timestamps: distance from the start of the primary's call
    REPEATED = "repeated"  # among the last values at this path, of any role
    QUANTILE = "quantile"  # of numbers: above quantiles of the primary's first values
    DISTANCE = "distance"  # of numbers and times: farther from the primary's than the other shadow's, one-sided


Label: TypeAlias = tuple[str, str]  # of a Family, the label's own name
# By these one call can be told to show what differs; a length or a size is telling only of many.
_TELLING: Final = frozenset({Family.CLASS, Family.TIME, Family.REPEATED})
CLASSES: Final = (
    "unset",
    "empty",
    "zero",
    "negative",
    "nan",
    "infinite",
    "uuid",
    "hex",
    "decimal_text",
    "timestamp_text",
    "other",
)
DECLARED: Final[Mapping[str, tuple[str, ...]]] = {
    Family.CLASS: CLASSES,
    Family.LENGTH: tuple(str(n) for n in range(LENGTHS)),
    Family.MAGNITUDE: tuple(f"{sign}{n:+d}" for sign in "+-" for n in range(MAGNITUDES[0], MAGNITUDES[1] + 1)),
    # Within 1 s without a sign: on which side of the primary's start a shadow read its clock is decided by the order of sending
    # and by speed, not by what the builds answer.
    Family.TIME: (
        SPANS_S[0][0],
        *(f"{sign}{name}" for sign in "+-" for name in (*(name for name, _ in SPANS_S[1:]), "beyond")),
    ),
    Family.REPEATED: ("yes",),
    Family.QUANTILE: tuple(f"over_{q}" for q in QUANTILES),
    Family.DISTANCE: ("farther",),
}
DISTANCE: Final[Label] = (Family.DISTANCE, "farther")
_REPEATED: Final[Label] = (Family.REPEATED, "yes")


class Past(Protocol):
    """What is known of a path before a call."""

    exponent: int | None  # log2 of the primary's first number; None: there was none
    thresholds: tuple[float, ...]  # the quantiles, in order; empty: not known yet

    def repeated(self, value: Any) -> bool:
        """Whether the value is among the last ones."""


def labels_of(value: Any, past: Past, start_ns: int) -> frozenset[Label]:
    """The labels of one value of a Difference (None: not set), all families but DISTANCE.

    `start_ns`: unix time at which the primary's call began; 0: not known, then no label of TIME.
    """
    return frozenset(_labels(value, past, start_ns))


def _labels(value: Any, past: Past, start_ns: int) -> Iterator[Label]:
    yield Family.CLASS, class_of(value)
    if value is None:
        return
    if past.repeated(value):
        yield _REPEATED
    if isinstance(value, str | bytes):
        yield Family.LENGTH, str(min(len(value).bit_length(), LENGTHS - 1))
        return
    number = number_of(value)
    if number is None:
        return
    if _is_timestamp(value):
        if start_ns:
            yield Family.TIME, _since(number - start_ns)
        return
    if number and past.exponent is not None:
        bucket = min(max(exponent_of(number) - past.exponent, MAGNITUDES[0]), MAGNITUDES[1])
        yield Family.MAGNITUDE, f"{'-' if number < 0 else '+'}{bucket:+d}"
    for name, threshold in zip(DECLARED[Family.QUANTILE], past.thresholds, strict=False):
        if number > threshold:
            yield Family.QUANTILE, name


def class_of(value: Any) -> str:  # noqa: PLR0911 - one for each sort of value
    """The one class that a value is of."""
    if type(value) is str:  # the most usual
        return _class_of_text(value) if value else "empty"
    match value:
        case None:
            return "unset"
        case Hashed():
            return "empty" if value.empty else "other"
        case str() | bytes() | tuple() | list() if not value:
            return "empty"
        case str():  # of a class of its own
            return _class_of_text(str(value))
        case float() if math.isnan(value):
            return "nan"
        case float() if math.isinf(value):
            return "infinite"
        case bool() | int() | float():
            return "zero" if value == 0 else "negative" if value < 0 else "other"
    return "other"


def number_of(value: Any) -> int | float | None:
    """A finite number as it is, a time in nanoseconds; None for what is neither. Enums and truth values are names."""
    if isinstance(value, bool | EnumNumber):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Message) and is_time(descriptor_of(value)):
        anyhow: Any = value
        return int(anyhow.seconds * NS_PER_S + anyhow.nanos)
    return None


def exponent_of(number: float) -> int:
    """The largest n with 2^n <= |number|; the number is not 0."""
    if isinstance(number, int):
        return abs(number).bit_length() - 1
    return math.frexp(number)[1] - 1


def slack_of(value: Any) -> float:
    """How far two values like this one may be apart at least before distance says anything, in the unit of `number_of`."""
    number = number_of(value)
    return float(NS_PER_S) if _is_timestamp(value) else 1e-9 * abs(number or 0)


def text_of(label: Label) -> str:  # noqa: PLR0911 - one for each family
    """A label as people read it, behind "the value": "is empty"."""
    family, name = label
    match family:
        case Family.CLASS:
            return f"is {name.replace('_', ' ')}" if name != "other" else "is of no special class"
        case Family.LENGTH:
            low, high = 2 ** (int(name) - 1) if int(name) else 0, 2 ** int(name) - 1
            return f"has a length from {low:,}" + (" up" if int(name) == LENGTHS - 1 else f" to {high:,}")
        case Family.MAGNITUDE:
            return f"is {'positive' if name[0] == '+' else 'negative'} with 2^{name[1:]} times the usual magnitude"
        case Family.TIME:
            if name == SPANS_S[0][0]:
                return "is within 1s of the start of the call"
            side = "after" if name[0] == "+" else "before"
            far = "over 1d" if name[1:] == "beyond" else f"within {name[1:]}"
            return f"is {far} {side} the start of the call"
        case Family.REPEATED:
            return "is one of the last values seen here"
        case Family.QUANTILE:
            return f"is over the {name.removeprefix('over_')}% quantile of the primary's first values"
        case Family.DISTANCE:
            return "is over twice as far from the primary's as the other shadow's"
    raise ValueError(f"no family {family!r}")


def _class_of_text(text: str) -> str:
    size = len(text)
    if size > TEXT_MAX:
        return "other"
    if size >= _UUID_CHARS_MIN and in_class("uuid", text, text):
        return "uuid"
    if _DECIMAL.fullmatch(text):
        return "decimal_text"
    if _HEX.fullmatch(text):
        return "hex"
    return "timestamp_text" if text[:4].isdecimal() and in_class("timestamp", text, text) else "other"


def _is_timestamp(value: Any) -> bool:
    return isinstance(value, Message) and descriptor_of(value).full_name == "google.protobuf.Timestamp"


def _since(distance_ns: float) -> str:
    within = next((name for name, span_s in SPANS_S if abs(distance_ns) <= span_s * NS_PER_S), "beyond")
    return within if within == SPANS_S[0][0] else f"{'-' if distance_ns < 0 else '+'}{within}"


def shows(votes: Mapping[Label, int]) -> bool:
    """Whether this one call shows it: the candidate's value is of a class, time or repetition that the secondary's is not."""
    return any(vote > 0 and label[0] in _TELLING for label, vote in votes.items())
