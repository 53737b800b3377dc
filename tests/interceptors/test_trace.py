"""Where the capture span stands in the trace, and what the handler sees of it."""

# ruff: noqa: N802 - gRPC names handlers after their methods

import contextlib

import grpc
import grpc_mirror
import pytest
from grpc_mirror.propagation import (
    KIND_INTERNAL,
    KIND_SERVER,
    Labels,
    SpanRef,
    derived_trace_id,
    parse_traceparent,
    place,
    read_labels,
    role_of,
)
from grpc_mirror.v1 import attributes
from opentelemetry import context as otel_context
from opentelemetry import trace

from tests.interceptors.echo import Note
from tests.interceptors.servers import Client, handlers, notes, serving

pytestmark = pytest.mark.usefixtures("calls")

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
REMOTE = SpanRef(bytes.fromhex(TRACE), bytes.fromhex(SPAN), 0)


def labelled(parent=None):
    return Labels("id", "run", "", (), 0, parent, "")


def test_without_a_traceparent_the_trace_id_follows_from_the_mirror_id():
    """All replicas get the same one, whatever instrumentation they have."""
    placement = place(labelled(), None)
    assert placement.trace_id == derived_trace_id("id")
    assert (placement.parent_span_id, placement.kind) == (b"", KIND_SERVER)


def test_below_a_remote_parent_it_is_a_server_span_with_the_flags_as_they_came():
    placement = place(labelled(REMOTE), None)
    assert placement == (REMOTE.trace_id, REMOTE.span_id, KIND_SERVER, 0, None)


def test_below_a_current_span_of_the_same_trace_it_is_internal():
    current = SpanRef(REMOTE.trace_id, b"\1" * 8, 1)
    assert place(labelled(REMOTE), current) == (REMOTE.trace_id, b"\1" * 8, KIND_INTERNAL, 1, None)


def test_a_current_span_of_another_trace_is_linked():
    current = SpanRef(b"\2" * 16, b"\1" * 8, 1)
    assert place(labelled(REMOTE), current) == (REMOTE.trace_id, REMOTE.span_id, KIND_SERVER, 0, current)
    assert place(labelled(), current).link == current


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-brings", True),
        (f"00-{TRACE}-{SPAN}-01-more", False),
        (f"ff-{TRACE}-{SPAN}-01", False),
        (f"00-{'0' * 32}-{SPAN}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{SPAN}-01", False),
        ("", False),
    ],
)
def test_traceparent(text, valid):
    assert (parse_traceparent(text) is not None) is valid


def test_labels_are_read_and_nonsense_is_left_out():
    metadata = [
        ("x-mirror-id", "1"),
        ("x-mirror-id", "2"),
        ("x-mirror-run", "r"),
        ("x-mirror-role", "Candidate"),
        ("x-mirror-expect", "secondary, candidate,primary,other"),
        ("x-envoy-attempt-count", "-3"),
        ("traceparent", "nonsense"),
    ]
    assert read_labels(metadata) == Labels("1", "r", "candidate", ("candidate", "secondary"), 0, None, "")


@pytest.mark.parametrize(
    ("setting", "header", "role", "condition"),
    [
        ("primary", "candidate", "primary", "role_conflict"),
        ("candidate", "candidate", "candidate", ""),
        ("candidate", "", "candidate", ""),
        ("", "secondary", "secondary", "role_unset"),
        ("", "primary", "primary", ""),
        ("", "", "primary", ""),
        ("", "boss", "primary", "role_invalid"),
    ],
)
def test_the_deployments_role_wins_over_the_header(setting, header, role, condition):
    assert role_of(setting, header) == (role, condition)


class SpanEcho:
    """Answers with the span that is current in the handler."""

    def Unary(self, _request, _context):
        current = trace.get_current_span().get_span_context()
        return Note(text=f"{current.trace_id:032x} {current.span_id:016x} {int(current.trace_flags)}")

    def ServerStream(self, request, context):
        for _ in range(2):
            yield self.Unary(request, context)


class AioSpanEcho(SpanEcho):
    async def Unary(self, request, context):
        return SpanEcho.Unary(self, request, context)

    async def ServerStream(self, request, context):
        for _ in range(2):
            yield SpanEcho.Unary(self, request, context)


class Instrumented(grpc.ServerInterceptor):
    """As an instrumentation library does: makes a span of `trace_id` current around the handler."""

    def __init__(self, trace_id):
        self.trace_id = trace_id

    def intercept_service(self, continuation, details):
        handler = continuation(details)
        context = trace.SpanContext(int(self.trace_id, 16), 7, is_remote=False, trace_flags=trace.TraceFlags(1))

        def observed(request, servicer_context):
            token = otel_context.attach(trace.set_span_in_context(trace.NonRecordingSpan(context)))
            try:
                return handler.unary_unary(request, servicer_context)
            finally:
                otel_context.detach(token)

        return grpc.unary_unary_rpc_method_handler(observed, handler.request_deserializer, handler.response_serializer)


@contextlib.contextmanager
def spans(settings, flavour, *others):
    aio = flavour != "sync"
    make = grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor
    echo = AioSpanEcho() if flavour == "aio" else SpanEcho()
    with serving(handlers(echo), [*others, make(settings)], aio=aio) as port:
        client = Client(port)
        yield client
        client.close()


@pytest.mark.parametrize("kind", ["Unary", "ServerStream"])
@pytest.mark.parametrize("flavour", ["sync", "aio", "threads"])
def test_the_handler_works_below_our_span_when_nobody_else_made_one(receiver, settings, flavour, kind):
    with spans(settings, flavour) as client:
        seen = client.call(kind, notes("x"), "led", [("traceparent", f"00-{TRACE}-{SPAN}-00")])
        rootless = client.call(kind, notes("x"), "rootless")
    span = receiver.call("led").span
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.kind) == (TRACE, SPAN, KIND_SERVER)
    for raw in seen.responses:
        assert Note.FromString(raw).text == f"{TRACE} {span.span_id.hex()} 0"
    for raw in rootless.responses:
        assert Note.FromString(raw).text == f"{'0' * 32} {'0' * 16} 0"
    assert receiver.call("rootless").span.trace_id == derived_trace_id("rootless")


def test_a_span_of_instrumentation_in_the_same_trace_is_the_parent(receiver, settings):
    with spans(settings, "sync", Instrumented(TRACE)) as client:
        seen = client.call("Unary", notes("x"), "below", [("traceparent", f"00-{TRACE}-{SPAN}-01")])
    span = receiver.call("below").span
    assert (span.trace_id.hex(), span.parent_span_id, span.kind) == (TRACE, (7).to_bytes(8, "big"), KIND_INTERNAL)
    assert Note.FromString(seen.responses[0]).text == f"{TRACE} {7:016x} 1"


def test_a_span_of_instrumentation_in_a_trace_of_its_own_is_linked(receiver, settings):
    with spans(settings, "sync", Instrumented("ab" * 16)) as client:
        client.call("Unary", notes("x"), "linked")
    span = receiver.call("linked").span
    assert span.trace_id == derived_trace_id("linked")
    assert [(link.trace_id.hex(), link.span_id) for link in span.links] == [("ab" * 16, (7).to_bytes(8, "big"))]


def test_the_span_carries_the_labels_and_the_resource(receiver, settings):
    headers = [
        ("x-mirror-expect", "candidate,secondary"),
        ("x-mirror-role", "secondary"),
        ("x-envoy-attempt-count", "2"),
    ]
    with spans(settings, "sync") as client:
        client.call("Unary", notes("x"), "labels", headers)
    one = receiver.call("labels")
    assert one.attributes[attributes.ROLE] == "secondary"
    assert one.attributes[attributes.EXPECT] == "candidate,secondary"
    assert one.attributes[attributes.RUN] == "run"
    assert one.attributes[attributes.ATTEMPT] == one.capture.attempt == 2
    assert one.attributes[attributes.RPC_METHOD] == "mirrortest.Echo/Unary"
    assert one.resource[attributes.SERVICE_NAME] == "echo"
    assert one.resource[attributes.SERVICE_VERSION] == "1"
    assert one.resource[attributes.SERVICE_INSTANCE]


@pytest.mark.parametrize("flavour", ["sync", "threads"])
def test_a_span_that_a_stream_holds_open_stays_current_over_its_steps(settings, flavour):
    """Else what a handler does after its first response would stand below our span in the service's own traces."""

    class Holding:
        def __init__(self):
            self.seen = []

        def ServerStream(self, _request, _context):
            mine = trace.NonRecordingSpan(trace.SpanContext(7, 7, is_remote=False))
            with trace.use_span(mine):
                for number in range(3):
                    self.seen.append(trace.get_current_span().get_span_context().span_id)
                    yield Note(number=number)
            self.seen.append(trace.get_current_span().get_span_context().trace_id)

    echo = Holding()
    make = grpc_mirror.server_interceptor if flavour == "sync" else grpc_mirror.aio_server_interceptor
    with serving(handlers(echo), [make(settings)], aio=flavour != "sync") as port:
        client = Client(port)
        client.call("ServerStream", notes("x"), "held", (("traceparent", f"00-{TRACE}-{SPAN}-00"),))
        client.close()
    assert echo.seen == [7, 7, 7, int(TRACE, 16)]


def test_other_interceptors_may_close_a_handlers_generator(receiver, settings):
    """An interceptor before ours is given our iterator, and may do with it what it could do with the handler's."""

    class Closing(grpc.ServerInterceptor):
        def intercept_service(self, continuation, details):
            handler = continuation(details)

            def first_only(request, context):
                with contextlib.closing(handler.unary_stream(request, context)) as responses:
                    yield next(responses)

            return grpc.unary_stream_rpc_method_handler(
                first_only, handler.request_deserializer, handler.response_serializer
            )

    class Streaming:
        closed = False

        def ServerStream(self, _request, _context):
            try:
                yield Note(text="first")
                yield Note(text="second")
            finally:
                self.closed = True

    echo = Streaming()
    with serving(handlers(echo), [Closing(), grpc_mirror.server_interceptor(settings)], aio=False) as port:
        client = Client(port)
        seen = client.call("ServerStream", notes("x"), "closed")
        client.close()
    assert (seen.code, seen.responses, echo.closed) == (grpc.StatusCode.OK, notes("first"), True)
    assert receiver.call("closed").capture.status_code == 0
