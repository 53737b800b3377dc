"""What the one sender thread does: takes records, encodes them in small slices, makes batches and has them delivered.

A thread that encodes for some milliseconds holds the GIL against the handlers: the mean hides it, the p99 shows it. So
it encodes for a fifth of a millisecond and sleeps in between, see `pacing`. What comes written is moved to the batch as it is. An outbound
call goes at once where the last batch is long enough ago, else when it is. All state here belongs to this thread; others speak to
it through `Control`.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from grpc_mirror.capture import capture_of, describe, span_of
from grpc_mirror.counters import Counters, Counts
from grpc_mirror.outbound_span import outbound_span
from grpc_mirror.plain import FORMS_MAX, Form, PlainCalls
from grpc_mirror.propagation import KIND_INTERNAL
from grpc_mirror.records import CallRecord, Plain, Queued, Written
from grpc_mirror.redact import Redactor
from grpc_mirror.schemas import SchemaRegistry
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.batch import BATCH_BYTES, Batch
from grpc_mirror.sinks.delivery import Control, Delivery, Flush
from grpc_mirror.sinks.otlp import SpanData
from grpc_mirror.sinks.pacing import Pace
from grpc_mirror.sinks.queue import BoundedQueue
from grpc_mirror.sinks.telling import Telling
from grpc_mirror.sinks.transport import Transport
from grpc_mirror.v1 import attributes, schema_pb2

SLICE_S = 0.0002
SLICE_RECORDS = 4  # taken from the queue at once; a slice has at least so many
OVERDUE_S = 0.02  # a batch that is due waits so long for what is queued already
SCHEMA_EVERY_S = 300.0
# After such a pause the collector may be another one than before, and with an empty store.
SCHEMA_AFTER_PAUSE_S = 10.0
REPORT_EVERY_S = 5.0


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
        self._direct = settings.sink == "direct"
        self._queue = queue
        self._counters = counters
        self._control = control
        self._transport = connect()
        self._delivery = Delivery(self._transport, settings, counters, control)
        self._schemas = SchemaRegistry()
        self._redactor = Redactor(settings, counters.notice)
        self._host = socket.gethostname()
        self._plain = PlainCalls(settings, self._schemas, self._redactor, self._host, compiled=self._direct)
        self._all_written = False  # the calls of the last slice came written
        self._shipped: set[str] = set()
        # Forms whose spans go out as they are: their schema was shipped. By each how many there were since it was looked at.
        self._ready: dict[Form, int] = {}
        self._batch = Batch(settings)
        self._telling = Telling(counters, settings)
        self._pace = Pace(settings, queue, control)
        self._reported: Counts | None = None
        self._last_reported = False  # told to stop, and said what there was to say
        self._sequence = 0
        self._next_report = 0.0
        self._next_schemas = time.monotonic() + SCHEMA_EVERY_S
        self.in_hand = 0  # calls that were taken from the queue and are not dealt with; for others to read

    def run(self) -> None:
        """Work until told to stop and everything is sent, or the time for it is over."""
        try:
            while not self._finished():
                self._guarded_step()
        finally:
            self._drop_batch()
            unmatched = ", ".join(self._redactor.unmatched())
            if unmatched:
                self._telling.once("unmatched", f"private paths that named no field of any message seen: {unmatched}")
            self._transport.close()
            self._answer(list(self._control.flushes))

    @property
    def encoder(self) -> Any:
        """The compiled part that writes the spans of plain calls; None: there is none, or the transport takes no such spans."""
        return self._plain.encoder

    def cut_short(self) -> None:
        """End an export that is under way. For the thread that waits for this one to end."""
        self._transport.abort()

    def _finished(self) -> bool:
        if self._control.stop_by is None:
            return False
        return self._control.overdue or (self._last_reported and not self._queue and not self._batch)

    def _guarded_step(self) -> None:
        try:
            self._step()
        except Exception as error:  # noqa: BLE001 - the sender must go on
            self._telling.fault(error)
            self._pace.rest()

    def _step(self) -> None:
        self._refresh_schemas()
        encoded = self._encode_slice()
        reached = [flush for flush in list(self._control.flushes) if flush.accepted <= self._queue.taken]
        last = self._control.stop_by is not None and not self._queue
        self._report(now=last or bool(reached))
        if self._batch and (last or reached or self._due()):
            self._deliver()
        self._last_reported = last
        self._answer(reached)
        if encoded and (self._control.urgent or len(self._queue) >= SLICE_RECORDS):
            self._pace.breathe()
        elif not self._control.urgent and (encoded or self._batch.hurried or self._pace.idle(self._batch)):
            self._pace.gather(self._batch, all_written=self._all_written)

    def _encode_slice(self) -> bool:
        """Encode for some time, a few records at least; what comes written goes to the batch, as far as that has room.

        Returns whether there was anything.
        """
        until = time.perf_counter() + SLICE_S
        self._control.outbound = False
        if not self._queue:
            return False
        self._plain.refresh()
        self._all_written = True
        while not self._gathered():
            records = self._queue.take(SLICE_RECORDS)
            self.in_hand += len(records)
            found = self._plain.spans(records)
            self._all_written = self._all_written and None not in found
            for record, span in zip(records, found, strict=True):
                self._encode(record, span)
            if not records or time.perf_counter() >= until:
                break
        self._telling.count()
        return True

    def _gathered(self) -> bool:
        """Take from the queue what goes out as it is. Returns whether the batch is full."""
        batch, limit_bytes = self._batch, self._delivery.limit_bytes
        if batch.is_full(limit_bytes):
            return True
        room, count = limit_bytes - batch.bytes, self._settings.batch_max_spans - len(batch.items)
        spans, size = self._queue.take_written(self._ready, room, BATCH_BYTES - batch.bytes, count)
        if not spans:
            return False
        self.in_hand += len(spans)
        batch.extend(spans, size)
        self._notice_written()
        return batch.is_full(limit_bytes)

    def _notice_written(self) -> None:
        ready = self._ready
        for form, calls in ready.items():
            if calls:
                ready[form] = 0
                self._telling.odd(form.conditions, calls=calls)

    def _due(self) -> bool:
        if self._batch.is_full(self._delivery.limit_bytes):
            return True
        late_s = time.monotonic() - self._batch.due
        return late_s >= (OVERDUE_S if len(self._queue) >= SLICE_RECORDS else 0)

    def _answer(self, reached: list[Flush]) -> None:
        for flush in reached:
            try:
                self._control.flushes.remove(flush)
            except ValueError:
                continue  # whoever asked waits no longer
            flush.done.set()

    def _encode(self, record: Queued, span: Written | None) -> None:
        try:
            reason = self._encoded(record) if span is None else self._add_plain("", span.form, span.content, span.bytes)
        except Exception as error:  # noqa: BLE001 - one bad record must not stop the others
            reason = "encode_error"
            self._telling.fault(error)
        if reason:
            self._counters.drop(reason)
            self.in_hand -= 1

    def _encoded(self, record: Any) -> str:
        """Add a call to the batch. Returns why that was impossible, or nothing."""
        plain, found = isinstance(record, Plain), None
        if self._direct:
            found = self._plain.span(record) if plain else self._plain.other(record)
        if found is not None:
            return self._add_plain(record.method, *found)
        return self._add_record(record.record() if plain else record)

    def _add_plain(self, method: str, form: Form, content: Sequence[bytes], size: int) -> str:
        """`method`: of the call; empty: not at hand."""
        if form.conditions:
            self._telling.odd(form.conditions, method)
        if not self._need_schema(form.fingerprint) and form not in self._ready and len(self._ready) < FORMS_MAX:
            self._ready[form] = 0
        return "" if self._add_item(content, size, is_call=True, fingerprint=form.fingerprint) else "too_large"

    def _add_record(self, record: CallRecord) -> str:
        described = describe(record, self._settings)
        if described is None:
            return "mirror_id_invalid"
        if described.conditions:
            self._telling.odd(described.conditions, record.method)
        types = self._schemas.types_of(record)
        self._need_schema(types.fingerprint)
        captured = capture_of(record, described.labels.attempt, types, self._settings, self._redactor)
        span_id = record.span_id or os.urandom(8)
        span = span_of(record, described, span_id, captured.parts, self._host)
        if record.outbound is not None and captured.outbound is not None:
            span = outbound_span(span, record.outbound, captured.outbound)
        if self._redactor.unhashed:
            self._telling.once(
                "unhashed", "private values go without a hash, so they are not compared: set MIRROR_REDACTION_KEY"
            )
        if not self._add(span, is_call=True, fingerprint=types.fingerprint):
            return "too_large"
        if record.outbound is not None:
            self._batch.hurry()
        return ""

    def _add(self, span: SpanData, *, is_call: bool, fingerprint: str = "") -> bool:
        """Add a span to the batch. Returns False where it is over the limit of one."""
        return self._add_item(*self._transport.encode(span), is_call=is_call, fingerprint=fingerprint)

    def _add_item(self, content: Any, size: int, *, is_call: bool, fingerprint: str = "") -> bool:
        batch = self._batch
        if not batch.may_hold(size):
            return False
        if not batch.has_room(size, self._delivery.limit_bytes):
            self._deliver()
            if self._need_schema(fingerprint) and not batch.has_room(
                size, self._delivery.limit_bytes
            ):  # lost with that batch
                self._deliver()
        batch.add(content, size, is_call=is_call)
        return True

    def _add_own(self, name: str, key: str, value: bytes) -> None:
        """Add a span of the sender's own. What it tells is missed if that fails, but no call is lost for it."""
        try:
            added = self._add(_own_span(name, key, value), is_call=False)
        except Exception as error:  # noqa: BLE001 - as said above
            added = False
            self._telling.fault(error)
        if not added:
            self._counters.notice("own_spans_lost")

    def _need_schema(self, fingerprint: str) -> bool:
        """A call of this schema comes; empty: of none. Returns whether it had not been shipped."""
        needed = bool(fingerprint) and fingerprint not in self._shipped
        if needed:
            self._add_schema(fingerprint)
        return needed

    def _add_schema(self, fingerprint: str) -> None:
        schema = self._schemas.schema(fingerprint)
        if schema is not None:
            self._shipped.add(fingerprint)
            self._add_own(attributes.SPAN_SCHEMA, attributes.SCHEMA, schema)

    def _ship_anew(self) -> None:
        """Every schema goes again, with the next call that needs it."""
        self._shipped.clear()
        self._ready.clear()

    def _refresh_schemas(self) -> None:
        now = time.monotonic()
        if self._delivery.recovered:
            # It may be another collector now: everything it needs goes again.
            self._delivery.recovered = False
            self._ship_anew()
            self._next_schemas = now
        if now >= self._next_schemas:
            self._next_schemas = now + SCHEMA_EVERY_S
            self._ship_anew()
            for fingerprint in self._schemas.fingerprints():
                self._add_schema(fingerprint)
        elif not self._batch and now - self._delivery.last_success >= SCHEMA_AFTER_PAUSE_S:
            self._ship_anew()

    def _report(self, *, now: bool) -> None:
        """Add a SourceReport when the counts have changed since the last."""
        clock = time.monotonic()
        if not (now or clock >= self._next_report):
            return
        counts = self._counters.read()._replace(sent=0)  # the collector knows what it got
        if counts == self._reported:
            return
        self._telling.dropped(counts.dropped)
        self._next_report = clock + REPORT_EVERY_S
        self._sequence += 1
        report = schema_pb2.SourceReport(
            source_id=self._counters.source_id,
            sequence=self._sequence,
            captured=counts.captured,
            dropped=counts.dropped,
            conditions=counts.conditions,
        )
        self._add_own(attributes.SPAN_REPORT, attributes.REPORT, report.SerializeToString())
        self._reported = counts

    def _deliver(self) -> None:
        items = self._batch.taken()
        if not self._delivery.deliver(items):
            # A report or a schema may be lost with it.
            self._reported = None
            self._ship_anew()
        self.in_hand -= sum(item.is_call for item in items)

    def _drop_batch(self) -> None:
        """Count what was not sent when the time was over."""
        calls = sum(item.is_call for item in self._batch.taken())
        if calls:
            self._counters.drop("shutdown", calls)
        self.in_hand -= calls


def _own_span(name: str, key: str, value: bytes) -> SpanData:
    """A span of this process's own, in a trace of its own."""
    now = time.time_ns()
    return SpanData(os.urandom(16), os.urandom(8), b"", "", name, KIND_INTERNAL, now, now, ((key, value),))
