"""Captures go through a real OpenTelemetry Collector and are compared behind it: by both sinks, and by OpenTelemetry's own exporter.

How that is obtained stands in otelcol.py; where it cannot be the tests are skipped with that reason.
"""

from __future__ import annotations

import importlib.util

import grpc_mirror
import pytest

from tests.collect.process import CollectorProcess
from tests.conftest import require
from tests.interceptors.echo import Note
from tests.interceptors.servers import Client, SyncEcho, handlers, serving
from tests.live.otelcol import passing_on

pytestmark = pytest.mark.live
CALLS = 10


@pytest.fixture
def mirror(tmp_path):
    with CollectorProcess(tmp_path, runs=["run"]) as collector:
        yield collector


@pytest.fixture
def otelcol(tmp_path, mirror):
    """The address of an OpenTelemetry Collector that batches and passes on to ours."""
    with passing_on(tmp_path, mirror.addresses["otlp_grpc"]) as addresses:
        yield addresses["otlp_grpc"]


def way(name, endpoint):
    """Settings of one way through the OpenTelemetry Collector."""
    if name == "direct":
        return {"endpoint": endpoint}
    if name == "tracer":
        return {"endpoint": endpoint, "sink": "tracer"}
    there = importlib.util.find_spec("opentelemetry.exporter") is not None
    require("otlp-exporter", "opentelemetry-exporter-otlp-proto-grpc is not installed", present=there)
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - may be absent

    return {"sink": "tracer", "exporter": OTLPSpanExporter(endpoint=endpoint, insecure=True)}


def serve(role, settings, version):
    """One replica's part: it answers each request, of which two are large."""
    made = grpc_mirror.Settings(
        service_name="echo", resource=(("service.version", version),), flush_on_sigterm=False, **settings
    )
    with serving(handlers(SyncEcho()), [grpc_mirror.server_interceptor(made)], aio=False) as port:
        client = Client(port)
        for number in range(CALLS):
            request = Note(text="x" * (100_000 if number < 2 else 10)).SerializeToString()
            labels = (("x-mirror-role", role), ("x-mirror-expect", "candidate"))
            assert client.call("Unary", [request], f"call {number}", labels).responses
        client.close()
    assert grpc_mirror.shutdown(20)


@pytest.mark.parametrize("name", ["direct", "tracer", "sdk exporter"])
def test_calls_are_paired_behind_an_opentelemetry_collector(mirror, otelcol, name):
    """With their schema, so that they match, and with each process's own account of what it captured."""
    for role, version in (("primary", "1"), ("candidate", "2")):
        serve(role, way(name, otelcol), version)
    mirror.until(lambda: mirror.pairs("run") >= CALLS, f"judged {CALLS} pairs")
    (epoch,) = mirror.reader().epochs("run")
    assert (epoch.counts.pairs, epoch.counts.matched) == (CALLS, CALLS)
    reported = mirror.until(
        lambda: (found := mirror.get("/api/v1/sources").json()["sources"]) and len(found) == 2 and found, "was told"
    )
    assert {(one["version"], one["captured"]) for one in reported} == {("1", CALLS), ("2", CALLS)}
    assert [one["dropped"] for one in reported] == [{}, {}]
