"""Bytes of messages made to hurt, of a small recursive type. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

BYTES: Final = 4_000_000
DEEP: Final = 98  # messages in messages; the parser takes a hundred
_F: Final = descriptor_pb2.FieldDescriptorProto


@cache
def node() -> type[Message]:
    """A small recursive type: proto2 for groups, else without presence worth speaking of."""
    file = descriptor_pb2.FileDescriptorProto(name="hostile.proto", package="hostile", syntax="proto2")
    file.dependency.append(any_pb2.DESCRIPTOR.name)
    state = file.enum_type.add(name="State")
    state.value.add(name="NEW", number=0)
    node = file.message_type.add(name="Node")
    part = node.nested_type.add(name="Part")
    entry = node.nested_type.add(name="SizesEntry")
    entry.options.map_entry = True
    named = node.nested_type.add(name="NamesEntry")
    named.options.map_entry = True
    optional, repeated = _F.LABEL_OPTIONAL, _F.LABEL_REPEATED
    for owner, name, number, kind, label, type_name in (
        (node, "i", 1, _F.TYPE_INT32, optional, ""),
        (node, "s", 2, _F.TYPE_STRING, optional, ""),
        (node, "kid", 3, _F.TYPE_MESSAGE, optional, ".hostile.Node"),
        (node, "kids", 4, _F.TYPE_MESSAGE, repeated, ".hostile.Node"),
        (node, "part", 5, _F.TYPE_GROUP, optional, ".hostile.Node.Part"),
        (node, "sizes", 6, _F.TYPE_MESSAGE, repeated, ".hostile.Node.SizesEntry"),
        (node, "numbers", 7, _F.TYPE_INT32, repeated, ""),
        (node, "d", 8, _F.TYPE_DOUBLE, optional, ""),
        (node, "doubles", 9, _F.TYPE_DOUBLE, repeated, ""),
        (node, "parts", 10, _F.TYPE_GROUP, repeated, ".hostile.Node.Part"),
        (node, "texts", 11, _F.TYPE_STRING, repeated, ""),
        (node, "states", 12, _F.TYPE_ENUM, repeated, ".hostile.State"),
        (node, "anys", 13, _F.TYPE_MESSAGE, repeated, ".google.protobuf.Any"),
        (node, "names", 14, _F.TYPE_MESSAGE, repeated, ".hostile.Node.NamesEntry"),
        (named, "key", 1, _F.TYPE_INT32, optional, ""),
        (named, "value", 2, _F.TYPE_ENUM, optional, ".hostile.State"),
        (part, "i", 1, _F.TYPE_INT32, optional, ""),
        (part, "part", 5, _F.TYPE_GROUP, optional, ".hostile.Node.Part"),
        (entry, "key", 1, _F.TYPE_INT32, optional, ""),
        (entry, "value", 2, _F.TYPE_INT32, optional, ""),
    ):
        field = owner.field.add(name=name, number=number, type=kind, label=label)
        if type_name:
            field.type_name = type_name
        if name in ("numbers", "doubles"):
            field.options.packed = True
    pool = DescriptorPool()
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("hostile.Node"))


# --- wire format by hand: a few bytes are repeated many times ---


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def part_of(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def many(one: bytes, size: int = BYTES) -> bytes:
    """As often as `size` allows."""
    return one * (size // len(one))


def deep(message: bytes, number: int = 3) -> bytes:
    """As deep as the parser allows."""
    for _ in range(DEEP):
        message = part_of(number, message)
    return message


def sides(build: Callable[[int], bytes]) -> Callable[[], tuple[bytes, bytes]]:
    """The left one of side 0, the right one of side 1."""
    return lambda: (build(0), build(1))


def deep_groups(side: int) -> bytes:
    """Parts in parts, again and again."""
    chain = b"\x2b" * (DEEP - 1) + b"\x08" + bytes([side + 1]) + b"\x2c" * (DEEP - 1)
    return many(b"\x53" + chain + b"\x54")


def unknown_groups(side: int) -> bytes:
    """Groups that the type does not know, in one another."""
    chain = b"\xa3\x06" * DEEP + b"\xa0\x06" + bytes([side + 1]) + b"\xa4\x06" * DEEP
    return many(chain)


def trees(side: int, levels: int = 18) -> bytes:
    """Two kids everywhere, and all leaves differ."""
    level = [b"\x08" + bytes([side * 2 + leaf]) for leaf in (0, 1)]
    for _ in range(levels):
        both = part_of(4, level[0]) + part_of(4, level[1])
        level = [both, both]
    return level[0]


def ladder(side: int) -> bytes:
    """Lists of one kid against lists of two, down to where the parser stops: each level could be aligned anew."""
    made = b"\x08" + bytes([side])
    for _ in range(DEEP):
        made = part_of(4, made) + (part_of(4, b"\x08\x07") if side else b"")
    return part_of(2, b"x" * (BYTES - len(made) - 10)) + made


def near_equal(side: int, count: int = 50_000, *, key: int = 7) -> bytes:
    """Elements of one key that differ in one double, and no two of them alike."""
    kind = node()
    made: Any = kind()
    for n in range(count):
        made.kids.add(i=key, s=f"the same text for each of these elements {n % 10}", d=n + side / 2)
    return made.SerializeToString()  # type: ignore[no-any-return]


def entries(side: int, *, shift: int = 0) -> bytes:
    """As many small entries as fit."""
    made, total, n = [], 0, 0
    while total < BYTES:
        one = b"\x08" + varint(n + side * shift) + b"\x10" + bytes([side + 1])
        made.append(part_of(6, one))
        total += len(made[-1])
        n += 1
    return b"".join(made)


def nested_any(side: int, levels: int = 1000, inside: int = 0) -> bytes:
    """An Any in an Any; at the bottom text of `inside` bytes."""
    made = any_pb2.Any(type_url="x/hostile.No", value=b"x" * inside + bytes([side]))
    for _ in range(levels):
        made = any_pb2.Any(type_url="x/google.protobuf.Any", value=made.SerializeToString())
    return made.SerializeToString()


def shifted(side: int, number: int, width: int) -> bytes:
    """Packed scalars: at the front one more on the right, in the middle one less, and two at the end."""
    pattern = bytes((n * 37 + n // 251) % 127 + 1 if n % width == 0 else 0 for n in range(width * 251))
    body = many(pattern)[: BYTES // width * width]
    if side:
        middle = len(body) // 2 // width * width
        body = body[-width:] + body[:middle] + body[middle + width :] + body[: 2 * width]
    return part_of(number, body)


def texts(side: int) -> bytes:
    """Short strings in lists of different lengths, no two alike."""
    return b"".join(part_of(11, f"{n + side * 7} {side}".encode()) for n in range(330_000 + side))


def bush(side: int, *, seed: int = 1) -> bytes:
    """Messages in single fields and lists of one, in every succession, down to a leaf that differs."""
    draw = random.Random(seed)
    made, total = [], 0
    while total < BYTES:
        one = b"\x08" + bytes([side])
        for _ in range(DEEP - 4):
            one = part_of(draw.choice((3, 4)), one)
        made.append(part_of(4, one))
        total += len(made[-1])
    return b"".join(made)


def documents(side: int, size: int, number: int = 11) -> bytes:
    """JSON of `size` bytes each, no two alike, in a list or, as `s`, in a list of messages."""
    made = []
    for n in range(BYTES // (size + 10)):
        head = b"[%d,%d" % (side, n)
        text = head + b",1" * ((size - len(head) - 1) // 2) + b"]"
        made.append(part_of(11, text) if number == 11 else part_of(4, part_of(2, text)))
    return b"".join(made)


def keyed_by_message(side: int, count: int = 50_000) -> bytes:
    """Elements whose keys are messages, no two alike."""
    return b"".join(
        part_of(
            4, part_of(3, b"\x08" + varint(n)) + part_of(2, b"the same text for each of these elements, and %d" % side)
        )
        for n in range(count)
    )


def stream(side: int, count: int = 1_000, *, private: bool = False) -> bytes:
    """Messages that all differ a little, and one less on the right. `private`: all that is in them was taken out."""
    lines = 0 if private else (BYTES // count - 20) // 20
    return b"".join(
        part_of(
            4,
            b"\x08"
            + varint(n)
            + b"".join(part_of(11, b"%06d %06d %d" % (n, line, side * (line % 3 == 0))) for line in range(lines)),
        )
        for n in range(count - side)
    )


def any_of(inside: bytes) -> bytes:
    """An Any that holds one of us."""
    return part_of(13, part_of(1, b"x/hostile.Node") + part_of(2, inside))


def anys(side: int, inside: bytes) -> bytes:
    """Anys in a list, one less on the right."""
    count = BYTES // len(any_of(inside + b"\x08" + varint(BYTES)))
    return b"".join(any_of(inside + b"\x08" + varint(n * 2 + side)) for n in range(count - side))
