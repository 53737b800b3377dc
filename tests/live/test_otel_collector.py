"""Captures go through a real OpenTelemetry Collector and are compared behind it: by both sinks, and by OpenTelemetry's own exporter.

`make otelcol` builds it (Go, and ../shared). Where only Jaeger is built, that is it: Jaeger 2 is an OpenTelemetry Collector with
a storage, and here none is configured. Without either skipped with that reason.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
from pathlib import Path

import grpc_mirror
import pytest
from mirror_demo.processes import Child

from tests.collect.process import CollectorProcess
from tests.conftest import require
from tests.interceptors.echo import Note
from tests.interceptors.servers import Client, SyncEcho, handlers, serving
from tests.live.mesh import free_ports

pytestmark = pytest.mark.live
BUILT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grpc-mirror"
EXPORTERS = {"otelcol-0.160.0": "otlp_grpc", "jaeger-2.13.0": "otlp"}  # what each calls the exporter
CALLS = 10


@pytest.fixture
def mirror(tmp_path):
    with CollectorProcess(tmp_path, runs=["run"]) as collector:
        yield collector


@pytest.fixture
def otelcol(tmp_path, mirror):
    """The address of an OpenTelemetry Collector that batches and passes on to ours; stopped by its own id."""
    built = [name for name in EXPORTERS if (BUILT / name).exists()]
    require("otelcol", "not built; `make otelcol` does it where Go and ../shared are", present=bool(built))
    (port,) = free_ports(1)
    exporter = {"endpoint": mirror.addresses["otlp_grpc"], "tls": {"insecure": True}}
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{port}"}}}},
        "processors": {"batch": {"timeout": "100ms"}},
        "exporters": {EXPORTERS[built[0]]: exporter},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                "traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": [EXPORTERS[built[0]]]}
            },
        },
    }
    (tmp_path / "otelcol.yaml").write_text(json.dumps(config))  # JSON is YAML
    child = Child("otelcol", [str(BUILT / built[0]), "--config", str(tmp_path / "otelcol.yaml")], tmp_path)
    try:
        child.wait_for(lambda: listens(port), "listener", timeout_s=30)
        yield f"127.0.0.1:{port}"
    finally:
        child.stop()


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return None
    return True


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
