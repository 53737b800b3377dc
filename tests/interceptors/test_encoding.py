"""Hand-written OTLP is what the generated classes read; malformed foreign messages are refused, never a crash."""

import contextlib

from grpc_mirror import wire
from grpc_mirror.sinks.otlp import (
    Link,
    SpanData,
    request_bytes,
    request_pieces,
    resource_bytes,
    span_bytes,
    span_item,
)
from grpc_mirror.v1 import otlp_slices_pb2
from hypothesis import given
from hypothesis import strategies as st

ids = st.binary(min_size=16, max_size=16)
span_ids = st.binary(min_size=8, max_size=8)
values = st.one_of(
    st.text(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(),
    st.lists(st.text(max_size=5)),
)
spans = st.builds(
    SpanData,
    trace_id=ids,
    span_id=span_ids,
    parent_span_id=st.one_of(st.just(b""), span_ids),
    trace_state=st.text(max_size=20),
    name=st.text(max_size=300),
    kind=st.integers(0, 5),
    start_unix_ns=st.integers(0, 2**64 - 1),
    end_unix_ns=st.integers(0, 2**64 - 1),
    attributes=st.lists(st.tuples(st.text(max_size=20), values), max_size=5).map(tuple),
    links=st.lists(st.builds(Link, ids, span_ids), max_size=2).map(tuple),
    error=st.booleans(),
    flags=st.integers(0, 255),
    alike=st.lists(st.tuples(st.text(max_size=20), st.text()), max_size=3).map(tuple),
    capture=st.lists(st.binary(max_size=200), max_size=4).map(tuple),
)


def value_of(any_value):
    kind = any_value.WhichOneof("value")
    value = getattr(any_value, kind)
    return [value_of(item) for item in value.values] if kind == "array_value" else value


@given(spans)
def test_a_span_reads_back(span):
    raw = span_bytes(span)
    assert raw[:2] == b"\n\x10"
    assert raw[2:18] == span.trace_id
    read = otlp_slices_pb2.Span.FromString(raw)
    assert (read.span_id, read.parent_span_id, read.trace_state) == (
        span.span_id,
        span.parent_span_id,
        span.trace_state,
    )
    assert (read.name, read.kind, read.flags) == (span.name, span.kind, span.flags)
    assert (read.start_time_unix_nano, read.end_time_unix_nano) == (span.start_unix_ns, span.end_unix_ns)
    capture = [("mirror.capture", b"".join(span.capture))] if span.capture else []
    assert [(a.key, value_of(a.value)) for a in read.attributes] == [*span.alike, *span.attributes, *capture]
    assert [(link.trace_id, link.span_id) for link in read.links] == list(span.links)
    assert (read.status.code == otlp_slices_pb2.SPAN_STATUS_CODE_ERROR) is span.error


@given(st.lists(spans, max_size=3), st.sampled_from([0, 100, 40_000]))
def test_a_request_of_pieces_is_that_of_whole_spans(batch, size):
    """Large spans stay in pieces until their batch is put together; what goes out is the same."""
    batch = [span._replace(capture=(*span.capture, bytes(size))) for span in batch]
    items = [span_item(span) for span in batch]
    assert [size for _, size in items] == [sum(map(len, parts)) for parts, _ in items]
    assert b"".join(request_pieces(b"resource", [parts for parts, _ in items])) == request_bytes(
        b"resource", [span_bytes(span) for span in batch]
    )


@given(st.integers(0, 2**64 - 1))
def test_a_varint_reads_back(value):
    assert list(wire.fields(b"\x08" + wire.varint(value))) == [(1, value)]


@given(st.lists(spans, max_size=3))
def test_a_request_reads_back(batch):
    raw = request_bytes(resource_bytes([("service.name", "shop")]), [span_bytes(span) for span in batch])
    (resource_spans,) = otlp_slices_pb2.ExportTraceServiceRequest.FromString(raw).resource_spans
    assert resource_spans.resource.attributes[0].value.string_value == "shop"
    assert resource_spans.scope_spans[0].scope.name == "grpc_mirror"
    assert [span.span_id for span in resource_spans.scope_spans[0].spans] == [span.span_id for span in batch]


@given(st.binary(max_size=50))
def test_any_bytes_are_fields_or_a_value_error(data):
    with contextlib.suppress(ValueError):
        list(wire.fields(data))
    wire.any_values(data)
