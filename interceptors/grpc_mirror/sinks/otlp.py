"""OTLP traces, written by hand. Pure: frozen records in, bytes out (opentelemetry/proto/trace/v1, collector/trace/v1).

Attributes that repeat on every span of a method (run, role, method, status) are encoded once and kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import otlp_slices_pb2
from grpc_mirror.wire import bytes_field, fixed32_field, fixed64_field, int_field, varint

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
STATUS_ERROR = 2
# Bytes of a request beside its spans: tags and lengths, resource and scope.
REQUEST_OVERHEAD_BYTES = 16 * 1024
SPAN_OVERHEAD_BYTES = 8  # tag and length of one span

# Whose values differ from span to span: keeping them encoded would only fill the cache.
_UNIQUE = frozenset({names.ID, names.CAPTURE, names.SCHEMA, names.REPORT, names.OUTBOUND_REQUEST_HASH})
_SHORT = 256


class Link(NamedTuple):
    """A span of another trace."""

    trace_id: bytes
    span_id: bytes


class SpanData(NamedTuple):
    """One finished span, in no library's terms."""

    trace_id: bytes  # 16 bytes
    span_id: bytes  # 8 bytes
    parent_span_id: bytes  # empty: a root
    trace_state: str
    name: str
    kind: int  # OTLP's SpanKind
    start_unix_ns: int
    end_unix_ns: int
    attributes: tuple[tuple[str, Any], ...]  # values: str, bool, int, float, bytes, or sequences of them
    links: tuple[Link, ...] = ()
    error: bool = False
    flags: int = 0  # W3C trace flags


def span_bytes(span: SpanData) -> bytes:
    """A serialised Span. Its first field is the trace id, so that a receiver can cut it out without decoding."""
    parts = [bytes_field(1, span.trace_id), bytes_field(2, span.span_id)]
    if span.trace_state:
        parts.append(bytes_field(3, span.trace_state.encode()))
    if span.parent_span_id:
        parts.append(bytes_field(4, span.parent_span_id))
    parts += [
        bytes_field(5, span.name.encode()),
        int_field(6, span.kind),
        fixed64_field(7, span.start_unix_ns),
        fixed64_field(8, span.end_unix_ns),
    ]
    parts += [_span_attribute(key, value) for key, value in span.attributes]
    parts += [bytes_field(13, bytes_field(1, link.trace_id) + bytes_field(2, link.span_id)) for link in span.links]
    if span.error:
        parts.append(bytes_field(15, int_field(3, STATUS_ERROR)))
    parts.append(fixed32_field(16, span.flags))
    return b"".join(parts)


def resource_bytes(attributes: Iterable[tuple[str, Any]]) -> bytes:
    """A serialised Resource."""
    return b"".join(bytes_field(1, _key_value(key, value)) for key, value in attributes)


def request_bytes(resource: bytes, spans: Sequence[bytes]) -> bytes:
    """A serialised ExportTraceServiceRequest with one resource and our scope."""
    scope = otlp_slices_pb2.SliceScopeSpans(scope=bytes_field(1, names.SCOPE.encode()), spans=spans)
    resource_spans = otlp_slices_pb2.SliceResourceSpans(resource=resource, scope_spans=[scope])
    return otlp_slices_pb2.SliceRequest(resource_spans=[resource_spans]).SerializeToString()


def _span_attribute(key: str, value: Any) -> bytes:
    if isinstance(value, str) and key not in _UNIQUE and len(value) < _SHORT:
        return _kept(key, value)
    return bytes_field(9, _key_value(key, value))


@lru_cache(maxsize=2048)
def _kept(key: str, value: str) -> bytes:
    return bytes_field(9, _key_value(key, value))


def _key_value(key: str, value: Any) -> bytes:
    return bytes_field(1, key.encode()) + bytes_field(2, _any_value(value))


def _any_value(value: Any) -> bytes:  # noqa: PLR0911 - one return for each kind of value
    """A serialised AnyValue."""
    if isinstance(value, str):
        return bytes_field(1, value.encode("utf-8", "replace"))
    if isinstance(value, bool):
        return int_field(2, int(value))
    if isinstance(value, int):
        return int_field(3, value)
    if isinstance(value, float):
        return otlp_slices_pb2.AnyValue(double_value=value).SerializeToString()
    if isinstance(value, bytes):
        # Concatenated in one go: a capture may be large.
        return b"".join((b"\x3a", varint(len(value)), value))
    if isinstance(value, Sequence):
        return bytes_field(5, b"".join(bytes_field(1, _any_value(item)) for item in value))
    return bytes_field(1, str(value).encode("utf-8", "replace"))
