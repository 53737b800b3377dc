"""OTLP bytes in, call records out: cuts a batch into spans and reads those that are ours. Pure.

A request is parsed under SliceRequest, which declares spans as bytes: spans that do not mention `mirror.` are counted and
skipped without being decoded, so whole traces may be sent here. What is kept are bytes and frozen records, never a
protobuf submessage: one of those pins its whole batch in memory.

Where the compiled cutter is installed it does that for calls as interceptors write them, and hands back what is otherwise.

A request that is no OTLP raises BadBatch. A single span of ours that cannot be used is rejected by a counted reason,
and the others of its batch go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from google.protobuf.message import DecodeError
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import schema_pb2
from grpc_mirror.v1.otlp_slices_pb2 import KeyValue, SliceRequest, SliceSpan, Span
from grpc_mirror.v1.otlp_slices_pb2 import Resource as OtlpResource

from mirror.collect.heads import Head, Heads, Parts, text_of
from mirror.collect.span_fields import (
    NAME_MAX_CHARS,
    REJECTIONS,
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
from mirror.collect.status import status_name
from mirror.core.model import NOWHERE, CallRecord, Origin, OutboundRecord, PairKey, Resource
from mirror.native import CutCall, CutSpan, Cutter, new_cutter

RESOURCES_MAX: Final = 4096  # distinct resources interned at a time
RESOURCE_MAX_BYTES: Final = 16 << 10  # larger ones are decoded each time, not kept

NATIVE: Final = new_cutter(names.ID, names.CAPTURE, WANTED) if new_cutter else None

_MARK: Final = b"mirror."  # every attribute of ours holds it, so a span without it is not ours


class BadBatch(ValueError):  # noqa: N818 - the sender's, not ours: it says what the body is
    """The request as a whole is not OTLP; its text says what is wrong and holds no payload."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a process says of itself: a serialised mirror.v1.SourceReport, and who sent it."""

    resource: Resource
    data: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What one OTLP request held."""

    calls: tuple[CallRecord, ...] = ()
    schemas: tuple[bytes, ...] = ()  # serialised mirror.v1.Schema
    reports: tuple[Report, ...] = ()
    outbound: tuple[OutboundRecord, ...] = ()  # calls that a service made while it served a mirrored one
    ordinary: int = 0  # spans that are not ours
    origin: Origin = field(default=NOWHERE, compare=False)  # that of all its records
    rejected: Mapping[str, int] = field(default_factory=dict)  # by reason, a key of REJECTIONS

    @property
    def rejected_spans(self) -> int:
        """How many spans of ours could not be used."""
        return sum(self.rejected.values())

    @property
    def run(self) -> str:
        """The run that it is charged to: that of its first call; empty if it has none."""
        if self.calls:
            return self.calls[0].key.run
        return self.outbound[0].key.run if self.outbound else ""

    @property
    def counts(self) -> bool:
        """Whether anything of it is ours."""
        return bool(self.calls or self.outbound or self.schemas or self.reports)

    @property
    def message(self) -> str:
        """What the sender is told of its rejected spans; empty if there are none."""
        parts = (f"{count} {reason} ({REJECTIONS[reason]})" for reason, count in sorted(self.rejected.items()))
        return f"{self.rejected_spans} spans rejected: {'; '.join(parts)}" if self.rejected else ""


class Slicer:
    """Cuts requests. Holds nothing but the interned resources, at most RESOURCES_MAX, and what attributes mean that repeat.

    `keep_spans`: keep each call's span, less its payload attributes, for forwarding. `cutter`: the compiled one; None: without.
    """

    def __init__(self, *, keep_spans: bool = False, cutter: Cutter | None = NATIVE) -> None:
        self._keep_spans = keep_spans
        self._cutter = cutter
        self._resources: dict[bytes, Resource] = {}
        self._heads = Heads(WANTED)

    def slice(self, body: bytes, *, arrived_s: float) -> Batch:
        """Cut one serialised ExportTraceServiceRequest that arrived at `arrived_s` (unix seconds).

        Raises BadBatch if it is not one.
        """
        cut = _Cut(self._heads, arrived_s, keep_spans=self._keep_spans)
        found = self._cutter.cut(body) if self._cutter is not None else None
        if found is not None:
            for raw, spans in found:
                cut.found(body, spans, partial(self._resource, raw))
            return cut.batch()
        try:
            request = SliceRequest.FromString(body)
        except DecodeError:
            raise BadBatch("the body is not a serialised ExportTraceServiceRequest") from None
        for resource_spans in request.resource_spans:
            raw = resource_spans.resource
            for scope_spans in resource_spans.scope_spans:
                cut.spans(scope_spans.spans, partial(self._resource, raw))
        return cut.batch()

    def _resource(self, raw: bytes) -> Resource:
        known = self._resources.get(raw)
        if known is None:
            known = _read_resource(raw)
            if len(self._resources) >= RESOURCES_MAX:
                self._resources.clear()  # costs a decode each again; the records keep theirs
            if len(raw) <= RESOURCE_MAX_BYTES:
                self._resources[raw] = known
        return known


class _Cut:
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
        return Batch(
            calls=tuple(self._calls),
            schemas=tuple(self._schemas),
            reports=tuple(self._reports),
            outbound=tuple(self._outbound),
            ordinary=self._ordinary,
            origin=self._origin,
            rejected=dict(self._rejected),
        )


def _read_resource(raw: bytes) -> Resource:
    try:
        attributes: Iterable[KeyValue] = OtlpResource.FromString(raw).attributes
    except DecodeError:
        raise BadBatch("a resource of the body is not a serialised Resource") from None
    text = {item.key: item.value.string_value[:NAME_MAX_CHARS] for item in attributes}
    service = text.get(names.SERVICE_NAME, "")
    return Resource(service, text.get(names.SERVICE_VERSION, ""), text.get(names.SERVICE_INSTANCE, ""))
