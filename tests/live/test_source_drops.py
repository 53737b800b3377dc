"""The account is end to end: what a service captured is what the collector got, and what was dropped on the way, by reason."""

from __future__ import annotations

import grpc_mirror
import pytest

from tests.collect.process import CollectorProcess
from tests.interceptors.echo import Note
from tests.interceptors.servers import Client, SyncEcho, handlers, notes, serving

pytestmark = pytest.mark.live


@pytest.fixture
def collector(tmp_path):
    with CollectorProcess(tmp_path, runs=["run"]) as one:
        yield one


@pytest.mark.parametrize(("listener", "protocol"), [("otlp_grpc", "grpc"), ("otlp_http", "http/protobuf")])
def test_drops_at_the_source_stand_in_the_collectors_api(collector, listener, protocol):
    settings = grpc_mirror.Settings(
        endpoint=collector.addresses[listener],
        protocol=protocol,
        service_name="echo",
        resource=(("service.version", "7"),),
        queue_max_bytes=64 * 1024,
        flush_on_sigterm=False,
    )
    with serving(handlers(SyncEcho()), [grpc_mirror.server_interceptor(settings)], aio=False) as port:
        client = Client(port)
        for number in range(5):
            client.call("Unary", notes("return"), f"small {number}")
        for number in range(3):
            large = Note(text="x" * 100_000).SerializeToString()
            assert client.call("Unary", [large], f"large {number}").responses, "the client gets its answer all the same"
        client.call("Unary", notes("return"), "x" * 300)
        client.close()
    assert grpc_mirror.shutdown(20)
    reported = collector.until(
        lambda: (
            (found := collector.get("/api/v1/sources").json()["sources"])
            and sum(found[0]["dropped"].values()) == 4
            and found
        ),
        "was told of the drops",
    )
    (source,) = reported
    assert (source["service"], source["version"]) == ("echo", "7")
    assert source["dropped"] == {"queue_full": 3, "mirror_id_invalid": 1}
    collector.until(lambda: 'mirror_spans_total{kind="call"} 5.0' in collector.get("/metrics").text, "got the calls")
    assert source["captured"] == 5 + sum(source["dropped"].values())
    assert "queue_full" in collector.get("/collector").text
