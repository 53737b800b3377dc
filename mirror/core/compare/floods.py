"""Whether messages hold so many unknown fields that they are better left alone. Pure.

Decoding unknown fields takes a hundred times their size in memory, `==` of them twenty times, and a copy all of it: so
tags are read on the wire. A field is unknown to a schema by its number, by its wire type or, of a closed enum, by its value.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from mirror.core.compare.reflect import byte_size, set_fields, wire_bytes
from mirror.core.compare.values import is_map, is_message, is_repeated, type_of

UNKNOWN_MAX_BYTES: Final = 131_072  # of unknown fields in one message
TAGS_MAX: Final = 500_000  # that are read to see how many bytes are of unknown fields
RECORDS_MAX: Final = 250_000  # of bytes that are to be parsed: a record of two bytes can become a message of hundreds
EQUAL_MAX_BYTES: Final = 1_000_000  # of two messages that `==` may be asked about whatever is in them
TYPES_REMEMBERED: Final = 1024
_VARINT, _FIXED64, _BYTES, _GROUP, _FIXED32 = 0, 1, 2, 3, 5
_WIRE: Final = {
    **dict.fromkeys(
        (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64), _FIXED64
    ),
    **dict.fromkeys(
        (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_FIXED32, FieldDescriptor.TYPE_SFIXED32), _FIXED32
    ),
    **dict.fromkeys((FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE), _BYTES),
    FieldDescriptor.TYPE_GROUP: _GROUP,
}


class _Known(NamedTuple):
    """How a field that the schema knows stands on the wire."""

    wires: tuple[int, ...]
    below: Descriptor | None = None  # the type of its messages
    enum: EnumDescriptor | None = None  # if it is a closed one: other numbers are unknown fields


class _Tags:
    """How many may still be read."""

    def __init__(self, left: int = TAGS_MAX) -> None:
        self.left = left


def same_messages(left: Message, right: Message, size: int) -> bool:
    """Whether `==` holds. `size`: bytes of both. Where many unknown fields lie anywhere in them, bytes are compared."""
    if size > EQUAL_MAX_BYTES and (flooded(left) or flooded(right)):
        return same_bytes(left, right)
    return left == right


def same_bytes(left: Message, right: Message) -> bool:
    """Whether the two are equal byte by byte, maps sorted."""
    return wire_bytes(left, deterministic=True) == wire_bytes(right, deterministic=True)


def is_large(left: Message, right: Message, size: int) -> bool:
    """Whether either may hold so many unknown fields that it is asked before any are decoded.

    `size`: bytes of both, or -1.
    """
    return (byte_size(left) + byte_size(right) if size < 0 else size) > UNKNOWN_MAX_BYTES


def many_unknown(message: Message) -> str:
    """Where over UNKNOWN_MAX_BYTES of the message's own records may be of fields that its schema does not know: the reason.

    Over TAGS_MAX tags, those in groups counted, are not read.
    """
    data = wire_bytes(message)
    if len(data) <= UNKNOWN_MAX_BYTES:
        return ""
    found = 0
    known, tags = _known_in(message), _Tags()
    for start, at, number, wire in _records(data, tags):
        if not _is_known(known.get(number), wire, data, start, at):
            found += at - start
        if found > UNKNOWN_MAX_BYTES:
            return f"over {UNKNOWN_MAX_BYTES} bytes of unknown fields"
    return f"a message of over {TAGS_MAX} records" if tags.left < 0 else ""


def flooded(message: Message) -> bool:
    """Whether the message, or one in it, may hold over UNKNOWN_MAX_BYTES of unknown fields.

    One that does is larger than that, so only large ones are looked into; TAGS_MAX tags are read of all together.
    """
    data = wire_bytes(message)
    waiting, tags = [(data, _known_in(message))], _Tags()
    while waiting:
        data, known = waiting.pop()
        found = 0
        for start, at, number, wire in _records(data, tags) if len(data) > UNKNOWN_MAX_BYTES else ():
            field = known.get(number)
            if not _is_known(field, wire, data, start, at):
                found += at - start
            elif field is not None and field.below is not None and at - start > UNKNOWN_MAX_BYTES:
                waiting.append((_content(data, start, at), _known_of(field.below)))
            if found > UNKNOWN_MAX_BYTES:
                return True
    return tags.left < 0


def many_records(data: bytes, descriptor: Descriptor) -> bool:
    """Whether bytes that are to be parsed as a message have over RECORDS_MAX records, those of messages in it counted."""
    waiting, tags = [(data, _known_of(descriptor))], _Tags(RECORDS_MAX)
    try:
        while waiting and tags.left >= 0:
            data, known = waiting.pop()
            for start, at, number, wire in _records(data, tags):
                field = known.get(number)
                if field is not None and field.below is not None and wire == _BYTES:
                    waiting.append((_content(data, start, at), _known_of(field.below)))
    except IndexError:  # not a message: the parser will say so
        return False
    return tags.left < 0


def _known_in(message: Message) -> dict[int, _Known]:
    kind: Any = type(message)
    known = _known_of(kind.DESCRIPTOR)
    extensions = {field.number: _standing(field) for field, _ in set_fields(message) if field.is_extension}
    return {**known, **extensions} if extensions else known


@lru_cache(maxsize=TYPES_REMEMBERED)
def _known_of(descriptor: Descriptor) -> dict[int, _Known]:
    fields = list(descriptor.fields)
    if descriptor.is_extendable:
        fields += descriptor.file.pool.FindAllExtensions(descriptor)
    return {field.number: _standing(field) for field in fields}


def _standing(field: FieldDescriptor) -> _Known:
    wire = _WIRE.get(field.type, _VARINT)
    packable = is_repeated(field) and wire not in {_BYTES, _GROUP}
    below = type_of(field) if is_message(field) else None
    value = type_of(field).fields_by_number[2] if is_map(field) else field
    enum = value.enum_type if getattr(value.enum_type, "is_closed", False) else None
    return _Known((wire, _BYTES) if packable else (wire,), below, enum)


def _is_known(field: _Known | None, wire: int, data: bytes, start: int, end: int) -> bool:
    if field is None or wire not in field.wires:
        return False
    if field.enum is None:
        return True
    if wire == _VARINT:
        return _signed(_varint(data, _varint(data, start)[1])[0]) in field.enum.values_by_number
    if field.below is None:  # packed: what is unknown has been taken out
        return True
    entry = _content(data, start, end)
    values = [
        _varint(entry, _varint(entry, at)[1])[0]
        for at, _, number, kind in _records(entry, _Tags())
        if (number, kind) == (2, _VARINT)
    ]
    return not values or _signed(values[-1]) in field.enum.values_by_number


def _signed(value: int) -> int:
    """As an enum's number, 32 bits of it."""
    return (value & 0xFFFFFFFF) - ((value & 0x80000000) << 1)


def _content(data: bytes, start: int, end: int) -> bytes:
    """What is in a record: behind the tag and the length, or between the tags of a group."""
    tag, at = _varint(data, start)
    if tag & 7 == _GROUP:
        return data[at : end - (at - start)]
    return data[_varint(data, at)[1] : end]


def _records(data: bytes, tags: _Tags) -> Iterator[tuple[int, int, int, int]]:
    """Start, end, number and wire type of each, until no more tags may be read."""
    at = 0
    while at < len(data) and tags.left >= 0:
        start = at
        tag, at = _varint(data, at)
        at, read = _skip(data, at, tag, tags.left)
        tags.left -= read
        yield start, at, tag >> 3, tag & 7


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift >= 70:
            raise IndexError("no varint is longer than ten bytes")


def _skip(data: bytes, at: int, tag: int, tags_max: int) -> tuple[int, int]:
    """Where the record with this tag ends, groups left by counting, and how many tags it has; over `tags_max` it stops."""
    depth = tags = 0
    while True:
        tags += 1
        match tag & 7:
            case 0:
                at = _varint(data, at)[1]
            case 1:
                at += 8
            case 2:
                length, at = _varint(data, at)
                at += length
            case 3:
                depth += 1
            case 4:
                depth -= 1
            case _:
                at += 4
        if depth <= 0 or tags > tags_max:
            return at, tags
        tag, at = _varint(data, at)
