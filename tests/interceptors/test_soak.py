"""Many calls of all kinds at once, some cancelled, some late: no message lands in another call's capture, no status is wrong."""

# ruff: noqa: N802 - gRPC names handlers after their methods

import contextlib
import random
import threading
from concurrent import futures
from dataclasses import replace

import grpc
import grpc_mirror
import pytest
from grpc_mirror.v1 import attributes, capture_pb2

from tests.interceptors.echo import KINDS, Note
from tests.interceptors.servers import FLAVOURS, Client, SyncEcho, handlers, serving
from tests.interceptors.soaking import CODES, CUT, DETAILS, SERVICES, drawn

CALLERS = 100
CUT_ENDINGS = {
    capture_pb2.ENDING_CLIENT_CANCELLED: grpc.StatusCode.CANCELLED,
    capture_pb2.ENDING_DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
}
STATUSES = {code.value[0]: code for code in grpc.StatusCode}


def marked(mirror_id, text, count):
    """Requests that carry the id of their call."""
    return [
        Note(text=text if n == 0 else "more", blob=f"<{mirror_id}>".encode()).SerializeToString() for n in range(count)
    ]


@contextlib.contextmanager
def all_flavours(settings):
    """A server of each flavour in this process; yields (services, (plain client, gzipping client)) by flavour."""
    services, clients = {}, {}
    with contextlib.ExitStack() as stack:
        for flavour in FLAVOURS:
            service = services[flavour] = SERVICES[flavour]()
            make = grpc_mirror.server_interceptor if flavour == "sync" else grpc_mirror.aio_server_interceptor
            port = stack.enter_context(serving(handlers(service), [make(settings)], aio=flavour != "sync"))
            plain, gzipping = Client(port), Client(port, compression=grpc.Compression.Gzip)
            stack.callback(plain.close)
            stack.callback(gzipping.close)
            clients[flavour] = plain, gzipping
        yield services, clients


def carried_out(plan, clients):
    """Make one call as planned. Returns what its client saw."""
    client = clients[plan.flavour][plan.gzipped]
    timeout = {"timeout": plan.after_s} if plan.cut == "deadline" else {}
    call = client.start(plan.kind, plan.requests, plan.mirror_id, **timeout)
    if plan.cut == "cancel":
        canceller = threading.Timer(plan.after_s, call.cancel)
        canceller.start()
    return client.see(plan.kind, call)


def faults_of(plan, seen, capture, told):
    """What is wrong with one capture; nothing: all is well. `told`: the code with which the handler came to its end, if it did."""
    got = tuple(m.body for m in capture.messages if m.direction == capture_pb2.DIRECTION_REQUEST)
    sent = tuple(m.body for m in capture.messages if m.direction == capture_pb2.DIRECTION_RESPONSE)
    code = STATUSES[capture.status_code]
    if got != plan.requests[: len(got)] or sent != plan.responses[: len(sent)]:
        yield f"messages of another call, or out of order: {len(got)} and {len(sent)}"
    if CUT_ENDINGS.get(capture.ending, told) is not code:
        yield f"status {code}, ending {capture.ending}; the handler: {told}"
    if capture.ending in CUT_ENDINGS and code is not CUT.get(plan.cut):
        yield f"status {code} of a call that nobody cut so"
    if seen.code in CUT.values():  # what was sent may have come too late for the client
        if sent[: len(seen.responses)] != tuple(seen.responses):
            yield "fewer responses than the client got"
        return
    if (code, got, sent) != (seen.code, plan.requests, tuple(seen.responses)):
        yield f"{code} with {len(got)} and {len(sent)} messages; the client: {seen.code}, {len(seen.responses)}"
    if capture.status_message != seen.message:
        yield f"text {capture.status_message!r}; the client: {seen.message!r}"
    if capture.status_details != DETAILS.get(plan.ending, b""):
        yield f"details {capture.status_details!r}"


def soak(receiver, settings, calls):
    """Make `calls` mixed calls at once, over all flavours of server; hold every capture against what its client saw."""
    draw = random.Random(calls)
    plans = [drawn(draw, draw.choice(FLAVOURS), number) for number in range(calls)]
    settings = replace(settings, batch_age_s=0.2, queue_max_calls=calls + 1, queue_max_bytes=1 << 30)
    with all_flavours(settings) as (services, clients):
        with futures.ThreadPoolExecutor(CALLERS) as pool:
            seen = dict(zip(plans, pool.map(lambda plan: carried_out(plan, clients), plans), strict=True))
        ended = {mirror_id for service in services.values() for mirror_id in tuple(service.ended)}
        sure = {plan.mirror_id for plan in plans if plan.mirror_id in ended or seen[plan].code not in CUT.values()}
        receiver.wait_for(lambda: {one.attributes[attributes.ID] for one in receiver.calls}.issuperset(sure), 120)
    assert grpc_mirror.flush(20)
    captures = {one.attributes[attributes.ID]: one.capture for one in receiver.calls}
    told = {mirror_id: code for service in services.values() for mirror_id, code in service.ended.items()}
    faults = [
        f"{plan}: {fault}"
        for plan in plans
        if plan.mirror_id in captures
        for fault in faults_of(plan, seen[plan], captures[plan.mirror_id], told.get(plan.mirror_id))
    ]
    assert not faults, "\n".join([f"{len(faults)} faults, such as", *faults[:20]])
    assert len(captures) == len(receiver.calls), "a call was captured twice"
    (counts,) = grpc_mirror.counts().values()
    assert (counts.captured, counts.dropped) == (len(captures), {})
    # A call that never reached its server, or whose handler never began, leaves none; but many that were cut do.
    assert {STATUSES[capture.status_code] for capture in captures.values()} == {*CODES.values(), *CUT.values()}
    return seen


@pytest.mark.timeout(180)
def test_no_message_and_no_status_is_misattributed(receiver, settings):
    seen = soak(receiver, settings, 1_000)
    came = {(plan.flavour, plan.kind, one.code) for plan, one in seen.items()}
    assert {(flavour, kind) for flavour, kind, _ in came} == {(f, k) for f in FLAVOURS for k in KINDS}


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_soak(receiver, settings):
    soak(receiver, settings, 20_000)


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
