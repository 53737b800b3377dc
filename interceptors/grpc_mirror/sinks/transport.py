"""What the sender needs of a way out. No behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from grpc_mirror.sinks.otlp import SpanData


class SendResult(NamedTuple):
    """What came of one export."""

    ok: bool
    retryable: bool = False
    retry_after_s: float | None = None  # as the receiver asks
    rejected: int = 0  # spans of a batch that was otherwise taken
    reason: str = ""  # name of the status, or the receiver's words
    too_large: bool = False  # the receiver takes no request of this size
    words: str = ""  # what a receiver, or gRPC, adds to the status


class Channel(Protocol):
    """A connection to one receiver of OTLP."""

    def send(self, request: Sequence[bytes], timeout_s: float) -> SendResult:
        """Export one serialised request, given in pieces, and say what came of it. Blocks."""

    def close(self) -> None:
        """Close it for good. Any thread may; an export under way ends."""


class Transport(Protocol):
    """Used by one thread only, but for `abort`."""

    def encode(self, span: SpanData) -> tuple[Any, int]:
        """A span in this transport's own form, and its size in bytes."""

    def send(self, items: Sequence[Any], timeout_s: float) -> SendResult:
        """Export one batch. Blocks until it is answered or the time is over."""

    def close(self) -> None:
        """Let go of connections."""

    def abort(self) -> None:
        """End an export that is under way, for good, where that can be done without waiting. Any thread may call it."""
