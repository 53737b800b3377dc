"""The pipeline: the one thread that writes. It takes batches, pairs, judges, and commits what came of it.

It owns the pairer, the waiting room, the judge and the changes between two commits; nobody else touches them. A store that fails
is tried again with the same changes while nothing more is taken: the queue fills, and the senders are pushed back.
"""

from __future__ import annotations

import logging
import threading
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
from mirror.collect.judge import Judge
from mirror.collect.library import Library
from mirror.collect.rule_watch import RuleWatch
from mirror.collect.schema_watch import SchemaWatch
from mirror.collect.slices import Batch, Report
from mirror.collect.waiting import WaitingRoom
from mirror.collect.writer import Writer
from mirror.core.model import CallRecord, Group, Judged, OutboundRecord
from mirror.core.pair import Pairer
from mirror.core.request_fields import RequestFields
from mirror.core.schemas import SchemaError
from mirror.store import InForce

FLUSH_INTERVAL_S: Final = 0.5
FLUSH_GROUPS: Final = 2000  # judged groups after which a commit does not wait for the interval
TURN_MAX_S: Final = 0.25  # the longest wait for a batch, so that deadlines and commits are kept
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the pipeline works with. Once it runs, it is the only user of pairer to writer."""

    intake: Intake
    counters: Counters
    forwarder: Forwarder | None
    runs: frozenset[str]  # those that are accepted
    pairer: Pairer
    waiting: WaitingRoom
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
        self._seen_s = 0.0  # up to this arrival everything has been added to the pairer
        self._flushed_s = 0.0
        self._today: date | None = None  # by whose rules calls are judged
        self._thread = threading.Thread(target=self._run, name="mirror-pipeline", daemon=True)

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
        while not self._parts.intake.drained:
            self._guard("turn", self._turn)
        self._guard("drain", self._drain)
        self._guard("commit", self._flush)

    def _turn(self) -> None:
        parts, now_s = self._parts, self._clock()
        self._guard("rules", self._use_day, now_s)
        idle = parts.intake.idle  # asked after the clock: whatever comes later has a later arrival
        batch = parts.intake.take(self._wait_s(now_s))
        if batch is not None:
            self._take(batch)
        elif idle:
            self._seen_s = max(self._seen_s, now_s)
        self._release(parts.pairer.take_expired(self._seen_s))
        self._judge_all(parts.waiting.take_expired(self._seen_s))
        self._tell_of_rules()
        if not 0 <= now_s - self._flushed_s < FLUSH_INTERVAL_S:
            self._flush()

    def _drain(self) -> None:
        self._judge_all(self._parts.pairer.drain())
        self._judge_all(self._parts.waiting.take_all())

    def _wait_s(self, now_s: float) -> float:
        deadline_s = self._parts.pairer.next_deadline_s
        return TURN_MAX_S if deadline_s is None else min(TURN_MAX_S, max(0.005, deadline_s - now_s))

    def _take(self, batch: Batch) -> None:
        for raw in batch.schemas:
            self._guard("schema", self._learn, raw)
        for report in batch.reports:
            self._guard("report", self._report, report)
        for outbound in batch.outbound:
            self._guard("outbound", self._outbound, outbound)
        for call in batch.calls:
            self._guard("call", self._call, call)

    def _call(self, call: CallRecord) -> None:
        parts = self._parts
        if not self._known(call.key.run):
            return
        self._seen_s = max(self._seen_s, call.arrived_s)
        parts.judge.see(call)
        parts.watch.see(call)
        self._release(parts.pairer.add(call, call.arrived_s))

    def _outbound(self, outbound: OutboundRecord) -> None:
        if self._known(outbound.key.run):
            self._seen_s = max(self._seen_s, outbound.arrived_s)
            self._parts.watch.see_outbound(outbound)
            self._release(self._parts.pairer.add_outbound(outbound, outbound.arrived_s))

    def _known(self, run: str) -> bool:
        if run in self._parts.runs:
            return True
        self._parts.counters.inc("mirror_unknown_run_total")
        self._parts.writer.changes.unknown_run(run)
        return False

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
            self._release(parts.waiting.take_all())  # those that lack another one go back to wait

    def _release(self, groups: Iterable[Group]) -> None:
        """Judge what the pairer let go, or have it wait for a schema while it has time."""
        parts = self._parts
        for group in groups:
            missing = parts.judge.missing_schemas(group)
            has_time = parts.waiting.has_time(group, self._seen_s)
            if missing and has_time and not parts.library.find(missing, self._seen_s):
                self._judge_all(parts.waiting.add(group))
            else:
                self._guard("judge", self._judge, group)

    def _judge_all(self, groups: Iterable[Group]) -> None:
        for group in groups:
            self._guard("judge", self._judge, group)

    def _judge(self, group: Group) -> None:
        parts = self._parts
        judged = parts.judge.judge(group, self._clock())
        changes = parts.writer.changes
        kept = comparison_of(judged).SerializeToString() if changes.wants(judged) else None
        changes.add(judged, kept, self._request_fields(judged))
        self._guard("schema_changes", self._schema_changes, judged)
        parts.counters.inc("mirror_groups_released_total", reason=str(group.release))
        for role, outcome in judged.outcomes.items():
            parts.counters.inc("mirror_comparisons_total", role=str(role), verdict=str(outcome.verdict))
        if judged.triple is not None:
            parts.counters.inc("mirror_triples_total")
        if parts.forwarder is not None:
            parts.forwarder.offer(judged)
        if changes.groups >= FLUSH_GROUPS:
            self._flush()

    def _request_fields(self, judged: Judged) -> RequestFields | None:
        """Of a call that a sample takes; a fault of ours costs the sample and not the count."""
        found: list[RequestFields | None] = []
        if self._parts.writer.changes.sets.wants(judged):
            self._guard("request_fields", lambda: found.append(self._parts.judge.request_fields(judged.group)))
        return found[0] if found else None

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
        self._figures()
        self._parts.writer.changes.use(self._parts.watch.in_force)
        self._parts.writer.flush()
        self._flushed_s = self._clock()

    def _figures(self) -> None:
        """Bring the gauges, and what other parts count, up to date."""
        parts, put = self._parts, self._parts.counters.set
        put("mirror_queue_bytes", parts.intake.bytes)
        put("mirror_groups_open", parts.pairer.open)
        put("mirror_groups_open_bytes", parts.pairer.open_bytes)
        put("mirror_groups_waiting", len(parts.waiting))
        put("mirror_groups_waiting_evicted_total", parts.waiting.evicted)
        put("mirror_value_paths", len(parts.judge.values))
        put("mirror_value_paths_forgotten_total", parts.judge.values.forgotten)
        for reason, count in parts.pairer.counts.items():
            put("mirror_pairing_total", count, reason=reason)

    def _guard(self, stage: str, work: Callable[..., None], *given: Any) -> None:
        """Do one piece of work; a fault of ours is counted and logged without payload, and the next piece goes on."""
        try:
            work(*given)
        except Exception as fault:  # noqa: BLE001 - one group must not end the pipeline
            self._parts.counters.inc("mirror_internal_errors_total", stage=stage)
            self._parts.writer.changes.count("internal_error")
            log_fault(_log, f"{stage} in the pipeline", fault)
