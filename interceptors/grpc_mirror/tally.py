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
        self.blocked = 0

    def begin(self, method: str, *, blocked: bool) -> int | None:
        """The index of a call of this method; None: over OUTBOUND_MAX."""
        with self._lock:
            self.blocked += blocked
            if self._begun.total() >= OUTBOUND_MAX:
                return None
            self._begun[method] += 1
            return self._begun[method] - 1

    def block(self) -> None:
        """A call that was begun otherwise was refused in the end."""
        with self._lock:
            self.blocked += 1

    def ordinal(self, method: str, bodies: tuple[int, ...]) -> int:
        """How many calls of this method had requests of the same hashes before."""
        with self._lock:
            self._requests[method, bodies] += 1
            return self._requests[method, bodies] - 1
