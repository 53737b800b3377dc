"""What the one sender thread does: takes records, encodes them in small slices, sends batches, tries again.

A thread that encodes for some milliseconds holds the GIL against the handlers: the mean hides it, the p99 shows it. So
it encodes for half a millisecond and sleeps in between; waking up costs too, so the slices are no shorter. All state
here belongs to this thread; others speak to it through `Control`.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from grpc_mirror.call import CallRecord
from grpc_mirror.capture import capture_of, describe, span_of
from grpc_mirror.counters import Counters, Counts
from grpc_mirror.outbound_span import outbound_span
from grpc_mirror.propagation import KIND_INTERNAL
from grpc_mirror.redact import Redactor
from grpc_mirror.schemas import SchemaRegistry
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.otlp import REQUEST_OVERHEAD_BYTES, SpanData
from grpc_mirror.sinks.queue import BoundedQueue
from grpc_mirror.sinks.transport import SendResult, Transport
from grpc_mirror.v1 import attributes, schema_pb2

_LOG = logging.getLogger("grpc_mirror")

SLICE_S = 0.0005
SLICE_RECORDS = 4  # taken from the queue at once; a slice has at least so many
YIELD_S = 0.002
YIELD_FULL_S = 0.0005  # where the queue is filling up
FILLING = 0.25  # of its room
# A batch of this size goes out whatever its age: putting together and sending much more at once is felt by the calls.
BATCH_BYTES = 512 * 1024
TICK_S = 0.2  # how often an empty queue is looked at; oftener where batches are to be younger
BACKOFF_FIRST_S = 0.25
BACKOFF_MAX_S = 5.0
SCHEMA_EVERY_S = 300.0
# After such a pause the collector may be another one than before, and with an empty store.
SCHEMA_AFTER_PAUSE_S = 10.0
REPORT_EVERY_S = 5.0


class Control:
    """How other threads speak to the sender's. Every field is written once or is thread-safe itself."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.flushes: deque[threading.Event] = deque()
        self.stop_by: float | None = None  # monotonic: end by then, whatever is left

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for the queue to be empty."""
        return bool(self.flushes) or self.stop_by is not None


class Worker:
    """The sender thread's state and steps."""

    def __init__(
        self,
        settings: Settings,
        queue: BoundedQueue,
        counters: Counters,
        control: Control,
        connect: Callable[[], Transport],
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._counters = counters
        self._control = control
        self._transport = connect()
        self._schemas = SchemaRegistry()
        self._redactor = Redactor(settings, counters.notice)
        self._shipped: set[str] = set()
        self._batch: list[Any] = []
        self._batch_bytes = REQUEST_OVERHEAD_BYTES
        self._batch_calls = 0
        self._batch_since = 0.0
        self._batch_age_s = settings.batch_age_s
        self._tick_s = min(TICK_S, settings.batch_age_s)
        self._host = socket.gethostname()
        self._reported: Counts | None = None
        self._sequence = 0
        self._next_report = 0.0
        self._next_schemas = time.monotonic() + SCHEMA_EVERY_S
        self._last_success = time.monotonic()
        self._failing = False
        self._told: set[str] = set()

    def run(self) -> None:
        """Work until told to stop and everything is sent or given up."""
        try:
            while self._control.stop_by is None or self._queue or self._batch:
                self._guarded_step()
            self._guarded_step()  # the last report
        finally:
            unmatched = ", ".join(self._redactor.unmatched())
            if unmatched:
                self._tell("unmatched", f"private paths that named no field of any message seen: {unmatched}")
            self._transport.close()
            self._answer(list(self._control.flushes))

    def _guarded_step(self) -> None:
        try:
            self._step()
        except Exception as error:  # noqa: BLE001 - the sender must go on
            self._fault(error)
            self._control.wake.wait(self._tick_s)

    def _step(self) -> None:
        urgent = self._control.urgent
        waiting = list(self._control.flushes)
        self._refresh_schemas()
        if self._encode_slice():
            if not urgent:
                time.sleep(YIELD_FULL_S if self._queue.filled > FILLING else YIELD_S)
            if self._due():
                self._deliver()
            return
        self._report(now=urgent)
        if self._batch and (urgent or self._due()):
            self._deliver()
        self._answer(waiting)
        if not self._control.urgent:
            self._control.wake.wait(self._tick_s)
            self._control.wake.clear()

    def _encode_slice(self) -> bool:
        """Encode for some time, a few records at least. Returns whether there were any."""
        until = time.perf_counter() + SLICE_S
        records = self._queue.take(SLICE_RECORDS)
        if not records:
            return False
        while records:
            for record in records:
                self._encode(record)
            records = self._queue.take(SLICE_RECORDS) if time.perf_counter() < until else []
        return True

    def _due(self) -> bool:
        full = len(self._batch) >= self._settings.batch_max_spans or self._batch_bytes >= BATCH_BYTES
        return bool(self._batch) and (full or time.monotonic() - self._batch_since >= self._batch_age_s)

    def _answer(self, waiting: list[threading.Event]) -> None:
        for done in waiting:
            self._control.flushes.remove(done)
            done.set()

    def _encode(self, record: CallRecord) -> None:
        try:
            described = describe(record, self._settings)
            if described is None:
                self._counters.drop("mirror_id_invalid")
                return
            if described.condition:
                self._counters.notice(described.condition)
            types = self._schemas.types_of(record)
            if types.fingerprint and types.fingerprint not in self._shipped:
                self._add_schema(types.fingerprint)
            if record.outbound is not None:
                self._hurry()
            captured = capture_of(record, described.labels.attempt, types, self._settings, self._redactor)
            span_id = record.span_id or os.urandom(8)
            span = span_of(record, described, span_id, captured.parts, self._host)
            if record.outbound is not None and captured.outbound is not None:
                span = outbound_span(span, record.outbound, captured.outbound)
            self._add(span, calls=1)
            if self._redactor.unhashed:
                self._tell(
                    "unhashed", "private values go without a hash, so they are not compared: set MIRROR_REDACTION_KEY"
                )
        except Exception as error:  # noqa: BLE001 - one bad record must not stop the others
            self._counters.drop("encode_error")
            self._fault(error)

    def _hurry(self) -> None:
        """This batch holds an outbound call, whose answer a shadow may wait for; more of them will come."""
        self._batch_age_s = min(self._settings.outbound_age_s, self._settings.batch_age_s)
        self._tick_s = min(self._tick_s, self._batch_age_s)

    def _add(self, span: SpanData, *, calls: int) -> None:
        item, size = self._transport.encode(span)
        room = self._settings.batch_max_bytes
        if size + REQUEST_OVERHEAD_BYTES > room:
            self._counters.drop("too_large" if calls else "schema_too_large")
            return
        if self._batch and (self._batch_bytes + size > room or len(self._batch) >= self._settings.batch_max_spans):
            self._deliver()
        if not self._batch:
            self._batch_since = time.monotonic()
        self._batch.append(item)
        self._batch_bytes += size
        self._batch_calls += calls

    def _add_schema(self, fingerprint: str) -> None:
        schema = self._schemas.schema(fingerprint)
        if schema is not None:
            self._shipped.add(fingerprint)
            self._add(_own_span(attributes.SPAN_SCHEMA, attributes.SCHEMA, schema), calls=0)

    def _refresh_schemas(self) -> None:
        now = time.monotonic()
        if now >= self._next_schemas:
            self._next_schemas = now + SCHEMA_EVERY_S
            self._shipped.clear()
            for fingerprint in self._schemas.fingerprints():
                self._add_schema(fingerprint)
        elif not self._batch and now - self._last_success >= SCHEMA_AFTER_PAUSE_S:
            self._shipped.clear()  # they go again with the next call that needs them

    def _report(self, *, now: bool) -> None:
        """Add a SourceReport when the counts have changed since the last."""
        clock = time.monotonic()
        counts = self._counters.read()
        if counts == self._reported or not (now or clock >= self._next_report):
            return
        self._reported = counts
        self._next_report = clock + REPORT_EVERY_S
        self._sequence += 1
        report = schema_pb2.SourceReport(
            source_id=self._counters.source_id,
            sequence=self._sequence,
            captured=counts.captured,
            dropped=counts.dropped,
            conditions=counts.conditions,
        )
        self._add(_own_span(attributes.SPAN_REPORT, attributes.REPORT, report.SerializeToString()), calls=0)

    def _deliver(self) -> None:
        """Send the batch, again and again while that makes sense; then let it go."""
        batch, calls = self._batch, self._batch_calls
        self._batch, self._batch_bytes, self._batch_calls = [], REQUEST_OVERHEAD_BYTES, 0
        self._batch_age_s = self._settings.batch_age_s
        started, attempt = time.monotonic(), 0
        while True:
            result = self._transport.send(batch)
            if result.ok:
                self._on_success(result)
                return
            self._on_failure(result)
            pause_s = _pause_s(attempt, result.retry_after_s)
            attempt += 1
            reason = self._give_up(result, started, pause_s)
            if reason:
                if calls:
                    self._counters.drop(reason, calls)
                self._reported = None  # the report of this batch is lost with it
                return
            self._pause(pause_s)

    def _give_up(self, result: SendResult, started: float, pause_s: float) -> str:
        """Why the batch is dropped; empty: it is tried again."""
        stop_by = self._control.stop_by
        if not result.retryable:
            return "export_refused"
        if stop_by is not None and time.monotonic() >= stop_by:
            return "shutdown"
        return "export_failed" if time.monotonic() + pause_s - started > self._settings.retry_max_s else ""

    def _pause(self, pause_s: float) -> None:
        if self._control.urgent:
            time.sleep(min(pause_s, BACKOFF_FIRST_S))
        else:
            self._control.wake.wait(pause_s)
            self._control.wake.clear()

    def _on_success(self, result: SendResult) -> None:
        self._last_success = time.monotonic()
        if result.rejected:
            self._counters.drop("rejected", result.rejected)
            self._tell("rejected", f"the collector rejected spans: {result.reason}")
        if self._failing:
            self._failing = False
            # It may be another collector now: everything it needs goes again.
            self._shipped.clear()
            self._next_schemas = self._last_success
            _LOG.info("grpc_mirror: captures are delivered again")

    def _on_failure(self, result: SendResult) -> None:
        if not self._failing:
            self._failing = True
            where = self._settings.target or "the exporter"
            _LOG.warning(
                "grpc_mirror: cannot deliver captures to %s: %s (calls are not affected)", where, result.reason
            )

    def _fault(self, error: Exception) -> None:
        self._counters.notice("internal_error")
        # Only the type: the text of an error may hold a payload value.
        self._tell(type(error).__name__, f"internal error in the sender: {type(error).__name__}")

    def _tell(self, kind: str, text: str) -> None:
        """Log once of each kind."""
        if kind not in self._told and len(self._told) < 100:
            self._told.add(kind)
            _LOG.warning("grpc_mirror: %s (logged once)", text)


def _own_span(name: str, key: str, value: bytes) -> SpanData:
    """A span of this process's own, in a trace of its own."""
    now = time.time_ns()
    return SpanData(os.urandom(16), os.urandom(8), b"", "", name, KIND_INTERNAL, now, now, ((key, value),))


def _pause_s(attempt: int, asked_s: float | None) -> float:
    """What the receiver asks for; else doubling from 0.25 s to 5 s, with jitter of up to a half."""
    if asked_s is not None:
        return max(asked_s, 0.01)
    return float(min(BACKOFF_FIRST_S * 2**attempt, BACKOFF_MAX_S) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
