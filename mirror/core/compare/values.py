"""Single values: when two are the same, and which rule excuses them where they are not.

`Leaf` knows the type of a field on each side; rules are looked at only once two values differ.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from mirror.core.compare.classes import in_class
from mirror.core.compare.normalise import Spend, same_text
from mirror.core.rules import Ignore, NormalisedText, Rule, TimeWindow, Tolerance, ValueClass

NS_PER_S: Final = 1_000_000_000
FOREVER_S: Final = 1e12  # over the range of Timestamp and Duration
FLOATS: Final = frozenset({FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE})
_TEXT: Final = frozenset({FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES})
_MESSAGE: Final = frozenset({FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP})
_FLOAT32_MAX: Final = (2 - 2**-23) * 2.0**127
_FLOAT32_EPSILON: Final = 2.0**-23


class EnumNumber(int):
    """An enum's number that knows its name; as text the name, or the number of an unknown one."""

    name: str

    def __new__(cls, number: int, enum: EnumDescriptor) -> Self:
        """The number with the name that `enum` has for it."""
        made = super().__new__(cls, number)
        known = enum.values_by_number.get(number)
        made.name = known.name if known else ""
        return made

    def __str__(self) -> str:
        return self.name or f"{int(self)} (unknown number)"


def is_message(field: FieldDescriptor) -> bool:
    """Whether the field's type is a message or a group."""
    return field.type in _MESSAGE


def type_of(field: FieldDescriptor) -> Descriptor:
    """The type of a message field or group."""
    if field.message_type is None:
        raise ValueError(f"{field.full_name} is no message")
    return field.message_type


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether it is a repeated field (a map too)."""
    anyhow: Any = field  # `label` is gone in protobuf 7, `is_repeated` is missing before 6.31
    return bool(anyhow.is_repeated if hasattr(field, "is_repeated") else anyhow.label == anyhow.LABEL_REPEATED)


def is_map(field: FieldDescriptor) -> bool:
    """Whether it is a map."""
    entry = field.message_type
    return entry is not None and entry.has_options and bool(entry.GetOptions().map_entry)


def comparable(left: FieldDescriptor, right: FieldDescriptor) -> bool:
    """Whether values of the two types can be held against each other at all: numbers with numbers, text with text."""
    if is_message(left) or is_message(right):
        return is_message(left) and is_message(right)
    return (left.type in _TEXT) == (right.type in _TEXT)


class Leaf:
    """The types of one scalar field on both sides."""

    __slots__ = (
        "_float32",
        "_left_enum",
        "_left_names",
        "_mixed_floats",
        "_mixed_text",
        "_nan_equal",
        "_near",
        "_right_enum",
        "_right_names",
        "default",
        "inexact",
        "loose",
        "named",
    )

    def __init__(
        self, left: FieldDescriptor, right: FieldDescriptor, *, nan_equal: bool, near: Near | None = None
    ) -> None:
        self._left_enum = left.enum_type
        self._right_enum = right.enum_type
        self._left_names, self._right_names = _named(left.enum_type), _named(right.enum_type)
        self._nan_equal = nan_equal
        self._mixed_text = left.type != right.type and left.type in _TEXT
        self._float32 = FieldDescriptor.TYPE_FLOAT in (left.type, right.type) and {left.type, right.type} <= FLOATS
        self._mixed_floats = self._float32 and left.type != right.type
        self.default = left.default_value
        self._near = near if {left.type, right.type} <= FLOATS else None  # the options' tolerance
        # Whether values that differ have to be asked `same` and `near`, NaN apart.
        self.loose = left.type != right.type or self._near is not None
        self.named = left.enum_type is not None or right.enum_type is not None
        # Whether values that are not `==` may be the same.
        self.inexact = left.type != right.type or left.type in FLOATS

    def same(self, left: Any, right: Any) -> bool:
        """Whether the two are the same value, rules apart."""
        if left == right:
            return True
        if left != left:  # noqa: PLR0124 - this is how NaN shows
            return self._nan_equal and bool(right != right)  # noqa: PLR0124
        if self._mixed_floats:
            return to_float32(left) == to_float32(right)
        return self._mixed_text and bool(_to_bytes(left) == _to_bytes(right))

    def near(self, left: Any, right: Any) -> bool:
        """Whether the options allow the distance of two that are not the same."""
        return self._near is not None and self._near(left, right, float32=self._float32)

    def shown(self, left: Any, right: Any) -> tuple[Any, Any]:
        """Both as they stand in a Difference: enums with their names."""
        if self._left_enum is not None and left is not None:
            left = self._left_names.get(left) or EnumNumber(left, self._left_enum)
        if self._right_enum is not None and right is not None:
            right = self._right_names.get(right) or EnumNumber(right, self._right_enum)
        return left, right

    def excuse(self, rules: Iterable[Rule], left: Any, right: Any, spend: Spend) -> str:
        """The id of the first rule under which these two values may differ, or "". `spend` is told of long work."""
        for rule in rules:
            match rule:
                case Ignore():
                    return rule.id
                case Tolerance() if self._is_number(left) and self._is_number(right):
                    if within(rule.absolute, rule.relative, left, right, float32=self._float32):
                        return rule.id
                case ValueClass(name=name) if self._left_enum is self._right_enum is None and in_class(
                    name, left, right
                ):
                    return rule.id
                case NormalisedText() if same_text(rule, left, right, spend):
                    return rule.id
        return ""

    def _is_number(self, value: Any) -> bool:
        return (
            self._left_enum is self._right_enum is None
            and isinstance(value, int | float)
            and not isinstance(value, bool)
        )


def _named(enum: EnumDescriptor | None) -> dict[int, EnumNumber]:
    """The known numbers, each made once."""
    return {} if enum is None else {number: EnumNumber(number, enum) for number in enum.values_by_number}


@dataclass(frozen=True, slots=True)
class Near:
    """The tolerance of floats that options give. Without figures: an absolute distance below 32 epsilon of the type.

    The formulas are MessageDifferencer's (MathUtil::AlmostEquals and WithinFractionOrMargin).
    """

    margin: float | None = None
    fraction: float | None = None

    def __call__(self, left: float, right: float, *, float32: bool) -> bool:
        """Whether two unequal floats are near each other; both must be finite."""
        if self.margin is not None or self.fraction is not None:
            return within(self.margin or 0.0, self.fraction or 0.0, left, right, float32=float32)
        if not (math.isfinite(left) and math.isfinite(right)):
            return False
        if float32:
            return to_float32(abs(left - right)) < 32 * _FLOAT32_EPSILON
        return abs(left - right) < 32 * sys.float_info.epsilon


def within(absolute: float, relative: float, left: float, right: float, *, float32: bool = False) -> bool:
    """Whether `|left - right| <= max(absolute, relative * max(|left|, |right|))`, computed in the field's own type.

    MessageDifferencer's formula (MathUtil::WithinFractionOrMargin); both must be finite.
    """
    if isinstance(left, int) and isinstance(right, int):
        distance = abs(left - right)
        return distance <= absolute or distance <= relative * max(abs(left), abs(right))
    if not (math.isfinite(left) and math.isfinite(right)):
        return False
    largest = max(abs(left), abs(right))
    if not float32:
        return abs(left - right) <= max(absolute, relative * largest)
    margin, fraction = to_float32(absolute), to_float32(relative)
    return to_float32(abs(left - right)) <= max(margin, to_float32(fraction * largest))


def to_float32(value: float) -> float:
    """The nearest single-precision number; infinite beyond its range."""
    if math.isfinite(value) and abs(value) > _FLOAT32_MAX:
        return math.copysign(math.inf, value)
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def excuse_time(rules: Iterable[Rule], left: Any, right: Any) -> str:
    """The id of the first rule under which two Timestamps or Durations may differ, or ""."""
    distance_ns = abs((left.seconds - right.seconds) * NS_PER_S + left.nanos - right.nanos)
    for rule in rules:
        match rule:
            case Ignore():
                return rule.id
            case TimeWindow(within_s=within_s) if distance_ns <= round(min(within_s, FOREVER_S) * NS_PER_S):
                return rule.id
            case ValueClass(name=name) if in_class(name, left, right):
                return rule.id
    return ""


def _to_bytes(value: Any) -> Any:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
