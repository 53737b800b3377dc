"""The policy `recorded`, whole: a primary and a shadow with the real interceptors, and a real collector between them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from concurrent import futures
from functools import partial

import grpc
import grpc_mirror
import pytest
from grpc_mirror.policies import Policies, Recorded
from grpc_mirror.v1 import capture_pb2, lookup_pb2, otlp_slices_pb2

from tests.collect.process import CollectorProcess
from tests.interceptors.calling import FLAVOURS, METHOD, Back, front, role
from tests.interceptors.echo import SERVICE, Note
from tests.interceptors.receiver import Receiver
from tests.interceptors.servers import Client, handlers, notes, serving

STREAM = f"{SERVICE}/ServerStream"
WAIT_S = 5.0  # a machine under load; the tests below that wait in vain say a shorter one


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    with CollectorProcess(tmp_path_factory.mktemp("collector"), runs=["run"]) as one:
        yield one


@pytest.fixture(autouse=True)
def ended():
    yield
    grpc_mirror.shutdown(5)


def settings_of(endpoint, **more):
    return grpc_mirror.Settings(endpoint=endpoint, service_name="echo", flush_on_sigterm=False, **more)


def ended_with(error):
    return f"{error.code().name} {error.details()} {len(error.trailing_metadata())}"


def says(flavour, *texts, kind="unary"):
    """A handler that makes these calls, one after the other, and tells what came of each."""

    def sync_one(call):
        try:
            got = call()
            return got.text if kind == "unary" else "+".join(note.text for note in got)
        except grpc.RpcError as error:
            return ended_with(error)

    async def aio_one(call):
        try:
            got = call()
            return (await got).text if kind == "unary" else "+".join([note.text async for note in got])
        except grpc.RpcError as error:
            return ended_with(error)

    def sync(stubs, _request, _context):
        calls = [partial(getattr(stubs, kind), Note(text=text)) for text in texts]
        return Note(text="|".join([sync_one(call) for call in calls]))

    async def aio(stubs, _request, _context):
        calls = [partial(getattr(stubs, kind), Note(text=text)) for text in texts]
        return Note(text="|".join([await aio_one(call) for call in calls]))

    return sync if flavour == "sync" else aio


def told(flavour, work, settings, mirror_id, policies=None, *, deliver=True):
    """What the front's client is told of one mirrored call, and what reached the back."""
    with front(flavour, work, settings, policies=policies) as (client, back):
        seen = client.call("Unary", notes("x"), mirror_id, timeout=60)
        if deliver:
            grpc_mirror.flush(10)
        return Note.FromString(seen.responses[0]).text, [text for text, _ in back.seen]


def shadow(flavour, work, settings, mirror_id, policy, **more):
    with role("candidate"):
        return told(flavour, work, settings, mirror_id, {METHOD: policy, STREAM: policy}, **more)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_shadow_is_told_what_the_primary_was(collector, flavour, protocol):
    """Each of several equal calls its own, in whatever order the others come; nothing reaches whom they go to.

    Captures may go by HTTP: the question goes by gRPC.
    """
    asked = collector.addresses["otlp_grpc"]
    sent = asked if protocol == "grpc" else collector.addresses["otlp_http"]
    settings = settings_of(sent, protocol=protocol, lookup_endpoint=asked)
    name = f"same-{flavour}-{protocol}"
    first, reached = told(flavour, says(flavour, "a", "b", "a"), settings, name)
    assert (first, reached) == ("a!|b!|a!", ["a", "b", "a"])
    again = shadow(flavour, says(flavour, "b", "a", "a"), settings, name, grpc_mirror.recorded(wait_s=WAIT_S))
    assert again == ("b!|a!|a!", [])


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_streamed_responses_too(collector, flavour):
    settings = settings_of(collector.addresses["otlp_grpc"])
    work = says(flavour, "x", kind="server_stream")
    first, _ = told(flavour, work, settings, f"stream-{flavour}")
    assert first == "one+two+x!"
    policy = grpc_mirror.recorded(wait_s=WAIT_S)
    assert shadow(flavour, work, settings, f"stream-{flavour}", policy) == (first, [])


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("ending", ["abort", "abort_with_status", "raise"])
def test_a_call_that_failed_fails_alike(collector, flavour, ending):
    """With the code, the text and the rich status; other trailing metadata is not captured."""
    settings = settings_of(collector.addresses["otlp_grpc"])
    first, _ = told(flavour, says(flavour, ending), settings, f"{ending}-{flavour}")
    policy = grpc_mirror.recorded(wait_s=WAIT_S)
    again, reached = shadow(flavour, says(flavour, ending), settings, f"{ending}-{flavour}", policy)
    assert reached == []
    assert again.rpartition(" ")[0] == first.rpartition(" ")[0]
    assert again.rpartition(" ")[2] == str(int(ending == "abort_with_status"))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_where_nobody_knows_the_policy_says_what_happens(collector, flavour):
    settings = settings_of(collector.addresses["otlp_grpc"])
    told(flavour, says(flavour, "a"), settings, f"other-{flavour}")
    other = says(flavour, "something else")
    blocking = grpc_mirror.recorded(wait_s=0.05)
    text, reached = shadow(flavour, other, settings, f"other-{flavour}", blocking)
    assert (text.startswith("FAILED_PRECONDITION grpc-mirror: the call of"), reached) == (True, [])
    assert "has no answer that the primary was told" in text
    assert "give it a policy" not in text  # it has one
    stubbing = grpc_mirror.recorded(
        wait_s=0.05, otherwise=grpc_mirror.stub(lambda request: Note(text=f"no {request.text}"))
    )
    assert shadow(flavour, other, settings, f"other-{flavour}", stubbing) == ("no something else", [])


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_was_private_is_not_replayed(collector, flavour):
    """The capture is not what the primary was told: so the other way holds, and it is counted."""
    settings = settings_of(collector.addresses["otlp_grpc"], private=("response.text",), redaction_key="k" * 32)
    work = says(flavour, "secret")
    told(flavour, work, settings, f"private-{flavour}")
    policy = grpc_mirror.recorded(wait_s=WAIT_S, otherwise=grpc_mirror.stub(Note(text="stood in")))
    assert shadow(flavour, work, settings, f"private-{flavour}", policy) == ("stood in", [])
    assert looked_up(collector)["private"] >= 1


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("wrong", ["dead", "hanging", "another"])
def test_a_collector_that_does_not_answer_is_no_answer(flavour, wrong, receiver_of):
    """Whatever is at the endpoint: within the wait the other way holds."""
    settings = settings_of(receiver_of(wrong))
    policy = grpc_mirror.recorded(wait_s=0.2, otherwise=grpc_mirror.stub(Note(text="stood in")))
    assert shadow(flavour, says(flavour, "a"), settings, "x", policy, deliver=False) == ("stood in", [])
    grpc_mirror.shutdown(0.1)


@pytest.fixture
def receiver_of():
    """An endpoint where nobody listens, where nobody answers, or where one takes OTLP and knows no lookups."""
    opened = []

    def made(wrong):
        if wrong == "another":
            opened.append(Receiver())
            return opened[0].__enter__().endpoint
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        if wrong == "hanging":
            listening.listen()
            opened.append(listening)
        else:
            listening.close()
        return f"127.0.0.1:{port}"

    yield made
    for one in opened:
        one.__exit__(None, None, None)


def looked_up(collector):
    lines = re.findall(r'^mirror_lookups_total\{result="(\w+)"\} (\d+)', collector.get("/metrics").text, re.MULTILINE)
    return {result: int(n) for result, n in lines}


def test_lookups_are_counted_by_what_came_of_them(collector):
    with grpc.insecure_channel(collector.addresses["otlp_grpc"]) as channel:
        lookup = channel.unary_unary("/mirror.v1.Recordings/Lookup")
        before = looked_up(collector)
        lookup(b"", timeout=20)
        with pytest.raises(grpc.RpcError) as refused:
            lookup(b"\xff", timeout=20)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    after = looked_up(collector)
    assert after["not_found"] == before.get("not_found", 0) + 1
    assert after["malformed"] == before.get("malformed", 0) + 1


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        (Recorded(0.0, "block"), "wait_s=0.0: above 0 and at most 5 seconds"),
        (Recorded(60.0, "block"), "at most 5 seconds"),
        (Recorded(0.2, "allow"), "otherwise='allow': 'block' or stub"),
        ("recorded", "did you mean recorded()?"),
    ],
)
def test_a_wrong_policy_is_refused_at_the_start(policy, problem):
    with pytest.raises(grpc_mirror.SettingsError, match=re.escape(problem)):
        Policies({"a.B/C": policy})


class Knowing:
    """A collector that has one answer to every question, and keeps the spans that it gets."""

    def __init__(self):
        self.spans = []
        self.asked = []
        self._came = threading.Condition()

    def export(self, body, _context):
        with self._came:
            for of_resource in otlp_slices_pb2.ExportTraceServiceRequest.FromString(body).resource_spans:
                self.spans += [span for scope in of_resource.scope_spans for span in scope.spans]
            self._came.notify_all()
        return b""

    def captured(self, count):
        """The attributes of the captures, once so many came: a served call may end after its client has the answer."""

        def found():
            attributes = ({a.key: a.value for a in span.attributes} for span in self.spans)
            return [one for one in attributes if "mirror.capture" in one]

        with self._came:
            assert self._came.wait_for(lambda: len(found()) >= count, 20), found()
            return found()

    def lookup(self, body, _context):
        self.asked.append(lookup_pb2.LookupRequest.FromString(body))
        answer = capture_pb2.Capture(response_type=Note.DESCRIPTOR.full_name)
        answer.messages.add(body=Note(text="recorded").SerializeToString())
        found = lookup_pb2.LookupResponse(result=lookup_pb2.LOOKUP_RESULT_FOUND, answer=answer.SerializeToString())
        return found.SerializeToString()


@pytest.fixture
def knowing():
    one = Knowing()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    for service, method, handle in (
        ("opentelemetry.proto.collector.trace.v1.TraceService", "Export", one.export),
        ("mirror.v1.Recordings", "Lookup", one.lookup),
    ):
        handler = grpc.unary_unary_rpc_method_handler(handle)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    one.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield one
    server.stop(0)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_capture_says_who_answered_and_is_what_was_asked_for(knowing, flavour):
    settings = settings_of(knowing.endpoint, private=("request.number",), redaction_key="k" * 32)
    assert shadow(flavour, says(flavour, "a"), settings, "m", grpc_mirror.recorded(wait_s=WAIT_S)) == ("recorded", [])
    found = knowing.captured(2)
    (made,) = (a for a in found if "mirror.outbound" in a)
    capture = capture_pb2.Capture.FromString(made["mirror.capture"].bytes_value)
    assert capture.outbound.policy == capture_pb2.OUTBOUND_POLICY_RECORDED
    assert made["mirror.outbound.policy"].string_value == "recorded"
    (asked,) = knowing.asked
    assert asked.request_hash == capture.outbound.request_hash
    assert (asked.run, asked.mirror_id, asked.served_method, asked.method, asked.ordinal) == (
        "run",
        "m",
        METHOD,
        METHOD,
        0,
    )
    (served,) = (a for a in found if "mirror.outbound" not in a)
    assert capture_pb2.Capture.FromString(served["mirror.capture"].bytes_value).blocked_calls == 0


def test_a_primary_never_asks(knowing):
    settings = settings_of(knowing.endpoint)
    work = says("sync", "a")
    text, reached = told("sync", work, settings, "m", {METHOD: grpc_mirror.recorded(wait_s=WAIT_S)})
    assert (text, reached, knowing.asked) == ("a!", ["a"], [])


@contextlib.contextmanager
def front_process(endpoint, back_port, role_name=""):
    """The front of recorded_front.py; yields a client of it, and what tells its conditions."""
    environment = os.environ | ({"MIRROR_ROLE": role_name} if role_name else {})
    command = [sys.executable, "-m", "tests.collect.recorded_front", endpoint, str(back_port)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        client = Client(int(process.stdout.readline()))

        def conditions():
            process.stdin.write(b"\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        try:
            yield client, conditions
        finally:
            client.close()
            process.kill()


def test_in_bursts_a_shadow_is_told_all_that_the_primary_was(collector):
    """Both are asked at once, as a mirror does, and the shadow asks for its answers before the primary has them."""
    endpoint, bursts, at_once = collector.addresses["otlp_grpc"], 4, 50
    back = Back()
    with (
        serving(handlers(back), [], aio=False) as back_port,
        front_process(endpoint, back_port) as (primary, _),
        front_process(endpoint, back_port, "candidate") as (candidate, conditions),
    ):
        for burst in range(bursts):
            mirrored = [(f"burst-{burst}-{n}", notes(f"b{burst}-{n}")) for n in range(at_once)]
            calls = [
                [one.start("Unary", requests, mirror_id) for one in (primary, candidate)]
                for mirror_id, requests in mirrored
            ]
            for asked_primary, asked_candidate in calls:
                assert primary.see("Unary", asked_primary) == candidate.see("Unary", asked_candidate)
        assert conditions() == {"recorded": 2 * bursts * at_once}
    assert len(back.seen) == 2 * bursts * at_once


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_where_nobody_can_be_asked_the_log_says_once_what_is_missing(collector, flavour, caplog):
    """HTTP to a port that is not OTLP's does not say where gRPC is: it is not guessed."""
    settings = settings_of(collector.addresses["otlp_http"], protocol="http/protobuf")
    policy = grpc_mirror.recorded(wait_s=0.1)
    said, reached = shadow(flavour, says(flavour, "a", "b"), settings, f"nowhere-{flavour}", policy)
    assert reached == []
    assert said.count("FAILED_PRECONDITION") == 2
    assert caplog.text.count("cannot ask anybody what the primary was told: set MIRROR_LOOKUP_ENDPOINT") == 1
    conditions = grpc_mirror.counts()[settings.endpoint].conditions
    assert conditions["recorded_unavailable"] == 2


def test_one_that_does_not_answer_is_named(collector, caplog):
    settings = settings_of(collector.addresses["otlp_grpc"], lookup_endpoint=collector.addresses["otlp_http"])
    shadow("sync", says("sync", "a"), settings, "wrong-place", grpc_mirror.recorded(wait_s=0.1))
    assert f"cannot ask {collector.addresses['otlp_http']} what the primary was told: " in caplog.text
