"""Hostile bodies of OTLP, over HTTP as protobuf and JSON and over gRPC; not a test."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from typing import Any

import grpc
from grpc_mirror.v1 import otlp_slices_pb2

from tests.collect.otlp import call_span, capture, otlp_json, request
from tests.live.hostile.target import MESSAGE_MAX_BYTES, Case, call, post

GOOD = request(call_span("m1")).SerializeToString()
NOT_OTLP = "not a serialised (ExportTraceServiceRequest|Resource)"
_RANDOM = random.Random(4711)
NOISE = _RANDOM.randbytes(64 << 10)

# What is no protobuf, or none of ours: a clear no.
NO_PROTOBUF: dict[str, bytes] = {
    "two bytes of ones": b"\xff\xff",
    "cut off": GOOD[:-5],
    "text": b"hello, is there anybody?",
    "JSON that says it is protobuf": b'{"resourceSpans": []}',
    "noise": NOISE,
    "a length beyond the end": b"\x0a\xff\xff\xff\xff\x07",
    "a negative length": b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "an endless number": b"\x0a" + b"\x80" * 64,
    "groups that never end": b"\x0b" * 10_000,
    "an end of a group that never began": b"\x0c",
    "field number 0": b"\x02\x00",
    "wire type 7": b"\x0f",
    "garbage behind": GOOD + b"\xff",
    "a resource that is none": GOOD.replace(b"service.version", b"\xffervice.version"),
    "gzip that does not say so": gzip.compress(GOOD),
}


def spans(*ours: otlp_slices_pb2.Span) -> bytes:
    return request(*ours).SerializeToString()


def nested(depth: int, marked: bool = True) -> bytes:
    """A span whose attribute is nested so deep, written by hand: protobuf itself would refuse to."""
    value = b"\x0a\x07mirror." if marked else b"\x0a\x01x"
    for _ in range(depth):
        inner = field(1, value)  # ArrayValue.values
        value = field(5, inner)  # AnyValue.array_value
        if len(value) > MESSAGE_MAX_BYTES // 2:
            break
    span = field(1, b"t" * 16) + field(2, b"s" * 8) + field(9, field(1, b"deep") + field(2, value))
    return field(1, field(2, field(2, span)))


def field(number: int, content: bytes) -> bytes:
    """A field of bytes."""
    size, length = b"", len(content)
    while length > 127:
        size += bytes((length & 127 | 128,))
        length >>= 7
    return bytes((number << 3 | 2,)) + size + bytes((length,)) + content


def changed(**fields: Any) -> bytes:
    span = call_span("m1")
    for name, value in fields.items():
        setattr(span, name, value)
    return spans(span)


# Requests of which one span cannot be used: taken, and the sender is told which and why.
REJECTED: dict[str, tuple[bytes, str]] = {
    "no run": (spans(call_span(mirror__run=None)), "mirror.run is missing"),
    "no id": (spans(call_span(mirror__id=None)), "mirror.id is missing"),
    "an unknown role": (spans(call_span(mirror__role="boss")), "mirror.role is not one of"),
    "an unknown expected role": (spans(call_span(mirror__expect="candidate,boss")), "names an unknown role"),
    "a run of 100,000 letters": (spans(call_span(mirror__run="r" * 100_000)), "longer than"),
    "an id of 100,000 letters": (spans(call_span(mirror__id="i" * 100_000)), "longer than"),
    "a method of 100,000 letters": (spans(call_span(rpc__method="x/" + "m" * 100_000)), "longer than"),
    "no capture": (spans(call_span(mirror__capture=None)), "did a processor remove it"),
    "a capture that is a number": (spans(call_span(mirror__capture=7)), "neither bytes nor base64"),
    "a capture that is no base64": (spans(call_span(mirror__capture="%%%")), "neither bytes nor base64"),
    "a capture that is none": (spans(call_span(data=b"\xff\xff")), "not a mirror.v1.Capture"),
    "a capture of groups": (spans(call_span(data=b"\x0b" * 5000)), "not a mirror.v1.Capture"),
    "a schema that is none": (spans(call_span(mirror__schema=b"\xff")), "not a mirror.v1.Schema"),
    "a report that is none": (spans(call_span(mirror__report=b"\xff")), "not a mirror.v1.SourceReport"),
    "an outbound call of nobody": (spans(call_span(mirror__outbound=b"")), "does not say by which call"),
    "a trace ID of 3 bytes": (changed(trace_id=b"abc"), "trace ID is not 16 bytes"),
    "a trace ID of zeros": (changed(trace_id=bytes(16)), "trace ID is not 16 bytes"),
    "a span ID of 70,000 bytes": (changed(span_id=bytes(70_000)), "span ID is not 8 bytes"),
    "an attribute nested 1,000 deep": (nested(1_000), "not a protobuf Span"),
    "an attribute nested 20,000 deep": (nested(20_000), "not a protobuf Span"),
    "a span that is none": (field(1, field(2, field(2, b"mirror.\xff\xff"))), "not a protobuf Span"),
    "text that is no UTF-8": (GOOD.replace(b"checkout", b"\xff\xfe\xfd\xfcxxxx"), "not a protobuf Span"),
}

# Strange, and nothing is wrong with it: taken, and it does no harm.
TAKEN: dict[str, bytes] = {
    "nothing": b"",
    "another type on the same numbers": b"\x08\x01\x10\x02",
    "unknown fields": field(15, b"x" * 1000) * 100,
    "ten thousand empty resources": b"\x0a\x00" * 10_000,
    "a hundred thousand empty spans": field(1, field(2, b"\x12\x00" * 100_000)),
    "an attribute nested deep in a span that is not ours": nested(1_000, marked=False),
    "ten thousand attributes": spans(call_span("m2", **{f"a{n}": "x" for n in range(10_000)})),
    "an attribute of 900,000 bytes": spans(call_span("m3", note="n" * 900_000)),
    "a key of 900,000 bytes": spans(call_span("m4", **{"k" * 900_000: "x"})),
    "five hundred runs that nobody allows": spans(*(call_span(f"u{n}", mirror__run=f"run-{n}") for n in range(500))),
    "odd letters everywhere": spans(call_span("\u202e\x00\U0001f600", mirror__run="\u0430\u0440", rpc__method="\x1b[31m")),
    "the same span five hundred times": spans(*[call_span("same")] * 500),
    "a capture whose body is no message": spans(call_span("m5", data=capture(NOISE[:1000], response_type="x.Y"))),
    "a type name that goes up folders": spans(call_span("m6", data=capture(b"", response_type="../../etc/passwd"))),
    "an attempt of 63 bits": spans(call_span("m9", mirror__attempt=2**63 - 1)),
    "a status of 63 bits below 0": spans(call_span("m10", rpc__response__status_code=-(2**63))),
    "numbers beyond all bounds": spans(
        call_span("m7", data=capture(b"", duration_ns=2**63 - 1, start_unix_ns=2**63 - 1, response_count=2**31))
    ),
}  # fmt: skip

NO_JSON: dict[str, bytes] = {
    "nothing": b"",
    "cut off": b'{"resourceSpans": [',
    "no UTF-8": b'{"a": "\xff\xfe"}',
    "an array": b"[]",
    "a number": b"7",
    "null": b"null",
    "protobuf": GOOD,
    "100,000 brackets": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "a number of 10,000 digits": b'{"a": ' + b"9" * 10_000 + b"}",
    "a comment": b'{"resourceSpans": [] /* really */}',
    "two documents": b"{}{}",
}

WRONG_JSON: dict[str, Any] = {
    "resources that are a text": {"resourceSpans": "x"},
    "resources that are a number": {"resourceSpans": 7},
    "a resource that is a list": {"resourceSpans": [["resource"]]},
    "spans that are true": {"resourceSpans": [{"scopeSpans": [{"spans": True}]}]},
    "a span that is null": {"resourceSpans": [{"scopeSpans": [{"spans": [None]}]}]},
    "a time that is a text": {"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]},
    "a time that is too large": {"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": 2**70}]}]}]},
    "a name that is an object": {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": {}}]}]}]},
    "half a letter": {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\ud800"}]}]}]},
}


def deep_json(depth: int) -> bytes:
    """A value nested so deep: within Python's own limit, beyond ours."""
    value = '{"arrayValue":{"values":[' * depth + '{"stringValue":"x"}' + "]}}" * depth
    span = (
        '{"traceId":"' + "ab" * 16 + '","spanId":"' + "ab" * 8 + '","attributes":[{"key":"k","value":' + value + "}]}"
    )
    return f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}'.encode()


def json_with(**fields: Any) -> bytes:
    parsed = otlp_json(call_span("m8"))
    parsed["resourceSpans"][0]["scopeSpans"][0]["spans"][0].update(fields)
    return json.dumps(parsed).encode()


JSON = "application/json"
JSON_REJECTED: dict[str, tuple[bytes, str]] = {
    "a trace ID that is no hex": (json_with(traceId="zz"), "trace ID is not 16 bytes"),
    "a trace ID that is an object": (json_with(traceId={"a": 1}), "trace ID is not 16 bytes"),
    "a span ID in base64": (json_with(spanId="c3NzczEyMw=="), "span ID is not 8 bytes"),
    "a trace ID in odd digits": (json_with(traceId="\u0661" * 32), "trace ID is not 16 bytes"),
}


def bomb(size: int) -> bytes:
    """So many zeros, in gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


GZIPPED: dict[str, tuple[Any, str, str]] = {
    "that is none": (b"not gzip", "400", "is not gzip"),
    "of nothing": (b"", "400", "is not gzip"),
    "that is cut off": (gzip.compress(GOOD)[:-9], "400", "is not gzip"),
    "of which only the head is there": (gzip.compress(GOOD)[:10], "400", "is not gzip"),
    "with a wrong sum": (gzip.compress(GOOD)[:-8] + bytes(8), "400", "is not gzip"),
    "with garbage behind": (gzip.compress(GOOD) + b"garbage", "400", "is not gzip"),
    "that is zlib": (zlib.compress(GOOD), "400", "is not gzip"),
    "within gzip": (gzip.compress(gzip.compress(GOOD)), "400", NOT_OTLP),
    "that becomes 64 MiB": (lambda: bomb(64 << 20), "413", "message_max_bytes"),
    "within gzip that becomes 64 MiB": (lambda: gzip.compress(bomb(64 << 20)), "400", NOT_OTLP),
    "of 60,000 empty members": (gzip.compress(b"") * 60_000, "413", "message_max_bytes"),
    "with a name of 900,000 letters": (b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 900_000, "400", "is not gzip"),
}
LARGE = bytes(MESSAGE_MAX_BYTES + 1)
OTLP_JSON_ERROR = "not an ExportTraceServiceRequest|is not JSON"

CASES = [
    *(Case(f"http protobuf: {name}", post(body), "400", NOT_OTLP) for name, body in NO_PROTOBUF.items()),
    *(Case(f"grpc: {name}", call(body), "INVALID_ARGUMENT", NOT_OTLP) for name, body in NO_PROTOBUF.items()),
    *(Case(f"http rejected: {name}", post(body), "200", words) for name, (body, words) in REJECTED.items()),
    *(Case(f"grpc rejected: {name}", call(body), "OK", words) for name, (body, words) in REJECTED.items()),
    *(Case(f"grpc taken: {name}", call(body), "OK", "^b''$") for name, body in TAKEN.items()),
    *(Case(f"json: {name}", post(body, JSON), "400", "is not JSON|not a JSON object") for name, body in NO_JSON.items()),
    *(Case(f"json: {name}", post(json.dumps(value).encode(), JSON), "400", OTLP_JSON_ERROR) for name, value in WRONG_JSON.items()),
    *(Case(f"json rejected: {name}", post(body, JSON), "200", words) for name, (body, words) in JSON_REJECTED.items()),
    Case("json: nested 300 deep", post(deep_json(300), JSON), "400", OTLP_JSON_ERROR),
    Case("json: nested 9,000 deep", post(deep_json(9_000), JSON), "400", OTLP_JSON_ERROR),
    Case("json: not a number", post(b'{"resourceSpans": NaN}', JSON), "400", OTLP_JSON_ERROR),
    Case("json: in UTF-16", post('{"resourceSpans": 7}'.encode("utf-16"), JSON), "400", OTLP_JSON_ERROR),
    *(Case(f"gzip {name}", post(body, content_encoding="gzip"), status, words) for name, (body, status, words) in GZIPPED.items()),
    *(
        Case(f"content type {kind!r}", post(GOOD, kind), "415", "the content type must be")
        for kind in (None, "", "text/plain", "application/grpc", "application/protobuf", "multipart/form-data", "application/x-protobuf,application/json", "x" * 5000)
    ),
    *(
        Case(f"content encoding {coding!r}", post(GOOD, content_encoding=coding), "415", "the content encoding must be gzip")
        for coding in ("br", "deflate", "zstd", "gzip, gzip", "gzip,identity", "x" * 5000)
    ),
    Case("http: a body over the limit", post(LARGE), "413", "message_max_bytes"),
    Case("json: a body over the limit", post(LARGE, JSON), "413", "message_max_bytes"),
    Case("grpc: a message over the limit", call(LARGE), "RESOURCE_EXHAUSTED", "larger than max"),
    Case("grpc: a bomb", call(bytes(32 << 20), compression=grpc.Compression.Gzip), "RESOURCE_EXHAUSTED", "larger than max"),
]  # fmt: skip
