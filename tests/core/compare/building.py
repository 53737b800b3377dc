"""Messages out of a tape of bytes: each choice takes one byte, 0 the simplest, and an empty tape says 0 for ever.

One tape is one draw for hypothesis, where a draw for each field would be slow, and it still shrinks.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, TypeVar

from google.protobuf import any_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.core.compare.unknown import BYTES, FIXED32, FIXED64, GROUP, VARINT, Record, encode
from tests.core.compare.zoo import fields_of, get, put, shape

T = TypeVar("T")
F = FieldDescriptor
OTHER_NAN: Final = struct.unpack("<d", struct.pack("<Q", 0x7FFC_0000_6000_0000))[0]  # its payload fits a float too
# So far apart, or so near each other, that under the tolerances of the strategies nearness is transitive.
FLOATS: Final = (0.0, 1.0, 2.0, -0.0, math.nan, OTHER_NAN, math.inf, -math.inf, 1.125, 1 + 2.0**-23, -1.0)
DOUBLES: Final = (*FLOATS, 1 + 2.0**-52, 1e300, 1e-300)
_SIGNED: Final = (0, 1, 2, -1, 5, 2**31 - 1)
_UNSIGNED: Final = (0, 1, 2, 5, 2**32 - 1)
_VALUES: Final[dict[int, Sequence[Any]]] = {
    **dict.fromkeys((F.TYPE_INT32, F.TYPE_INT64, F.TYPE_SINT32, F.TYPE_SINT64), _SIGNED),
    **dict.fromkeys((F.TYPE_SFIXED32, F.TYPE_SFIXED64), _SIGNED),
    **dict.fromkeys((F.TYPE_UINT32, F.TYPE_UINT64, F.TYPE_FIXED32, F.TYPE_FIXED64), _UNSIGNED),
    F.TYPE_BOOL: (False, True),
    F.TYPE_FLOAT: FLOATS,
    F.TYPE_DOUBLE: DOUBLES,
    F.TYPE_STRING: ("", "a", "b", "hello"),
    F.TYPE_BYTES: (b"", b"a", b"\xff"),
    F.TYPE_ENUM: (0, 1, 2),
}
# Unknown to both types. By number the wire type is settled, but for the last, which only wild messages have.
_UNKNOWN: Final = {150: VARINT, 151: FIXED64, 152: BYTES, 154: FIXED32}
_ANY_WIRE: Final = 155
_GROUP: Final = 153
DEPTH_MAX: Final = 3
_COUNTS: Final = (0, 1, 2, 3, 4, 5, 5, 4)  # of fields in a message


def wire_type_of(number: int) -> int:
    """Of an unknown field in a tame message."""
    return _UNKNOWN.get(number, VARINT)


class Tape:
    """Choices read off bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, limit: int) -> int:
        """A number from 0 to limit - 1."""
        byte = self._data[self._at] if self._at < len(self._data) else 0
        self._at += 1
        return byte % limit

    def pick(self, some: Sequence[T]) -> T:
        """One of them."""
        return some[self.below(len(some))]


@cache
def _fields(descriptor: Descriptor) -> list[FieldDescriptor]:
    return fields_of(GetMessageClass(descriptor)())


class Builder:
    """Fills messages. `wild`: with unknown groups, and unknown fields of one number and several wire types."""

    def __init__(self, tape: Tape, *, wild: bool) -> None:
        self.tape = tape
        self.wild = wild

    def message(self, kind: type[Message], depth: int = 0) -> Message:
        """A new one with some fields set."""
        made = kind()
        for _ in range(min(self.tape.pick(_COUNTS), DEPTH_MAX + 2 - depth)):
            self.field(made, self.tape.pick(_fields(made.DESCRIPTOR)), depth)
        if self.tape.below(8) == 7:
            made.MergeFromString(encode([self.unknown()]))
        return made

    def field(self, message: Message, field: FieldDescriptor, depth: int = 0) -> None:
        """Give a field some value; to a list or a map add some."""
        match shape(field):
            case "list":
                get(message, field).extend(self.value(field, depth) for _ in range(1 + self.tape.below(3)))
            case "map":
                for _ in range(1 + self.tape.below(2)):
                    self.entry(get(message, field), field, depth)
            case _:
                put(message, field, self.value(field, depth))

    def entry(self, container: Any, field: FieldDescriptor, depth: int = 0) -> None:
        """Add an entry to a map, or change one."""
        entry = field.message_type.fields_by_name
        key, value = self.value(entry["key"], depth), self.value(entry["value"], depth)
        if isinstance(value, Message):
            container[key].CopyFrom(value)
        else:
            container[key] = value

    def value(self, field: FieldDescriptor, depth: int = 0) -> Any:
        """A value that the field can hold once."""
        if field.message_type is None:
            return self.tape.pick(_VALUES[field.type])
        if field.message_type.full_name == "google.protobuf.Any":
            return self.any(field, depth + 1)
        kind = GetMessageClass(field.message_type)
        return self.message(kind, depth + 1) if depth < DEPTH_MAX else kind()

    def any(self, field: FieldDescriptor, depth: int) -> Message:
        """An Any: empty, closed, broken, of a type that nobody knows, or within another."""
        kind = GetMessageClass(field.message_type)
        node = field.containing_type
        prefix = self.tape.pick(("x/", "y/", "x/y/"))
        match self.tape.below(6):
            case 0:
                return kind()
            case 1:
                return kind(type_url=prefix + "no.Type", value=self.tape.pick((b"", b"a")))
            case 2:
                return kind(type_url=prefix + node.full_name, value=b"\xff")
            case 3:
                return kind(type_url=node.full_name, value=self.tape.pick((b"", b"\x08\x01", b"\x08\x00\x08\x01")))
            case 4 if depth < DEPTH_MAX:
                return kind(
                    type_url=prefix + any_pb2.Any.DESCRIPTOR.full_name, value=_bytes(self.any(field, depth + 1))
                )
        inner = self.message(GetMessageClass(node), depth) if depth < DEPTH_MAX else GetMessageClass(node)()
        return kind(type_url=prefix + node.full_name, value=_bytes(inner))

    def unknown(self, depth: int = 0) -> Record:
        """A field that neither type knows, or a number that E lacks: closed enums keep these among the unknown."""
        choice = self.tape.below(8 if self.wild and depth < DEPTH_MAX else 6)
        if choice < 4:
            number = list(_UNKNOWN)[choice]
            return number, _UNKNOWN[number], self._data(_UNKNOWN[number])
        if choice < 6:
            return (16, 46)[choice - 4], VARINT, 7 + self.tape.below(2)
        if choice == 6:
            wire = self.tape.pick((VARINT, FIXED64, BYTES, FIXED32))
            return _ANY_WIRE, wire, self._data(wire)
        return _GROUP, GROUP, [self.unknown(depth + 1) for _ in range(self.tape.below(3))]

    def _data(self, wire: int) -> Any:
        return self.tape.pick((b"", b"a", b"\x08\x01")) if wire == BYTES else self.tape.below(3)


def _bytes(message: Message) -> bytes:
    return message.SerializePartialToString(deterministic=True)
