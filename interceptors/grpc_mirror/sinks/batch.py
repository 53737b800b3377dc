"""The spans that leave in one export, and when they have to. One owner: the sender's thread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from grpc_mirror.settings import Settings
from grpc_mirror.sinks.delivery import Encoded, Item
from grpc_mirror.sinks.otlp import REQUEST_OVERHEAD_BYTES

# A batch of this size goes out whatever its age. An export costs some 0.2 ms whatever it carries, so much smaller ones are dear;
# twice as much falls out of the second-level cache between one copy and the next (measured), and is felt by the calls.
BATCH_BYTES = 512 * 1024
GATHER_S = 0.005  # what a batch with an outbound call waits at least: calls come in bursts
_make = tuple.__new__


class Batch:
    """What is put together until it goes. Times are monotonic, in seconds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.items: list[Item] = []
        self.bytes = REQUEST_OVERHEAD_BYTES
        self.due = 0.0
        self.hurried = False  # it holds an outbound call
        self._last = 0.0  # when the last one was due to go

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.items)

    def may_hold(self, size: int) -> bool:
        """Whether a span of so many bytes is within the limit of one export."""
        return size + REQUEST_OVERHEAD_BYTES <= self._settings.batch_max_bytes

    def has_room(self, size: int, limit_bytes: int) -> bool:
        """Whether it can take one more, of so many bytes; the receiver takes at most `limit_bytes`. An empty one can."""
        items = self.items
        return not items or (self.bytes + size <= limit_bytes and len(items) < self._settings.batch_max_spans)

    def add(self, content: Any, size: int, *, is_call: bool) -> None:
        """Add a span, in the transport's own form."""
        self.extend((_make(Encoded, (content, size, is_call)),), size)

    def extend(self, items: Sequence[Item], size: int) -> None:
        """Add spans that come to `size` bytes, for which there is room."""
        if not self.items:
            self.due = time.monotonic() + self._settings.batch_age_s
        self.items += items
        self.bytes += size

    def is_full(self, limit_bytes: int) -> bool:
        """Whether it goes whatever its age."""
        return self.bytes >= min(BATCH_BYTES, limit_bytes) or len(self.items) >= self._settings.batch_max_spans

    def hurry(self) -> None:
        """It holds an outbound call, whose answer a shadow may wait for. Batches go no faster than one in its age."""
        if not self.hurried:
            self.hurried = True
            soonest = max(time.monotonic() + GATHER_S, self._last + self._settings.outbound_age_s)
            self.due = min(self.due, soonest)

    def taken(self) -> list[Item]:
        """All that is in it, which goes now."""
        items = self.items
        self.items, self.bytes = [], REQUEST_OVERHEAD_BYTES
        self.hurried, self._last = False, time.monotonic()
        return items
