"""OTLP's JSON to its protobuf bytes. Pure.

OTLP's JSON is protobuf's own (camel-case names, 64-bit numbers as text, base64 bytes, unknown fields ignored), except that
trace and span IDs are hex. They are rewritten; protobuf's parser does the rest, and takes enums as numbers or names.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf import json_format
from grpc_mirror.v1.otlp_slices_pb2 import ExportTracePartialSuccess, ExportTraceServiceRequest

from mirror.collect.slices import BadBatch

DEPTH_MAX: Final = 64  # of nested attribute values
_IDS: Final = ("traceId", "trace_id", "spanId", "span_id", "parentSpanId", "parent_span_id")


def request_bytes(body: bytes) -> bytes:
    """The serialised ExportTraceServiceRequest of a JSON body (UTF-8). Raises BadBatch saying what is wrong.

    An ID that is not hex becomes empty, so that its span alone is rejected and not the whole batch.
    """
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise BadBatch("the body is not JSON") from None
    if not isinstance(parsed, dict):
        raise BadBatch("the body is not a JSON object")
    for span in _spans(parsed):
        _rewrite_ids(span)
    request = ExportTraceServiceRequest()
    try:
        json_format.ParseDict(parsed, request, ignore_unknown_fields=True, max_recursion_depth=DEPTH_MAX)
    except (json_format.ParseError, RecursionError, TypeError, ValueError):  # its text may hold values
        raise BadBatch("the body is JSON, but not an ExportTraceServiceRequest") from None
    return request.SerializeToString()


def response_json(partial: ExportTracePartialSuccess | None) -> bytes:
    """The JSON of an ExportTraceServiceResponse."""
    if partial is None:
        return b"{}"
    answer = {"rejectedSpans": str(partial.rejected_spans), "errorMessage": partial.error_message}
    return json.dumps({"partialSuccess": answer}).encode()


def _spans(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for resource_spans in _objects(request, "resourceSpans", "resource_spans"):
        for scope_spans in _objects(resource_spans, "scopeSpans", "scope_spans"):
            for span in _objects(scope_spans, "spans"):
                yield span
                yield from _objects(span, "links")


def _objects(parent: Mapping[str, Any], *keys: str) -> Iterator[dict[str, Any]]:
    for key in keys:
        values = parent.get(key)
        if isinstance(values, list):
            yield from (value for value in values if isinstance(value, dict))


def _rewrite_ids(span: dict[str, Any]) -> None:
    for key in _IDS:
        if key in span:
            try:
                raw = binascii.unhexlify(span[key])
            except (TypeError, ValueError):
                raw = b""
            span[key] = base64.b64encode(raw).decode()
