"""The pipeline: the one thread that writes. It takes batches, pairs, judges, and commits what came of it.

It owns the lanes, the judge and the changes between two commits; nobody else touches them. A store that fails is tried again
with the same changes while nothing more is taken: the queue fills, and the senders are pushed back.

What it reads is open until it was counted, in the changes of the next commit; with these goes how far it read and what is
open still. So what the journal holds counts once, wherever the process ended.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from grpc_mirror.v1 import schema_pb2

from mirror.collect.comparisons import comparison_of
from mirror.collect.counters import Counters
from mirror.collect.faults import log_fault
from mirror.collect.forward import Forwarder
from mirror.collect.intake import Intake
from mirror.collect.journal import Journal
from mirror.collect.judge import Judge
from mirror.collect.lane import Lane
from mirror.collect.library import Library
from mirror.collect.recovering import TRY_AGAIN_S, Recovery
from mirror.collect.rule_watch import RuleWatch
from mirror.collect.schema_watch import SchemaWatch
from mirror.collect.slices import Batch, Report, Slicer
from mirror.collect.writer import Writer
from mirror.core.model import CallRecord, Group, Judged, OutboundRecord
from mirror.core.schemas import SchemaError
from mirror.store import Claim, InForce
from mirror.store.accounts import FAILED

FLUSH_INTERVAL_S: Final = 0.5
FLUSH_GROUPS: Final = 2000  # judged groups after which a commit does not wait for the interval
TURN_MAX_S: Final = 0.25  # the longest wait for a batch, so that deadlines and commits are kept
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the pipeline works with. Once it runs, it is the only user of judge to writer."""

    intake: Intake
    counters: Counters
    forwarder: Forwarder | None
    runs: frozenset[str]  # those that are accepted
    journal: Journal | None  # None: what is not committed is lost with the process
    slicer: Slicer  # for what is read from the journal
    claim: Callable[[str, int], Claim]  # of a partition of a source, in the store
    new_lane: Callable[[Claim | None], Lane]
    grace_s: float  # what senders are given, after a start, to bring what they could not
    judge: Judge
    library: Library
    watch: RuleWatch
    schema_watch: SchemaWatch
    writer: Writer


class Pipeline:
    """The thread. `clock`: unix seconds, the same that stamps arrivals."""

    def __init__(self, parts: Parts, *, clock: Callable[[], float]) -> None:
        self._parts = parts
        self._clock = clock
        self._lanes: dict[int, Lane] = {}
        self._serving = False
        self._flushed_s = 0.0
        self._today: date | None = None  # by whose rules calls are judged
        self._thread = threading.Thread(target=self._run, name="mirror-pipeline", daemon=True)

    def prepare(self) -> None:
        """Open the journal and claim its place in the store, so that requests can be taken. Raises JournalError.

        Where that cannot be now it is tried again by the thread; until then nothing is taken.
        """
        journal = self._parts.journal
        claim = None
        if journal is not None:
            if not journal.open():
                return
            claim = self._parts.claim(journal.name, 0)
        self._lanes[0] = self._parts.new_lane(claim)
        if journal is not None and claim is not None:
            journal.serve(claim.progress.next_position)
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
        self._guard("rules", self._use_day, self._clock())
        if not self._recovered():
            return  # what was taken is in the journal
        while not self._parts.intake.drained and not self._parts.writer.ended:
            self._guard("turn", self._turn)
        self._parts.intake.close()  # also where nothing can be committed any more
        self._guard("drain", self._drain)
        self._guard("commit", self._flush)

    def _recovered(self) -> bool:
        """Whether all that the journal held before the start was read again."""
        parts = self._parts
        while not self._serving:
            parts.intake.wait_closed(TRY_AGAIN_S)
            if parts.intake.closed:
                return True  # nothing was taken, and there is nothing to lose
            self._guard("journal", self.prepare)
        if parts.journal is None:
            return True
        lane, now_s = self._lanes[0], self._clock()
        for waits in (lane.pairer, lane.waiting):
            waits.wait_until(now_s + parts.grace_s)
        recovery = Recovery(parts.journal, lane, parts.slicer, receive=self._receive, take=self._take)
        return recovery.run(lambda: parts.intake.closed, parts.intake.wait_closed)

    def _turn(self) -> None:
        parts, now_s = self._parts, self._clock()
        self._guard("rules", self._use_day, now_s)
        idle = parts.intake.idle  # asked after the clock: whatever comes later has a later arrival
        batch = parts.intake.take(self._wait_s(now_s))
        if batch is not None:
            self._receive(batch)
        for lane in self._lanes.values():
            if batch is None and idle:
                lane.seen_s = max(lane.seen_s, now_s)
            self._release(lane, lane.pairer.take_expired(lane.seen_s))
            self._judge_all(lane, lane.waiting.take_expired(lane.seen_s))
        self._tell_of_rules()
        if not 0 <= now_s - self._flushed_s < FLUSH_INTERVAL_S:
            self._flush()

    def _drain(self) -> None:
        for lane in self._lanes.values():
            self._judge_all(lane, lane.pairer.drain())
            self._judge_all(lane, lane.waiting.take_all())
            self._close_dropped(lane)

    def _wait_s(self, now_s: float) -> float:
        deadlines = [lane.pairer.next_deadline_s for lane in self._lanes.values()]
        deadline_s = min((at_s for at_s in deadlines if at_s is not None), default=None)
        return TURN_MAX_S if deadline_s is None else min(TURN_MAX_S, max(0.005, deadline_s - now_s))

    def _lane_of(self, batch: Batch) -> Lane:
        return self._lanes[batch.origin.partition]

    def _receive(self, batch: Batch) -> None:
        """A batch that is read for the first time."""
        self._lane_of(batch).read(batch)
        runs = self._parts.runs
        self._parts.writer.changes.received(
            (call for call in batch.calls if call.key.run in runs),
            (outbound for outbound in batch.outbound if outbound.key.run in runs),
        )
        self._take(batch)

    def _take(self, batch: Batch) -> None:
        """Its spans, or those of them that were open when the collector ended."""
        lane = self._lane_of(batch)
        for raw in batch.schemas:
            self._guard("schema", self._learn, raw)
        for report in batch.reports:
            self._guard("report", self._report, report)
        for outbound in batch.outbound:
            if not self._guard("outbound", self._outbound, lane, outbound):
                self._drop(lane, outbound, FAILED)
        for call in batch.calls:
            if not self._guard("call", self._call, lane, call):
                self._drop(lane, call, FAILED)
        self._close_dropped(lane)

    def _see(self, call: CallRecord) -> None:
        """Which version served it, and what its schema says of the rules' paths, whether it counts or not."""
        self._parts.judge.see(call)
        self._parts.watch.see(call)

    def _call(self, lane: Lane, call: CallRecord) -> None:
        if not self._known(call.key.run):
            lane.close(call)
            return
        lane.seen_s = max(lane.seen_s, call.arrived_s)
        self._see(call)
        self._release(lane, lane.pairer.add(call, call.arrived_s))

    def _outbound(self, lane: Lane, outbound: OutboundRecord) -> None:
        if not self._known(outbound.key.run):
            lane.close(outbound)
            return
        lane.seen_s = max(lane.seen_s, outbound.arrived_s)
        self._parts.watch.see_outbound(outbound)
        self._release(lane, lane.pairer.add_outbound(outbound, outbound.arrived_s))

    def _known(self, run: str) -> bool:
        if run in self._parts.runs:
            return True
        self._parts.counters.inc("mirror_unknown_run_total")
        self._parts.writer.changes.unknown_run(run)
        return False

    def _close_dropped(self, lane: Lane) -> None:
        """What came to no group is counted by its reason, and is open no more."""
        for record, reason in lane.pairer.take_dropped():
            self._drop(lane, record, reason)

    def _drop(self, lane: Lane, record: CallRecord | OutboundRecord, reason: str) -> None:
        self._parts.writer.changes.dropped(record, reason)
        lane.close(record)

    def _report(self, report: Report) -> None:
        self._parts.writer.changes.source(schema_pb2.SourceReport.FromString(report.data), report.resource)

    def _learn(self, raw: bytes) -> None:
        parts = self._parts
        try:
            fingerprint = parts.library.learn(raw)
        except SchemaError as problem:
            parts.counters.inc("mirror_schemas_total", result="refused")
            parts.writer.changes.schema_problem(str(problem))
            return
        parts.counters.inc("mirror_schemas_total", result="new" if fingerprint else "known")
        if fingerprint:
            parts.writer.changes.schema(fingerprint, raw)
            for lane in self._lanes.values():
                self._release(lane, lane.waiting.take_all())  # those that lack another one go back to wait

    def _release(self, lane: Lane, groups: Iterable[Group]) -> None:
        """Judge what the pairer let go, or have it wait for a schema while it has time."""
        for group in groups:
            if not self._guard("release", self._hand_on, lane, group):
                self._give_up(lane, group)

    def _hand_on(self, lane: Lane, group: Group) -> None:
        parts = self._parts
        missing = parts.judge.missing_schemas(group)
        has_time = lane.waiting.has_time(group, lane.seen_s)
        if missing and has_time and not parts.library.find(missing, lane.seen_s):
            self._judge_all(lane, lane.waiting.add(group))
        else:
            self._judge_all(lane, (group,))

    def _judge_all(self, lane: Lane, groups: Iterable[Group]) -> None:
        for group in groups:
            if self._guard("judge", self._judge, group):
                lane.close_group(group)
            else:
                self._give_up(lane, group)
            if self._parts.writer.changes.groups >= FLUSH_GROUPS:
                self._flush()

    def _give_up(self, lane: Lane, group: Group) -> None:
        """A fault of ours: it is counted as that, and never tried again."""
        for call in group.calls.values():
            self._drop(lane, call, FAILED)
            for outbound in call.outbound:
                self._drop(lane, outbound, FAILED)

    def _judge(self, group: Group) -> None:
        parts = self._parts
        judged = parts.judge.judge(group, self._clock())
        changes = parts.writer.changes
        kept = comparison_of(judged).SerializeToString() if changes.wants(judged) else None
        changes.add(judged, kept)
        self._guard("schema_changes", self._schema_changes, judged)
        self._guard("figures", self._judged, judged)

    def _judged(self, judged: Judged) -> None:
        """Tell the counters and the forwarder. It is in the changes already."""
        parts, group = self._parts, judged.group
        parts.counters.inc("mirror_groups_released_total", reason=str(group.release))
        for role, outcome in judged.outcomes.items():
            parts.counters.inc("mirror_comparisons_total", role=str(role), verdict=str(outcome.verdict))
        if judged.triple is not None:
            parts.counters.inc("mirror_triples_total")
        if parts.forwarder is not None:
            parts.forwarder.offer(judged)

    def _schema_changes(self, judged: Judged) -> None:
        """They are no differences: they never touch what was judged."""
        told = self._parts.schema_watch.see(judged)
        if told is not None:
            self._parts.writer.changes.schema_change(*told)

    def _use_day(self, now_s: float) -> None:
        """Rules expire by day (UTC). What was judged by those before is committed first: it never counts beside the rest."""
        parts = self._parts
        today = datetime.fromtimestamp(now_s, tz=UTC).date()
        if today == self._today:
            return
        rules = parts.watch.on(today)
        if self._today is None or rules != parts.watch.in_force:
            self._flush()
            parts.judge.use(rules)
            parts.writer.use(InForce(rules, parts.runs))
        parts.watch.use(today)
        self._today = today

    def _tell_of_rules(self) -> None:
        """What the schemas say of the rules' paths is told when it changes."""
        parts = self._parts
        if parts.watch.check():
            parts.writer.changes.rules(parts.watch.statuses())
            for line in parts.watch.news():
                _log.warning("%s", line)

    def _flush(self) -> None:
        """Commit what came of everything that was closed, and how far that is."""
        parts = self._parts
        for lane in self._lanes.values():
            self._close_dropped(lane)
        self._figures()
        parts.writer.changes.use(parts.watch.in_force)
        checkpoints = [one for lane in self._lanes.values() if (one := lane.checkpoint())]
        if parts.writer.flush(checkpoints) and parts.journal is not None:
            for one in checkpoints:
                parts.journal.done(one.claim.partition, lowest_open=one.progress.lowest_open)
        self._flushed_s = self._clock()

    def _figures(self) -> None:
        """Bring the gauges, and what other parts count, up to date."""
        put, lanes = self._parts.counters.set, list(self._lanes.values())
        put("mirror_queue_bytes", self._parts.intake.bytes)
        put("mirror_groups_open", sum(lane.pairer.open for lane in lanes))
        put("mirror_groups_open_bytes", sum(lane.pairer.open_bytes for lane in lanes))
        put("mirror_groups_waiting", sum(len(lane.waiting) for lane in lanes))
        put("mirror_groups_waiting_evicted_total", sum(lane.waiting.evicted for lane in lanes))
        for reason, count in sum((Counter(lane.pairer.counts) for lane in lanes), Counter()).items():
            put("mirror_pairing_total", count, reason=reason)

    def _guard(self, stage: str, work: Callable[..., None], *given: Any) -> bool:
        """Do one piece of work; a fault of ours is counted and logged without payload, and the next piece goes on.

        False: there was one.
        """
        try:
            work(*given)
        except Exception as fault:  # noqa: BLE001 - one group must not end the pipeline
            self._parts.counters.inc("mirror_internal_errors_total", stage=stage)
            self._parts.writer.changes.count("internal_error")
            log_fault(_log, f"{stage} in the pipeline", fault)
            return False
        return True
