"""Where finished calls wait for the sender: bounded by bytes and by number. Thread-safe, never blocks."""

from __future__ import annotations

import threading
from collections import deque

from grpc_mirror.counters import Counters
from grpc_mirror.records import Finished, Plain

# What a held message costs beside its bytes: a stream of empty messages is not free.
_MESSAGE_BYTES = 160


class BoundedQueue:
    """First in, first out. What finds no room is dropped and counted: a newer call is not worth more than an older."""

    def __init__(self, counters: Counters, *, max_bytes: int, max_calls: int) -> None:
        self._counters = counters
        self._max_bytes = max_bytes
        self._max_calls = max_calls
        self.reset()

    def reset(self) -> None:
        """Start empty, with a lock of its own, as a forked child must."""
        # Re-entrant: a stream that is garbage is finished where it is collected, which may be within these very methods.
        self._lock = threading.RLock()
        self._records: deque[tuple[Finished, int]] = deque()
        self._bytes = 0
        self._refusal = ""  # why nothing is taken any more; empty: it is
        self.accepted = 0  # records that found room, ever
        self.taken = 0  # those that were taken out again

    def put(self, record: Finished) -> bool:
        """Take a record. Returns whether there was room."""
        size = size_of(record)
        with self._lock:
            self._counters.captured += 1  # whether or not there is room; under this lock, to need no other
            reason = self._refusal
            if not reason:
                if len(self._records) < self._max_calls and self._bytes + size <= self._max_bytes:
                    self._records.append((record, size))
                    self._bytes += size
                    self.accepted += 1
                    return True
                reason = "queue_full"
        self._counters.drop(reason)
        return False

    def take(self, count: int) -> list[Finished]:
        """At most `count` of the oldest records."""
        taken = []
        with self._lock:
            for _ in range(min(count, len(self._records))):
                record, size = self._records.popleft()
                self._bytes -= size
                taken.append(record)
            self.taken += len(taken)
        return taken

    @property
    def filled(self) -> float:
        """The share of its room that is taken, 0 to 1."""
        return max(len(self._records) / self._max_calls, self._bytes / self._max_bytes)

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
            self._bytes = 0
        if left:
            self._counters.drop(self._refusal, left)
        return left

    def __len__(self) -> int:
        return len(self._records)


def size_of(record: Finished) -> int:
    """The bytes that a record keeps in memory, about."""
    messages = 2 if isinstance(record, Plain) else len(record.requests) + len(record.responses)
    size = record.size + _MESSAGE_BYTES * messages
    for _, value in record.metadata:
        size += len(value)
    return size
