"""The demo's processes, in order: collector, payment service, three replicas, Envoy, then the load. Everything ends with the `with` block."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from mirror_demo import mesh, serving
from mirror_demo.outcomes import Done, done_in
from mirror_demo.processes import Child

RUN: Final = "shop-v2"
_HERE: Final = Path(__file__).resolve().parent
_POLL_S: Final = 0.2
_STALLED_S: Final = 60.0  # beyond the pairing deadline (37 s), also on a slow machine


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica of the shop: which program, as which role, of which version, on which schema."""

    role: str
    module: str
    version: str
    schema: str


REPLICAS: Final = (
    Replica("primary", "mirror_demo.primary", "1.4.0", "current"),
    Replica("candidate", "mirror_demo.candidate", "2.0.0", "newer"),
    Replica("secondary", "mirror_demo.primary", "1.4.0", "current"),
)


@dataclass(frozen=True, slots=True)
class Load:
    """What came of the load: calls made, and those that ended otherwise than the plan says."""

    done: int
    error_count: int
    errors: tuple[str, ...]


class Running:
    """The demo while it runs. `web` is the page's address (host:port); `children` are its processes by name."""

    def __init__(
        self, folder: Path, children: dict[str, Child], addresses: Mapping[str, str], envoy: mesh.Envoy
    ) -> None:
        self.folder = folder
        self.web = addresses["web"]
        self.children = children
        self._envoy = envoy

    def check(self) -> None:
        """Raise DemoError if a child has ended."""
        for child in self.children.values():
            child.check()

    def load(self, calls: int, seed: int, progress: Callable[[int], None]) -> Load:
        """Send `calls` calls through Envoy; `progress` is told how many are done."""
        command = [
            sys.executable,
            "-m",
            "mirror_demo.load",
            "--target",
            self._envoy.ingress,
            "--admin",
            self._envoy.admin,
        ]
        child = Child(
            "load", [*command, "--calls", str(calls), "--seed", str(seed)], self.folder, environment("current")
        )
        try:
            while True:
                latest = _last_record(child.out)
                progress(latest.get("done", 0))
                if latest.get("end"):
                    return Load(latest["done"], latest["error_count"], tuple(latest["errors"]))
                self.check()
                child.check()
                time.sleep(_POLL_S)
        finally:
            child.stop()

    def wait_for_pairs(self, pairs: Callable[[], int], wanted: int, progress: Callable[[int], None]) -> int:
        """Until `pairs` are `wanted`, or have not grown for so long that none will come; how many there are."""
        seen, since = -1, time.monotonic()
        while True:
            now = pairs()
            progress(now)
            if now > seen:
                seen, since = now, time.monotonic()
            if now >= wanted or time.monotonic() - since > _STALLED_S:
                return now
            self.check()
            time.sleep(_POLL_S)

    def effects(self) -> Done:
        """What was really charged, paid back and mailed."""
        return done_in(ledger(self.folder), outbox(self.folder))

    def shadows_lost(self) -> int:
        """Shadows that Envoy could not send, or had to end."""
        lost = "upstream_rq_(active_overflow|pending_overflow|max_duration_reached)|upstream_cx_connect_fail"
        return sum(self._envoy.counters(f"cluster.(candidate|secondary).({lost})$").values())


@contextmanager
def running(folder: Path, faults: str) -> Iterator[Running]:
    """Start everything in `folder`, which gets configuration, logs and store; end everything in the opposite order.

    Raises DemoError where something cannot be started.
    """
    mesh.binary()
    with ExitStack() as stack:
        children: dict[str, Child] = {}

        def start(name: str, command: list[str], env: Mapping[str, str]) -> Child:
            child = children[name] = Child(name, [sys.executable, "-m", *command], folder, env)
            stack.callback(child.stop)
            return child

        told = folder / "addresses.json"
        told.unlink(missing_ok=True)
        config = write_config(folder)
        command = ["mirror", "collector", "--config", str(config), "--addresses-file", str(told)]
        collector = start("collector", command, environment())
        addresses = collector.wait_for(lambda: _json(told), "addresses", timeout_s=60)
        payments = start(
            "payments", ["mirror_demo.payments"], environment("current") | {"SHOP_LEDGER": str(ledger(folder))}
        )
        effects = {
            "SHOP_PAYMENTS": f"127.0.0.1:{payments.line_with(serving.READY)}",
            "SHOP_OUTBOX": str(outbox(folder)),
        }
        for replica in REPLICAS:
            env = environment(replica.schema) | _replica_env(replica, addresses, faults) | effects
            start(replica.role, [replica.module], env)
        clusters = {r.role: f"127.0.0.1:{children[r.role].line_with(serving.READY)}" for r in REPLICAS}
        envoy = mesh.Envoy(mesh.configure({**clusters, "otlp": addresses["otlp_grpc"]}, share=1.0), folder)
        children["envoy"] = envoy.child
        stack.callback(envoy.stop)
        yield Running(folder, children, addresses, envoy)


def write_config(folder: Path) -> Path:
    """The demo's mirror.yaml with free ports and a store in `folder`; its path."""
    yaml = YAML()
    config = yaml.load(_HERE / "mirror.yaml")
    config["listen"] = dict.fromkeys(("otlp_grpc", "otlp_http", "web"), "127.0.0.1:0")
    config["store"] = {"url": store_url(folder)}
    path = folder / "mirror.yaml"
    yaml.dump(config, path)
    return path


def ledger(folder: Path) -> Path:
    """Where the payment service writes what it did."""
    return folder / "ledger.jsonl"


def outbox(folder: Path) -> Path:
    """Where mails go."""
    return folder / "outbox.jsonl"


def store_url(folder: Path) -> str:
    """The store of a demo whose files are in `folder`."""
    return f"sqlite:///{folder.resolve() / 'mirror.db'}"


def environment(schema: str = "") -> dict[str, str]:
    """The environment of a child, less the settings of ours that the user may have; with a schema's generated code."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("MIRROR_", "OTEL_", "SHOP_"))}
    if schema:
        paths = [str(_HERE / "gen" / schema), env.get("PYTHONPATH", "")]
        env["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return env


def _replica_env(replica: Replica, addresses: Mapping[str, str], faults: str) -> dict[str, str]:
    env = {
        "MIRROR_ENDPOINT": addresses["otlp_grpc"],
        "MIRROR_RETRY_MAX_S": "120",
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": f"service.version={replica.version},service.instance.id=shop-{replica.role}",
        "SHOP_FAULTS": faults,
    }
    # As in production: a live deployment has no role set, its shadows have.
    return env if replica.role == "primary" else env | {"MIRROR_ROLE": replica.role}


def _json(path: Path) -> dict[str, str] | None:
    if not path.exists():
        return None
    try:
        found: dict[str, str] = json.loads(path.read_text())
    except ValueError:  # being written
        return None
    return found


def _last_record(path: Path) -> dict[str, Any]:
    lines = path.read_text().splitlines(keepends=True)
    whole = [line for line in lines[-2:] if line.endswith("\n")]
    record: dict[str, Any] = json.loads(whole[-1]) if whole else {}
    return record
