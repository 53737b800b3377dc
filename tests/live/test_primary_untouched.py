"""The primary's answers are the same with and without us, whatever happens to candidate, secondary and collector."""

from __future__ import annotations

import os
import signal
import socket

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tests.live.mesh import mesh, start_replica

pytestmark = pytest.mark.live
_raw = lambda data: data  # noqa: E731 - bytes as they stand on the wire


def answers(address: str) -> list[object]:
    """What a client sees of a fixed series of calls: message bytes, status, details, trailing metadata."""
    seen: list[object] = []
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", _raw, _raw)
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch", _raw, _raw)
        missing = channel.unary_unary("/grpc.health.v1.Health/Nothing", _raw, _raw)
        for name in ("", "shop", "flaky", "nobody"):
            request = health_pb2.HealthCheckRequest(service=name).SerializeToString()
            for call, body in ((check, request), (missing, request), (check, b"\xff\xff")):
                seen.append(ended(lambda call=call, body=body: call.with_call(body, timeout=20)))
            stream = watch(request, timeout=20)
            seen.append(next(stream))
            stream.cancel()
    return seen


def ended(call) -> object:
    try:
        answer, rpc = call()
    except grpc.RpcError as error:
        rpc, answer = error, b""
    return answer, rpc.code(), rpc.details(), sorted(own(rpc.trailing_metadata()))


def own(metadata) -> list[tuple[str, object]]:
    """What the service said; Envoy's own headers and dates aside."""
    return [
        (entry.key, entry.value) for entry in metadata or () if not entry.key.startswith(("x-envoy-", "date", "server"))
    ]


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The answers of the same service with no interceptor at work, asked directly."""
    child, address = start_replica(tmp_path_factory.mktemp("bare"), "primary", "health", otlp="")
    try:
        return answers(address)
    finally:
        child.stop()


def test_answers_are_byte_for_byte_those_of_the_bare_service(tmp_path, bare):
    with mesh(tmp_path, "health") as m:
        assert answers(m.ingress) == bare


def test_a_dead_candidate_and_a_dead_collector_change_nothing(tmp_path, bare):
    with mesh(tmp_path, "health") as m:
        m.children["candidate"].stop()
        assert answers(m.ingress) == bare
        m.collector.stop()
        assert answers(m.ingress) == bare
        m.children["secondary"].stop()
        assert answers(m.ingress) == bare


def test_a_hanging_candidate_and_a_hanging_collector_change_nothing(tmp_path, bare):
    """Stopped processes: connections stay open, nothing is read and nothing is answered."""
    with mesh(tmp_path, "health") as m:
        stopped = [m.children["candidate"].pid, m.collector.pid]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert answers(m.ingress) == bare
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)


def test_a_candidate_that_never_answers_is_no_error_of_the_primary(tmp_path, bare):
    """A listener that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        with mesh(tmp_path, "health", replicas={"candidate": f"{host}:{port}"}) as m:
            assert answers(m.ingress) == bare
