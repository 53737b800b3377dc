"""Counts of one process: what was captured, what was dropped and why, what was noticed. Thread-safe; holds no payload."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from typing import NamedTuple


class Counts(NamedTuple):
    """Totals since the process started. `captured` is `sent`, all of `dropped`, and `waiting` together."""

    captured: int  # calls handed to the sink
    dropped: dict[str, int]  # calls lost, by reason
    conditions: dict[str, int]  # things noticed, by name
    sent: int = 0  # calls that the collector took
    waiting: int = 0  # calls in the queue, or on their way; only where a sink says it


class Counters:
    """Every drop has a reason here, and every reason reaches the collector in a SourceReport.

    `process`: where conditions of the process as a whole are counted, which stand in the reports to each of its collectors.
    """

    def __init__(self, process: Counters | None = None) -> None:
        self._process = process
        self.reset()

    def reset(self) -> None:
        """Start anew: a forked child is a source of its own."""
        # Re-entrant: a call that never began is noticed when it is collected, which may be while this thread counts.
        self._lock = threading.RLock()
        self.captured = 0  # calls handed to the sink; written by its queue only, under that lock
        self.sent = 0  # calls that were taken; written by the sender's thread only
        self._dropped: Counter[str] = Counter()
        self._conditions: Counter[str] = Counter()
        self.source_id = uuid.uuid4().hex

    def drop(self, reason: str, count: int = 1) -> None:
        """Calls are lost for `reason`."""
        with self._lock:
            self._dropped[reason] += count

    def notice(self, condition: str, count: int = 1) -> None:
        """Something worth knowing happened."""
        with self._lock:
            self._conditions[condition] += count

    def read(self) -> Counts:
        """The totals, as one consistent copy."""
        with self._lock:
            conditions = Counter(self._conditions)
            counts = Counts(self.captured, dict(self._dropped), conditions, self.sent)
        if self._process is not None:
            conditions.update(self._process.read().conditions)
        return counts._replace(conditions=dict(conditions))
