"""Values of differences as text: made only where someone reads them."""

from __future__ import annotations

import json
from typing import Any, Final

from google.protobuf import text_format
from google.protobuf.message import Message

from mirror.core.compare.reflect import is_time, wire_bytes
from mirror.core.compare.values import EnumNumber
from mirror.core.model import Hashed

TEXT_MAX: Final = 200
MESSAGE_MAX_BYTES: Final = 16_384  # larger ones are named, not printed


def value_text(value: Any, *, text_max: int = TEXT_MAX) -> str:
    """One line for a value of a Difference; of nothing and of what is private "", and never over `text_max` characters."""
    text = _text(value)
    return text if len(text) <= text_max else text[: text_max - 1] + "…"


def _text(value: Any) -> str:  # noqa: PLR0911 - one for each type
    match value:
        case None | Hashed():
            return ""
        case EnumNumber():
            return str(value)
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case bytes():
            return f"0x{value[:128].hex()} ({len(value)} bytes)"
        case Message():
            return _message_text(value)
        case tuple() | list():
            return "[" + ", ".join(_text(one) for one in value[:32]) + (", …]" if len(value) > 32 else "]")
        case _:
            return str(value)


def _message_text(message: Any) -> str:
    descriptor, size = type(message).DESCRIPTOR, len(wire_bytes(message))
    if is_time(descriptor):
        try:
            return str(message.ToJsonString())
        except ValueError:
            return f"{message.seconds} s {message.nanos} ns"
    if size <= MESSAGE_MAX_BYTES:
        try:
            return "{" + text_format.MessageToString(message, as_one_line=True, print_unknown_fields=True) + "}"
        except (AttributeError, RecursionError, TypeError, ValueError):  # names that mislead it; see reflect
            pass
    return f"({descriptor.full_name}, {size} bytes)"
