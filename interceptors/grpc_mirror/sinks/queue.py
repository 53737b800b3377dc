"""Where finished calls wait for the sender: bounded by bytes and by number. Thread-safe, never blocks."""

from __future__ import annotations

import threading
from collections import deque

from grpc_mirror.counters import Counters
from grpc_mirror.records import Finished


class BoundedQueue:
    """First in, first out. What finds no room is dropped and counted: a newer call is not worth more than an older."""

    def __init__(self, counters: Counters, *, max_bytes: int, max_calls: int) -> None:
        self._counters = counters
        self._max_bytes = max_bytes
        self._max_calls = max_calls
        self.reset()

    def reset(self) -> None:
        """Start empty, with a lock of its own, as a forked child must."""
        self._lock = threading.Lock()
        self._records: deque[Finished] = deque()
        self._bytes = 0
        self._closed = False

    def put(self, record: Finished) -> bool:
        """Take a record. Returns whether there was room."""
        with self._lock:
            self._counters.captured += 1  # whether or not there is room; under this lock, to need no other
            full = len(self._records) >= self._max_calls or self._bytes + record.size > self._max_bytes
            if not self._closed and not full:
                self._records.append(record)
                self._bytes += record.size
                return True
            reason = "shutdown" if self._closed else "queue_full"
        self._counters.drop(reason)
        return False

    def take(self, count: int) -> list[Finished]:
        """At most `count` of the oldest records."""
        with self._lock:
            taken = [self._records.popleft() for _ in range(min(count, len(self._records)))]
            for record in taken:
                self._bytes -= record.size
        return taken

    @property
    def filled(self) -> float:
        """The share of its room that is taken, 0 to 1."""
        return max(len(self._records) / self._max_calls, self._bytes / self._max_bytes)

    def close(self) -> int:
        """Take nothing any more. Returns how many were left, which are dropped and counted."""
        with self._lock:
            left = len(self._records)
            self._records.clear()
            self._bytes = 0
            self._closed = True
        if left:
            self._counters.drop("shutdown", left)
        return left

    def __len__(self) -> int:
        return len(self._records)
