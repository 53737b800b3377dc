"""What was read of a partition and what of it is still open: the part of a checkpoint that recovery goes by. Pure; one owner.

A partition is an ordered log of records: OTLP requests, in the journal or in Kafka. A record has a position in it, a span an
index within its record. A span is open from when its record is read until it was counted, with its group or as dropped.

The rule of recovery: below `next_position` only the open spans are taken, from there on everything. What lies below and
is closed was counted; of it only tombstones are made, lest a repeat of it counts again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

_EMPTY: Final[Mapping[int, bytes]] = MappingProxyType({})


class BadProgress(ValueError):  # noqa: N818 - it says what the bytes are
    """Open positions that cannot be read: the store was damaged, or written by something else."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a partition was read: everything below `next_position`, less what is `open`.

    `open` maps the position of a record to a mask of its open spans, little-endian: bit i of byte i // 8.
    """

    next_position: int = 0
    open: Mapping[int, bytes] = field(default_factory=lambda: _EMPTY)

    @property
    def lowest_open(self) -> int:
        """Where reading again has to begin."""
        return min(self.open, default=self.next_position)

    @property
    def open_spans(self) -> int:
        """How many spans are open."""
        return sum(int.from_bytes(mask, "little").bit_count() for mask in self.open.values())

    def takes(self, position: int, index: int) -> bool:
        """Whether recovery takes this span: it was not read, or is open."""
        if position >= self.next_position:
            return True
        mask = self.open.get(position, b"")
        return index >> 3 < len(mask) and bool(mask[index >> 3] >> (index & 7) & 1)


class Ledger:
    """The progress of one partition while it is read; begins with what a store remembers.

    `close` takes a moment whatever the record's size; `progress` as long as there are records with open spans.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        known = progress or Progress()
        self._next = known.next_position
        # Records that were not read again yet stay open as they are.
        self._open = {position: _Mask(bytearray(mask)) for position, mask in known.open.items()}
        self._unread = set(self._open)

    @property
    def next_position(self) -> int:
        """The first position that was not read."""
        return self._next

    @property
    def open_records(self) -> int:
        """Records of which a span is open."""
        return len(self._open)

    def read(self, position: int, indices: Iterable[int]) -> None:
        """A record was read; those of its spans are open. Recovery reads positions below `next_position` again."""
        bits = bytearray()
        for index in indices:
            place = index >> 3
            if place >= len(bits):
                bits.extend(bytes(place + 1 - len(bits)))
            bits[place] |= 1 << (index & 7)
        self._unread.discard(position)
        self._open.pop(position, None)
        if bits:
            self._open[position] = _Mask(bits)
        self._next = max(self._next, position + 1)

    def close(self, position: int, index: int) -> None:
        """A span was counted. Closing it again changes nothing."""
        mask = self._open.get(position)
        if mask is not None and mask.clear(index):
            del self._open[position]

    def abandon(self) -> int:
        """What was open at the beginning and was not read again is gone; returns how many spans that are."""
        lost = sum(self._open.pop(position).left for position in self._unread)
        self._unread.clear()
        return lost

    def progress(self) -> Progress:
        """As it is now; later changes do not touch it."""
        return Progress(self._next, {position: bytes(mask.bits) for position, mask in self._open.items()})


class _Mask:
    __slots__ = ("bits", "left")

    def __init__(self, bits: bytearray) -> None:
        self.bits = bits
        self.left = int.from_bytes(bits, "little").bit_count()

    def clear(self, index: int) -> bool:
        """Whether nothing is left."""
        place, bit = index >> 3, 1 << (index & 7)
        if place < len(self.bits) and self.bits[place] & bit:
            self.bits[place] &= ~bit
            self.left -= 1
        return not self.left


def encode_open(progress: Progress) -> bytes:
    """The open positions as bytes: for each record, by position, its distance from the last, the mask's length, the mask."""
    out = bytearray()
    last = 0
    for position in sorted(progress.open):
        mask = progress.open[position]
        _put(out, position - last)
        _put(out, len(mask))
        out += mask
        last = position
    return bytes(out)


def decode_open(raw: bytes) -> dict[int, bytes]:
    """What `encode_open` made; raises BadProgress for anything else."""
    found: dict[int, bytes] = {}
    at, position = 0, 0
    while at < len(raw):
        distance, at = _take(raw, at)
        size, at = _take(raw, at)
        if at + size > len(raw):
            raise BadProgress("the open positions end within a mask")
        position += distance
        found[position] = raw[at : at + size]
        at += size
    return found


def _put(out: bytearray, number: int) -> None:
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _take(raw: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(raw):
        byte = raw[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise BadProgress("the open positions end within a number")
