"""What a span tells of its call beside the ID and the payload: the same in thousands of spans, so it is read once. Pure.

Decoding attributes is most of what cutting a batch costs, and all but two of ours are the same for every call of one method
to one replica. So they are told apart by their first bytes, and what those that repeat mean is remembered by the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1.otlp_slices_pb2 import KeyValue, SliceSpan

from mirror.core.model import Role

HEADS_MAX: Final = 4096  # remembered at a time
HEAD_MAX_BYTES: Final = 2 << 10  # of one that is remembered
_SHORT: Final = 120  # characters of an ID whose lengths are one byte each


class Head(NamedTuple):
    """The call that a span is of, as far as its attributes say it. What they do not say is empty, or 0."""

    run: str
    method: str
    role: Role
    expect: frozenset[Role]
    attempt: int
    status: str


class Parts(NamedTuple):
    """A span's attributes of ours, each a serialised KeyValue; empty where it is missing."""

    mirror_id: bytes
    capture: bytes
    told: tuple[bytes, ...]  # those that make the head


def _start(key: str) -> bytes:
    """How protobuf begins a KeyValue of this key."""
    raw = key.encode()
    return b"\n" + bytes([len(raw)]) + raw


_ID: Final = _start(names.ID)
_CAPTURE: Final = _start(names.CAPTURE)


class Heads:
    """Remembers heads. `wanted`: the keys that make one, ID and capture apart."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self._told = tuple(_start(key) for key in sorted(wanted) if key not in (names.ID, names.CAPTURE))
        self._known: dict[tuple[bytes, ...], Head] = {}
        self._written: dict[bytes, Head] = {}  # by the same attributes as they stand in a span, one after the other
        self._seen: set[bytes] = set()  # attributes of heads that are known: found faster than what they begin with

    def parts(self, attributes: Iterable[bytes]) -> Parts | None:
        """Sort a span's attributes; None: one does not begin with its key, as all do that a protobuf library wrote."""
        mirror_id = capture = b""
        told = []
        seen = self._seen
        for raw in attributes:
            if raw in seen:
                told.append(raw)
            elif raw.startswith(_ID):
                mirror_id = raw
            elif raw.startswith(_CAPTURE):
                capture = raw
            elif raw.startswith(self._told):
                told.append(raw)
            elif not raw.startswith(b"\n"):
                return None
        return Parts(mirror_id, capture, tuple(told))

    def get(self, told: tuple[bytes, ...]) -> Head | None:
        """What these attributes mean, if it is known."""
        return self._known.get(told)

    def written(self, told: bytes) -> Head | None:
        """What these attributes mean, given as they stand in a span; of a whole head only, that names run and method."""
        return self._written.get(told)

    def learn(self, told: tuple[bytes, ...], head: Head) -> None:
        """Remember it."""
        if sum(map(len, told)) <= HEAD_MAX_BYTES:
            if len(self._known) >= HEADS_MAX:
                self._known.clear()
                self._written.clear()
                self._seen.clear()
            self._known[told] = head
            if head.run and head.method:
                self._written[SliceSpan(attributes=told).SerializeToString()] = head
            self._seen.update(told)


def text_of(raw: bytes) -> str:
    """The text of a serialised KeyValue of the ID; empty where it is no text. Raises DecodeError."""
    at = len(_ID)
    size = len(raw) - at - 4
    if 0 < size < _SHORT and raw[at : at + 4] == bytes((0x12, size + 2, 0x0A, size)):
        try:
            return raw[at + 4 :].decode()
        except UnicodeDecodeError:
            pass  # protobuf says it in its own words
    return KeyValue.FromString(raw).value.string_value
