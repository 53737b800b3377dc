"""Value classes: what two differing values must both be to be tolerated by a `value_class` rule. Pure, never raising."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from google.protobuf.message import Message

_UUID: Final = re.compile(
    r"(?:urn:uuid:)?(\{)?[0-9a-f]{8}(-?)(?:[0-9a-f]{4}\2){3}[0-9a-f]{12}(?(1)\})", re.IGNORECASE | re.ASCII
)
# RFC 3339, 5.6; the zone may be missing and a space stand for the T, as many libraries write it.
_DATE_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)?", re.ASCII
)
_TIMESTAMP: Final = "google.protobuf.Timestamp"
_TEXT_MAX: Final = 64  # characters of a UUID or a date and time
_YEAR_2000_S: Final = 946_684_800
_YEAR_2100_S: Final = 4_102_444_800
_UNITS_PER_S: Final = (1, 1_000, 1_000_000, 1_000_000_000)


def in_class(name: str, left: Any, right: Any) -> bool:
    """Whether both values are of the class `name`; False for a class that is not known here."""
    belongs = _CLASSES.get(name)
    return belongs is not None and belongs(left, right)


def _is_uuid(value: Any) -> bool:
    if isinstance(value, bytes):
        return len(value) == 16
    return isinstance(value, str) and len(value) <= _TEXT_MAX and _UUID.fullmatch(value) is not None


def _is_timestamp(value: Any) -> bool:
    """A date and time as text; a Timestamp message, or a number of s, ms, us or ns, of this century."""
    if isinstance(value, str):
        return len(value) <= _TEXT_MAX and _is_date_time(value)
    if isinstance(value, Message):
        kind: Any = type(value)  # a field may be called DESCRIPTOR
        seconds = getattr(value, "seconds", None) if kind.DESCRIPTOR.full_name == _TIMESTAMP else None
        return isinstance(seconds, int) and _YEAR_2000_S <= seconds < _YEAR_2100_S
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return any(_YEAR_2000_S * unit <= value < _YEAR_2100_S * unit for unit in _UNITS_PER_S)


def _is_date_time(text: str) -> bool:
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return False
    second = "59" if found[3] == "60" else found[3]  # a leap second
    try:
        datetime.fromisoformat(f"{found[1]}T{found[2]}:{second}")
    except ValueError:
        return False
    return True


def _is_set(value: Any) -> bool:
    return bool(type(value).ListFields(value)) if isinstance(value, Message) else bool(value)


def _same_length(left: Any, right: Any) -> bool:
    """In characters where both are strings, else in bytes."""
    if isinstance(left, str) and isinstance(right, str):
        return len(left) == len(right)
    return isinstance(left, str | bytes) and isinstance(right, str | bytes) and _size(left) == _size(right)


def _size(value: str | bytes) -> int:
    return len(value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value)


def _same_sign(left: Any, right: Any) -> bool:
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        return False
    if left != left or right != right:  # noqa: PLR0124 - NaN; math.isnan refuses large integers
        return False
    return (left > 0, left < 0) == (right > 0, right < 0)


def _both(test: Callable[[Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: test(left) and test(right)


_CLASSES: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "uuid": _both(_is_uuid),
    "timestamp": _both(_is_timestamp),
    "non_empty": _both(_is_set),
    "same_length": _same_length,
    "same_sign": _same_sign,
}
