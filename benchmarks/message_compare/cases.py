"""Shapes and situations of the benchmark, as gen.py of the peer writes them. Pure but for `load`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

SITUATIONS: Final = ("same", "reordered", "one", "five")
EQUAL: Final = ("same", "reordered")
SCHEMA: Final = "bench.fds"

Pair = tuple[Message, Message, int]  # the two, and how many bytes they were parsed from


@dataclass(frozen=True, slots=True)
class Shape:
    """A message type of the benchmark. `sample`: pairs that are enough of it for a slow method."""

    letter: str
    name: str
    leaves: int
    sample: int


SHAPES: Final = (Shape("S", "Small", 10, 20), Shape("M", "Medium", 100, 5), Shape("L", "Large", 10_000, 1))


@dataclass(frozen=True, slots=True)
class Case:
    """One shape in one situation."""

    shape: Shape
    situation: str

    @property
    def name(self) -> str:
        """What the peer calls it, as its argument and as the stem of the data file."""
        return f"{self.shape.name}.{self.situation}"

    @property
    def equal(self) -> bool:
        """Whether the two messages of a pair are equal."""
        return self.situation in EQUAL

    @property
    def changed(self) -> int:
        """Leaves that differ in each pair."""
        if self.equal:
            return 0
        return 1 if self.situation == "one" else max(1, self.shape.leaves // 20)


def cases(letters: str) -> list[Case]:
    """The cases of the shapes with these letters, in the peer's order."""
    return [Case(shape, situation) for shape in SHAPES if shape.letter in letters for situation in SITUATIONS]


def split(data: bytes) -> Iterator[bytes]:
    """The records of a data file: each its length as uint32, little endian, and its bytes."""
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        yield data[at : at + length]
        at += length


def load(folder: Path, wanted: list[Case]) -> dict[Case, list[Pair]]:
    """The pairs of every case, parsed into dynamic messages of one pool."""
    pool = DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString((folder / SCHEMA).read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())
    loaded = {}
    for case in wanted:
        cls = GetMessageClass(pool.FindMessageTypeByName(f"bench.{case.shape.name}"))
        records = list(split((folder / f"{case.name}.bin").read_bytes()))
        loaded[case] = [
            (cls.FromString(one), cls.FromString(other), len(one) + len(other))
            for one, other in zip(records[::2], records[1::2], strict=True)
        ]
    return loaded
