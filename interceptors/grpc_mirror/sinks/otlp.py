"""OTLP traces, written by hand. Pure: frozen records in, bytes out (opentelemetry/proto/trace/v1, collector/trace/v1).

What repeats on every span of a method (its name, run, role, status) is encoded once and kept. A capture stays in the pieces
in which it came until its batch is put together: a body is copied once on its way out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import otlp_slices_pb2
from grpc_mirror.wire import bytes_field, int_field, varint

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
STATUS_ERROR = 2
# Bytes of a request beside its spans: tags and lengths, resource and scope.
REQUEST_OVERHEAD_BYTES = 16 * 1024
SPAN_OVERHEAD_BYTES = 8  # tag and length of one span

# Fields 7 and 8 (fixed64 times) and 16 (fixed32 flags) of a Span with their tags.
TIMES_AND_FLAGS = struct.Struct("<BQBQ2sI")
# Tags with lengths of the ids, and of the attribute that holds a capture.
_TRACE_ID, _SPAN_ID, _PARENT_ID = b"\x0a\x10", b"\x12\x08", b"\x22\x08"
CAPTURE_KEY = bytes_field(1, names.CAPTURE.encode()) + b"\x12"
# A large span is copied only when its batch is put together.
JOIN_MAX_BYTES = 32 * 1024
ALONE_BYTES = 16 * 1024  # of a large span, a body of so many is not copied at all where it is sent in pieces


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
    alike: tuple[tuple[str, str], ...] = ()  # more attributes, which many spans have alike
    capture: Sequence[bytes] = ()  # the value of `mirror.capture`, in pieces; empty: no such attribute


def span_bytes(span: SpanData) -> bytes:
    """A serialised Span. Its first field is the trace id, so that a receiver can cut it out without decoding."""
    return b"".join(_span_parts(span))


def span_item(span: SpanData) -> tuple[list[bytes], int]:
    """A serialised Span as an element of its batch, in pieces, and its bytes."""
    parts = _span_parts(span)
    size = sum(map(len, parts))
    head = b"\x12" + varint(size)
    if size <= JOIN_MAX_BYTES:
        return [head + b"".join(parts)], len(head) + size
    return [head, *parts], len(head) + size


def _span_parts(span: SpanData) -> list[bytes]:
    parts = [_TRACE_ID, span.trace_id, _SPAN_ID, span.span_id]
    if span.parent_span_id:
        parts += (_PARENT_ID, span.parent_span_id)
    if span.trace_state:
        parts.append(trace_state_bytes(span.trace_state))
    parts += (
        alike_bytes(span.name, span.kind, span.error, span.alike),
        TIMES_AND_FLAGS.pack(0x39, span.start_unix_ns, 0x41, span.end_unix_ns, b"\x85\x01", span.flags),
    )
    parts += [attribute_bytes(key, value) for key, value in span.attributes]
    if span.links:
        parts += [bytes_field(13, bytes_field(1, link.trace_id) + bytes_field(2, link.span_id)) for link in span.links]
    capture = span.capture
    if capture:
        size = sum(map(len, capture))
        length = varint(size)
        value = varint(1 + len(length) + size)  # length of the AnyValue that holds the capture
        attribute = varint(len(CAPTURE_KEY) + len(value) + 1 + len(length) + size)
        parts.append(b"\x4a%b%b%b\x3a%b" % (attribute, CAPTURE_KEY, value, length))
        parts += capture
    return parts


@lru_cache(maxsize=1024)
def alike_bytes(name: str, kind: int, error: bool, attributes: tuple[tuple[str, str], ...]) -> bytes:  # noqa: FBT001 - a key
    """What the spans of a method that ended alike have in common."""
    parts = [bytes_field(5, name.encode()), int_field(6, kind)]
    parts += [attribute_bytes(key, value) for key, value in attributes]
    if error:
        parts.append(bytes_field(15, int_field(3, STATUS_ERROR)))
    return b"".join(parts)


def trace_state_bytes(trace_state: str) -> bytes:
    """The field of a Span."""
    return bytes_field(3, trace_state.encode())


def attribute_bytes(key: str, value: Any) -> bytes:
    """An attribute as a field of a Span."""
    return bytes_field(9, _key_value(key, value))


def resource_bytes(attributes: Iterable[tuple[str, Any]]) -> bytes:
    """A serialised Resource."""
    return b"".join(bytes_field(1, _key_value(key, value)) for key, value in attributes)


def request_bytes(resource: bytes, spans: Sequence[bytes]) -> bytes:
    """A serialised ExportTraceServiceRequest with one resource and our scope, of serialised spans."""
    return b"".join(request_pieces(resource, [[b"\x12" + varint(len(span)), span] for span in spans]))


def request_pieces(resource: bytes, items: Sequence[Sequence[bytes]]) -> list[bytes]:
    """A serialised ExportTraceServiceRequest with one resource and our scope, in pieces, of those that `span_item` gave."""
    parts = [part for item in items for part in item]
    size = sum(map(len, parts))
    scope = bytes_field(1, bytes_field(1, names.SCOPE.encode()))
    head = bytes_field(1, resource) + b"\x12" + varint(len(scope) + size) + scope
    return [b"\x0a" + varint(len(head) + size), head, *parts]


def _key_value(key: str, value: Any) -> bytes:
    return key_bytes(key) + bytes_field(2, _any_value(value))


@lru_cache(maxsize=1024)
def key_bytes(key: str) -> bytes:
    """The key of an attribute, as a field of its KeyValue."""
    return bytes_field(1, key.encode())


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
