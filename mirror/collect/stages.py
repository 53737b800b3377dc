"""The stages of judging, from requests cut into records to what is committed: pairing, judging, gathering, committing.

Whoever reads (the embedded pipeline, a worker) hands requests in by `take` and lets time pass by `expire`; `flush` commits. It
owns the lanes, the judge and the changes between two commits; one thread uses it, and nobody else touches them. A store that
fails is tried again with the same changes, while nothing more is taken.

What was read is open until it was counted, in the changes of the next commit; with these goes how far was read and what is
open still. So what the journal or Kafka holds counts once, wherever the process ended.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Final

from grpc_mirror.v1 import schema_pb2

from mirror.collect.batch import Batch, Report
from mirror.collect.counters import Counters
from mirror.collect.faults import Guarded
from mirror.collect.judging import Judging
from mirror.collect.lane import Lane
from mirror.collect.parts import Parts
from mirror.collect.writer import Writer
from mirror.core.model import CallRecord, Group, OutboundRecord, Resource, Role
from mirror.core.recovery import recovered
from mirror.core.schemas import SchemaError
from mirror.store import Checkpoint, InForce
from mirror.store.accounts import FAILED

FLUSH_INTERVAL_S: Final = 0.5
FLUSH_GROUPS: Final = 10_000  # judged groups after which a commit does not wait for the interval
MISSING_MAX: Final = 1000  # fingerprints looked for in the store
UNKNOWN_RUNS_TOLD: Final = 20  # names in the log; they are the senders' to choose
_log: Final = logging.getLogger(__name__)


class Stages:
    """`lanes` by partition are the reader's to put in and to take out. `clock`: unix seconds, the same that stamps arrivals.

    `done` is told of each commit, by its checkpoints; `may_commit` is asked before.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        clock: Callable[[], float],
        done: Callable[[Sequence[Checkpoint]], None] = lambda _: None,
        may_commit: Callable[[], bool] = lambda: True,
    ) -> None:
        self._parts = parts
        self._clock = clock
        self._done = done
        self._may_commit = may_commit
        self._flushed_s = 0.0
        self._today: date | None = None  # by whose rules calls are judged
        self._missing: set[str] = set()  # fingerprints that groups wait for
        self._unknown_runs: set[str] = set()  # that the log has
        self.guard = Guarded(self._fault)
        self._judging = Judging(parts, self.guard, clock)
        self._last_seen: tuple[Role, str, str, Resource] | None = None
        self.lanes: dict[int, Lane] = {}

    @property
    def counters(self) -> Counters:
        """Those that it counts with."""
        return self._parts.counters

    @property
    def writer(self) -> Writer:
        """By which it commits."""
        return self._parts.writer

    @property
    def next_deadline_s(self) -> float | None:
        """When a group's time is over next; None: none is open."""
        deadlines = [lane.pairer.next_deadline_s for lane in self.lanes.values()]
        return min((at_s for at_s in deadlines if at_s is not None), default=None)

    def read(self, batch: Batch) -> None:
        """Take a request that is read for the first time."""
        self.lanes[batch.origin.partition].read(batch)
        runs = self._parts.runs
        self._parts.writer.changes.received(
            (call for call in batch.calls if call.key.run in runs),
            (outbound for outbound in batch.outbound if outbound.key.run in runs),
        )
        self.take(batch)

    def reread(self, batch: Batch) -> int:
        """Take of a request that may have been read before what was not counted; how many of its spans that are.

        What was counted leaves tombstones, lest a repeat of it counts again.
        """
        lane, position = self.lanes[batch.origin.partition], batch.origin.position
        parts = recovered(lane.progress, position, (*batch.calls, *batch.outbound))
        for span in parts.closed:
            if isinstance(span, CallRecord):
                lane.pairer.bury(span)
        if not parts.counted:
            self.read(batch)
        elif parts.taken:
            lane.reread(position, parts.taken)
            for span in parts.taken:
                lane.pairer.reopen(span.key)
            calls = tuple(span for span in parts.taken if isinstance(span, CallRecord))
            outbound = tuple(span for span in parts.taken if isinstance(span, OutboundRecord))
            self.take(Batch(calls, outbound=outbound, origin=batch.origin))
        return len(parts.taken)

    def look_again(self, now_s: float) -> None:
        """Look in the store for schemas that groups wait for: another process may have brought them."""
        found = {one for one in self._missing if self._parts.library.find((one,), now_s)}
        if found:
            self._missing.clear()  # those that are missing still are noted again
            for lane in self.lanes.values():
                self.release(lane, lane.waiting.take_all())

    def expire(self, lane: Lane) -> None:
        """Let go what has waited long enough by the lane's time."""
        self.release(lane, lane.pairer.take_expired(lane.seen_s))
        self.judge_all(lane, lane.waiting.take_expired(lane.seen_s))
        self._close_dropped(lane)
        self._tell()

    def drain(self) -> None:
        """Judge all that is open: nothing more will come."""
        for lane in self.lanes.values():
            self.judge_all(lane, lane.pairer.drain())
            self.judge_all(lane, lane.waiting.take_all())
            self._close_dropped(lane)
        self._tell()

    def flush_in_time(self, now_s: float) -> None:
        """Commit, if the last time is long enough ago."""
        if not 0 <= now_s - self._flushed_s < FLUSH_INTERVAL_S:
            self.flush()

    def flush(self, *, within_s: float | None = None) -> None:
        """Commit what came of everything that was closed, and how far that is; give up after `within_s`, if given."""
        parts = self._parts
        if not self._may_commit():
            return
        self.guard("settle", self._judging.settle)
        for lane in self.lanes.values():
            self._close_dropped(lane)
        self._figures()
        parts.writer.changes.use(parts.watch.in_force)
        checkpoints = [one for lane in self.lanes.values() if (one := lane.checkpoint())]
        if parts.writer.flush(checkpoints, within_s=within_s):
            self._done(checkpoints)
        self._flushed_s = self._clock()

    def take(self, batch: Batch) -> None:
        """Take what is open of a request: what it says, then its calls."""
        lane = self.lanes[batch.origin.partition]
        for raw in batch.schemas:
            self.guard("schema", self._learn, raw)
        for report in batch.reports:
            self.guard("report", self._report, report)
        for outbound in batch.outbound:
            if not self.guard("outbound", self._outbound, lane, outbound):
                self._drop(lane, outbound, FAILED)
        for call in batch.calls:
            if not self.guard("call", self._call, lane, call):
                self._drop(lane, call, FAILED)
        self._close_dropped(lane)
        self._tell()

    def see(self, call: CallRecord) -> None:
        """Which version served it, and what its schema says of the rules' paths, whether it counts or not."""
        seen = call.role, call.key.run, call.key.method, call.resource
        if seen != self._last_seen:  # they come many of a kind
            self._last_seen = seen
            self._parts.judge.see(call)
            self._parts.watch.see(call)

    def _call(self, lane: Lane, call: CallRecord) -> None:
        if not self._known(call.key.run):
            lane.close(call)
            return
        lane.see(call.arrived_s)
        self.see(call)
        if released := lane.pairer.add(call, call.arrived_s):
            self.release(lane, released)

    def _outbound(self, lane: Lane, outbound: OutboundRecord) -> None:
        if not self._known(outbound.key.run):
            lane.close(outbound)
            return
        lane.see(outbound.arrived_s)
        self._parts.watch.see_outbound(outbound)
        self.release(lane, lane.pairer.add_outbound(outbound, outbound.arrived_s))

    def _known(self, run: str) -> bool:
        if run in self._parts.runs:
            return True
        self._parts.counters.inc("mirror_unknown_run_total")
        if run not in self._unknown_runs and len(self._unknown_runs) < UNKNOWN_RUNS_TOLD:
            self._unknown_runs.add(run)
            _log.warning(
                "calls of run %r are not judged: `runs` of this process's configuration has %s; add it there (workers of one "
                "group must all have the same), or mend x-mirror-run",
                run,
                ", ".join(sorted(self._parts.runs)),
            )
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
            self._missing.clear()  # those that are missing still are noted again
            for lane in self.lanes.values():
                self.release(lane, lane.waiting.take_all())  # those that lack another one go back to wait

    def release(self, lane: Lane, groups: Iterable[Group]) -> None:
        """Judge what the pairer let go, or have it wait for a schema while it has time."""
        for group in groups:
            if not self.guard("release", self._hand_on, lane, group):
                self._give_up(lane, group)

    def _hand_on(self, lane: Lane, group: Group) -> None:
        parts = self._parts
        if self._judging.is_quiet(group):
            lane.close_group(group)
            return
        missing = parts.judge.missing_schemas(group)
        has_time = lane.waiting.has_time(group, lane.seen_s)
        if missing and has_time and not parts.library.find(missing, lane.seen_s):
            if len(self._missing) < MISSING_MAX:
                self._missing |= missing
            self.judge_all(lane, lane.waiting.add(group))
        else:
            self.judge_all(lane, (group,))

    def judge_all(self, lane: Lane, groups: Iterable[Group]) -> None:
        """Judge them as they are."""
        for group in groups:
            if self.guard("judge", self._judging.judge, group):
                lane.close_group(group)
            else:
                self._give_up(lane, group)
            if self._parts.writer.changes.groups >= FLUSH_GROUPS:
                self.flush()

    def _give_up(self, lane: Lane, group: Group) -> None:
        """A fault of ours: it is counted as that, and never tried again."""
        for call in group.calls.values():
            self._drop(lane, call, FAILED)
            for outbound in call.outbound:
                self._drop(lane, outbound, FAILED)

    def use_day(self, now_s: float) -> None:
        """Rules expire by day (UTC). What was judged by those before is committed first: it never counts beside the rest."""
        parts = self._parts
        today = datetime.fromtimestamp(now_s, tz=UTC).date()
        if today == self._today:
            return
        rules = parts.watch.on(today)
        if self._today is None or rules != parts.watch.in_force:
            self.flush()
            parts.judge.use(rules)
            parts.writer.use(InForce(rules, parts.runs))
        parts.watch.use(today)
        self._today = today

    def tell_of_rules(self) -> None:
        """What the schemas say of the rules' paths is told when it changes."""
        parts = self._parts
        if parts.watch.check():
            parts.writer.changes.rules(parts.watch.statuses())
            for line in parts.watch.news():
                _log.warning("%s", line)

    def _tell(self) -> None:
        """What was judged since the last time; what is quiet of it is counted now."""
        self.guard("settle", self._judging.settle)
        self._judging.tell()
        if self._parts.writer.changes.groups >= FLUSH_GROUPS:
            self.flush()

    def _fault(self, stage: str) -> None:
        self._parts.counters.inc("mirror_internal_errors_total", stage=stage)
        self._parts.writer.changes.count("internal_error")

    def _figures(self) -> None:
        """Bring the gauges, and what other parts count, up to date."""
        put, lanes = self._parts.counters.set, list(self.lanes.values())
        put("mirror_groups_open", sum(lane.pairer.open for lane in lanes))
        put("mirror_groups_open_bytes", sum(lane.pairer.open_bytes for lane in lanes))
        put("mirror_groups_waiting", sum(len(lane.waiting) for lane in lanes))
        put("mirror_groups_waiting_evicted_total", sum(lane.waiting.evicted for lane in lanes))
        put("mirror_value_paths", len(self._parts.judge.values))
        put("mirror_value_paths_forgotten_total", self._parts.judge.values.forgotten)
        for reason, count in sum((Counter(lane.pairer.counts) for lane in lanes), Counter()).items():
            put("mirror_pairing_total", count, reason=reason)
