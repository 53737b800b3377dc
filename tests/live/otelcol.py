"""A real OpenTelemetry Collector that batches and passes on to ours; not a test.

`make otelcol` builds it (Go, and ../shared). Where only Jaeger is built, that is it: Jaeger 2 is an OpenTelemetry Collector with
a storage, and here none is configured.
"""

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

BUILT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grpc-mirror"
EXPORTERS = {"otelcol-0.160.0": "otlp_grpc", "jaeger-2.13.0": "otlp"}  # what each calls the exporter


@contextlib.contextmanager
def passing_on(folder: Path, endpoint: str) -> Iterator[dict[str, str]]:
    """Its addresses, `otlp_grpc` and `otlp_http`, while it runs and passes on to `endpoint`; stopped by its own id."""
    built = [name for name in EXPORTERS if (BUILT / name).exists()]
    require("otelcol", "not built; `make otelcol` does it where Go and ../shared are", present=bool(built))
    ports = free_ports(2)
    grpc, http = (f"127.0.0.1:{port}" for port in ports)
    exporter = {"endpoint": endpoint, "tls": {"insecure": True}}
    config = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": grpc}, "http": {"endpoint": http}}}},
        "processors": {"batch": {"timeout": "100ms"}},
        "exporters": {EXPORTERS[built[0]]: exporter},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                "traces": {"receivers": ["otlp"], "processors": ["batch"], "exporters": [EXPORTERS[built[0]]]}
            },
        },
    }
    (folder / "otelcol.yaml").write_text(json.dumps(config))  # JSON is YAML
    child = Child("otelcol", [str(BUILT / built[0]), "--config", str(folder / "otelcol.yaml")], folder)
    try:
        child.wait_for(lambda: all(map(listens, ports)) or None, "listener", timeout_s=30)
        yield {"otlp_grpc": grpc, "otlp_http": http}
    finally:
        child.stop()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
