"""The bounded queue between the listeners (one event loop) and the pipeline (one thread).

Bounded by bytes, and never dropping: a listener reserves a request's bytes before it works on them, and where there is no room
the sender is told to come again. It touches nothing but its own lock.

Fair by run: a run may hold at most SHARE times what is left free. So one run alone fills four fifths of the queue, several that
flood it get equal parts, and whoever comes with little finds room. (Choudhury and Hahne, Dynamic queue length thresholds for
shared-memory packet switches, 1998.)
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Final

from mirror.collect.batch import Batch

SHARE: Final = 4


class Intake:
    """A queue of batches that holds at most `max_bytes` of them.

    A single request larger than `max_bytes` is let in when nothing else is there, or it could never pass.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._batches: deque[tuple[Batch, int]] = deque()
        self._of_run: Counter[str] = Counter()  # bytes admitted and not taken yet
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

    def admit(self, batch: Batch, reserved: int) -> bool:
        """Whether the batch's run has its share left for what was reserved; then it is to be put, or released.

        A run of which nothing is queued is always admitted.
        """
        with self._changed:
            held = self._of_run[batch.run]
            if held and held + reserved > SHARE * (self._max_bytes - self._bytes):
                return False
            self._of_run[batch.run] = held + reserved
            return True

    def release(self, size: int, batch: Batch | None = None) -> None:
        """Give back what was reserved for a request that came to nothing; `batch`, where it was admitted."""
        with self._changed:
            self._give_back(size, batch)
            self._changed.notify_all()

    def put(self, batch: Batch, reserved: int) -> None:
        """Queue an admitted batch on the room reserved for it."""
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
            self._give_back(size, batch)
            return batch

    def _give_back(self, size: int, batch: Batch | None) -> None:
        self._bytes -= size
        if batch is None:
            return
        left = self._of_run[batch.run] - size
        if left > 0:
            self._of_run[batch.run] = left
        else:
            del self._of_run[batch.run]

    def wait_closed(self, timeout_s: float) -> None:
        """Return once it is closed, or after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, timeout_s)

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
