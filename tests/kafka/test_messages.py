"""From OTLP requests to messages of the topic: by trace, in the exporter's format, nothing lost and nothing twice."""

from __future__ import annotations

import pytest
from grpc_mirror.v1.otlp_slices_pb2 import ExportTraceServiceRequest, Span
from hypothesis import given
from hypothesis import strategies as st

from mirror.collect.slices import BadBatch, Slicer
from mirror.kafka.messages import cut
from tests.collect.otlp import call_span, request
from tests.collect.shop import schema_span

MAX = 1 << 20


def spans_of(value: bytes) -> list[Span]:
    parsed = ExportTraceServiceRequest.FromString(value)
    return [span for rs in parsed.resource_spans for scope in rs.scope_spans for span in scope.spans]


def test_one_message_a_trace_with_its_id_as_key():
    body = request(call_span("m1"), call_span("m2"), call_span("m1", "candidate"), schema_span()).SerializeToString()
    done = cut(body, message_max_bytes=MAX)
    assert [message.spans for message in done.messages] == [2, 1, 1]
    for message in done.messages:
        assert {span.trace_id.hex().encode() for span in spans_of(message.value)} == {message.key}


def test_resource_and_scope_go_with_their_spans():
    """Two processes in one request: each span stays with its own."""
    whole = request(call_span("m1"), version="1")
    whole.MergeFrom(request(call_span("m1", "candidate"), version="2"))
    (message,) = cut(whole.SerializeToString(), message_max_bytes=MAX).messages
    assert message.value == whole.SerializeToString()
    assert [call.resource.version for call in Slicer().slice(message.value, arrived_s=0).calls] == ["1", "2"]


def test_spans_that_are_not_ours_are_left_out():
    body = request(Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="GET /"), call_span()).SerializeToString()
    done = cut(body, message_max_bytes=MAX)
    assert (done.spans, done.ordinary) == (1, 1)


@pytest.mark.parametrize("trace_id", [b"", b"short", bytes(16), b"x" * 17])
def test_a_span_without_a_trace_is_rejected(trace_id):
    span = call_span()
    span.trace_id = trace_id
    assert cut(request(span).SerializeToString(), message_max_bytes=MAX).rejected == {"trace_id": 1}


def test_what_no_message_can_hold_is_rejected_and_the_rest_of_its_trace_goes_on():
    body = request(
        call_span("m1"), call_span("m1", "candidate", data=b"x" * 5000), call_span("m1", "secondary")
    ).SerializeToString()
    done = cut(body, message_max_bytes=4000)
    assert done.rejected == {"too_large": 1}
    assert done.spans == 2
    assert all(len(message.value) <= 4000 for message in done.messages)


def test_what_is_no_request_is_refused_as_a_whole():
    with pytest.raises(BadBatch):
        cut(b"\xff\xff", message_max_bytes=MAX)


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["primary", "candidate"])), max_size=8), max_size=4),
    st.integers(400, 5000),
)
def test_every_span_is_in_one_message_or_rejected(processes, most):
    whole = ExportTraceServiceRequest()
    for number, spans in enumerate(processes):
        made = [call_span(f"m{trace}", role, mirror__attempt=n) for n, (trace, role) in enumerate(spans)]
        whole.MergeFrom(request(*made, version=str(number)))
    done = cut(whole.SerializeToString(), message_max_bytes=most)
    found = [span.SerializeToString() for message in done.messages for span in spans_of(message.value)]
    sent = [span.SerializeToString() for span in spans_of(whole.SerializeToString())]
    assert len(found) + done.rejected.get("too_large", 0) == len(sent)
    assert all(found.count(one) <= sent.count(one) for one in found)
