"""Alert rules, dashboard and the table of metrics: checked by promtool and by a real Prometheus that scrapes a real collector."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mirror.collect.counters import METRICS
from mirror.serve.metrics import RUN_METRICS
from tests.cli.test_waiting import POLICY, send
from tests.collect.process import CollectorProcess
from tests.conftest import ROOT, require
from tests.monitoring.scraping import ask, scraping, until

MONITORING = ROOT / "monitoring"
ALERTS = MONITORING / "alerts.yaml"
KNOWN = {metric.name for metric in METRICS} | set(RUN_METRICS)


def promtool() -> str:
    found = shutil.which("promtool")
    require(
        "promtool",
        "there is no promtool on the PATH (Debian: apt-get install --no-install-recommends prometheus)",
        present=bool(found),
    )
    return str(found)


@pytest.mark.parametrize(
    "arguments", [["check", "rules", "--lint-fatal", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]]
)
def test_the_alert_rules_hold(arguments):
    done = subprocess.run([promtool(), *arguments], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_unit_test_in_which_it_fires():
    alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
    tests = (MONITORING / "alerts.test.yaml").read_text()
    assert alerts
    assert {
        name for name in alerts if not re.search(rf"alertname: {name}\n +eval_time: \w+\n +exp_alerts:\n", tests)
    } == set()


@pytest.mark.parametrize("name", ["alerts.yaml", "dashboard.json"])
def test_only_metrics_that_exist_are_asked_for(name):
    text = (MONITORING / name).read_text()
    asked = set(re.findall(r"\bmirror_\w+", text))
    assert asked
    assert asked - KNOWN == set()


def expressions() -> list[str]:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return found + [one["expr"] for one in dashboard["annotations"]["list"]]


def as_grafana_asks(expression: str) -> str:
    return expression.replace("$__rate_interval", "1m").replace("$run", ".*")


@pytest.fixture(scope="module")
def collector(tmp_path_factory) -> Iterator[CollectorProcess]:
    """A collector with a run that fails."""
    with CollectorProcess(tmp_path_factory.mktemp("collector"), policy=POLICY, runs=["checkout", "planned"]) as running:
        send(running, range(100), lambda role: 2 if role == "candidate" else 1)
        running.until(lambda: running.pairs() == 100, "has all pairs")
        yield running


@pytest.fixture(scope="module")
def prometheus(collector, tmp_path_factory) -> Iterator[str]:
    """A real Prometheus that scrapes it, with our alert rules; its address."""
    with scraping(collector.addresses["web"], tmp_path_factory.mktemp("prometheus"), ALERTS) as url:
        yield url


@pytest.mark.live
@pytest.mark.parametrize("expression", expressions())
def test_the_dashboard_s_queries_are_answered(prometheus, expression):
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": as_grafana_asks(expression)}, timeout=10)
    assert answer.json()["status"] == "success", answer.text
    of_events = ("refused", "internal_errors", "offset", 'side="secondary"')
    assert answer.json()["data"]["result"] or any(part in expression for part in of_events)


@pytest.mark.live
def test_a_real_prometheus_takes_the_rules_and_raises_the_alert(prometheus):
    until(lambda: ask(prometheus, 'ALERTS{alertname="MirrorRunFailed", run="checkout", alertstate="firing"}'), ALERTS)
    groups = httpx.get(f"{prometheus}/api/v1/rules", timeout=10).json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == len(re.findall("- alert:", ALERTS.read_text()))
    until(lambda: all(r["health"] == "ok" for g in httpx.get(f"{prometheus}/api/v1/rules").json()["data"]["groups"] for r in g["rules"]), ALERTS)  # fmt: skip


@pytest.mark.live
def test_what_is_exported_passes_promtool_s_linter(collector):
    page = collector.get("/metrics").text
    done = subprocess.run([promtool(), "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.live
def test_the_documented_table_is_what_is_exported(collector):
    """Names and labels, both ways."""
    text = (ROOT / "docs/api.md").read_text().partition("## Metrics and health")[2]
    documented = {
        name: set(labels.replace(" ", "").split(","))
        for name, labels in re.findall(r"^\| `(mirror_run_\w+)` \| \w+ \| ([^|]*?) \|", text, re.MULTILINE)
    }
    families = text_string_to_metric_families(collector.get("/metrics").text)
    exported = {s.name: set(s.labels) for f in families for s in f.samples if s.name.startswith("mirror_run_")}
    assert documented == exported


@pytest.mark.live
def test_the_first_scrape_has_all_allowed_runs_at_0(tmp_path):
    with CollectorProcess(tmp_path, runs=["a", "b"]) as running:
        text = running.get("/metrics").text
    assert 'mirror_run_failed{run="a",service=""} 0.0' in text
    assert 'mirror_run_failed{run="b",service=""} 0.0' in text
