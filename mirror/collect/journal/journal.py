"""The journal: requests go to disk in groups, and are acknowledged once they are there.

One thread writes. A group is all that came while the last one was being written, so that one flush of the disk serves
many senders. A request that cannot be written is refused and was never there: its sender repeats it. A journal that fails is a
state, said once and shown by `problem`; the thread looks once a second whether it works again.

What is written stays until a checkpoint says that it was counted, and then for as long as exporters may repeat it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

from mirror.collect.batch import Batch
from mirror.collect.counters import Counters
from mirror.collect.journal.file import JournalError, JournalFile, Row
from mirror.collect.journal.segments import Segments
from mirror.collect.source import Record

GROUP_BYTES: Final = 8 << 20
LOOK_INTERVAL_S: Final = 1.0
READ_ROWS: Final = 16
OPENING: Final = "the journal is being opened"
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A request to be written: what was cut from it, its bytes, and the future of whoever waits for it."""

    batch: Batch
    body: bytes
    arrived_s: float
    reserved: int  # bytes of it in the intake
    settled: asyncio.Future[str]  # "": it is on disk; else why it is not


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """How much is kept, and how long."""

    max_bytes: int  # what rows may take up in the file
    keep_s: float  # exporters may repeat what was acknowledged so long


class Journal:
    """`settle` is told by the journal's thread what became of each group: on disk, at rising positions, or why not.

    `clock`: unix seconds.
    """

    def __init__(
        self,
        path: Path,
        counters: Counters,
        *,
        limits: JournalLimits,
        clock: Callable[[], float],
        settle: Callable[[Sequence[Entry], str], None],
    ) -> None:
        self.path = path
        self.problem = OPENING  # why nothing is taken; "": it takes
        self._counters = counters
        self._limits = limits
        self._clock = clock
        self._settle = settle
        self._changed = threading.Condition()
        self._waiting: deque[Entry] = deque()
        self._closing = False
        self._segments = Segments()
        self._file: JournalFile | None = None
        self._damaged = False
        self._next = self._stored_below = 0
        self._lowest_open = 0
        self._wanted = 0  # bytes that there was no room for
        self._thread = threading.Thread(target=self._run, name="mirror-journal", daemon=True)

    def open(self) -> bool:
        """Open the file. False: it cannot be now, and `problem` says why; try again. Raises JournalError where that is hopeless."""
        if self._file is not None:
            return True
        file = None
        try:
            file = JournalFile(self.path)
            self._next = self._stored_below = file.next_position
            self._segments = Segments()
            for position, arrived_s, size in file.sizes():
                self._segments.add(position, arrived_s, size)
        except JournalError as problem:
            if file is not None:
                file.close()
            if problem.kind == "setting":
                raise
            self._fails(problem)
            return False
        self._file = file
        return True

    @property
    def damaged(self) -> bool:
        """Whether it cannot be read: a person has to look."""
        return self._damaged

    @property
    def name(self) -> str:
        """See Source. Only once it is open."""
        return f"journal:{self._opened.id}"

    def serve(self, first: int) -> None:
        """Take entries from now on, at positions from `first` on or above; those below are somebody's already."""
        self._next = max(self._next, first)
        self._lowest_open = 0
        self._works()
        self._thread.start()

    def stored(self, partition: int, first: int) -> Iterator[Record]:
        """See Source; the records that were there when it was opened. Raises JournalError."""
        while True:
            try:
                rows = self._opened.read(first, self._stored_below, READ_ROWS)
            except JournalError as problem:
                self._fails(problem)
                raise
            for row in rows:
                if not row.intact:
                    self._counters.inc("mirror_journal_failures_total")
                    _log.error(
                        "journal %s: the request at position %d is not what was written: its disk is failing; it is left out",
                        self.path,
                        row.position,
                    )
                    continue
                yield Record(partition, row.position, row.arrived_s, row.body)
            if not rows:
                return
            first = rows[-1].position + 1

    def done(self, partition: int, *, lowest_open: int) -> None:  # noqa: ARG002 - it has one partition
        """See Source."""
        self._lowest_open = lowest_open

    def append(self, entry: Entry) -> bool:
        """Have it written, and be told by `settle`. False: `problem` says why nothing is taken."""
        with self._changed:
            if self.problem or self._closing:
                return False
            self._waiting.append(entry)
            self._changed.notify()
            return True

    def close(self) -> None:
        """Write what waits, then close the file."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()
        if self._file is not None:
            self._file.close()

    @property
    def _opened(self) -> JournalFile:
        if self._file is None:
            raise JournalError(f"journal {self.path}: is not open", "failing")
        return self._file

    def _run(self) -> None:
        looked_s = 0.0
        while (group := self._group()) is not None:
            if group:
                self._write(group)
            if time.monotonic() - looked_s >= LOOK_INTERVAL_S:
                looked_s = time.monotonic()
                self._look()

    def _group(self) -> list[Entry] | None:
        """What waits, up to GROUP_BYTES and at least one; nothing, if nothing came for a while; None at the end."""
        with self._changed:
            if not self._waiting and not self._closing:
                self._changed.wait(LOOK_INTERVAL_S)
            if not self._waiting:
                return None if self._closing else []
            group, size = [self._waiting.popleft()], 0
            while self._waiting and (size := size + len(group[-1].body)) < GROUP_BYTES:
                group.append(self._waiting.popleft())
            return group

    def _write(self, group: Sequence[Entry]) -> None:
        began_s = time.perf_counter()
        try:
            self._require_working()
            self._make_room(sum(len(entry.body) for entry in group))
            rows = [Row(self._next + nth, entry.arrived_s, entry.body) for nth, entry in enumerate(group)]
            self._opened.write(rows)
        except JournalError as problem:
            self._fails(problem)
            self._settle(group, str(problem))
            return
        for row, entry in zip(rows, group, strict=True):
            entry.batch.origin.position = row.position
            self._segments.add(row.position, row.arrived_s, len(row.body))
        self._next += len(rows)
        self._settle(group, "")
        self._counters.inc("mirror_journal_commits_total")
        self._counters.inc("mirror_journal_seconds_total", time.perf_counter() - began_s)

    def _require_working(self) -> None:
        if self.problem:  # found while these waited
            raise JournalError(self.problem, "failing")

    def _look(self) -> None:
        """Let go of what is over; where it failed, see whether it works again."""
        if self._damaged:
            return
        try:
            self._opened.require_same_files()
            if self.problem:
                self._opened.probe()
            # Where there is no room, taking is worth more than telling repeats apart after a start.
            self._trim(inf if self.problem else self._clock() - self._limits.keep_s)
            used = self._opened.used_bytes
            self._counters.set("mirror_journal_bytes", used)
            if self.problem and used + self._wanted <= self._limits.max_bytes:
                self._works()
        except JournalError as problem:
            self._fails(problem)

    def _make_room(self, size: int) -> None:
        """Repeats are told apart for a shorter time before anything is refused."""
        self._wanted = size
        used = self._opened.used_bytes
        if used + size <= self._limits.max_bytes:
            return
        self._trim(inf)
        used = self._opened.used_bytes
        if used + size > self._limits.max_bytes:
            text = f"holds {used} bytes that were not counted yet, of {self._limits.max_bytes} (journal.max_bytes)"
            raise JournalError(f"journal {self.path}: {text}", "failing")

    def _trim(self, before_s: float) -> None:
        first = self._segments.first_needed(self._lowest_open, before_s)
        if first:
            self._opened.delete(first)
            self._segments.forget(first)

    def _fails(self, problem: JournalError) -> None:
        self._counters.inc("mirror_journal_failures_total")
        self._damaged |= problem.kind == "damaged"
        with self._changed:
            first = self.problem in ("", OPENING)
            self.problem = str(problem)
        if first:  # once, until it works again
            _log.error("nothing is taken: %s", problem)

    def _works(self) -> None:
        with self._changed:
            was, self.problem = self.problem, ""
        if was and self._thread.ident is not None:
            _log.warning("the journal works again")
