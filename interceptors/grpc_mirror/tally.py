"""Counts the calls that the service makes while it serves a mirrored one."""

from __future__ import annotations

import threading
from collections import Counter

OUTBOUND_MAX = 1000  # captured outbound calls of one served call; later ones are counted


class Tally:
    """Counts the calls that the service makes while it serves one call. Handlers may make them from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: Counter[str] = Counter()
        self._requests: Counter[tuple[str, tuple[int, ...]]] = Counter()
        self._captured = 0
        self._omitted = 0
        self._closed = False
        self.blocked = 0

    def begin(self, method: str, *, blocked: bool) -> tuple[int, bool] | None:
        """The index of a call of this method, and whether the served call had ended; None: over OUTBOUND_MAX."""
        with self._lock:
            self.blocked += blocked
            if self._captured >= OUTBOUND_MAX:
                self._omitted += 1
                return None
            self._captured += 1
            self._begun[method] += 1
            return self._begun[method] - 1, self._closed

    def close(self) -> tuple[int, int]:
        """The served call has ended: how many calls it had begun that are captured, and how many that are not."""
        with self._lock:
            self._closed = True
            return self._captured, self._omitted

    def block(self) -> None:
        """A call that was begun otherwise was refused in the end."""
        with self._lock:
            self.blocked += 1

    def ordinal(self, method: str, bodies: tuple[int, ...]) -> int:
        """How many calls of this method had requests of the same hashes before."""
        with self._lock:
            self._requests[method, bodies] += 1
            return self._requests[method, bodies] - 1
