"""Which messages of two streams can be held against each other, where captures hold only their first and last ones. Pure.

Interceptors keep the first and the last messages of a long stream and count the rest. What is not there was not compared: it
is never missing. Messages belong together by their place in the stream, which the true counts tell. Where the counts differ
nobody can tell at which of the messages left out the streams went apart, so only their beginnings are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard, TypeVar

from grpc_mirror.v1 import capture_pb2

T = TypeVar("T")
_TOO_MANY = capture_pb2.OMISSION_TOO_MANY_MESSAGES


@dataclass(frozen=True, slots=True)
class Stream:
    """One direction of one call: how many messages there were, and which of them the capture holds."""

    count: int
    first: int  # how many from the start
    last: int  # how many from the end
    whole: bool

    def place(self, position: int) -> int:
        """The place in the stream, from 0, of the captured message at `position`."""
        return position if self.whole or position < self.first else position + self.count - self.first - self.last


@dataclass(frozen=True, slots=True)
class Window:
    """A run of places that both captures hold, from `start` on."""

    start: int
    size: int
    at_end: bool  # of the stream; else at its beginning


def stream_of(capture: capture_pb2.Capture, direction: capture_pb2.Direction, captured: int) -> Stream | None:
    """A direction of which `captured` messages are there; None: others are missing, and nobody can tell which."""
    response = direction == capture_pb2.DIRECTION_RESPONSE
    count = capture.response_count if response else capture.request_count
    if count <= captured:
        return Stream(count, captured, captured, whole=True)
    for one in capture.omitted:
        if (one.direction, one.reason) == (direction, _TOO_MANY) and captured + one.messages == count:
            last = min(one.kept_after, captured)
            return Stream(count, captured - last, last, whole=False)
    return None


def is_cut(streams: tuple[Stream, Stream] | None) -> TypeGuard[tuple[Stream, Stream]]:
    """Whether it is known which messages there are, and they are not all."""
    return streams is not None and not (streams[0].whole and streams[1].whole)


def windows(left: Stream, right: Stream) -> list[Window]:
    """What of two streams is compared, at least one of which is not whole."""
    first = min(left.first, right.first)
    found = [Window(0, first, at_end=False)]
    if left.count == right.count:
        last = min(left.last, right.last, left.count - first)
        if last:
            found.append(Window(left.count - last, last, at_end=True))
    return found


def within(window: Window, messages: Sequence[T]) -> Sequence[T]:
    """Those of a side's captured messages that stand in a window."""
    return messages[len(messages) - window.size :] if window.at_end else messages[: window.size]
