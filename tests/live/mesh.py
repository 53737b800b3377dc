"""A whole mesh of real processes for a test: replicas of one service, Envoy with the shipped bootstrap, the collector.

`with mesh(folder, command, run) as m:` gives its addresses and a reader of what the collector stored. Everything is stopped by its own id.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror_demo.mesh import Envoy, configure
from mirror_demo.processes import Child

from mirror.store import Reader, Store

HERE = Path(__file__).resolve().parent
SERVICE = HERE / "service.py"
RUN = "shop-v2"  # the run that the shipped bootstrap stamps
ROLES = ("primary", "candidate", "secondary")


@dataclass
class Mesh:
    folder: Path
    ingress: str
    envoy: Envoy
    collector: Child | None
    web: str
    children: dict[str, Child]

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.folder}/mirror.db"

    def settled(self, pairs: int, *, timeout_s: float = 60) -> Reader:
        """A reader once the store holds that many pairs."""
        return wait_until(lambda: self._reader(pairs), f"{pairs} pairs in the store", timeout_s=timeout_s)

    def _reader(self, pairs: int) -> Reader | None:
        reader = Reader.open(self.store_url)
        runs = [run for run in reader.runs() if run.epochs]
        if sum(epoch.counts.pairs for run in runs for epoch in run.epochs) >= pairs:
            return reader
        reader.close()
        return None


def wait_until(look: Callable[[], Any], what: str, *, timeout_s: float = 60) -> Any:
    """Poll another process's state until `look` gives something."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {what} within {timeout_s} s")


def start_collector(folder: Path, config: Mapping[str, Any]) -> tuple[Child, dict[str, str]]:
    """A real `mirror collector` on free ports, and its addresses."""
    listen = dict.fromkeys(("otlp_grpc", "otlp_http", "web"), "127.0.0.1:0")
    whole = {"runs": [RUN], "listen": listen, "store": {"url": f"sqlite:///{folder}/mirror.db"}, **config}
    (folder / "mirror.json").write_text(json.dumps(whole))
    told = folder / "addresses.json"
    command = [
        sys.executable,
        "-m",
        "mirror",
        "collector",
        "--config",
        f"{folder}/mirror.json",
        "--addresses-file",
        str(told),
    ]
    child = Child("collector", command, folder)
    look = lambda: json.loads(told.read_text()) if told.exists() and told.read_text() else None  # noqa: E731
    return child, child.wait_for(look, "addresses", timeout_s=60)


def start_replica(folder: Path, role: str, kind: str, *, otlp: str, build: str = "old") -> tuple[Child, str]:
    """One replica of a service of service.py, and its address."""
    env = {
        "MIRROR_ENDPOINT": otlp,
        "MIRROR_ROLE": role,
        "BUILD": build,
        "OTEL_SERVICE_NAME": kind,
        "OTEL_RESOURCE_ATTRIBUTES": f"service.version={build}",
    }
    child = Child(role, [sys.executable, str(SERVICE), kind], folder, env)
    return child, f"127.0.0.1:{child.line_with('')}"


@contextlib.contextmanager
def mesh(
    folder: Path,
    kind: str,
    *,
    config: Mapping[str, Any] | None = None,
    candidate: str = "new",
    replicas: Mapping[str, str] | None = None,
) -> Iterator[Mesh]:
    """Everything up: `candidate` is the candidate's build; `replicas` replaces replicas by other addresses."""
    with contextlib.ExitStack() as stack:
        collector, addresses = start_collector(folder, config or {})
        stack.callback(collector.stop)
        children, clusters = {}, {"otlp": addresses["otlp_grpc"], **(replicas or {})}
        for role in ROLES:
            if role not in clusters:
                build = candidate if role == "candidate" else "old"
                children[role], clusters[role] = start_replica(
                    folder, role, kind, otlp=addresses["otlp_grpc"], build=build
                )
                stack.callback(children[role].stop)
        envoy = Envoy(for_any_service(configure(clusters, share=1.0)), folder)
        stack.callback(envoy.stop)
        yield Mesh(folder, envoy.ingress, envoy, collector, addresses["web"], children)


def for_any_service(config: dict[str, Any]) -> dict[str, Any]:
    """The shipped bootstrap with its routes taking every service instead of the shop's."""
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    for route in manager["route_config"]["virtual_hosts"][0]["routes"]:
        route["match"]["prefix"] = "/"
    return config


def free_ports(count: int) -> list[int]:
    """Ports below 32768 that were free just now, for servers that cannot say which port they took.

    Below, because above it a refused connect may connect to itself and hold the port.
    """
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        for port in random.SystemRandom().sample(range(15000, 32000), 400):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
            if len(found) == count:
                return found
    raise AssertionError(f"no {count} free ports")


__all__ = ["Mesh", "Store", "free_ports", "mesh", "start_collector", "start_replica", "wait_until"]
