"""Unknown fields as records that tests can make, change and write back: (number, wire type, data), groups nested."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from tests.core.compare.zoo import get, put, shape

VARINT, FIXED64, BYTES, GROUP, FIXED32 = 0, 1, 2, 3, 5
Record: TypeAlias = tuple[int, int, Any]  # the data of a group is a list of records


def records_of(message: Message) -> list[Record]:
    """The unknown fields of the message itself, in their order."""
    return _records(UnknownFieldSet(message))


def _records(fields: UnknownFieldSet) -> list[Record]:
    return [(f.field_number, f.wire_type, _records(f.data) if f.wire_type == GROUP else f.data) for f in fields]


def encode(records: Iterable[Record]) -> bytes:
    """Their wire format."""
    return b"".join(_encode(*record) for record in records)


def _encode(number: int, wire: int, data: Any) -> bytes:
    tag = varint(number << 3 | wire)
    match wire:
        case 0:
            return tag + varint(data)
        case 1:
            return tag + data.to_bytes(8, "little")
        case 2:
            return tag + varint(len(data)) + data
        case 3:
            return tag + encode(data) + varint(number << 3 | 4)
        case _:
            return tag + data.to_bytes(4, "little")


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def rewrite(message: Message, records: Iterable[Record]) -> None:
    """Replace the message's own unknown fields; those of messages below stay (DiscardUnknownFields takes them too)."""
    made = type(message)()
    for field, value in message.ListFields():
        if shape(field) == "map":
            get(made, field).MergeFrom(value)
        elif shape(field) == "list":
            get(made, field).extend(value)
        else:
            put(made, field, value)
    made.MergeFromString(encode(records))
    message.CopyFrom(made)
