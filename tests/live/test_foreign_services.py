"""Services that nobody here wrote, with stubs of their own, are compared once the interceptor is added: no .proto is configured."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mirror.core.model import Kind
from tests.conftest import SHARED, require
from tests.live.mesh import mesh

pytestmark = pytest.mark.live


def paths(reader, *, states=("regressed", "suspect")):
    (run,) = reader.runs()
    found = [h for h in reader.hypotheses(run.epochs[0].id) if h.state in states]
    return {(h.hypothesis.method, h.hypothesis.pattern) for h in found if h.hypothesis.kind is not Kind.ANY}


def test_the_health_service_of_grpcio_is_compared_without_its_proto(tmp_path):
    """A new build that calls one service unhealthy is found by the field's name; equal answers match."""
    with mesh(tmp_path, "health") as m, grpc.insecure_channel(m.ingress) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for _ in range(20):
            assert stub.Check(health_pb2.HealthCheckRequest(service="shop"), timeout=20).status == 1
            assert stub.Check(health_pb2.HealthCheckRequest(service="flaky"), timeout=20).status == 1
            with pytest.raises(grpc.RpcError) as error:
                stub.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=20)
            assert error.value.code() is grpc.StatusCode.NOT_FOUND
        reader = m.settled(60)
        (run,) = reader.runs()
        counts = run.epochs[0].counts
        assert (counts.matched, counts.mismatched, counts.triples) == (40, 20, 60)
        assert paths(reader) == {("grpc.health.v1.Health/Check", "response.status")}


def test_the_interop_test_service_is_compared_on_dynamic_messages(tmp_path):
    """Message classes made at run time from a descriptor set ship their schema too; all four call kinds match."""
    require("interop", "../shared/components/interop is not here", present=(SHARED / "components/interop").is_dir())
    from tests.live.interop import Interop  # noqa: PLC0415 - it loads what may not be there

    with mesh(tmp_path, "interop") as m, grpc.insecure_channel(m.ingress) as channel:
        client = Interop(channel)
        for _ in range(5):
            client.unary(size=2000)
            client.client_stream([10, 0, 300])
            client.server_stream([1, 20, 300])
            client.bidi([5, 1, 50])
            client.status(code=9, message="special \t chars ☺")
        reader = m.settled(25)
        (run,) = reader.runs()
        counts = run.epochs[0].counts
        assert (counts.matched, counts.incomparable, counts.incomplete) == (25, 0, 0)
