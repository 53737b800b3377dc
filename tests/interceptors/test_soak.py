"""Many calls of all kinds at once, some cancelled, some late: no message lands in another call's capture, no status is wrong."""

# ruff: noqa: N802 - gRPC names handlers after their methods

import random
import threading
from concurrent import futures
from dataclasses import replace

import grpc
import grpc_mirror
import pytest
from grpc_mirror.v1 import attributes, capture_pb2

from tests.interceptors.echo import KINDS, Note
from tests.interceptors.servers import ECHOES, FLAVOURS, Client, SyncEcho, handlers, never_ended_by_grpc, serving

CALLS = 500
CUT = (capture_pb2.ENDING_CLIENT_CANCELLED, capture_pb2.ENDING_DEADLINE_EXCEEDED)


def marked(mirror_id, text, count):
    """Requests that carry the id of their call."""
    return [
        Note(text=text if n == 0 else "more", blob=f"<{mirror_id}>".encode()).SerializeToString() for n in range(count)
    ]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_no_message_and_no_status_is_misattributed(receiver, settings, flavour):
    draw = random.Random(flavour)
    make = grpc_mirror.server_interceptor if flavour == "sync" else grpc_mirror.aio_server_interceptor
    plan = []
    for number in range(CALLS):
        kind = draw.choice(KINDS)
        ending = draw.choice(["return", "return", "abort", "set_code", "raise", "cancel"])
        if never_ended_by_grpc(flavour, kind, ending):
            ending = "set_code"
        plan.append(
            (f"{flavour}-{number}", kind, ending, draw.randrange(1, 6) if kind in ("ClientStream", "Bidi") else 1)
        )
    seen = {}
    with serving(
        handlers(ECHOES[flavour]()), [make(replace(settings, batch_age_s=0.2))], aio=flavour != "sync"
    ) as port:
        plain, gzipped = Client(port), Client(port, compression=grpc.Compression.Gzip)

        def one(mirror_id, kind, ending, count):
            client = draw.choice((plain, gzipped))
            requests = marked(mirror_id, "return" if ending == "cancel" else ending, count)
            call = client.start(kind, requests, mirror_id)
            if ending == "cancel":
                call.cancel()
            seen[mirror_id] = client.see(kind, call), requests

        with futures.ThreadPoolExecutor(50) as pool:
            for done in [pool.submit(one, *item) for item in plan]:
                done.result()
        kept = [mirror_id for mirror_id, _, ending, _ in plan if ending != "cancel"]
        receiver.wait_for(lambda: {one.attributes[attributes.ID] for one in receiver.calls}.issuperset(kept), 60)
        plain.close()
        gzipped.close()
    assert len({one.attributes[attributes.ID] for one in receiver.calls}) == len(receiver.calls)
    for one in receiver.calls:
        mirror_id = one.attributes[attributes.ID]
        client_saw, requests = seen[mirror_id]
        capture = one.capture
        got = [m.body for m in capture.messages if m.direction == capture_pb2.DIRECTION_REQUEST]
        sent = [m.body for m in capture.messages if m.direction == capture_pb2.DIRECTION_RESPONSE]
        assert got == requests[: len(got)], mirror_id
        if capture.ending in CUT:
            assert client_saw.code is grpc.StatusCode.CANCELLED, mirror_id
        elif client_saw.code is not grpc.StatusCode.CANCELLED:
            assert got == requests, mirror_id
            assert capture.status_code == client_saw.code.value[0], mirror_id
            assert sent == client_saw.responses, mirror_id


def test_calls_that_wait_for_a_thread_keep_their_own_messages(receiver, settings):
    """A sync server's deserialiser runs ahead of the handlers on one thread."""
    gate = threading.Event()

    class Gated(SyncEcho):
        def Unary(self, request, context):
            gate.wait(20)
            return Note(text=request.text)

    with serving(handlers(Gated()), [grpc_mirror.server_interceptor(settings)], aio=False) as port:
        client = Client(port)
        calls = {f"w{n}": client.start("Unary", marked(f"w{n}", f"w{n}", 1), f"w{n}") for n in range(100)}
        gate.set()
        for mirror_id, call in calls.items():
            assert Note.FromString(call.result()).text == mirror_id
        for one in receiver.wait_calls(100):
            mirror_id = one.attributes[attributes.ID]
            assert [Note.FromString(m.body).text for m in one.capture.messages] == [mirror_id, mirror_id]
        client.close()
