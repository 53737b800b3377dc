"""The spans of one request, sorted into what is ours: calls, schemas, reports, outbound calls. Pure.

What is kept are bytes and frozen records, never a protobuf submessage: one of those pins its whole batch in memory. A single span of ours
that cannot be used is rejected by a counted reason, and the others go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from google.protobuf.message import DecodeError
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import schema_pb2
from grpc_mirror.v1.otlp_slices_pb2 import KeyValue, SliceSpan, Span

from mirror.collect.batch import Batch, Report
from mirror.collect.heads import Head, Heads, Parts, text_of
from mirror.collect.span_fields import (
    VERDICT,
    WANTED,
    Place,
    Rejected,
    bytes_of,
    call_of,
    capture_of,
    head_of,
    id_of,
    message_bytes,
    outbound_of,
    without_payload,
)
from mirror.core.model import CallRecord, Origin, OutboundRecord, PairKey, Resource
from mirror.core.status import status_name
from mirror.native import CutCall, CutSpan

_MARK: Final = b"mirror."  # every attribute of ours holds it, so a span without it is not ours


class Cut:
    """The growing result of one request."""

    def __init__(self, heads: Heads, arrived_s: float, *, keep_spans: bool) -> None:
        self._heads = heads
        self._arrived_s = arrived_s
        self._keep_spans = keep_spans
        self._calls: list[CallRecord] = []
        self._schemas: list[bytes] = []
        self._reports: list[Report] = []
        self._outbound: list[OutboundRecord] = []
        self._ordinary = 0
        self._rejected: Counter[str] = Counter()
        self._origin = Origin()
        self._place = -1  # of the span in the request, whatever it is

    def spans(self, spans: Iterable[bytes], resource: Callable[[], Resource]) -> None:
        """What protobuf found of one resource."""
        for raw in spans:
            self._place += 1
            if _MARK in raw:
                self._ours(raw, resource)
            else:
                self._ordinary += 1

    def found(self, body: bytes, spans: Iterable[CutSpan], resource: Callable[[], Resource]) -> None:
        """What the compiled cutter found of one resource in `body`."""
        written = self._heads.written
        for span in spans:
            self._place += 1
            if span is None:
                self._ordinary += 1
            elif isinstance(span, bytes):
                self._ours(span, resource)
            elif (head := written(span[0])) is not None:
                self._usual(span, head, resource(), body)
            else:
                self._ours(body[span[-2] : span[-1]], resource)

    def _ours(self, raw: bytes, resource: Callable[[], Resource]) -> None:
        try:
            self._span(raw, resource)
        except Rejected as rejected:
            self._rejected[str(rejected)] += 1

    def _usual(self, span: CutCall, head: Head, server: Resource, body: bytes) -> None:
        _, mirror_id, data, trace_id, span_id, attempt, code, outbound_calls, start, end = span
        run, method, role, expect, known_attempt, status = head
        self._calls.append(
            CallRecord(
                PairKey(run, method, mirror_id),
                role,
                expect,
                known_attempt or attempt,
                status or status_name(code),
                server,
                trace_id,
                span_id,
                data,
                self._arrived_s,
                without_payload(Span.FromString(body[start:end])) if self._keep_spans else b"",
                outbound_calls,
                (),
                self._origin,
                self._place,
            )
        )

    def _span(self, raw: bytes, resource: Callable[[], Resource]) -> None:
        try:
            span = SliceSpan.FromString(raw)
            parts = self._heads.parts(span.attributes[:])
            head = parts and self._heads.get(parts.told)
            if parts and head and parts.capture:
                data = bytes_of(KeyValue.FromString(parts.capture).value, "capture_encoding")
                self._call(raw, head, text_of(parts.mirror_id), data, span, resource)
            else:
                self._unusual(raw, Span.FromString(raw), parts, resource)
        except DecodeError:
            raise Rejected("malformed_span") from None

    def _unusual(self, raw: bytes, span: Span, parts: Parts | None, resource: Callable[[], Resource]) -> None:
        """A span that is no call, or the first of its head."""
        found = {item.key: item.value for item in span.attributes if item.key in WANTED}
        if names.SCHEMA in found:
            self._schemas.append(message_bytes(found[names.SCHEMA], schema_pb2.Schema, "malformed_schema"))
        elif names.REPORT in found:
            data = message_bytes(found[names.REPORT], schema_pb2.SourceReport, "malformed_report")
            self._reports.append(Report(resource(), data))
        elif names.OUTBOUND in found:
            self._outbound.append(outbound_of(span, found, self._here(), keep_span=self._keep_spans))
        elif names.CAPTURE in found or (names.ROLE in found and VERDICT not in found):
            data, head = capture_of(found), head_of(found)
            self._call(raw, head, id_of(found), data, span, resource)
            if parts:
                self._heads.learn(parts.told, head)
        else:
            self._ordinary += 1  # a span that only carries an id of ours, or our own mirror.compare coming back

    def _call(  # noqa: PLR0913, PLR0917 - the parts of a span
        self,
        raw: bytes,
        head: Head,
        mirror_id: str,
        data: bytes,
        span: SliceSpan | Span,
        resource: Callable[[], Resource],
    ) -> None:
        kept = without_payload(Span.FromString(raw)) if self._keep_spans else b""
        self._calls.append(call_of(head, mirror_id, data, span, resource(), kept=kept, place=self._here()))

    def _here(self) -> Place:
        return Place(self._arrived_s, self._origin, self._place)

    def batch(self) -> Batch:
        """All of it."""
        return Batch(
            calls=tuple(self._calls),
            schemas=tuple(self._schemas),
            reports=tuple(self._reports),
            outbound=tuple(self._outbound),
            ordinary=self._ordinary,
            origin=self._origin,
            rejected=dict(self._rejected),
        )
