"""OTLP's JSON is read as its protobuf."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from grpc_mirror.v1 import otlp_slices_pb2

from mirror.collect.otlp_json import request_bytes, response_json
from mirror.collect.slices import BadBatch, Slicer
from tests.collect.otlp import call_span, capture, otlp_json, request


def test_json_gives_the_same_bytes_as_protobuf() -> None:
    spans = call_span("m1", data=capture(b"\x00\xff")), call_span("m2", "candidate")
    converted = request_bytes(json.dumps(otlp_json(*spans)).encode())
    assert otlp_slices_pb2.ExportTraceServiceRequest.FromString(converted) == request(*spans)


@pytest.mark.parametrize("kind", [2, "SPAN_KIND_SERVER"])
def test_enums_are_taken_as_numbers_and_as_names(kind: object) -> None:
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [{"kind": kind}]}]}]}
    parsed = otlp_slices_pb2.ExportTraceServiceRequest.FromString(request_bytes(json.dumps(body).encode()))
    assert parsed.resource_spans[0].scope_spans[0].spans[0].kind == otlp_slices_pb2.SPAN_KIND_SERVER


@pytest.mark.parametrize("number", ["1700000000000000000", 1700000000000000000])
def test_64_bit_numbers_are_taken_as_text_and_as_numbers(number: object) -> None:
    attribute = {"key": "n", "value": {"intValue": number}}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": number, "attributes": [attribute]}]}]}]}
    parsed = otlp_slices_pb2.ExportTraceServiceRequest.FromString(request_bytes(json.dumps(body).encode()))
    span = parsed.resource_spans[0].scope_spans[0].spans[0]
    assert span.start_time_unix_nano == 1700000000000000000
    assert span.attributes[0].value.int_value == 1700000000000000000


def test_unknown_fields_are_ignored() -> None:
    assert request_bytes(b'{"resourceSpans": [], "newer": {"x": 1}}') == b""


@pytest.mark.parametrize("bad", ["zz", "abc", 7, None])
def test_an_id_that_is_not_hex_rejects_its_span_only(bad: object) -> None:
    parsed = otlp_json(call_span("bad"), call_span("good"))
    parsed["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = bad
    batch = Slicer().slice(request_bytes(json.dumps(parsed).encode()), arrived_s=0)
    assert batch.rejected == {"trace_id": 1}
    assert [call.key.mirror_id for call in batch.calls] == ["good"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xff",
        b'{"resourceSpans": 3}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": {}}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "secret"}]}]}]}',
        b"[" * 200_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_what_is_no_otlp_json_is_a_bad_batch_and_its_text_holds_no_value(body: bytes) -> None:
    if body.startswith(b'{"a"'):  # unknown and deep, but JSON: ignored or refused, never a crash
        with contextlib.suppress(BadBatch):
            request_bytes(body)
        return
    with pytest.raises(BadBatch) as caught:
        request_bytes(body)
    assert "secret" not in str(caught.value)


def test_deeply_nested_attribute_values_are_refused() -> None:
    nested: dict[str, Any] = {"stringValue": "x"}
    for _ in range(200):
        nested = {"arrayValue": {"values": [nested]}}
    span = {"attributes": [{"key": "deep", "value": nested}]}
    with pytest.raises(BadBatch):
        request_bytes(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode())


def test_the_answer_in_json() -> None:
    assert response_json(None) == b"{}"
    partial = otlp_slices_pb2.ExportTracePartialSuccess(rejected_spans=2, error_message="why")
    assert json.loads(response_json(partial)) == {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "why"}}
