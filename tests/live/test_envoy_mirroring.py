"""What the bootstrap does in a real Envoy: who gets which call, under which headers, and what a bad candidate costs."""

import tempfile
import threading
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import grpc
import pytest
from mirror_demo import mesh, serving
from ruamel.yaml import YAML

from tests.conftest import ROOT, require

pytestmark = pytest.mark.live
METHOD = "/shop.v1.Shop/GetProduct"
UPLOAD = "/shop.v1.Shop/ImportReviews"


class Recorder(grpc.GenericRpcHandler):
    """Answers any method with its role's name and keeps the metadata of each call. `hang` is set: waits first."""

    def __init__(self, role, *, hang=None, reads=True):
        self.calls, self.role, self.hang, self.reads = [], role, hang, reads
        self.arrived = threading.Condition()

    def service(self, details):
        self.seen(dict(details.invocation_metadata))
        if details.method == UPLOAD:
            return grpc.stream_unary_rpc_method_handler(self.upload)
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: self.answer())

    def seen(self, metadata):
        with self.arrived:
            self.calls.append(metadata)
            self.arrived.notify_all()

    def answer(self):
        if self.hang is not None:
            self.hang.wait(60)
        return self.role.encode()

    def upload(self, requests, _context):
        return self.answer() if not self.reads else str(sum(map(len, requests))).encode()

    def wait(self, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.calls) >= count, timeout=30), f"{len(self.calls)} of {count}"
        return self.calls


class Bench:
    """Envoy with the bootstrap, three recorders behind it, and a client before it."""

    def __init__(self, envoy, channel, recorders):
        self.envoy, self.channel = envoy, channel
        self.primary, self.candidate, self.secondary = recorders

    def call(self, count=1, metadata=(), method=METHOD):
        ask = self.channel.unary_unary(method)
        return [ask(b"", metadata=metadata, timeout=30) for _ in range(count)]


@contextmanager
def bench(*, share, routes=None, runtime=None, **candidate):
    try:
        mesh.binary()
    except mesh.DemoError as error:
        require("envoy", str(error), present=False)
    gone = candidate.pop("gone", False)
    recorders = [Recorder("primary"), Recorder("candidate", **candidate), Recorder("secondary")]
    servers, addresses = [], {"otlp": "127.0.0.1:4"}
    for recorder in recorders:
        server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[recorder], options=serving.OPTIONS)
        addresses[recorder.role] = f"127.0.0.1:{serving.bind(server.add_insecure_port, 0)}"
        server.start()
        servers.append(server)
    if gone:
        servers[1].stop(None).wait()
    config = mesh.configure(addresses, share=share)
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    if routes:
        manager["route_config"]["virtual_hosts"][0]["routes"] = routes
    config["layered_runtime"]["layers"][0]["static_layer"].update(runtime or {})
    with tempfile.TemporaryDirectory() as folder:
        envoy = mesh.Envoy(config, Path(folder))
        try:
            with grpc.insecure_channel(envoy.ingress) as channel:
                yield Bench(envoy, channel, recorders)
        finally:
            envoy.stop()
            for server in servers:
                server.stop(None)


def ids(calls):
    return [call["x-mirror-id"] for call in calls]


def test_all_three_get_the_call_under_one_id_and_each_its_own_role():
    with bench(share=1.0) as b:
        b.call(20)
        calls = {r.role: r.wait(20) for r in (b.primary, b.candidate, b.secondary)}
    assert len(set(ids(calls["primary"]))) == 20
    for role, got in calls.items():
        assert set(ids(got)) == set(ids(calls["primary"]))
        assert {call["x-mirror-role"] for call in got} == {role}
        assert {call["x-mirror-run"] for call in got} == {"shop-v2"}
        assert {call["x-mirror-expect"] for call in got} == {"candidate,secondary"}
        assert {call["x-envoy-attempt-count"] for call in got} == {"1"}


def test_all_three_share_a_trace_though_the_client_sent_none():
    with bench(share=1.0) as b:
        b.call(5)
        traces = [{call["traceparent"][3:35] for call in r.wait(5)} for r in (b.primary, b.candidate, b.secondary)]
    assert len(traces[0]) == 5
    assert traces[0] == traces[1] == traces[2]


SPOOFED = (
    ("x-mirror-id", "mine"),
    ("x-mirror-id", "twice"),
    ("x-mirror-role", "candidate"),
    ("x-mirror-run", "other"),
    ("x-mirror-expect", "none"),
)


def test_what_a_client_sends_under_our_names_is_replaced():
    with bench(share=1.0) as b:
        b.call(3, metadata=SPOOFED)
        calls = b.primary.wait(3) + b.candidate.wait(3)
    assert not {"mine", "twice"} & set(ids(calls))
    assert [call["x-mirror-role"] for call in calls] == ["primary"] * 3 + ["candidate"] * 3
    assert {call["x-mirror-run"] for call in calls} == {"shop-v2"}


@pytest.mark.parametrize(("share", "method"), [(0.0, METHOD), (1.0, "/grpc.health.v1.Health/Check")])
def test_a_call_that_is_not_mirrored_carries_nothing_of_ours(share, method):
    with bench(share=share) as b:
        b.call(10, metadata=SPOOFED, method=method)
        calls = b.primary.wait(10)
        assert b.envoy.counters("cluster.(candidate|secondary).upstream_rq_total$") == {
            "cluster.candidate.upstream_rq_total": 0,
            "cluster.secondary.upstream_rq_total": 0,
        }
    assert [key for call in calls for key in call if key.startswith("x-mirror")] == []


def test_a_share_takes_the_same_calls_to_both_shadows_and_stamps_just_these():
    with bench(share=0.3) as b:
        b.call(400)
        stamped = {call["x-mirror-id"] for call in b.primary.wait(400) if "x-mirror-id" in call}
        assert 60 < len(stamped) < 180  # 120 expected; five deviations
        assert set(ids(b.candidate.wait(len(stamped)))) == stamped == set(ids(b.secondary.wait(len(stamped))))


def test_the_admin_layer_stops_mirroring_at_once_and_takes_fine_fractions():
    with bench(share=1.0) as b:
        b.call(5)
        b.candidate.wait(5)
        b.envoy.ask("/runtime_modify?mirror.shop=0&mirror.shop.half=0", method="POST")
        b.call(20)
        fine = quote('{"numerator": 999999, "denominator": "MILLION"}')
        b.envoy.ask(f"/runtime_modify?mirror.shop={fine}", method="POST")
        b.call(20)
        b.candidate.wait(25)
        assert [("x-mirror-id" in call) for call in b.primary.wait(45)[5:25]] == [False] * 20


def test_a_smaller_share_of_the_secondary_lies_within_the_candidates():
    routes = YAML(typ="safe").load(ROOT / "envoy/snippets/routes_secondary_smaller.yaml")["routes"]

    def of(millionths):
        return {"numerator": millionths, "denominator": "MILLION"}

    runtime = {"mirror.shop.both.half": of(100_000), "mirror.shop.both": of(200_000), "mirror.shop": of(600_000)}
    with bench(share=0.6, routes=routes, runtime=runtime) as b:
        b.call(400)
        expected = [call.get("x-mirror-expect", "") for call in b.primary.wait(400)]
        both, alone = expected.count("candidate,secondary"), expected.count("candidate")
        assert 35 < both < 130  # 80 expected
        assert 100 < alone < 220  # 160 expected
        assert set(ids(b.secondary.wait(both))) < set(ids(b.candidate.wait(both + alone)))


def test_a_dead_candidate_costs_the_client_nothing():
    with bench(share=1.0, gone=True) as b:
        assert b.call(50) == [b"primary"] * 50
        assert len(b.secondary.wait(50)) == 50


def test_a_hanging_candidate_costs_the_client_nothing():
    release = threading.Event()
    with bench(share=1.0, hang=release) as b:
        assert b.call(50) == [b"primary"] * 50
        release.set()


def test_a_candidate_that_does_not_read_stalls_no_upload_below_its_window():
    release = threading.Event()
    with bench(share=1.0, hang=release, reads=False) as b:
        upload = b.channel.stream_unary(UPLOAD)
        assert upload((b"x" * 1_000_000 for _ in range(30)), timeout=30) == b"30000000"
        release.set()
