"""The embedded pipeline: the one thread that writes. It takes batches from the listeners' queue, and at the start what the journal holds.

While the store fails nothing more is taken: the queue fills, and the senders are pushed back. The stages do the work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from mirror.collect.intake import Intake
from mirror.collect.journal import Journal
from mirror.collect.lane import Lane
from mirror.collect.parts import Parts
from mirror.collect.recovering import TRY_AGAIN_S, Recovery
from mirror.collect.slices import Slicer
from mirror.collect.stages import Stages
from mirror.store import Checkpoint, Claim

TURN_MAX_S: Final = 0.25  # the longest wait for a batch, so that deadlines and commits are kept


@dataclass(frozen=True, slots=True)
class Inlet:
    """Where the pipeline's batches come from, and the lane that they go."""

    intake: Intake
    journal: Journal | None  # None: what is not committed is lost with the process
    slicer: Slicer  # for what is read from the journal
    claim: Callable[[str, int], Claim]  # of a partition of a source, in the store
    new_lane: Callable[[Claim | None], Lane]
    grace_s: float  # what senders are given, after a start, to bring what they could not


class Pipeline:
    """The thread. `clock`: unix seconds, the same that stamps arrivals."""

    def __init__(self, inlet: Inlet, parts: Parts, *, clock: Callable[[], float]) -> None:
        self._inlet = inlet
        self._clock = clock
        self._stages = Stages(parts, clock=clock, done=self._done)
        self._serving = False
        self._thread = threading.Thread(target=self._run, name="mirror-pipeline", daemon=True)

    def prepare(self) -> None:
        """Open the journal and claim its place in the store, so that requests can be taken. Raises JournalError.

        Where that cannot be now it is tried again by the thread; until then nothing is taken.
        """
        inlet, claim = self._inlet, None
        if inlet.journal is not None:
            if not inlet.journal.open():
                return
            claim = inlet.claim(inlet.journal.name, 0)
        self._stages.lanes[0] = inlet.new_lane(claim)
        if inlet.journal is not None and claim is not None:
            inlet.journal.serve(claim.progress.next_position)
        self._serving = True

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end: the intake is closed and everything is committed. False: it did not come in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        stages = self._stages
        stages.guard("rules", stages.use_day, self._clock())
        if not self._recovered():
            return  # what was taken is in the journal
        while not self._inlet.intake.drained and not stages.writer.ended:
            stages.guard("turn", self._turn)
        self._inlet.intake.close()  # also where nothing can be committed any more
        stages.guard("drain", stages.drain)
        stages.guard("commit", stages.flush)

    def _recovered(self) -> bool:
        """Whether all that the journal held before the start was read again."""
        inlet, stages = self._inlet, self._stages
        while not self._serving:
            inlet.intake.wait_closed(TRY_AGAIN_S)
            if inlet.intake.closed:
                return True  # nothing was taken, and there is nothing to lose
            stages.guard("journal", self.prepare)
        if inlet.journal is None:
            return True
        lane, now_s = stages.lanes[0], self._clock()
        for waits in (lane.pairer, lane.waiting):
            waits.wait_until(now_s + inlet.grace_s)
        recovery = Recovery(inlet.journal, lane, inlet.slicer, reread=stages.reread)
        return recovery.run(lambda: inlet.intake.closed, inlet.intake.wait_closed)

    def _turn(self) -> None:
        stages, intake, now_s = self._stages, self._inlet.intake, self._clock()
        stages.guard("rules", stages.use_day, now_s)
        idle = intake.idle  # asked after the clock: whatever comes later has a later arrival
        batch = intake.take(self._wait_s(now_s))
        if batch is not None:
            stages.read(batch)
        for lane in stages.lanes.values():
            if batch is None and idle:
                lane.see(now_s)
            stages.expire(lane)
        stages.counters.set("mirror_queue_bytes", intake.bytes)
        stages.tell_of_rules()
        stages.flush_in_time(now_s)

    def _wait_s(self, now_s: float) -> float:
        deadline_s = self._stages.next_deadline_s
        return TURN_MAX_S if deadline_s is None else min(TURN_MAX_S, max(0.005, deadline_s - now_s))

    def _done(self, checkpoints: Sequence[Checkpoint]) -> None:
        """They are committed: what the journal need not hold any more may go."""
        if self._inlet.journal is not None:
            for one in checkpoints:
                self._inlet.journal.done(one.claim.partition, lowest_open=one.progress.lowest_open)
