"""The protobuf wire format, as far as this package writes and reads it by hand. Pure: bytes in, bytes out.

Written by hand are OTLP spans (a third of the cost of building message objects); read by hand are the few foreign
messages whose generated code a service need not have installed (google.rpc.Status, google.rpc.RetryInfo).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SHORT = tuple(bytes((value,)) for value in range(0x80))  # varints of one byte, which most are


def varint(value: int) -> bytes:
    """A non-negative integer below 2**64 as a base-128 varint."""
    if value < 0x80:
        return _SHORT[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    if value < 0x200000:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    if value < 0x10000000:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14 & 0x7F | 0x80, value >> 21))
    # Fifty-six bits at once, spread to seven a byte.
    low = value & 0xFFFFFFFFFFFFFF
    low = (low & 0x0FFFFFFF) | (low & 0xFFFFFFF0000000) << 4
    low = (low & 0x00003FFF00003FFF) | (low & 0x0FFFC0000FFFC000) << 2
    low = (low & 0x007F007F007F007F) | (low & 0x3F803F803F803F80) << 1
    rest = value >> 56
    if rest:
        return (low | 0x8080808080808080).to_bytes(8, "little") + varint(rest)
    size = (value.bit_length() + 6) // 7
    return (low | 0x80808080808080 & (1 << 8 * size - 8) - 1).to_bytes(size, "little")


def int_field(number: int, value: int) -> bytes:
    """A varint field; negative values as int64 does it (ten bytes)."""
    return varint(number << 3) + varint(value & 0xFFFFFFFFFFFFFFFF)


def bytes_field(number: int, value: bytes) -> bytes:
    """A length-delimited field: bytes, UTF-8 text or a serialised message."""
    return varint(number << 3 | _BYTES) + varint(len(value)) + value


def fixed64_field(number: int, value: int) -> bytes:
    """A fixed64 field."""
    return varint(number << 3 | _FIXED64) + struct.pack("<Q", value)


def fixed32_field(number: int, value: int) -> bytes:
    """A fixed32 field."""
    return varint(number << 3 | _FIXED32) + struct.pack("<I", value)


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The (number, value) pairs of a serialised message: integers for varint and fixed fields, bytes for the others.

    Raises:
        ValueError: the bytes are cut short or hold a group.
    """
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        number, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == _VARINT:
            value, position = _read_varint(data, position)
        else:
            if kind == _BYTES:
                size, position = _read_varint(data, position)
            else:
                size = {_FIXED64: 8, _FIXED32: 4}.get(kind, -1)
            if size < 0 or position + size > len(data):
                raise ValueError(f"not a protobuf message: field {number} at byte {position}")
            raw = data[position : position + size]
            value = raw if kind == _BYTES else int.from_bytes(raw, "little")
            position += size
        yield number, value


def any_values(status: bytes) -> list[tuple[str, bytes]]:
    """The (full type name, value) of each detail of a serialised google.rpc.Status; nothing where it is malformed."""
    found: list[tuple[str, bytes]] = []
    try:
        for number, detail in fields(status):
            if number == 3 and isinstance(detail, bytes):
                parts = dict(fields(detail))
                url, value = parts.get(1, b""), parts.get(2, b"")
                if isinstance(url, bytes) and isinstance(value, bytes):
                    found.append((url.decode("utf-8", "replace").rpartition("/")[2], value))
    except ValueError:
        return []
    return found


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError(f"not a protobuf message: varint cut short at byte {position}")
