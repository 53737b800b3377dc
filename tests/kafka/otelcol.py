"""A real OpenTelemetry Collector that writes to Kafka; not a test. `make otelcolkafka` builds it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from mirror_demo.processes import Child

from tests.conftest import require
from tests.live.mesh import free_ports

BUILT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grpc-mirror" / "otelcol-kafka-0.155.0"


@contextlib.contextmanager
def exporting(folder: Path, brokers: str, topic: str, *, hasher: str = "") -> Iterator[str]:
    """Its address while it runs. `hasher`: of its partitioner; empty: its default."""
    require(
        "otelcol-kafka", "not built; `make otelcolkafka` does it where Go and ../shared are", present=BUILT.exists()
    )
    (port,) = free_ports(1)
    exporter = {
        "brokers": [brokers],
        "traces": {"topic": topic, "encoding": "otlp_proto"},
        "partition_traces_by_id": True,
        "producer": {"max_message_bytes": 10_000_000},
    }
    if hasher:
        exporter["record_partitioner"] = {"sticky_key": {"hasher": hasher}}
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"kafka": exporter},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["kafka"]}},
        },
    }
    (folder / "otelcol-kafka.yaml").write_text(json.dumps(config))  # JSON is YAML
    child = Child("otelcol-kafka", [str(BUILT), "--config", str(folder / "otelcol-kafka.yaml")], folder)
    try:
        child.wait_for(lambda: _listens(port), "listener", timeout_s=60)
        yield f"127.0.0.1:{port}"
    finally:
        child.stop()


def _listens(port: int) -> bool | None:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return None
    return True
