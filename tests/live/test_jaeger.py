"""A real Jaeger shows one call's replicas and `mirror.compare` in one trace, found by tag and without payloads.

`make jaeger` builds it (Go, and ../shared); elsewhere skipped with that reason.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.parse
import urllib.request
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from mirror_demo.processes import Child
from ruamel.yaml import YAML

from tests.conftest import SHARED, require
from tests.live.mesh import free_ports, mesh, wait_until

pytestmark = pytest.mark.live
JAEGER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grpc-mirror/jaeger-2.13.0"


@pytest.fixture
def jaeger(tmp_path):
    """Its OTLP address and its API's; in memory, on free ports, stopped by its own id."""
    config_file = SHARED / "components/jaeger/jaeger-inmem.yaml"
    require(
        "jaeger",
        "not built; `make jaeger` does it where Go and ../shared are",
        present=JAEGER.exists() and config_file.exists(),
    )
    folder = tmp_path / "jaeger"
    folder.mkdir()
    text = config_file.read_text()
    ports = dict(zip(("37888", "37133", "37686", "37685", "37317", "37318"), free_ports(6), strict=True))
    for old, new in ports.items():
        text = text.replace(old, str(new))
    (folder / "jaeger.yaml").write_text(text)
    assert YAML(typ="safe").load(text)
    child = Child("jaeger", [str(JAEGER), "--config", str(folder / "jaeger.yaml")], folder)
    api = f"http://127.0.0.1:{ports['37686']}"
    try:
        child.wait_for(lambda: services(api), "answer of its API", timeout_s=30)
        yield f"127.0.0.1:{ports['37317']}", api
    finally:
        child.stop()


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def services(api):
    try:
        return [get(f"{api}/api/services")]
    except OSError:
        return None


def by_tags(api, service, tags):
    query = urllib.parse.urlencode({"service": service, "limit": 20, "tags": json.dumps(tags)})
    return get(f"{api}/api/traces?{query}")["data"]


def test_a_mismatch_is_found_by_tag_with_all_replicas_and_no_payload(tmp_path, jaeger):
    otlp, api = jaeger
    secret = "flaky"  # the request's text: it is in the captures, and must not be in the traces
    with (
        mesh(tmp_path, "health", config={"forward": {"endpoint": otlp}}) as m,
        grpc.insecure_channel(m.ingress) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        stub.Check(health_pb2.HealthCheckRequest(service="shop"), timeout=20)
        stub.Check(health_pb2.HealthCheckRequest(service=secret), timeout=20)
        m.settled(2)
        tags = {"mirror.verdict": "mismatched", "mirror.run": "shop-v2"}
        found = wait_until(lambda: by_tags(api, "mirror-collector", tags), "trace in Jaeger", timeout_s=30)
        assert len(found) == 1, "the matched call has no trace of ours"
        trace = wait_until(lambda: whole(api, found[0]["traceID"]), "spans of all replicas", timeout_s=30)
        names = sorted((span["operationName"], tag(span, "mirror.role")) for span in trace["spans"])
        method = "grpc.health.v1.Health/Check"
        assert [n for n in names if n[1]] == [(method, "candidate"), (method, "primary"), (method, "secondary")]
        (compare,) = [span for span in trace["spans"] if span["operationName"] == "mirror.compare"]
        assert "response.status" in str(tag(compare, "mirror.paths"))
        text = json.dumps(trace)
        assert "mirror.capture" not in text
        assert secret not in text
        assert base64.b64encode(secret.encode()).decode() not in text


def whole(api, trace_id):
    trace = get(f"{api}/api/traces/{trace_id}")["data"][0]
    return trace if len([span for span in trace["spans"] if tag(span, "mirror.role")]) == 3 else None


def tag(span, key):
    return next((t["value"] for t in span["tags"] if t["key"] == key), None)
