"""Values as bytes that are the same wherever the values are equal, and keyed hashes of them. Pure.

Not the wire format: its order of map entries, its field numbers and its encodings of integers may differ between two
builds that mean the same. Here fields go by name in order of name, map entries in order of key, every value after a tag
of its kind and its length:

    s text (UTF-8)   b bytes   i integer of any size, as decimal text   f float or double (IEEE 754 binary64, big-endian;
    -0 is 0, one NaN)   o bool   e enum (number)   m message   l repeated field   d map   a Any: type name and message

Unknown fields are left out. Keyed hashes are HMAC-SHA-256 (RFC 2104) under a key stretched by PBKDF2.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import math
import struct
from collections.abc import Callable
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from grpc_mirror.wire import varint

DEPTH_MAX = 200  # messages within messages; a parser takes 100, an Any begins anew
ANY = "google.protobuf.Any"
_STRETCH_ROUNDS = 100_000
_STRETCH_SALT = b"grpc_mirror redaction key, version 1"
_NAN = b"\x7f\xf8" + bytes(6)
_FLOATS = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)


class TooDeepError(ValueError):
    """Messages are nested over DEPTH_MAX deep."""


class KeyedHash:
    """HMACs under one key, and that key's id, which tells nothing of it."""

    def __init__(self, key: str) -> None:
        self._key, self.key_id = _stretched(key)

    def leaf(self, data: bytes) -> bytes:
        """Of a canonical value."""
        return hmac.digest(self._key, b"leaf\0" + data, "sha256")

    def message(self, digest: bytes) -> bytes:
        """Of a whole serialised message, by its digest (`seen.digest_of`), which is as secret as the message until it is keyed."""
        return hmac.digest(self._key, b"message xxh3\0" + digest, "sha256")


@functools.lru_cache(maxsize=8)
def _stretched(key: str) -> tuple[bytes, str]:
    made = hashlib.pbkdf2_hmac("sha256", key.encode("utf-8", "surrogateescape"), _STRETCH_SALT, _STRETCH_ROUNDS, 40)
    return made[:32], made[32:].hex()


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether a field is a list or a map, on every protobuf: 7 has no `label`, 5 no `is_repeated`."""
    found = getattr(field, "is_repeated", None)
    return bool(getattr(field, "label", 0) == FieldDescriptor.LABEL_REPEATED if found is None else found)


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map."""
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry and is_repeated(field)


def message_type(pool: Any, name: str) -> Descriptor | None:
    """A message type by full name: of this pool, else of the default one."""
    try:
        return pool.FindMessageTypeByName(name)  # type: ignore[no-any-return] # any pool
    except KeyError:
        default = descriptor_pool.Default()
        return None if pool is default else message_type(default, name)


def class_of(descriptor: Descriptor) -> Callable[[], Any]:
    """The message class of a type."""
    return message_factory.GetMessageClass(descriptor)


def text_value(text: str) -> bytes:
    """A string in canonical form."""
    return _framed(b"s", text.encode("utf-8", "replace"))


def bytes_values(values: list[bytes]) -> bytes:
    """A list of byte strings in canonical form."""
    return _framed(b"l", b"".join(_framed(b"b", value) for value in values))


def field_value(field: FieldDescriptor, value: Any, depth: int = 0) -> bytes:
    """The value of a whole field in canonical form: one value, a list or a map.

    Raises:
        TooDeepError: messages are nested over DEPTH_MAX deep.
    """
    if not is_repeated(field):
        return element_value(field, value, depth)
    if not is_map(field):
        return _framed(b"l", b"".join(element_value(field, item, depth) for item in value))
    entry: Any = field.message_type
    of_key, of_value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    pairs = sorted((element_value(of_key, key, depth), element_value(of_value, value[key], depth)) for key in value)
    return _framed(b"d", b"".join(key + item for key, item in pairs))


def element_value(field: FieldDescriptor, value: Any, depth: int = 0) -> bytes:
    """One value of a field (an element, where it is repeated) in canonical form."""
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_MESSAGE:
        return message_value(value, depth + 1)
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return _framed(b"b", value) if field.type == FieldDescriptor.TYPE_BYTES else text_value(value)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return _framed(b"o", b"1" if value else b"0")
    if kind in _FLOATS:
        return _framed(b"f", _NAN if math.isnan(value) else struct.pack(">d", value + 0.0))
    return _framed(b"e" if kind == FieldDescriptor.CPPTYPE_ENUM else b"i", str(int(value)).encode())


def message_value(message: Message, depth: int = 0) -> bytes:
    """A message in canonical form. Within an Any the type is looked up; of an unknown one the bytes count as they are."""
    if depth > DEPTH_MAX:
        raise TooDeepError
    if message.DESCRIPTOR.full_name == ANY:
        return _any_value(message, depth)
    found = sorted(
        (f"({field.full_name})" if field.is_extension else field.name, field_value(field, value, depth))
        for field, value in message.ListFields()
    )
    return _framed(b"m", b"".join(text_value(name) + value for name, value in found))


def _any_value(message: Any, depth: int) -> bytes:
    name = message.type_url.rpartition("/")[2]
    descriptor = message_type(message.DESCRIPTOR.file.pool, name)
    content = _framed(b"b", message.value)
    if descriptor is not None:
        inner: Any = class_of(descriptor)()
        try:
            inner.MergeFromString(message.value)
            content = message_value(inner, depth + 1)
        except DecodeError:
            pass
    return _framed(b"a", text_value(name) + content)


def _framed(tag: bytes, data: bytes) -> bytes:
    return b"".join((tag, varint(len(data)), data))
