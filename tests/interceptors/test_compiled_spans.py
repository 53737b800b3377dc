"""The compiled part writes plain calls byte for byte as Python does, and as the collector's own compiled part likes to read them."""

import importlib
from dataclasses import replace

import pytest
from grpc_mirror.propagation import SpanRef
from grpc_mirror.records import Plain
from grpc_mirror.sinks.otlp import JOIN_MAX_BYTES, request_pieces
from grpc_mirror.v1 import attributes, capture_pb2
from hypothesis import given
from hypothesis import strategies as st

from tests.interceptors.test_plain_calls import PARENT, SETTINGS, TRACE, Encoders, calls, plain_call

pytestmark = pytest.mark.usefixtures("compiled")

LARGE = replace(SETTINGS, message_max_bytes=JOIN_MAX_BYTES, capture_max_bytes=2 * JOIN_MAX_BYTES)
ENCODERS = Encoders(SETTINGS)
HEADERS = {
    "x-mirror-id": "0123456789abcdef0123456789abcdef",
    "x-mirror-run": "checkout-v2",
    "x-mirror-role": "primary",
    "x-mirror-expect": "candidate,secondary",
    "x-envoy-attempt-count": "1",
    "traceparent": PARENT,
    "tracestate": "a=b,c=d",
}
KEYS = (attributes.RUN, attributes.ROLE, attributes.EXPECT, attributes.ATTEMPT, attributes.RPC_METHOD)

odd = st.text(st.characters(exclude_categories=["Cs"]), max_size=70)
odd_parents = st.from_regex(r"\A[0-9a-g]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?\Z")
odd_headers = st.dictionaries(
    st.sampled_from([*HEADERS, "x-other"]), st.one_of(odd, odd_parents, st.sampled_from([PARENT, "candidate", ""]))
)
numbers = st.one_of(st.integers(-1, 2**28), st.integers(0, 2**65))
odd_calls = st.builds(
    lambda call, changes: call._replace(**changes),
    calls,
    st.fixed_dictionaries(
        {},
        optional={
            "metadata": odd_headers.map(lambda found: tuple(({"x-mirror-id": "1"} | found).items())),
            "start_ns": numbers,
            "request_ns": numbers,
            "response_ns": numbers,
            "deadline_ns": numbers,
            "start_unix_ns": numbers,
            "duration_ns": numbers,
        },
    ),
)


def parts_of(span):
    return span if isinstance(span, tuple) else (span.form, span.content, span.bytes)


def told(span):
    """What a span says, however many pieces it is in."""
    form, pieces, size = parts_of(span)
    raw = b"".join(pieces)
    assert len(raw) == size
    return form, raw


@given(st.one_of(calls, odd_calls))
def test_what_it_writes_is_what_python_writes(call):
    (compiled,) = ENCODERS.plain.spans([call])
    if compiled is not None:
        assert told(compiled) == told(ENCODERS.plain.span(call))


@given(
    headers=st.sets(st.sampled_from(list(HEADERS))).map(
        lambda some: tuple((k, HEADERS[k]) for k in {"x-mirror-id"} | some)
    ),
    sizes=st.tuples(*2 * [st.one_of(st.integers(0, 300), st.integers(0, JOIN_MAX_BYTES))]),
    times=st.tuples(*3 * [st.integers(0, 2**28 - 1)]),
    deadline_ns=st.integers(0, 2**40),
    start=st.tuples(st.integers(0, 2**62), st.integers(10**18, 2 * 10**18), st.booleans()),
)
def test_it_writes_all_usual_calls(headers, sizes, times, deadline_ns, start):
    encoders = Encoders(LARGE)
    call = plain_call(
        metadata=headers,
        current=SpanRef(TRACE, b"current!", 1) if start[2] and "traceparent" in dict(headers) else None,
        request=bytes(sizes[0]),
        response=b"r" * sizes[1],
        request_ns=times[0],
        response_ns=times[1],
        duration_ns=times[2],
        deadline_ns=deadline_ns,
        start_ns=start[0],
        start_unix_ns=start[1],
    )
    (compiled,) = encoders.plain.spans([call])
    assert told(compiled) == told(encoders.plain.span(call))


def test_it_writes_calls_that_are_not_sampled():
    (compiled,) = ENCODERS.plain.spans([plain_call(request=100_000, response=0, sampled=False)])
    assert told(compiled) == told(ENCODERS.plain.span(plain_call(request=100_000, response=0, sampled=False)))


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": (("x-mirror-id", "é"),)},
        {"metadata": (("x-mirror-id", " 1"),)},
        {"metadata": (("x-mirror-id", "1"), ("traceparent", PARENT.upper()))},
        {"metadata": (("x-mirror-id", "1"), ("x-mirror-id", "2"))},
        {"metadata": (("x-mirror-run", "run"),)},
        {"metadata": (("x-mirror-id", "1"), ("x-tenant", "a"))},
        {"current": SpanRef(b"o" * 16, b"current!", 0)},
        {"request": bytes(1001)},
        {"request": 1, "sampled": False},
        {"request": 1, "response": 1},
        {"duration_ns": 2**28},
        {"start_ns": -1},
    ],
    ids=[
        "no ASCII",
        "space",
        "parent",
        "repeated",
        "no id",
        "other header",
        "link",
        "large",
        "half counted",
        "counted",
        "long",
        "negative",
    ],
)
def test_what_is_unusual_is_left_to_python_and_spoils_no_other(changes):
    found = ENCODERS.plain.spans([plain_call(), plain_call(**changes), plain_call().record(), plain_call()])
    assert [span is None for span in found] == [False, True, True, False]


def test_a_form_that_cannot_be_made_is_left_to_python(monkeypatch):
    monkeypatch.setattr("grpc_mirror.plain.describe", lambda *_: 1 / 0)
    encoders = Encoders(SETTINGS)
    assert encoders.plain.spans([plain_call()]) == [None]
    with pytest.raises(ZeroDivisionError):
        encoders.plain.span(plain_call())


@pytest.mark.parametrize("writes", ["python", "compiled"])
@pytest.mark.parametrize("headers", [HEADERS, {"x-mirror-id": "1"}], ids=["all headers", "id alone"])
@pytest.mark.parametrize("size", [100, 40_000])
def test_the_collectors_cutter_takes_our_spans_as_calls(writes, headers, size):
    """And never hands one back as a place, which would cost the collector the long way."""
    spans = importlib.import_module("grpc_mirror_native.spans")
    encoders = Encoders(replace(LARGE, message_max_bytes=50_000, capture_max_bytes=100_000))
    call: Plain = plain_call(metadata=tuple(headers.items()), request=bytes(size), response=b"r" * size)
    span = encoders.plain.span(call) if writes == "python" else encoders.plain.spans([call])[0]
    cutter = spans.Cutter(attributes.ID, attributes.CAPTURE, KEYS)
    ((resource, found),) = cutter.cut(b"".join(request_pieces(b"\x0a\x00", [parts_of(span)[1]])))
    assert resource == b"\x0a\x00"
    ((_, mirror_id, capture, trace_id, _, attempt, code, *_),) = found
    assert (mirror_id, attempt, code) == (headers["x-mirror-id"], 1 if headers is HEADERS else 0, 0)
    assert "traceparent" not in headers or trace_id == TRACE
    assert [one.body for one in capture_pb2.Capture.FromString(capture).messages] == [bytes(size), b"r" * size]
