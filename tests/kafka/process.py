"""Real `mirror ingest` and `mirror worker` processes on free ports, and what is in a topic; not a test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from mirror_demo.processes import Child

from mirror.kafka import clients
from tests.collect.process import environment

LISTEN = dict.fromkeys(("otlp_grpc", "otlp_http", "web"), "127.0.0.1:0")


class MirrorProcess:
    """`mirror COMMAND` as `name`, whose configuration and log are in `folder`."""

    def __init__(self, folder: Path, command: str, name: str, **settings: Any) -> None:
        self._told = folder / f"{name}.addresses"
        self._told.unlink(missing_ok=True)
        config = folder / f"{name}.yaml"
        config.write_text(json.dumps({"runs": ["checkout"], "listen": LISTEN, **settings}))  # JSON is YAML
        line = [sys.executable, "-m", "mirror", command, "--config", str(config), "--addresses-file", str(self._told)]
        self._child = Child(name, line, folder, environment())
        self.addresses: dict[str, str] = {}

    def ready(self) -> MirrorProcess:
        """Wait until it listens."""
        self._child.wait_for(lambda: self._told.exists() or None, "addresses", timeout_s=60)
        self.addresses = json.loads(self._told.read_text())
        return self

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://{self.addresses['web']}{path}", timeout=30)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = [line for line in self.get("/metrics").text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    @property
    def log(self) -> str:
        return self._child.err.read_text()

    @property
    def exit_code(self) -> int | None:
        return self._child.exit_code

    def kill(self) -> None:
        """As kill -9 does."""
        os.kill(self._child.pid, signal.SIGKILL)
        self._child.stop()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self._child.pid, number)

    def stop(self) -> int | None:
        """SIGTERM; the exit code."""
        self._child.stop(timeout_s=60)
        return self._child.exit_code


@contextlib.contextmanager
def process(folder: Path, command: str, name: str, **settings: Any) -> Iterator[MirrorProcess]:
    """One that listens; stopped by its own id at the latest when the block ends."""
    made = MirrorProcess(folder, command, name, **settings)
    try:
        yield made.ready()
    finally:
        made.stop()


def read_topic(address: str, topic: str, count: int, *, timeout_s: float = 60) -> list[Any]:
    """The first `count` messages of a topic; waits for them."""
    kafka = clients.library()
    consumer = kafka.Consumer(
        {"bootstrap.servers": address, "group.id": f"reader of {topic}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    found: list[Any] = []
    end_s = time.monotonic() + timeout_s
    try:
        while len(found) < count and time.monotonic() < end_s:
            found += [message for message in consumer.consume(count, 0.2) if message.error() is None]
    finally:
        consumer.close()
    assert len(found) >= count, f"{len(found)} of {count} messages of {topic}"
    return found
