"""A process-wide bound on the bytes that calls in flight hold. Thread-safe."""

from __future__ import annotations

import threading


class HoldBudget:
    """Gives out holds on a fixed number of bytes. A hold returns them when it is garbage collected.

    So a call that never comes to an end, because its handler was never started, gives back what it took.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.reset()

    def reset(self) -> None:
        """Start anew, as a forked child must: another thread may have held the lock when the process forked."""
        # Re-entrant: a hold may be collected, and so returned, while this very thread is inside `reserve`.
        self._lock = threading.RLock()
        self._used_bytes = 0

    def reserve(self, size: int) -> _Hold | None:
        """A hold on `size` bytes, or None when the budget is spent."""
        with self._lock:
            if self._used_bytes + size > self._max_bytes:
                return None
            self._used_bytes += size
        return _Hold(self, size)

    @property
    def used_bytes(self) -> int:
        """Bytes held at the moment."""
        return self._used_bytes

    def _give_back(self, size: int) -> None:
        with self._lock:
            self._used_bytes = max(0, self._used_bytes - size)


class _Hold:
    __slots__ = ("_budget", "_size")

    def __init__(self, budget: HoldBudget, size: int) -> None:
        self._budget = budget
        self._size = size

    def __del__(self) -> None:
        self._budget._give_back(self._size)  # noqa: SLF001 - the two are one thing
