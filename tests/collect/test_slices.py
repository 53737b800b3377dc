"""A batch of OTLP is cut into call records; what cannot be used is rejected by name."""

from __future__ import annotations

import base64
import contextlib

import pytest
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import capture_pb2, otlp_slices_pb2, schema_pb2
from hypothesis import given
from hypothesis import strategies as st

from mirror.collect.batch import Batch
from mirror.collect.slices import BadBatch, Slicer
from mirror.core.model import PairKey, Resource, Role
from tests.collect.otlp import METHOD, RUN, call_span, capture, keys, request

pytestmark = pytest.mark.usefixtures("either_cutter")


def cut(*spans: otlp_slices_pb2.Span, keep_spans: bool = False) -> Batch:
    return Slicer(keep_spans=keep_spans).slice(request(*spans).SerializeToString(), arrived_s=12.0)


def test_a_call_becomes_a_record() -> None:
    (record,) = cut(call_span("m1", "candidate", data=capture(b"answer"))).calls
    assert record.key == PairKey(RUN, METHOD, "m1")
    assert record.role is Role.CANDIDATE
    assert record.expect == {Role.CANDIDATE, Role.SECONDARY}
    assert record.status == "OK"
    assert record.resource == Resource("shop", "1.0", "shop-1.0")
    assert record.capture == capture(b"answer")
    assert record.arrived_s == 12.0
    assert record.span == b""


def test_resources_are_interned() -> None:
    slicer = Slicer()
    body = request(call_span("m1"), call_span("m2")).SerializeToString()
    calls = slicer.slice(body, arrived_s=0).calls + slicer.slice(body, arrived_s=0).calls
    assert len({id(call.resource) for call in calls}) == 1


def test_ordinary_spans_are_counted_and_skipped() -> None:
    ordinary = otlp_slices_pb2.Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="SELECT 1")
    mentions = otlp_slices_pb2.Span(attributes=keys({names.ID: "m1"}))
    batch = cut(ordinary, mentions, call_span())
    assert (batch.ordinary, len(batch.calls), batch.rejected_spans) == (2, 1, 0)


def test_our_own_compare_span_coming_back_is_ordinary() -> None:
    attributes = keys({names.ID: "m1", names.ROLE: "primary", "mirror.verdict": "mismatched"})
    assert cut(otlp_slices_pb2.Span(attributes=attributes)).ordinary == 1


def test_a_call_that_a_service_made_belongs_to_the_one_that_it_served() -> None:
    """Both may be of one method; it is no half of a pair."""
    identity = capture_pb2.Outbound(served_method="shop.v1.Shop/Buy", served_span_id=b"12345678", index=2)
    made = call_span("m1", "candidate", data=capture(outbound=identity), mirror__outbound=METHOD)
    batch = cut(call_span("m1", "candidate"), made)
    assert (len(batch.calls), batch.ordinary, batch.rejected_spans) == (1, 0, 0)
    [record] = batch.outbound
    assert record.key == PairKey("checkout", "shop.v1.Shop/Buy", "m1")
    assert (record.role, record.method, record.index, record.served_span_id) == ("candidate", METHOD, 2, b"12345678")


@pytest.mark.parametrize("lacking", ["served_method", "served_span_id"])
def test_a_call_that_says_not_for_whom_it_was_made_is_rejected(lacking: str) -> None:
    identity = capture_pb2.Outbound(served_method=METHOD, served_span_id=b"12345678")
    identity.ClearField(lacking)
    assert cut(call_span(data=capture(outbound=identity), mirror__outbound=METHOD)).rejected == {"no_outbound": 1}


def test_a_call_says_how_many_it_made() -> None:
    assert cut(call_span(data=capture(outbound_calls=3))).calls[0].outbound_calls == 3


def test_schemas_and_reports_are_handed_on() -> None:
    schema = schema_pb2.Schema(fingerprint="f").SerializeToString()
    report = schema_pb2.SourceReport(source_id="s").SerializeToString()
    batch = cut(
        *(
            otlp_slices_pb2.Span(attributes=keys({name: data}))
            for name, data in ((names.SCHEMA, schema), (names.REPORT, report))
        )
    )
    assert batch.schemas == (schema,)
    assert [(entry.data, entry.resource.service) for entry in batch.reports] == [(report, "shop")]


@pytest.mark.parametrize("name", [names.SCHEMA, names.REPORT])
def test_a_malformed_schema_or_report_is_rejected(name: str) -> None:
    batch = cut(otlp_slices_pb2.Span(attributes=keys({name: b"\xff\xff"})))
    assert batch.rejected == {name.replace("mirror.", "malformed_"): 1}


def test_a_kept_span_has_lost_its_payload_and_nothing_else() -> None:
    (record,) = cut(call_span(data=capture(b"secret"), extra="stays"), keep_spans=True).calls
    span = otlp_slices_pb2.Span.FromString(record.span)
    kept = {item.key for item in span.attributes}
    assert names.CAPTURE not in kept
    assert {"extra", names.ID, names.RPC_METHOD} <= kept
    assert (span.name, span.trace_id, span.span_id) == (METHOD, record.trace_id, record.span_id)
    assert b"secret" not in record.span


def test_a_kept_span_of_an_outbound_call_tells_nothing_of_its_request() -> None:
    """Not even by a hash: whoever guesses a short request would know it."""
    made = capture_pb2.Outbound(served_method=METHOD, served_span_id=b"s" * 8, request_hash=b"h" * 32)
    told = {"mirror__outbound": "pay.v1.Pay/Charge", "mirror__outbound__request_hash": "guessable"}
    (record,) = cut(call_span(data=capture(b"secret", outbound=made), **told), keep_spans=True).outbound
    kept = {item.key for item in otlp_slices_pb2.Span.FromString(record.span).attributes}
    assert names.OUTBOUND in kept
    assert b"secret" not in record.span
    assert b"guessable" not in record.span
    assert cut(call_span(data=capture(outbound=made), **told)).outbound[0].span == b""


@pytest.mark.parametrize(
    ("attributes", "status", "method"),
    [
        ({"rpc__status_code": "NOT_FOUND"}, "NOT_FOUND", METHOD),
        ({"rpc__status_code": "not_found"}, "NOT_FOUND", METHOD),
        ({"rpc__status_code": None, "rpc__response__status_code": "ABORTED"}, "ABORTED", METHOD),
        ({"rpc__status_code": None, "rpc__grpc__status_code": 5}, "NOT_FOUND", METHOD),
        ({"rpc__status_code": None, "rpc__grpc__status_code": "5"}, "NOT_FOUND", METHOD),
        ({"rpc__status_code": None}, "OK", METHOD),
        ({"rpc__status_code": None, "rpc__grpc__status_code": 42}, "CODE_42", METHOD),
        ({"rpc__status_code": "no such status", "rpc__grpc__status_code": 5}, "NOT_FOUND", METHOD),
        ({"rpc__method": f"/{METHOD}"}, "OK", METHOD),
        ({"rpc__method": "Get", "rpc__service": "shop.v1.Shop", "rpc__system": "grpc"}, "OK", "shop.v1.Shop/Get"),
        ({"rpc__method": "Get"}, "OK", METHOD),
        ({"rpc__method": None}, "OK", METHOD),
    ],
)
def test_every_generation_of_the_conventions_is_read(attributes: dict[str, object], status: str, method: str) -> None:
    (record,) = cut(call_span(**attributes)).calls
    assert (record.status, record.key.method) == (status, method)


def test_a_capture_that_a_backend_turned_into_base64_is_read() -> None:
    (record,) = cut(call_span(mirror__capture=base64.b64encode(capture(b"x")).decode())).calls
    assert record.capture == capture(b"x")


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"mirror__id": None}, "no_id"),
        ({"mirror__id": ""}, "no_id"),
        ({"mirror__run": None}, "no_run"),
        ({"mirror__role": None}, "no_role"),
        ({"mirror__role": "canary"}, "no_role"),
        ({"mirror__expect": "candidate,canary"}, "expect"),
        ({"mirror__capture": None}, "no_capture"),
        ({"mirror__capture": "no base64!"}, "capture_encoding"),
        ({"mirror__capture": 3}, "capture_encoding"),
        ({"mirror__capture": b"\xff\xff"}, "malformed_capture"),
        ({"mirror__id": "x" * 513}, "too_long"),
        ({"mirror__capture": capture(method=""), "rpc__method": None}, "no_method"),
    ],
)
def test_a_span_that_cannot_be_used_is_rejected_and_the_others_go_on(
    attributes: dict[str, object], reason: str
) -> None:
    batch = cut(call_span("bad", **attributes), call_span("good"))
    assert batch.rejected == {reason: 1}
    assert [call.key.mirror_id for call in batch.calls] == ["good"]
    assert batch.message.startswith(f"1 spans rejected: 1 {reason} (")


@pytest.mark.parametrize(
    ("field", "content", "reason"),
    [
        ("trace_id", b"short", "trace_id"),
        ("trace_id", bytes(16), "trace_id"),
        ("span_id", b"", "span_id"),
        ("span_id", b"too long!", "span_id"),
    ],
)
def test_identifiers_have_their_length(field: str, content: bytes, reason: str) -> None:
    span = call_span()
    setattr(span, field, content)
    assert cut(span).rejected == {reason: 1}


def test_a_malformed_span_is_rejected_alone() -> None:
    scope = otlp_slices_pb2.SliceScopeSpans(spans=[b"\xffmirror.", call_span().SerializeToString()])
    resource_spans = otlp_slices_pb2.SliceResourceSpans(scope_spans=[scope])
    body = otlp_slices_pb2.SliceRequest(resource_spans=[resource_spans]).SerializeToString()
    batch = Slicer().slice(body, arrived_s=0)
    assert (batch.rejected, len(batch.calls)) == ({"malformed_span": 1}, 1)


def test_what_is_no_otlp_is_a_bad_batch() -> None:
    with pytest.raises(BadBatch, match="not a serialised ExportTraceServiceRequest"):
        Slicer().slice(b"\xff\xfe no", arrived_s=0)


def test_an_empty_request_is_an_empty_batch() -> None:
    assert Slicer().slice(b"", arrived_s=0) == Batch()


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_batch_or_a_bad_batch(body: bytes) -> None:
    with contextlib.suppress(BadBatch):
        Slicer(keep_spans=True).slice(body, arrived_s=0)


@given(st.binary(max_size=100), st.integers(0, 400))
def test_a_damaged_request_ends_in_a_batch_or_a_bad_batch(noise: bytes, place: int) -> None:
    body = request(call_span("m1"), call_span("m2")).SerializeToString()
    damaged = body[:place] + noise + body[place + len(noise) :]
    try:
        batch = Slicer(keep_spans=True).slice(damaged, arrived_s=0)
    except BadBatch:
        return
    assert all(len(call.trace_id) == 16 and len(call.span_id) == 8 for call in batch.calls)
