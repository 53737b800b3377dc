"""The examples for Argo Rollouts and Flagger against a live collector with a build of each verdict.

The AnalysisTemplate is measured by Argo Rollouts' own code (tools/argo); Flagger's part is a POST, made here as it makes it.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from ruamel.yaml import YAML

from tests.cli.test_waiting import POLICY
from tests.collect.otlp import request
from tests.collect.process import CollectorProcess
from tests.collect.shop import product_call, schema_span
from tests.conftest import ROOT, require
from tests.monitoring.scraping import ask, scraping

TOKEN = "r" * 32
AUTHORIZATION = {"authorization": f"Bearer {TOKEN}"}
TEMPLATE = ROOT / "examples/argo-rollouts/analysis-template.yaml"
PHASES = {"2.0.0": "Failed", "2.1.0": "Successful", "2.2.0": "Inconclusive", "9.9.9": "Inconclusive"}
VERDICTS = {"2.0.0": "fail", "2.1.0": "pass", "2.2.0": "inconclusive", "9.9.9": "inconclusive"}
pytestmark = pytest.mark.live


def documents(path: Path) -> list[dict]:
    return list(YAML(typ="safe", pure=True).load_all(path.read_text()))


@pytest.fixture(scope="module")
def collector(tmp_path_factory) -> Iterator[CollectorProcess]:
    """One service, three candidates: one that fails, one that passes, one of which too little is known."""
    folder = tmp_path_factory.mktemp("collector")
    with CollectorProcess(folder, runs=["checkout-v2"], policy=POLICY, auth={"read_tokens": [TOKEN]}) as running:
        for candidate, calls, price in (("2.0.0", 100, 2), ("2.1.0", 600, 1), ("2.2.0", 5, 1)):
            for role, version in (("primary", "1.0"), ("candidate", candidate), ("secondary", "1.0")):
                spans = [
                    product_call(f"{candidate}-{n}", role, run="checkout-v2", price=price if role == "candidate" else 1)
                    for n in range(calls)
                ]
                running.export(request(schema_span(), *spans, version=version).SerializeToString())
        running.until(lambda: running.pairs("checkout-v2") == 705, "has all pairs")
        yield running


def url_of(collector: CollectorProcess) -> str:
    return f"http://{collector.addresses['web']}"


@pytest.mark.parametrize("candidate", VERDICTS)
def test_the_verdict_answers_200_for_every_verdict_and_for_a_version_not_yet_seen(collector, candidate):
    asked = {"service": "shop", "candidate": candidate}
    answer = httpx.get(f"{url_of(collector)}/api/v1/verdict", params=asked, headers=AUTHORIZATION, timeout=30)
    assert (answer.status_code, answer.json()["verdict"]) == (200, VERDICTS[candidate])
    assert {"verdict", "reasons", "missing", "eta_s"} <= answer.json().keys()


def argo() -> str:
    source = b"".join((ROOT / "tools/argo" / name).read_bytes() for name in ("go.mod", "main.go"))
    digest = subprocess.run(["cksum"], input=source, capture_output=True, check=True).stdout.split()[0].decode()
    found = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / f"grpc-mirror/argo-{digest}"
    require("argo", "tools/argo is not built: make argo (needs Go)", present=found.exists())
    return str(found)


@pytest.mark.parametrize("candidate", PHASES)
def test_argo_rollouts_measures_the_verdict(collector, candidate):
    given = {"collector": url_of(collector), "service": "shop", "candidate": candidate, "token": TOKEN}
    command = [argo(), str(TEMPLATE), *(f"{name}={value}" for name, value in given.items())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert (measured["phase"], measured["message"]) == (PHASES[candidate], "")
    assert json.loads(measured["value"])["verdict"] == VERDICTS[candidate]


def test_a_wrong_token_is_an_error_of_the_measurement_and_no_verdict(collector):
    given = {"collector": url_of(collector), "service": "shop", "candidate": "2.1.0", "token": "x" * 32}
    command = [argo(), str(TEMPLATE), *(f"{name}={value}" for name, value in given.items())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert json.loads(done.stdout)["phase"] == "Error"


def test_the_template_ends_at_the_first_pass_and_never_succeeds_while_inconclusive():
    """With a `count`, Argo Rollouts takes inconclusive measurements for a success once the count is reached."""
    (template,) = documents(TEMPLATE)
    (metric,) = template["spec"]["metrics"]
    assert "count" not in metric
    assert (metric["consecutiveSuccessLimit"], metric["failureLimit"]) == (1, 0)
    assert metric["inconclusiveLimit"] > 0


def test_the_rollout_uses_the_template_in_a_step_with_the_arguments_that_it_needs():
    (template,) = documents(TEMPLATE)
    (rollout,) = documents(ROOT / "examples/argo-rollouts/rollout.yaml")
    canary = rollout["spec"]["strategy"]["canary"]
    assert "analysis" not in canary
    (step,) = [step["analysis"] for step in canary["steps"] if "analysis" in step]
    assert step["templates"] == [{"templateName": template["metadata"]["name"]}]
    needed = {one["name"] for one in template["spec"]["args"] if "value" not in one and "valueFrom" not in one}
    assert {one["name"] for one in step["args"]} == needed


def as_flagger_posts(collector: CollectorProcess, canary: dict, hook: dict, candidate: str) -> int:
    """The payload of its webhooks; user and password of the address become HTTP Basic, as in Go's client."""
    parts = urlsplit(hook["url"].replace("READ_TOKEN", TOKEN))
    basic = base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    payload = {
        "name": canary["metadata"]["name"],
        "namespace": canary["metadata"]["namespace"],
        "phase": "WaitingPromotion",
        "checksum": "7f6d",
        "metadata": hook["metadata"] | {"candidate": candidate},
    }
    address = f"{url_of(collector)}{parts.path}"
    answer = httpx.post(address, json=payload, headers={"authorization": f"Basic {basic}"}, timeout=30)
    return answer.status_code


@pytest.mark.parametrize("candidate", VERDICTS)
def test_flagger_s_gates_open_for_one_verdict_each(collector, candidate):
    canary, _ = documents(ROOT / "examples/flagger/canary.yaml")
    hooks = {hook["type"]: hook for hook in canary["spec"]["analysis"]["webhooks"]}
    opens = {"confirm-promotion": "pass", "rollback": "fail"}
    assert hooks.keys() == opens.keys()
    for kind, hook in hooks.items():
        says_yes = as_flagger_posts(collector, canary, hook, candidate) <= 202  # as Flagger reads it
        assert says_yes is (VERDICTS[candidate] == opens[kind])


def test_flagger_s_metric_is_a_number_from_the_first_scrape_on(tmp_path):
    canary, template = documents(ROOT / "examples/flagger/canary.yaml")
    (metric,) = canary["spec"]["analysis"]["metrics"]
    assert metric["templateRef"]["name"] == template["metadata"]["name"]
    with (
        CollectorProcess(tmp_path, runs=["checkout-v2"]) as running,
        scraping(running.addresses["web"], tmp_path, ROOT / "monitoring/alerts.yaml") as prometheus,
    ):
        (found,) = ask(prometheus, template["spec"]["query"])
        assert float(found["value"][1]) == 0 <= metric["thresholdRange"]["max"]
