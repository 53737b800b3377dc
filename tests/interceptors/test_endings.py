"""Every way a call can end, on every flavour of server and all four kinds: the capture says what the client saw."""

# ruff: noqa: N802 - gRPC names handlers after their methods

import contextlib

import grpc
import grpc_mirror
import pytest
from grpc_mirror.v1 import attributes, capture_pb2

from tests.interceptors.echo import KINDS, SERVICE
from tests.interceptors.receiver import Receiver
from tests.interceptors.servers import (
    ECHOES,
    ENDINGS,
    FLAVOURS,
    RICH,
    Client,
    SyncEcho,
    handlers,
    never_ended_by_grpc,
    notes,
    serving,
)

REQUEST, RESPONSE = capture_pb2.DIRECTION_REQUEST, capture_pb2.DIRECTION_RESPONSE


@pytest.fixture(scope="module")
def collector(calls):
    with Receiver() as one:
        yield one
        grpc_mirror.shutdown(5)


@contextlib.contextmanager
def echoing(flavour, settings, *, raw=False, echo=None):
    """A server of a flavour with our interceptor; yields (echo, client)."""
    aio = flavour != "sync"
    interceptor = (grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor)(settings)
    echo = echo or ECHOES[flavour]()
    with serving(handlers(echo, raw=raw), [interceptor], aio=aio) as port:
        client = Client(port)
        try:
            yield echo, client
        finally:
            if isinstance(echo, SyncEcho):
                echo.released.set()
            client.close()


@pytest.fixture(scope="module", params=FLAVOURS)
def server(request, collector):
    settings = grpc_mirror.Settings(
        endpoint=collector.endpoint, batch_age_s=0.01, flush_on_sigterm=False, service_name=request.param
    )
    with echoing(request.param, settings) as (echo, client):
        yield request.param, echo, client


def bodies(capture, direction):
    return [message.body for message in capture.messages if message.direction == direction]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_capture_says_what_the_client_saw(server, collector, kind, ending):
    flavour, _, client = server
    if never_ended_by_grpc(flavour, kind, ending):
        pytest.skip(
            "grpc alone, without an interceptor, sometimes never ends a stream that a plain function aborts on aio"
        )
    mirror_id = f"{flavour} {kind} {ending}"
    requests = notes(ending, "more") if kind in ("ClientStream", "Bidi") else notes(ending)
    seen = client.call(kind, requests, mirror_id)
    one = collector.call(mirror_id)
    capture = one.capture
    assert (capture.status_code, capture.status_message) == (seen.code.value[0], seen.message)
    assert one.attributes[attributes.RPC_STATUS] == seen.code.name
    assert bodies(capture, REQUEST) == requests
    assert bodies(capture, RESPONSE) == seen.responses
    assert (capture.request_count, capture.response_count) == (len(requests), len(seen.responses))
    told = [(key, value) for key, value in seen.trailing if key != "grpc-status-details-bin"]
    assert [(e.key, e.value if e.key.endswith("-bin") else e.value.decode()) for e in capture.trailing_metadata] == told
    assert capture.status_details == dict(seen.trailing).get("grpc-status-details-bin", b"")
    assert capture.method == f"{SERVICE}/{kind}"
    assert (capture.request_type, capture.response_type) == ("mirrortest.Note", "mirrortest.Note")


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_is_named_by_its_type_and_an_abort_is_none(server, collector, kind):
    flavour, _, client = server
    for ending, type_name in (("raise", "ValueError"), ("abort", ""), ("return", ""), ("set_code", "")):
        if never_ended_by_grpc(flavour, kind, ending):
            continue
        mirror_id = f"type {flavour} {kind} {ending}"
        client.call(kind, notes(ending), mirror_id)
        capture = collector.call(mirror_id).capture
        assert capture.exception_type == type_name
        assert capture.ending == (capture_pb2.ENDING_RAISED if type_name else capture_pb2.ENDING_RETURNED)


def test_the_rich_status_is_kept_apart_from_the_trailers(server, collector):
    flavour, _, client = server
    if flavour == "threads":
        pytest.skip("grpc's context for plain functions on aio servers has no abort_with_status")
    client.call("Unary", notes("abort_with_status"), f"rich {flavour}")
    capture = collector.call(f"rich {flavour}").capture
    assert capture.status_details == RICH
    assert [entry.key for entry in capture.trailing_metadata] == ["t", "t", "raw-bin"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cancelled_call(server, collector, kind):
    flavour, echo, client = server
    mirror_id = f"cancel {flavour} {kind}"
    call = client.start(kind, notes("hang"), mirror_id)
    assert echo.started.acquire(timeout=20)
    call.cancel()
    capture = collector.call(mirror_id).capture
    assert capture.ending == capture_pb2.ENDING_CLIENT_CANCELLED
    assert capture.status_code == grpc.StatusCode.CANCELLED.value[0]
    assert bodies(capture, REQUEST) == notes("hang")
    assert not capture.trailing_metadata


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_over_its_deadline(server, collector, kind):
    flavour, _, client = server
    mirror_id = f"deadline {flavour} {kind}"
    seen = client.call(kind, notes("hang"), mirror_id, timeout=0.5)
    assert seen.code is grpc.StatusCode.DEADLINE_EXCEEDED
    capture = collector.call(mirror_id).capture
    assert capture.ending == capture_pb2.ENDING_DEADLINE_EXCEEDED
    assert capture.status_code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert 0 < capture.deadline_ns <= 0.6e9


@pytest.mark.parametrize("kind", ["Unary", "ServerStream"])
def test_a_malformed_request(server, collector, kind):
    """The handler never runs, and yet the call is captured with what the client was told."""
    flavour, _, client = server
    mirror_id = f"malformed {flavour} {kind}"
    seen = client.call(kind, [b"\xff\xff"], mirror_id)
    capture = collector.call(mirror_id).capture
    assert (capture.status_code, capture.status_message) == (seen.code.value[0], seen.message)
    assert capture.ending == capture_pb2.ENDING_MALFORMED_REQUEST
    assert bodies(capture, REQUEST) == [b"\xff\xff"]


@pytest.mark.parametrize("kind", ["ClientStream", "Bidi"])
def test_a_malformed_message_in_a_stream(server, collector, kind):
    flavour, _, client = server
    mirror_id = f"malformed {flavour} {kind}"
    seen = client.call(kind, [*notes("return"), b"\xff\xff"], mirror_id)
    capture = collector.call(mirror_id).capture
    assert (capture.status_code, capture.status_message) == (seen.code.value[0], seen.message)
    assert capture.ending == capture_pb2.ENDING_MALFORMED_REQUEST


def test_an_unknown_method_passes_through(server):
    _, _, client = server
    with pytest.raises(grpc.RpcError) as error:
        client.channel.unary_unary(f"/{SERVICE}/Nothing")(b"", metadata=(("x-mirror-id", "unknown"),))
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_call_without_an_id_is_not_captured(server, collector):
    flavour, _, client = server
    client.call("Unary", notes("not mirrored"))
    client.call("Unary", notes("mirrored"), f"after {flavour}")
    collector.call(f"after {flavour}")
    assert not any(b"not mirrored" in raw for raw in collector.requests)


class RawEcho:
    def Unary(self, request, _context):
        return request

    def Bidi(self, requests, _context):
        yield from requests


@pytest.mark.parametrize("flavour", ["sync", "threads"])
def test_handlers_without_codecs_work_on_raw_bytes(flavour, collector):
    """Their types come from the service's descriptor, where this process has one."""
    settings = grpc_mirror.Settings(endpoint=collector.endpoint, batch_age_s=0.01, flush_on_sigterm=False)
    with echoing(flavour, settings, raw=True, echo=RawEcho()) as (_, client):
        assert client.call("Unary", notes("raw"), f"raw {flavour}").responses == notes("raw")
        assert client.call("Bidi", notes("a", "b"), f"raw bidi {flavour}").responses == notes("a", "b")
    capture = collector.call(f"raw {flavour}").capture
    assert bodies(capture, RESPONSE) == notes("raw")
    assert capture.response_type == "mirrortest.Note"
    assert bodies(collector.call(f"raw bidi {flavour}").capture, REQUEST) == notes("a", "b")
