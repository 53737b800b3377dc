"""The service's answers are the same with and without us, whatever goes wrong on our side."""

# ruff: noqa: N802 - gRPC names handlers after their methods

import asyncio
import contextlib
import gc
from concurrent import futures
from dataclasses import replace
from types import SimpleNamespace

import grpc
import grpc_mirror
import pytest
import xxhash
from grpc._cython import cygrpc
from grpc_mirror.aio_threads import ThreadedCall
from grpc_mirror.counters import Counters
from grpc_mirror.holding import HoldBudget
from grpc_mirror.observer import Observer
from grpc_mirror.seen import Seen
from grpc_mirror.v1 import attributes, capture_pb2
from hypothesis import given
from hypothesis import strategies as st

from tests.interceptors.echo import KINDS, Note
from tests.interceptors.receiver import Receiver
from tests.interceptors.servers import (
    ECHOES,
    ENDINGS,
    FLAVOURS,
    AioEcho,
    Client,
    SyncEcho,
    handlers,
    never_ended_by_grpc,
    notes,
    serving,
)

pytestmark = pytest.mark.usefixtures("calls")


def interceptor_for(flavour, settings):
    make = grpc_mirror.server_interceptor if flavour == "sync" else grpc_mirror.aio_server_interceptor
    return make(settings)


@contextlib.contextmanager
def client_of(flavour, interceptors, echo=None):
    with serving(handlers(echo or ECHOES[flavour]()), interceptors, aio=flavour != "sync") as port:
        client = Client(port)
        yield client
        client.close()


def answers(client, flavour, mirror_id=""):
    """What a client sees of every kind of call and every ending, down to the bytes."""
    return [
        client.call(kind, notes(ending), mirror_id and f"{mirror_id}{kind}{ending}")
        for kind in KINDS
        for ending in ENDINGS
        if not never_ended_by_grpc(flavour, kind, ending)
    ]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_answers_are_the_same_with_and_without_us(flavour, settings):
    with client_of(flavour, []) as bare:
        expected = answers(bare, flavour)
    with client_of(flavour, [interceptor_for(flavour, settings)]) as ours:
        assert answers(ours, flavour, "m") == expected
        assert answers(ours, flavour) == expected


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_error_in_our_code_is_counted_and_reaches_nobody(flavour, settings, monkeypatch):
    def broken(*_args, **_kwargs):
        raise RuntimeError("ours")

    with client_of(flavour, []) as bare:
        expected = answers(bare, flavour)
    interceptor = interceptor_for(flavour, settings)
    for name in ("recorder.Recorder.begin", "recorder.Recorder.finish", "unary.UnaryCall.put_plain", "seen.Seen.add"):
        monkeypatch.setattr(f"grpc_mirror.{name}", broken)
    with client_of(flavour, [interceptor]) as ours:
        assert answers(ours, flavour, "m") == expected
        monkeypatch.setattr("grpc_mirror.recorder.Recorder.__init__", broken)
        monkeypatch.setattr("grpc_mirror.unary.UnaryCall.__init__", broken)
        assert answers(ours, flavour, "m") == expected
    assert interceptor._observer.counters.read().conditions["internal_error"] > len(expected)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_dead_collector_changes_nothing(flavour):
    settings = grpc_mirror.Settings(
        endpoint="127.0.0.1:1", queue_max_calls=3, flush_on_sigterm=False, shutdown_timeout_s=0.1
    )
    with client_of(flavour, []) as bare:
        expected = answers(bare, flavour)
    with client_of(flavour, [interceptor_for(flavour, settings)]) as ours:
        assert answers(ours, flavour, "m") == expected
    grpc_mirror.shutdown()


def test_a_spoofed_role_header_labels_and_nothing_more(receiver, settings, caplog):
    class Effects(SyncEcho):
        def Unary(self, request, context):
            return Note(text=str(grpc_mirror.is_shadow()))

    primary = grpc_mirror.Settings(**{**vars(settings), "role": "primary"})
    for deployment, role in ((settings, "candidate"), (primary, "primary")):
        with client_of("sync", [interceptor_for("sync", deployment)], Effects()) as client:
            seen = client.call("Unary", notes("x"), f"spoofed {role}", [("x-mirror-role", "candidate")])
        assert Note.FromString(seen.responses[0]).text == "False"
        assert receiver.call(f"spoofed {role}").attributes[attributes.ROLE] == role
    grpc_mirror.flush(20)
    receiver.wait_for(lambda: any(report.conditions["role_conflict"] == 1 for report in receiver.reports))
    # Without MIRROR_ROLE nothing of what may be a real shadow is blocked: that is said, since it is found out too late else.
    receiver.wait_for(lambda: any(report.conditions["role_unset"] == 1 for report in receiver.reports))
    assert caplog.text.count("set MIRROR_ROLE=candidate or secondary on this deployment") == 1


@pytest.mark.parametrize("mirror_id", ["", "x" * 257])
def test_an_id_that_makes_no_sense_is_not_captured(settings, mirror_id):
    interceptor = interceptor_for("sync", settings)
    with client_of("sync", [interceptor]) as client:
        assert client.call("Unary", notes("x"), "", [("x-mirror-id", mirror_id)]).responses
    assert grpc_mirror.flush(20)
    assert interceptor._observer.counters.read().dropped == {"mirror_id_invalid": 1}


def test_a_call_whose_handler_never_began_is_counted(receiver, settings):
    """Its client gives up while it waits for the server's only thread."""
    interceptor, echo = interceptor_for("sync", settings), SyncEcho()
    server = grpc.server(futures.ThreadPoolExecutor(1), interceptors=[interceptor])
    server.add_generic_rpc_handlers((handlers(echo),))
    client = Client(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    first = client.start("Unary", notes("hang"), "first")
    assert echo.started.acquire(timeout=20)
    assert client.call("Unary", notes("late"), "late", timeout=0.2).code is grpc.StatusCode.DEADLINE_EXCEEDED
    echo.released.set()
    assert client.see("Unary", first).code is grpc.StatusCode.OK
    client.close()
    server.stop(None).wait()
    del server
    gc.collect()
    assert interceptor._observer.counters.read().conditions == {"not_started": 1}
    assert receiver.call("first").capture.status_code == 0


def test_a_write_that_failed_since_the_client_has_gone_is_no_error_of_the_handler(receiver, settings):
    """Grpc raises it in a moment of some microseconds, before it cancels the handler, and then sends no status."""

    class Gone(AioEcho):
        async def Unary(self, request, context):
            raise cygrpc.ExecuteBatchError("Failed grpc_call_start_batch")

    with client_of("aio", [interceptor_for("aio", settings)], Gone()) as client:
        client.call("Unary", notes("x"), "gone", timeout=0.5)
    capture = receiver.call("gone").capture
    assert (capture.ending, capture.exception_type) == (capture_pb2.ENDING_CLIENT_CANCELLED, "")


@pytest.mark.parametrize("serialized", [True, False])
def test_a_plain_function_cut_before_its_answer_was_serialised_did_not_answer(settings, serialized):
    """On an aio server the task of such a call can end between the handler's return and the serialiser."""
    records = []
    sink = SimpleNamespace(put=records.append)
    handler = grpc.unary_unary_rpc_method_handler(lambda request, _context: request)
    observer = Observer(settings, Counters(), HoldBudget(1), sink)

    async def serve():
        call = ThreadedCall(observer, handler, "a.B/C", [("x-mirror-id", "1")])
        call.task = asyncio.current_task()
        wrapped = call.wrapped()
        answer = wrapped.unary_unary(wrapped.request_deserializer(b"hi"), SimpleNamespace(time_remaining=lambda: None))
        if serialized:
            wrapped.response_serializer(answer)

    asyncio.run(serve())
    (record,) = records
    answered = capture_pb2.ENDING_RETURNED, 0, 1
    cut = capture_pb2.ENDING_CLIENT_CANCELLED, grpc.StatusCode.CANCELLED.value[0], 0
    assert (record.outcome.ending, record.outcome.code, record.response_count) == (answered if serialized else cut)


def test_metadata_is_captured_by_allowlist_only(receiver, settings):
    class Greeter(SyncEcho):
        def Unary(self, request, context):
            context.send_initial_metadata((("tenant", "t"), ("secret", "s")))
            return Note(text="x")

    allowed = replace(settings, metadata=("tenant", "blob-bin"))
    headers = [("tenant", "a"), ("tenant", "b"), ("authorization", "Bearer x"), ("blob-bin", b"\0\1")]
    with client_of("sync", [interceptor_for("sync", allowed)], Greeter()) as client:
        client.call("Unary", notes("x"), "metadata", headers)
    capture = receiver.call("metadata").capture
    assert [(e.key, e.value) for e in capture.request_metadata] == [
        ("tenant", b"a"),
        ("tenant", b"b"),
        ("blob-bin", b"\0\1"),
    ]
    assert [(e.key, e.value) for e in capture.initial_metadata] == [("tenant", b"t")]
    assert not capture.initial_metadata_unobserved


def test_aio_marks_initial_metadata_as_unobserved(receiver, settings):
    with client_of("aio", [interceptor_for("aio", settings)]) as client:
        client.call("Unary", notes("x"), "unobserved")
    assert receiver.call("unobserved").capture.initial_metadata_unobserved


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_long_streams_are_captured_in_bounds_with_true_counts(receiver, settings, flavour):
    with client_of(flavour, [interceptor_for(flavour, replace(settings, stream_messages_max=3))]) as client:
        seen = client.call("Bidi", notes(*"abcdefgh"), "long")
    assert len(seen.responses) == 9
    capture = receiver.call("long").capture
    assert (capture.request_count, capture.response_count, len(capture.messages)) == (8, 9, 6)
    assert {(o.direction, o.reason, o.messages, o.kept_after) for o in capture.omitted} == {
        (capture_pb2.DIRECTION_REQUEST, capture_pb2.OMISSION_TOO_MANY_MESSAGES, 5, 1),
        (capture_pb2.DIRECTION_RESPONSE, capture_pb2.OMISSION_TOO_MANY_MESSAGES, 6, 1),
    }
    asked = [m.body for m in capture.messages if m.direction == capture_pb2.DIRECTION_REQUEST]
    sent = [m.body for m in capture.messages if m.direction == capture_pb2.DIRECTION_RESPONSE]
    every = notes(*"abcdefgh")
    assert asked == [*every[:2], every[-1]]
    assert sent == [*seen.responses[:2], seen.responses[-1]]


@given(st.integers(1, 40), st.lists(st.one_of(st.binary(max_size=9), st.none()), max_size=60))
def test_of_a_stream_the_first_and_last_messages_are_held_and_the_rest_is_counted(messages_max, bodies):
    seen = Seen(messages_max)
    for offset_ns, body in enumerate(bodies):
        seen.add(body, offset_ns, lambda _bytes: None, room=9)
    held, omitted = seen.held, seen.omitted
    kept = [message.offset_ns for message in seen.release()]
    left_out = bodies[len(kept) - seen.last_max : len(bodies) - seen.last_max] if omitted else []
    first = kept if not omitted else kept[: len(kept) - seen.last_max]
    assert len(kept) == min(len(bodies), messages_max)
    assert kept == [*range(len(first)), *range(len(bodies) - len(kept) + len(first), len(bodies))]
    assert (seen.count, omitted) == (len(bodies), len(bodies) - len(kept))
    assert seen.omitted_bytes == sum(len(body or b"") for body in left_out)
    assert held == sum(len(bodies[n] or b"") for n in kept)


def test_a_stream_that_never_ends_holds_no_more_than_its_bounds():
    budget = HoldBudget(10**9)
    seen = Seen(1000)
    for n in range(20_000):
        seen.add(bytes(1000 + n % 7), n, budget.reserve, room=10**9)
    assert budget.used_bytes <= 2 * 1000 * 1006
    assert (seen.count, seen.omitted) == (20_000, 19_000)
    assert [message.body is None for message in seen.release()] == [False] * 1000


def test_what_the_capture_has_no_room_for_is_not_held():
    seen = Seen(1000)
    for n, body in enumerate((b"a" * 10, b"b" * 11, b"c" * 10)):
        seen.add(body, n, lambda _bytes: None, room=10)
    assert seen.held == 20
    _, left_out, _ = seen.release()
    assert (left_out.size, left_out.body, left_out.digest) == (11, None, xxhash.xxh3_128_digest(b"b" * 11))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_large_calls_in_flight_share_a_budget_and_give_it_back(receiver, settings, flavour):
    interceptor = interceptor_for(flavour, replace(settings, hold_max_bytes=300_000))
    big = Note(text="return", blob=b"x" * 200_000).SerializeToString()
    with client_of(flavour, [interceptor]) as client:
        assert client.call("ClientStream", [big, big], "held").responses
        capture = receiver.call("held").capture
        bodies = [(len(m.body), m.omission) for m in capture.messages if m.direction == capture_pb2.DIRECTION_REQUEST]
        assert bodies == [(len(big), 0), (0, capture_pb2.OMISSION_CAPTURE_FULL)]
    assert interceptor._observer.budget.used_bytes == 0


def test_compressed_calls_are_captured_as_they_were_meant(receiver, settings):
    with serving(handlers(SyncEcho()), [interceptor_for("sync", settings)], aio=False) as port:
        client = Client(port, compression=grpc.Compression.Gzip)
        requests = notes("return" * 100)
        client.call("Unary", requests, "gzip")
        client.close()
    assert receiver.call("gzip").capture.messages[0].body == requests[0]


def test_two_receivers_get_each_their_own(settings):
    """Interceptors of different settings live in one process without mixing."""
    with Receiver() as left, Receiver() as right:
        for receiver in (left, right):
            with client_of("sync", [interceptor_for("sync", replace(settings, endpoint=receiver.endpoint))]) as client:
                client.call("Unary", notes("x"), receiver.endpoint)
        for receiver in (left, right):
            assert [one.attributes[attributes.ID] for one in receiver.wait_calls()] == [receiver.endpoint]
