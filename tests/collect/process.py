"""A real `mirror collector` process on free ports; not a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import grpc
import httpx

from mirror.store import Reader
from tests.collect.servers import EXPORT

_COMMAND = [sys.executable, "-m", "mirror", "collector"]
FAST = {"max_stream_duration_s": 0.5, "batch_age_s": 0.1, "retry_margin_s": 0.3}


def configuration(**more: Any) -> dict[str, Any]:
    return {
        "runs": ["checkout"],
        "listen": {"otlp_grpc": "127.0.0.1:0", "otlp_http": "127.0.0.1:0", "web": "127.0.0.1:0"},
        "policy": {"vote_by": "call"},
        **more,
    }


class CollectorProcess:
    """Started in `folder`, where its configuration, store and log are. Ends with the `with` block at the latest."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self._config = folder / "mirror.yaml"
        self._addresses = folder / "addresses.json"
        self._log = folder / "collector.log"
        self._config.write_text(json.dumps(configuration(**settings)))  # JSON is YAML
        self.addresses: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def start(self, timeout_s: float = 60) -> None:
        """Start, and wait until it is ready."""
        self._addresses.unlink(missing_ok=True)
        command = [*_COMMAND, "--config", str(self._config), "--addresses-file", str(self._addresses)]
        with self._log.open("a") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stderr=log, env=environment())
        self.until(self._addresses.exists, "listens", timeout_s)
        self.addresses = json.loads(self._addresses.read_text())

    def until(self, true: Any, what: str, timeout_s: float = 60) -> Any:
        """Poll until `true()` is; what it gave."""
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            if found := true():
                return found
            assert self.process.poll() is None, f"the collector ended:\n{self.log}"
            time.sleep(0.05)
        raise AssertionError(f"the collector never {what}:\n{self.log}")

    @property
    def log(self) -> str:
        return self._log.read_text()

    def export(self, *bodies: bytes) -> None:
        with grpc.insecure_channel(self.addresses["otlp_grpc"]) as channel:
            for body in bodies:
                channel.unary_unary(EXPORT)(body, timeout=30, wait_for_ready=True)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://{self.addresses['web']}{path}", timeout=30)

    def reader(self) -> Reader:
        return Reader.open(f"sqlite:///{self.folder}/mirror.db")

    def pairs(self, run: str = "checkout") -> int:
        """Pairs that the store holds now."""
        reader = self.reader()
        try:
            return sum(epoch.counts.pairs for epoch in reader.epochs(run))
        finally:
            reader.close()

    def end(self, signal_number: int) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(60)


def environment() -> dict[str, str]:
    """Ours without settings that would reach the collector."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MIRROR_")}


def failed_start(folder: Path, config: str, **env: str) -> tuple[int, str]:
    """Exit code and stderr of a collector that should not start."""
    (folder / "mirror.yaml").write_text(config)
    done = subprocess.run(
        [*_COMMAND], cwd=folder, env=environment() | env, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr
