"""docs/api.md against the application: every endpoint, every field of an answer, every metric of a run is documented."""

import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mirror.collect.counters import METRICS
from mirror.serve import metrics


@pytest.fixture
def text(root):
    return (root / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_endpoint_is_documented(served, text):
    for path in served.client.get("/api/openapi.json").json()["paths"]:
        assert f"`{path}" in text


def test_the_tables_of_metrics_are_up_to_date(root):
    """Else: python tools/metrics_docs.py."""
    command = [sys.executable, "tools/metrics_docs.py", "--check"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_scraped_is_what_the_tables_say(served):
    """Names, kinds, help texts and labels; nothing beside."""
    told = {metric.name: metric for metric in (*METRICS, *metrics.RUN_METRICS.values())}
    counts = {name: value for name, value in told.items() if value.labels and name not in metrics.RUN_METRICS}
    for name, metric in counts.items():
        served.counters.inc(name, **dict.fromkeys(metric.labels, "x"))
    families = list(text_string_to_metric_families(served.client.get("/metrics").text))
    seen = {f.name + ("_total" if f.type == "counter" else ""): f for f in families}
    assert set(seen) == set(told)
    for name, family in seen.items():
        assert (family.type, family.documentation) == (told[name].kind, told[name].help)
        assert {tuple(sorted(sample.labels)) for sample in family.samples} == {tuple(sorted(told[name].labels))}, name


def test_every_metric_of_the_collector_is_counted_somewhere(root):
    """Else it would stand at 0 for ever, and nobody would wonder."""
    code = "".join(path.read_text(encoding="utf-8") for path in (root / "mirror").rglob("*.py"))
    assert [metric.name for metric in METRICS if code.count(f'"{metric.name}"') < 2] == []  # declared, and counted


@pytest.mark.parametrize(
    "model",
    [
        "RunVerdict",
        "Path",
        "Counts",
        "Account",
        "CallAccount",
        "Epoch",
        "Comparison",
        "Side",
        "Call",
        "Message",
        "Difference",
        "MethodSchemaChanges",
        "SchemaChange",
        "Speed",
        "SpeedMinute",
        "Instance",
        "LabelVotes",
        "Method",
        "MethodSampled",
    ],
)
def test_every_field_of_the_larger_answers_is_documented(served, text, model):
    schemas = served.client.get("/api/openapi.json").json()["components"]["schemas"]
    for field in schemas[model]["properties"]:
        assert f"`{field}`" in text or f'"{field}"' in text or f"`{field}[]`" in text, field
