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


def _has_shape(descriptor: Descriptor) -> bool:
    """Whether it has just these fields: one more would be compared by nobody."""
    if len(descriptor.fields) != len(_SHAPES[descriptor.full_name]) or descriptor.is_extendable:
        return False
    for name, kind in _SHAPES[descriptor.full_name].items():
        field = descriptor.fields_by_name.get(name)
        if field is None or field.type != kind or is_repeated(field):
            return False
    return True
