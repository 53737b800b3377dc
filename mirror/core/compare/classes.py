"""Value classes: what two differing values must both be to be tolerated by a `value_class` rule. Pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from google.protobuf.message import Message

_UUID: Final = re.compile(r"\A(?:urn:uuid:)?\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?\Z", re.IGNORECASE)
_DATE_TIME: Final = re.compile(r"\A\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)?\Z")
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
    return isinstance(value, str) and len(value) <= 64 and _UUID.match(value) is not None


def _is_timestamp(value: Any) -> bool:
    """A date and time as RFC 3339 text, a Timestamp message that is set, or a number of s, ms, us or ns of this age."""
    if isinstance(value, str):
        if len(value) > 64 or _DATE_TIME.match(value) is None:
            return False
        try:
            datetime.fromisoformat(value[:19])
        except ValueError:
            return False
        return True
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        return any(_YEAR_2000_S * unit <= value < _YEAR_2100_S * unit for unit in _UNITS_PER_S)
    return isinstance(value, Message) and _is_timestamp(getattr(value, "seconds", 0))


def _is_set(value: Any) -> bool:
    return bool(type(value).ListFields(value)) if isinstance(value, Message) else bool(value)


def _same_length(left: Any, right: Any) -> bool:
    return isinstance(left, str | bytes) and isinstance(right, str | bytes) and len(left) == len(right)


def _same_sign(left: Any, right: Any) -> bool:
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        return False
    if math.isnan(left) or math.isnan(right):
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
