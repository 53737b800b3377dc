"""docs/api.md against the application: every endpoint, every field of an answer, every metric of a run is documented."""

import pytest

from mirror.serve import metrics


@pytest.fixture
def text(root):
    return (root / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_endpoint_is_documented(served, text):
    for path in served.client.get("/api/openapi.json").json()["paths"]:
        assert f"`{path}" in text


def test_every_metric_of_a_run_is_documented(text):
    for name in metrics.RUN_METRICS:
        assert f"`{name}`" in text


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
    ],
)
def test_every_field_of_the_larger_answers_is_documented(served, text, model):
    schemas = served.client.get("/api/openapi.json").json()["components"]["schemas"]
    for field in schemas[model]["properties"]:
        assert f"`{field}`" in text or f'"{field}"' in text or f"`{field}[]`" in text, field
