"""Reading a message whatever its schema calls its fields and types. Pure.

Schemas are strangers': a field may be called ListFields, and a type google.protobuf.Timestamp without being one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from mirror.core.compare.values import is_repeated

ANY: Final = "google.protobuf.Any"
TIMES: Final = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration"})
FIELD_MASK: Final = "google.protobuf.FieldMask"
VALUE: Final = "google.protobuf.Value"
_TIME: Final = {"seconds": FieldDescriptor.TYPE_INT64, "nanos": FieldDescriptor.TYPE_INT32}
_SHAPES: Final = {
    ANY: {"type_url": FieldDescriptor.TYPE_STRING, "value": FieldDescriptor.TYPE_BYTES},
    **dict.fromkeys(TIMES, _TIME),
}


def is_any(descriptor: Descriptor) -> bool:
    """Whether the type is an Any by name and by fields."""
    return descriptor.full_name == ANY and _has_shape(descriptor)


def is_field_mask(descriptor: Descriptor) -> bool:
    """Whether the type is a FieldMask by name and by fields."""
    paths = descriptor.fields_by_name.get("paths") if descriptor.full_name == FIELD_MASK else None
    return paths is not None and paths.type == FieldDescriptor.TYPE_STRING and is_repeated(paths)


def is_value(descriptor: Descriptor) -> bool:
    """Whether the type is a Value, the leaf of a Struct, by name and by its one oneof."""
    oneof = descriptor.oneofs_by_name.get("kind") if descriptor.full_name == VALUE else None
    return oneof is not None and len(oneof.fields) == len(descriptor.fields)


def is_time(descriptor: Descriptor) -> bool:
    """Whether the type is a Timestamp or a Duration by name and by fields."""
    return descriptor.full_name in TIMES and _has_shape(descriptor)


def set_fields(message: Message) -> Sequence[tuple[FieldDescriptor, Any]]:
    """What `ListFields` gives."""
    return type(message).ListFields(message)


def wire_bytes(message: Message, *, deterministic: bool = False) -> bytes:
    """The message's bytes, also where a required field is missing."""
    kind: Any = type(message)
    data: bytes = kind.SerializePartialToString(message, deterministic=deterministic)
    return data


def byte_size(message: Message) -> int:
    """The size on the wire; `ByteSize` refuses messages that lack a required field."""
    kind: Any = type(message)
    return len(kind.SerializePartialToString(message))  # not by wire_bytes: a keyword costs half as much again


def many_unknown_bytes(message: Message, limit: int) -> bool:
    """Whether over `limit` bytes of the message's own records are of fields that its schema does not know.

    Reads the tags on the wire, for decoding unknown fields takes a hundred times their size and a copy all of it.
    """
    data = wire_bytes(message)
    if len(data) <= limit:
        return False
    descriptor: Any = type(message).DESCRIPTOR
    known = {field.number for field, _ in set_fields(message)} | set(descriptor.fields_by_number)
    at = found = 0
    while at < len(data) and found <= limit:
        start, number = at, 0
        tag, at = _varint(data, at)
        number, at = tag >> 3, _skip(data, at, tag)
        found += (at - start) * (number not in known)
    return found > limit


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _skip(data: bytes, at: int, tag: int) -> int:
    """Where the record with this tag ends; groups are left by counting."""
    depth = 0
    while True:
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
        if depth <= 0:
            return at
        tag, at = _varint(data, at)


def _has_shape(descriptor: Descriptor) -> bool:
    for name, kind in _SHAPES[descriptor.full_name].items():
        field = descriptor.fields_by_name.get(name)
        if field is None or field.type != kind or is_repeated(field):
            return False
    return True
