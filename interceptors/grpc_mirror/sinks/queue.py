"""Where finished calls wait for the sender: bounded by bytes and by number. Thread-safe, never blocks.

Where `grpc_mirror_native` is installed its queue serves, which does the same.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from grpc_mirror import native
from grpc_mirror.counters import Counters
from grpc_mirror.records import Queued

# Values of `rouse_at`.
ANY_BYTES = 0  # whatever comes, be it of no size
NEVER_BYTES = 1 << 62
_NATIVE = native.part("queueing")


class BoundedQueue:
    """First in, first out. What finds no room is dropped and counted: a newer call is not worth more than an older."""

    def __init__(
        self, counters: Counters, *, max_bytes: int, max_calls: int, rouse: Callable[[], None] = lambda: None
    ) -> None:
        """`rouse` is called by the thread that puts a record, once so many bytes are held as `rouse_at` says."""
        self._counters = counters
        self._max_bytes = max_bytes
        self._max_calls = max_calls
        self._rouse = rouse
        self.reset()

    def reset(self) -> None:
        """Start empty, with a lock of its own, as a forked child must."""
        # Re-entrant: a stream that is garbage is finished where it is collected, which may be within these very methods.
        self._lock = threading.RLock()
        self._records: deque[Queued] = deque()
        self.held_bytes = 0  # of the records in here; for others to read
        self._refusal = ""  # why nothing is taken any more; empty: it is
        self.taken = 0  # records that were taken out again, ever
        # At how many bytes held, or when a record finds no room, somebody is to be roused; that is done once, and to be asked for anew.
        self.rouse_at = ANY_BYTES

    def put(self, record: Queued) -> bool:
        """Take a record. Returns whether there was room."""
        size = record.size  # asked first: whatever runs Python may put records here itself
        with self._lock:
            self._counters.captured += 1  # whether or not there is room; under this lock, to need no other
            records = self._records
            room = self.held_bytes + size <= self._max_bytes and len(records) < self._max_calls and not self._refusal
            if room:
                records.append(record)
                self.held_bytes += size
            roused = self.rouse_at < NEVER_BYTES and (not room or self.held_bytes >= self.rouse_at)
            if roused:
                self.rouse_at = NEVER_BYTES
        if not room:
            self._counters.drop(self._refusal or "queue_full")
        if roused:
            self._rouse()
        return room

    def take(self, count: int) -> list[Queued]:
        """At most `count` of the oldest records."""
        records = self._records
        if not records:  # without the lock: only this method takes, so there may at worst be some since
            return []
        with self._lock:
            taken = [records.popleft() for _ in range(min(count, len(records)))]
            size = sum([record.size for record in taken])
            self.held_bytes -= size  # not with the sum, which may run a finaliser between the reading and the writing
            self.taken += len(taken)
        return taken

    def take_written(self, _ready: dict[Any, int], _room: int, _enough: int, _count: int) -> tuple[list[Any], int]:
        """The oldest records, as far as they are spans that go out as they are, and their bytes: none here, where none are written."""
        return [], 0

    @property
    def accepted(self) -> int:
        """Records that found room, ever."""
        with self._lock:
            return self.taken + len(self._records)

    @property
    def filled(self) -> float:
        """The share of its room that is taken, 0 to 1."""
        return max(len(self._records) / self._max_calls, self.held_bytes / self._max_bytes)

    @property
    def closed(self) -> bool:
        """Whether nothing is taken any more."""
        return bool(self._refusal)

    def close(self, reason: str) -> None:
        """Take nothing any more; what comes is dropped for `reason`. What is here can still be taken out."""
        with self._lock:
            self._refusal = self._refusal or reason

    def clear(self) -> int:
        """Drop what is left of a closed queue, for the reason that it was closed. Returns how many there were."""
        with self._lock:
            left = len(self._records)
            self._records.clear()
            self.held_bytes = 0
        if left:
            self._counters.drop(self._refusal, left)
        return left

    def __len__(self) -> int:
        return len(self._records)


QUEUE: type[BoundedQueue] = BoundedQueue if _NATIVE is None else _NATIVE.Queue
