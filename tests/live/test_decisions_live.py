"""A path accepted while a real collector judges: what it had under way, and what comes later, changes the verdict no more."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.test_waiting import POLICY, send
from tests.collect.process import CollectorProcess, environment

pytestmark = pytest.mark.live


def half(role: str) -> int:
    return 2 if role == "candidate" else 1


def test_accepting_beside_a_collector_that_goes_on_judging(tmp_path):
    with CollectorProcess(tmp_path, policy=POLICY) as collector:
        send(collector, range(1000))
        send(collector, range(1000, 1060), half)
        collector.until(lambda: collector.pairs() == 1060, "has all pairs")
        assert verdict(collector)["verdict"] == "fail"
        (path,) = regressed(collector)
        said = {"what": "accepted", "owner": "ada", "reason": "meant", "expires": "2099-01-31"}
        asked = said | {name: path[name] for name in ("method", "pattern", "kind")}
        send(collector, range(1060, 1120), half)  # under way
        answer = post(collector, asked)
        assert answer["what"] == "accepted"
        for start in range(1120, 1420, 60):
            send(collector, range(start, start + 60), half)
            collector.until(lambda n=start + 60: collector.pairs() == n, "has all pairs")
            found = verdict(collector)
            assert (found["verdict"], found["unexplained"]) == ("pass", 0), found["reasons"]
        assert "audit: run checkout" in collector.log
        command = [sys.executable, "-m", "mirror", "withdraw", path["pattern"], "--run", "checkout", "--owner", "ada"]
        command += ["--reason", "it was not meant", "--url", f"http://{collector.addresses['web']}"]
        done = subprocess.run(command, cwd=tmp_path, env=environment(), check=True, capture_output=True, text=True)
        assert done.stdout == f"{path['method']}: {path['pattern']} (value) withdrawn by ada: it was not meant\n"
        found = verdict(collector)
        assert (found["verdict"], found["unexplained"]) == ("fail", 420)
        checked = subprocess.run([sys.executable, "-m", "mirror", "db", "check", "--json"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)  # fmt: skip
        assert json.loads(checked.stdout)["ok"], checked.stdout


def verdict(collector: CollectorProcess):
    return collector.get("/api/v1/verdict?run=checkout").json()


def regressed(collector: CollectorProcess):
    found = collector.get("/api/v1/runs/checkout/paths?state=regressed").json()["paths"]
    return [path for path in found if path["kind"] != "any"]


def post(collector: CollectorProcess, body):
    import httpx  # noqa: PLC0415

    answer = httpx.post(f"http://{collector.addresses['web']}/api/v1/runs/checkout/decisions", json=body, timeout=30)
    assert answer.status_code == 201, answer.text
    return answer.json()
