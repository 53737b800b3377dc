"""The same spans through an OpenTelemetry SDK, for pipelines that need its exporters. Used by the sender's thread only.

The TracerProvider is our own and always on: the service's sampler never decides about captures, and the service's
exporter never gets bodies. Limits on attributes are lifted, since the SDK drops the oldest beyond 128.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from grpc_mirror.settings import Settings
from grpc_mirror.sinks import otlp
from grpc_mirror.sinks.direct import channel_of
from grpc_mirror.sinks.transport import SendResult
from grpc_mirror.v1 import attributes

_LOG = logging.getLogger("grpc_mirror")
_KINDS = {1: trace.SpanKind.INTERNAL, 2: trace.SpanKind.SERVER, 3: trace.SpanKind.CLIENT}
_KIND_NUMBERS = {
    trace.SpanKind.INTERNAL: 1,
    trace.SpanKind.SERVER: 2,
    trace.SpanKind.CLIENT: 3,
    trace.SpanKind.PRODUCER: 4,
    trace.SpanKind.CONSUMER: 5,
}
_UNLIMITED = SpanLimits.UNSET


class MirrorSpanExporter(SpanExporter):
    """Sends SDK spans to the Mirror collector. Keeps bytes attributes as bytes."""

    def __init__(self, settings: Settings) -> None:
        self._channel = channel_of(settings)
        self._timeout_s = settings.export_timeout_s

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch, once."""
        return SpanExportResult.SUCCESS if self.send(spans, self._timeout_s).ok else SpanExportResult.FAILURE

    def send(self, spans: Sequence[ReadableSpan], timeout_s: float) -> SendResult:
        """Export a batch, once, and say what came of it. All spans have one resource."""
        if not spans:
            return SendResult(ok=True)
        resource = otlp.resource_bytes(spans[0].resource.attributes.items())
        request = otlp.request_bytes(resource, [otlp.span_bytes(span_data(span)) for span in spans])
        return self._channel.send([request], timeout_s)

    def shutdown(self) -> None:
        """Close the connection. Any thread may; an export under way ends."""
        self._channel.close()


class TracerTransport:
    """Builds SDK spans and gives them to an exporter, batch by batch."""

    def __init__(self, settings: Settings, resource: Sequence[tuple[str, str]]) -> None:
        self._exporter: SpanExporter = settings.exporter or MirrorSpanExporter(settings)
        self._ids = _GivenIds()
        self._ended = _Ended()
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource(dict(resource)),
            id_generator=self._ids,
            shutdown_on_exit=False,
            span_limits=SpanLimits(
                max_attributes=_UNLIMITED,
                max_span_attributes=_UNLIMITED,
                max_attribute_length=_UNLIMITED,
                max_span_attribute_length=_UNLIMITED,
            ),
        )
        provider.add_span_processor(self._ended)
        self._tracer = provider.get_tracer(attributes.SCOPE)

    def encode(self, span: otlp.SpanData) -> tuple[ReadableSpan, int]:
        """An ended SDK span.

        Raises:
            RuntimeError: the SDK made no span, since OTEL_SDK_DISABLED is set.
        """
        found: dict[str, Any] = dict(span.alike + span.attributes)
        if span.capture:
            found[attributes.CAPTURE] = b"".join(span.capture)
        self._ids.trace_id = int.from_bytes(span.trace_id, "big")
        self._ids.span_id = int.from_bytes(span.span_id, "big")
        sdk_span = self._tracer.start_span(
            span.name,
            context=_parent(span),
            kind=_KINDS.get(span.kind, trace.SpanKind.INTERNAL),
            attributes=found,
            links=[trace.Link(_context_of(link.trace_id, link.span_id, 0)) for link in span.links],
            start_time=span.start_unix_ns,
        )
        if span.error:
            sdk_span.set_status(trace.StatusCode.ERROR)
        sdk_span.end(span.end_unix_ns)
        ended = self._ended.take()
        if ended is None:
            raise RuntimeError(
                "the OpenTelemetry SDK makes no spans; unset OTEL_SDK_DISABLED or use MIRROR_SINK=direct"
            )
        size = sum(len(value) for value in found.values() if isinstance(value, (str, bytes)))
        return ended, size + 1024

    def send(self, items: Sequence[ReadableSpan], timeout_s: float) -> SendResult:
        """Export ended spans. What a foreign exporter could not deliver it has retried itself."""
        exporter = self._exporter
        if isinstance(exporter, MirrorSpanExporter):
            return exporter.send(items, timeout_s)
        try:
            result = exporter.export(items)
        except Exception as error:  # noqa: BLE001 - whatever a foreign exporter raises
            return SendResult(ok=False, reason=type(error).__name__)
        return SendResult(
            ok=result is SpanExportResult.SUCCESS, reason="" if result is SpanExportResult.SUCCESS else "FAILURE"
        )

    def close(self) -> None:
        """Shut the exporter down."""
        try:
            self._exporter.shutdown()
        except Exception:  # noqa: BLE001 - whatever a foreign exporter raises
            _LOG.warning("grpc_mirror: the span exporter failed to shut down")

    def abort(self) -> None:
        """Close our own exporter under an export. A foreign one may wait for the export in its shutdown: it is left alone."""
        if isinstance(self._exporter, MirrorSpanExporter):
            self._exporter.shutdown()


class _GivenIds(IdGenerator):
    """Gives the ids that the next span is to have."""

    trace_id = 0
    span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Ended(SpanProcessor):
    """Keeps the span that ended last."""

    def __init__(self) -> None:
        self._span: ReadableSpan | None = None

    def on_end(self, span: ReadableSpan) -> None:
        self._span = span

    def take(self) -> ReadableSpan | None:
        span, self._span = self._span, None
        return span


def span_data(span: ReadableSpan) -> otlp.SpanData:
    """An SDK span in no library's terms."""
    own, parent = span.get_span_context() or trace.INVALID_SPAN_CONTEXT, span.parent
    return otlp.SpanData(
        trace_id=own.trace_id.to_bytes(16, "big"),
        span_id=own.span_id.to_bytes(8, "big"),
        parent_span_id=parent.span_id.to_bytes(8, "big") if parent else b"",
        trace_state=own.trace_state.to_header(),
        name=span.name,
        kind=_KIND_NUMBERS.get(span.kind, 0),
        start_unix_ns=span.start_time or 0,
        end_unix_ns=span.end_time or 0,
        attributes=tuple((span.attributes or {}).items()),
        links=tuple(
            otlp.Link(link.context.trace_id.to_bytes(16, "big"), link.context.span_id.to_bytes(8, "big"))
            for link in span.links
        ),
        error=span.status.status_code is trace.StatusCode.ERROR,
        flags=int(own.trace_flags),
    )


def _parent(span: otlp.SpanData) -> Context:
    if not span.parent_span_id:
        return Context()
    state = trace.TraceState.from_header([span.trace_state]) if span.trace_state else None
    context = _context_of(span.trace_id, span.parent_span_id, span.flags, state)
    return trace.set_span_in_context(trace.NonRecordingSpan(context), Context())


def _context_of(trace_id: bytes, span_id: bytes, flags: int, state: Any = None) -> trace.SpanContext:
    ids = int.from_bytes(trace_id, "big"), int.from_bytes(span_id, "big")
    return trace.SpanContext(*ids, is_remote=True, trace_flags=trace.TraceFlags(flags), trace_state=state)
