"""Plain calls take a short way to bytes: what they say is what the long way says of the same call."""

from dataclasses import replace

import pytest
from grpc_mirror.call import Outcome
from grpc_mirror.capture import capture_of, describe, span_of
from grpc_mirror.counters import Counters
from grpc_mirror.plain import PlainCalls
from grpc_mirror.propagation import SpanRef, derived_trace_id
from grpc_mirror.records import Plain
from grpc_mirror.redact import Redactor
from grpc_mirror.schemas import SchemaRegistry
from grpc_mirror.seen import Message
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.otlp import span_item
from grpc_mirror.v1 import attributes, capture_pb2, otlp_slices_pb2
from hypothesis import given
from hypothesis import strategies as st

from tests.interceptors.echo import Note

SETTINGS = Settings(endpoint="collector:4317", service_name="shop", message_max_bytes=1000, capture_max_bytes=1500)
TRACE = bytes(range(1, 17))
PARENT = f"00-{TRACE.hex()}-{'ab' * 8}-01"

ids = st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=300)
traceparents = st.sampled_from([PARENT, f" {PARENT} ", PARENT.upper(), "00-" + "0" * 32 + "-abababababababab-01", "no"])
headers = st.fixed_dictionaries(
    {"x-mirror-id": ids, "x-mirror-run": st.sampled_from(["run", ""])},
    optional={
        "x-mirror-role": st.sampled_from(["candidate", "nonsense"]),
        "x-mirror-expect": st.sampled_from(["candidate", "secondary, candidate"]),
        "x-envoy-attempt-count": st.sampled_from(["1", "3", "x"]),
        "traceparent": traceparents,
        "tracestate": st.sampled_from(["a=b", " a=b,c=d ", "k=" + "v" * 600]),
    },
)
offsets = st.integers(0, 2**40)
whole_calls = st.builds(
    Plain,
    metadata=headers.map(lambda found: tuple(found.items())),
    method=st.sampled_from(["mirrortest.Echo/Unary", "other.Service/Method"]),
    current=st.one_of(st.none(), st.sampled_from([SpanRef(TRACE, b"current!", 1), SpanRef(b"o" * 16, b"current!", 0)])),
    start_ns=offsets,
    request=st.one_of(st.binary(max_size=200), st.integers(0, 1200).map(bytes)),
    response=st.one_of(st.binary(max_size=200), st.integers(0, 1200).map(bytes)),
    request_ns=st.integers(0, 1000),
    response_ns=st.integers(1000, 2**35),
    request_type=st.sampled_from([Note, None]),
    response_type=st.just(Note),
    initial_metadata=st.sampled_from([(), None]),
    deadline_ns=st.one_of(st.just(0), offsets),
    start_unix_ns=st.integers(10**18, 2 * 10**18),
    duration_ns=offsets,
    size=st.just(0),
    sampled=st.just(True),
)
calls = st.one_of(
    whole_calls,
    st.builds(
        lambda call, sizes: call._replace(request=sizes[0], response=sizes[1], sampled=False),
        whole_calls,
        st.tuples(*2 * [st.one_of(st.integers(0, 300), st.integers(0, 2**40))]),
    ),
)


class Encoders:
    """Both ways, under the same settings."""

    def __init__(self, settings):
        self.settings = settings
        self.schemas = SchemaRegistry()
        self.redactor = Redactor(settings, Counters().notice)
        self.plain = PlainCalls(settings, self.schemas, self.redactor, "host")

    def long(self, call):
        record = call.record() if isinstance(call, Plain) else call
        described = describe(record, self.settings)
        if described is None:
            return None
        types = self.schemas.types_of(record)
        captured = capture_of(record, described.labels.attempt, types, self.settings, self.redactor)
        return span_item(span_of(record, described, record.span_id, captured.parts, "host"))


def read(item):
    """(the span without attributes, these by key, the capture) of an element of a batch."""
    pieces, size = item
    raw = b"".join(pieces)
    assert len(raw) == size
    (span,) = otlp_slices_pb2.ScopeSpans.FromString(raw).spans
    found = {one.key: one.value.SerializeToString(deterministic=True) for one in span.attributes}
    assert len(found) == len(span.attributes)
    (carrying,) = (one for one in span.attributes if one.key == attributes.CAPTURE)
    capture = capture_pb2.Capture.FromString(carrying.value.bytes_value)
    del span.attributes[:], found[attributes.CAPTURE]
    return span, found, capture


ENCODERS = Encoders(SETTINGS)


@given(calls)
def test_the_short_way_says_what_the_long_way_says(call):
    short = ENCODERS.plain.span(call)
    if short is not None:
        assert read(short[1:]) == read(ENCODERS.long(call))


def plain_call(**changes):
    metadata = ("x-mirror-id", "1"), ("x-mirror-run", "run"), ("traceparent", PARENT)
    made = Plain(metadata, "mirrortest.Echo/Unary", None, 1, b"a", b"b", 1, 2, Note, Note, (), 0, 10**18, 9, 0, True)
    return made._replace(**changes)


@pytest.mark.parametrize(
    "call",
    [
        plain_call(),
        plain_call(current=SpanRef(TRACE, b"current!", 1)),
        plain_call(metadata=(("x-mirror-id", "1"),)),
        plain_call(request=bytes(40_000), response=bytes(40_000)),
        plain_call(request=100_000, response=0, sampled=False),
    ],
)
def test_most_calls_take_the_short_way(call):
    encoders = Encoders(replace(SETTINGS, message_max_bytes=50_000, capture_max_bytes=100_000))
    assert read(encoders.plain.span(call)[1:]) == read(encoders.long(call))


@pytest.mark.parametrize(
    ("call", "settings"),
    [
        (plain_call(current=SpanRef(b"o" * 16, b"current!", 0)), SETTINGS),
        (plain_call(metadata=(("x-mirror-id", "1"), ("x-mirror-id", "2"))), SETTINGS),
        (plain_call(metadata=(("x-mirror-id", "x" * 300),)), SETTINGS),
        (plain_call(request=bytes(1001)), SETTINGS),
        (plain_call(request=1001), SETTINGS),
        (plain_call(), replace(SETTINGS, metadata=("tenant",))),
        (plain_call(), replace(SETTINGS, redact="on")),
        (plain_call(), replace(SETTINGS, private=("request.text",))),
        (plain_call(request_type=None, method="unknown.Service/Method"), replace(SETTINGS, private=("response.x",))),
    ],
    ids=[
        "link",
        "repeated header",
        "long id",
        "large",
        "counted though sampled",
        "metadata",
        "redact",
        "private",
        "no protobuf",
    ],
)
def test_what_is_not_plain_takes_the_long_way(call, settings):
    assert Encoders(settings).plain.span(call) is None


@st.composite
def streams(draw):
    """Calls with streams that returned with OK, of which some have more to tell."""
    call = draw(calls)
    messages = [Message(draw(offsets), len(body), body) for body in draw(st.lists(st.binary(max_size=300), max_size=6))]
    split = draw(st.integers(0, len(messages)))
    kinds = [
        capture_pb2.CALL_KIND_CLIENT_STREAM,
        capture_pb2.CALL_KIND_SERVER_STREAM,
        capture_pb2.CALL_KIND_BIDI_STREAM,
    ]
    record = call.record()._replace(
        kind=draw(st.sampled_from(kinds)),
        requests=tuple(sorted(messages[:split])),
        responses=tuple(sorted(messages[split:])),
        request_count=split,
        response_count=len(messages) - split,
    )
    if draw(st.booleans()):
        return record
    odd = draw(st.sampled_from(["trailing_metadata", "blocked_calls", "outbound_calls", "outcome", "initial_metadata"]))
    values = {
        "trailing_metadata": (("a", "b"),),
        "blocked_calls": 1,
        "outbound_calls": 2,
        "outcome": Outcome(5, "none", capture_pb2.ENDING_RETURNED),
        "initial_metadata": (("a", "b"),),
    }
    return record._replace(**{odd: values[odd]})


@given(streams())
def test_of_streams_too(record):
    short = ENCODERS.plain.other(record)
    if short is not None:
        assert read(short[1:]) == read(ENCODERS.long(record))


@pytest.mark.parametrize("count", [0, 1, 5])
def test_most_streams_take_the_short_way(count):
    messages = tuple(Message(number, 2, b"\x0a\x00") for number in range(count))
    record = (
        plain_call()
        .record()
        ._replace(
            kind=capture_pb2.CALL_KIND_BIDI_STREAM,
            requests=messages,
            responses=messages,
            request_count=count,
            response_count=count,
        )
    )
    assert read(ENCODERS.plain.other(record)[1:]) == read(ENCODERS.long(record))
    assert Encoders(replace(SETTINGS, redact="on")).plain.other(record) is None


def test_a_trace_id_is_derived_where_none_came():
    _, item, _ = ENCODERS.plain.span(plain_call(metadata=(("x-mirror-id", "42"),)))
    assert derived_trace_id("42") in b"".join(item)
