"""Makes OTLP batches as the interceptors send them; not a test."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from google.protobuf import json_format
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import capture_pb2, otlp_slices_pb2

RUN, METHOD = "checkout", "shop.v1.Shop/GetProduct"


def value(content: Any) -> otlp_slices_pb2.AnyValue:
    match content:
        case bytes():
            return otlp_slices_pb2.AnyValue(bytes_value=content)
        case int():
            return otlp_slices_pb2.AnyValue(int_value=content)
        case _:
            return otlp_slices_pb2.AnyValue(string_value=content)


def keys(attributes: dict[str, Any]) -> list[otlp_slices_pb2.KeyValue]:
    return [
        otlp_slices_pb2.KeyValue(key=key, value=value(content))
        for key, content in attributes.items()
        if content is not None
    ]


def capture(body: bytes = b"", **fields: Any) -> bytes:
    """A serialised Capture of a unary call that answered `body`."""
    message = capture_pb2.CapturedMessage(direction=capture_pb2.DIRECTION_RESPONSE, body=body, original_size=len(body))
    defaults = {
        "method": METHOD,
        "kind": capture_pb2.CALL_KIND_UNARY,
        "ending": capture_pb2.ENDING_RETURNED,
        "start_unix_ns": 1_700_000_000_000_000_000,
        "duration_ns": 5_000_000,
        "response_count": 1,
        "messages": [message],
    }
    return capture_pb2.Capture(**{**defaults, **fields}).SerializeToString()


def call_span(
    mirror_id: str = "m1", role: str = "primary", *, data: bytes | None = None, **attributes: Any
) -> otlp_slices_pb2.Span:
    """One captured call. Attributes by their name with dots as `__`; None leaves one out."""
    trace_id = hashlib.sha256(mirror_id.encode()).digest()[:16]
    span_id = hashlib.sha256(f"{mirror_id} {role}".encode()).digest()[:8]
    merged = {
        names.ID: mirror_id,
        names.RUN: RUN,
        names.ROLE: role,
        names.EXPECT: "candidate,secondary",
        names.RPC_SYSTEM: "grpc",
        names.RPC_METHOD: METHOD,
        names.RPC_STATUS: "OK",
        names.CAPTURE: capture() if data is None else data,
        **{key.replace("__", "."): content for key, content in attributes.items()},
    }
    return otlp_slices_pb2.Span(
        trace_id=trace_id,
        span_id=span_id,
        name=METHOD,
        kind=otlp_slices_pb2.SPAN_KIND_SERVER,
        start_time_unix_nano=1_700_000_000_000_000_000,
        end_time_unix_nano=1_700_000_000_005_000_000,
        attributes=keys(merged),
    )


def request(
    *spans: otlp_slices_pb2.Span, version: str = "1.0", service: str = "shop"
) -> otlp_slices_pb2.ExportTraceServiceRequest:
    """One ExportTraceServiceRequest of one process."""
    resource = otlp_slices_pb2.Resource(
        attributes=keys({"service.name": service, "service.version": version, "service.instance.id": f"shop-{version}"})
    )
    scope = otlp_slices_pb2.ScopeSpans(scope=otlp_slices_pb2.InstrumentationScope(name=names.SCOPE), spans=spans)
    resource_spans = otlp_slices_pb2.ResourceSpans(resource=resource, scope_spans=[scope])
    return otlp_slices_pb2.ExportTraceServiceRequest(resource_spans=[resource_spans])


def otlp_json(*spans: otlp_slices_pb2.Span) -> dict[str, Any]:
    """The JSON that an exporter sends: hex IDs, and enums as numbers."""
    parsed = json_format.MessageToDict(request(*spans), use_integers_for_enums=True)
    for span in parsed["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for key in ("traceId", "spanId"):
            span[key] = base64.b64decode(span[key]).hex()
    return parsed
