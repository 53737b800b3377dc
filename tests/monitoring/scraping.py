"""A real Prometheus that scrapes one address; not a test."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import require


@contextmanager
def scraping(target: str, folder: Path, rules: Path) -> Iterator[str]:
    """Started with its files in `folder` and alert rules; its address, once `mirror_run_failed` was scraped."""
    binary = shutil.which("prometheus")
    require("promtool", "there is no prometheus on the PATH", present=bool(binary))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "mirror", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [str(binary), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stderr=log, stdout=log)
    try:
        until(lambda: ask(f"http://{address}", "count_over_time(mirror_run_failed[1m]) > 2"), folder / "log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def ask(url: str, expression: str) -> list[dict[str, Any]]:
    """The result of an instant query; nothing while Prometheus starts."""
    try:
        answer = httpx.get(f"{url}/api/v1/query", params={"query": expression}, timeout=10)
    except httpx.TransportError:
        return []
    assert answer.status_code in (200, 503), answer.text
    found: list[dict[str, Any]] = answer.json()["data"]["result"] if answer.status_code == 200 else []
    return found


def until(true: Callable[[], Any], log: Path) -> None:
    """Poll until `true()`; else what the log says."""
    end_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end_s, log.read_text()[-2000:]
        time.sleep(0.2)
