"""What a `presence` rule asks of the side that has a field: is it set to what an unset one reads as? Pure."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

from google.protobuf.message import Message

from mirror.core.compare.reflect import set_fields, wire_bytes


def is_default(value: Any, default: Any) -> bool:
    """Whether `value` says no more than an unset field: a scalar or enum equal to `default`, an empty container or message.

    A message is empty if no field of it is set, unknown ones included; a submessage that is set, though empty, is one.
    NaN is the default where that is NaN.
    """
    if isinstance(value, Message):
        return not set_fields(value) and not wire_bytes(value)
    if isinstance(value, Sized) and not isinstance(value, str | bytes):
        return len(value) == 0
    return bool(value == default or (value != value and default != default))  # noqa: PLR0124 - this is how NaN shows
