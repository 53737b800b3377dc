"""Reading a message whatever its schema calls its fields and types. Pure.

Schemas are strangers': a field may be called ListFields, and a type google.protobuf.Timestamp without being one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from mirror.core.compare.values import is_repeated

UNKNOWN_MAX_BYTES: Final = 131_072  # of unknown fields in one message
TAGS_MAX: Final = 500_000  # that are read to see how many bytes are of unknown fields
EQUAL_MAX_BYTES: Final = 1_000_000  # of two messages that `==` may be asked about whatever is in them
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
    if descriptor.full_name != FIELD_MASK or len(descriptor.fields) != 1 or descriptor.is_extendable:
        return False
    paths = descriptor.fields_by_name.get("paths")
    return paths is not None and paths.type == FieldDescriptor.TYPE_STRING and is_repeated(paths)


def is_value(descriptor: Descriptor) -> bool:
    """Whether the type is a Value, the leaf of a Struct, by name and by its one oneof."""
    oneof = descriptor.oneofs_by_name.get("kind") if descriptor.full_name == VALUE else None
    return oneof is not None and len(oneof.fields) == len(descriptor.fields) and not descriptor.is_extendable


def is_time(descriptor: Descriptor) -> bool:
    """Whether the type is a Timestamp or a Duration by name and by fields."""
    return descriptor.full_name in TIMES and _has_shape(descriptor)


def set_fields(message: Message) -> Sequence[tuple[FieldDescriptor, Any]]:
    """What `ListFields` gives."""
    return type(message).ListFields(message)


def which_oneof(message: Message, name: str) -> str | None:
    """What `WhichOneof` gives."""
    kind: Any = type(message)
    found: str | None = kind.WhichOneof(message, name)
    return found


def wire_bytes(message: Message, *, deterministic: bool = False) -> bytes:
    """The message's bytes, also where a required field is missing."""
    kind: Any = type(message)
    data: bytes = kind.SerializePartialToString(message, deterministic=deterministic)
    return data


def byte_size(message: Message) -> int:
    """The size on the wire; `ByteSize` refuses messages that lack a required field."""
    kind: Any = type(message)
    return len(kind.SerializePartialToString(message))  # not by wire_bytes: a keyword costs half as much again


def same_messages(left: Message, right: Message, size: int) -> bool:
    """Whether `==` holds. `size`: bytes of both.

    On unknown fields `==` takes twenty times their size in memory: of many in the outermost messages bytes are compared.
    """
    if size > EQUAL_MAX_BYTES and (many_unknown(left) or many_unknown(right)):
        return wire_bytes(left, deterministic=True) == wire_bytes(right, deterministic=True)
    return left == right


def many_unknown(message: Message) -> str:
    """Where over UNKNOWN_MAX_BYTES of the message's own records may be of fields that its schema does not know: the reason.

    Reads the tags on the wire, for decoding unknown fields takes a hundred times their size and a copy all of it. Over
    TAGS_MAX tags, those in groups counted, are not read.
    """
    data = wire_bytes(message)
    if len(data) <= UNKNOWN_MAX_BYTES:
        return ""
    descriptor: Any = type(message).DESCRIPTOR
    known = {field.number for field, _ in set_fields(message)} | set(descriptor.fields_by_number)
    at = found = tags = 0
    while at < len(data) and found <= UNKNOWN_MAX_BYTES and tags <= TAGS_MAX:
        start, number = at, 0
        tag, at = _varint(data, at)
        number = tag >> 3
        at, read = _skip(data, at, tag, TAGS_MAX - tags)
        found += (at - start) * (number not in known)
        tags += read
    if tags > TAGS_MAX:
        return f"a message of over {TAGS_MAX} records"
    return f"over {UNKNOWN_MAX_BYTES} bytes of unknown fields" if found > UNKNOWN_MAX_BYTES else ""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


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


def _has_shape(descriptor: Descriptor) -> bool:
    """Whether it has just these fields: one more would be compared by nobody."""
    if len(descriptor.fields) != len(_SHAPES[descriptor.full_name]) or descriptor.is_extendable:
        return False
    for name, kind in _SHAPES[descriptor.full_name].items():
        field = descriptor.fields_by_name.get(name)
        if field is None or field.type != kind or is_repeated(field):
            return False
    return True
