"""The bounded queue between the listeners (one event loop) and the pipeline (one thread).

Bounded by bytes, and never dropping: a listener reserves a request's bytes before it works on them, and where there is no room
the sender is told to come again. It touches nothing but its own lock.
"""

from __future__ import annotations

import threading
from collections import deque

from mirror.collect.slices import Batch


class Intake:
    """A queue of batches that holds at most `max_bytes` of them.

    A single request larger than `max_bytes` is let in when nothing else is there, or it could never pass.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._batches: deque[tuple[Batch, int]] = deque()
        self._bytes = 0
        self._closed = False

    @property
    def bytes(self) -> int:
        """Bytes reserved or queued."""
        return self._bytes

    @property
    def closed(self) -> bool:
        """Whether nothing more is let in."""
        return self._closed

    def reserve(self, size: int) -> bool:
        """Make room for `size` bytes. False: full or closed; then nothing was reserved. Never blocks for long."""
        with self._changed:
            if self._closed or (self._bytes and self._bytes + size > self._max_bytes):
                return False
            self._bytes += size
            return True

    def release(self, size: int) -> None:
        """Give back what was reserved for a request that came to nothing."""
        with self._changed:
            self._bytes -= size
            self._changed.notify_all()

    def put(self, batch: Batch, reserved: int) -> None:
        """Queue a batch on the room reserved for it."""
        with self._changed:
            self._batches.append((batch, reserved))
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Batch | None:
        """The oldest batch; waits for one up to `timeout_s`, or until the queue is closed. None: there was none."""
        with self._changed:
            if not self._batches and not self._closed:
                self._changed.wait(timeout_s)
            if not self._batches:
                return None
            batch, size = self._batches.popleft()
            self._bytes -= size
            return batch

    def close(self) -> None:
        """Let nothing more in. What was reserved may still be put, and what is queued can be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Nothing is queued, and nothing that arrived before is on its way into the queue."""
        with self._changed:
            return not self._bytes and not self._batches

    @property
    def drained(self) -> bool:
        """Closed, with nothing queued and nothing reserved that may still come."""
        with self._changed:
            return self._closed and not self._bytes and not self._batches
