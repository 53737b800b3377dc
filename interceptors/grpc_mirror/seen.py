"""The messages of one call as they pass, within bounds. Pure: bytes in, records out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import xxhash

from grpc_mirror import native
from grpc_mirror.v1 import capture_pb2

THERE = capture_pb2.OMISSION_UNSPECIFIED
_NO_BODY = capture_pb2.OMISSION_NOT_SERIALIZABLE
_NOT_HELD = capture_pb2.OMISSION_CAPTURE_FULL
_make = tuple.__new__
_NATIVE = native.part("calls")

# A direction may hold so much before it asks the process-wide budget, in steps of the same size.
HOLD_STEP_BYTES = 64 * 1024
# One direction of one call never holds more: a message of grpc's default limit still fits.
HOLD_DIRECTION_MAX_BYTES = 4 * 1024 * 1024


class Message(NamedTuple):
    """One message as it went over the wire, after decompression."""

    offset_ns: int
    size: int
    body: bytes | None  # None: not held, for the reason `omission`
    omission: capture_pb2.Omission = capture_pb2.OMISSION_UNSPECIFIED
    digest: bytes = b""  # of a body that is not held: see `digest_of`


def digest_of(body: bytes) -> bytes:
    """What tells a body that is left out from another: XXH3, 128 bits. Cheaper than to hold it."""
    return xxhash.xxh3_128_digest(body)


class Seen:
    """The messages of one direction of one call: all, or of a long stream the first and the last of them.

    One writer: the thread that (de)serialises them.
    """

    # What a direction has at first; set on the instance when it changes, so that most calls cost little to begin.
    count = 0
    held = 0  # bytes
    kept = 0  # messages that `release` gave
    omitted = 0  # messages between the first and the last ones
    omitted_bytes = 0
    type: type[Any] | None = None  # the class of the messages
    _last: deque[Message] | None = None
    _reserved = HOLD_STEP_BYTES
    _holds: tuple[object, ...] = ()

    def __init__(self, messages_max: int) -> None:
        self.messages: list[Message] = []
        self.last_max = (messages_max + 9) // 10 if messages_max > 1 else 0  # how many come after what is left out
        self.first_max = messages_max - self.last_max

    def add(self, body: object, offset_ns: int, reserve: Callable[[int], object | None], room: int) -> None:
        """Take in a message.

        Args:
            body: bytes, or anything that cannot be captured.
            offset_ns: from the start of the call.
            reserve: `reserve(bytes)` gives a hold on the process-wide budget, or None when it is spent.
            room: bytes of the largest message that the capture can take in now; of a larger one size and digest are kept.
        """
        self.count = count = self.count + 1
        if count <= self.first_max:
            take = self.messages.append
        else:
            if self._last is None:
                self._last = deque()
            if len(self._last) >= self.last_max:
                self._leave_out(body)
                if not self.last_max:
                    return
            take = self._last.append
        if not isinstance(body, bytes):
            take(Message(offset_ns, 0, None, _NO_BODY))
            return
        size = len(body)
        if size <= room and (self.held + size <= self._reserved or self._extend(size, reserve)):
            self.held += size
            take(_make(Message, (offset_ns, size, body, THERE, b"")))
        else:
            take(Message(offset_ns, size, None, _NOT_HELD, digest_of(body)))

    def _leave_out(self, newest: object) -> None:
        """One of the middle: the oldest of the last ones, since there is a newer one."""
        self.omitted += 1
        if not self._last:
            self.omitted_bytes += len(newest) if isinstance(newest, bytes) else 0
            return
        oldest = self._last.popleft()
        self.omitted_bytes += oldest.size
        if oldest.body is not None:
            self.held -= oldest.size

    def first(self, body: Any, offset_ns: int) -> None:
        """A message that came before the others, and for which there is room."""
        self.count += 1
        self.held += len(body)
        self.messages.insert(0, Message(offset_ns, len(body), body))

    def release(self) -> tuple[Message, ...]:
        """The messages, which are let go of here, with what was reserved for them: the call may live on as garbage."""
        messages = tuple(self.messages) if self._last is None else (*self.messages, *self._last)
        self.kept = len(messages)
        self.messages.clear()  # whoever appends to it holds it
        self._last, self._holds = None, ()
        return messages

    def _extend(self, size: int, reserve: Callable[[int], object | None]) -> bool:
        if self.held + size > HOLD_DIRECTION_MAX_BYTES:
            return False
        need = max(self.held + size - self._reserved, HOLD_STEP_BYTES)
        hold = reserve(need)
        if hold is None:
            return False
        self._holds = (*self._holds, hold)
        self._reserved += need
        return True


class Tally:
    """How many messages, and their bytes."""

    count = 0
    bytes = 0


TALLY: type[Tally] = Tally if _NATIVE is None else _NATIVE.Tally


class Counted(Seen):
    """The same of a call whose messages are not captured: how many there were, and their bytes."""

    def __init__(self, messages_max: int) -> None:
        super().__init__(messages_max)
        self.first_max = self.last_max = 0  # whoever looks leaves all of them to `add`
        self.tally = TALLY()

    def add(self, body: object, offset_ns: int, reserve: Callable[[int], object | None], room: int) -> None:  # noqa: ARG002 - as `Seen`
        """Take in a message."""
        self.tally.count += 1
        self.tally.bytes += len(body) if isinstance(body, bytes) else 0

    def first(self, body: Any, offset_ns: int) -> None:  # noqa: ARG002 - as `Seen`
        """A message that came before the others: how many bytes it has."""
        self.tally.count += 1
        self.tally.bytes += body

    def release(self) -> tuple[Message, ...]:
        """None; and what was counted until here."""
        self.count = self.omitted = self.tally.count
        self.omitted_bytes = self.tally.bytes
        return ()
