"""Counts of one process: what was captured, what was dropped and why, what was noticed. Thread-safe; holds no payload."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from typing import NamedTuple


class Counts(NamedTuple):
    """Totals since the process started."""

    captured: int  # calls handed to the sink
    dropped: dict[str, int]  # spans lost, by reason
    conditions: dict[str, int]  # things noticed, by name


class Counters:
    """Every drop has a reason here, and every reason reaches the collector in a SourceReport."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew: a forked child is a source of its own."""
        # Re-entrant: a call that never began is noticed when it is collected, which may be while this thread counts.
        self._lock = threading.RLock()
        self.captured = 0  # calls handed to the sink; written by its queue only, under that lock
        self._dropped: Counter[str] = Counter()
        self._conditions: Counter[str] = Counter()
        self.source_id = uuid.uuid4().hex

    def drop(self, reason: str, count: int = 1) -> None:
        """Spans are lost for `reason`."""
        with self._lock:
            self._dropped[reason] += count

    def notice(self, condition: str) -> None:
        """Something worth knowing happened."""
        with self._lock:
            self._conditions[condition] += 1

    def read(self) -> Counts:
        """The totals, as one consistent copy."""
        with self._lock:
            return Counts(self.captured, dict(self._dropped), dict(self._conditions))
