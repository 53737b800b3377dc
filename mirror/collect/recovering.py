"""Reading again, after a start, what the journal holds: open spans are taken, counted ones leave tombstones.

A journal that cannot be read keeps the pipeline from reading on: what came after would be counted, and what was not read
would be taken for counted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from mirror.collect.batch import Batch
from mirror.collect.journal import Journal, JournalError
from mirror.collect.lane import Lane
from mirror.collect.slices import BadBatch, Slicer
from mirror.collect.source import Record

TRY_AGAIN_S: Final = 1.0
_log: Final = logging.getLogger(__name__)


class Recovery:
    """Of one lane. `reread` takes what was not counted of a request, and says how many open spans that were."""

    def __init__(self, journal: Journal, lane: Lane, slicer: Slicer, *, reread: Callable[[Batch], int]) -> None:
        self._journal = journal
        self._lane = lane
        self._slicer = slicer
        self._reread = reread
        self._first = 0  # that was not read again yet
        self.requests = 0
        self.open_spans = 0

    def run(self, closed: Callable[[], bool], wait: Callable[[float], None]) -> bool:
        """Read all of it, however often that fails. False: it could not be read until the collector was to end."""
        began_s = time.perf_counter()
        while not self._read():
            wait(TRY_AGAIN_S)
            if closed():
                return False
        lost = self._lane.abandon()
        if lost:
            _log.error("%d spans that were not counted are no longer in the journal", lost)
        if self.requests:
            seconds = time.perf_counter() - began_s
            text = "read again %d requests of the journal in %.1f s: %d spans of them were not counted yet"
            _log.info(text, self.requests, seconds, self.open_spans)
        return True

    def _read(self) -> bool:
        try:
            for record in self._journal.stored(self._lane.partition, self._first):
                self._one(record)
                self._first = record.position + 1
        except JournalError:
            return False  # the journal has said so
        return True

    def _one(self, record: Record) -> None:
        expected = self._lane.progress.next_position
        if not self.requests and 0 < expected < record.position:
            # The store went back to a backup, and what it had counted since had left the journal.
            text = "%d requests between what the store knows and what the journal holds are gone, and count no more"
            _log.error(text, record.position - expected)
        self.requests += 1
        try:
            batch = self._slicer.slice(record.body, arrived_s=record.arrived_s)
        except BadBatch:
            _log.error("the journal holds a request that is none, at position %d", record.position)
            return
        batch.origin.partition, batch.origin.position = record.partition, record.position
        self.open_spans += self._reread(batch)
