"""The application around pages and API: health, metrics, headers, who may ask, and what happens on a fault."""

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from mirror.collect.counters import METRICS
from mirror.config import Config
from mirror.config.sections import Web
from mirror.serve.app import web_app
from tests.serve.conftest import serve
from tests.serve.shopdata import METHODS

RUN = "checkout-rewrite"


def scraped(served):
    answer = served.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = list(text_string_to_metric_families(answer.text))
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_metrics_hold_the_whole_table_of_the_collector(served):
    served.counters.inc("mirror_groups_released_total", 5, reason="complete")
    samples = scraped(served)
    assert samples["mirror_groups_released_total", (("reason", "complete"),)] == 5
    text = served.client.get("/metrics").text
    for metric in METRICS:
        assert f"# HELP {metric.name} {metric.help}" in text


def test_metrics_tell_each_run_by_method_verdict_and_state(served):
    samples = scraped(served)
    of_run = (("run", RUN), ("service", "shop"))
    assert samples["mirror_run_failed", of_run] == 1
    assert samples["mirror_run_verdict", (*of_run, ("verdict", "fail"))] == 1
    assert samples["mirror_run_verdict", (*of_run, ("verdict", "pass"))] == 0
    of_method = (("method", METHODS[2]), *of_run)
    assert samples["mirror_run_pairs_total", (*of_method, ("verdict", "matched"))] > 1_000
    assert samples["mirror_run_triples_total", of_method] > 1_000
    assert samples["mirror_run_paths", (*of_method, ("state", "regressed"))] == 2  # named paths, as the page lists them
    assert 0 < samples["mirror_run_bound", of_run] < 1


def test_an_allowed_run_without_pairs_has_not_failed_from_the_first_scrape(served):
    assert scraped(served)["mirror_run_failed", (("run", "java-21"), ("service", ""))] == 0


def test_metrics_name_no_trace_and_no_value(served):
    text = served.client.get("/metrics").text
    assert "sku-" not in text
    assert "m-0000" not in text


def test_health_follows_the_collector(served):
    assert served.client.get("/healthz").status_code == 200
    assert served.client.get("/readyz").status_code == 200
    served.problems.append("the store does not take what was judged")
    answer = served.client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "the store does not take what was judged\n")
    assert served.client.get("/healthz").status_code == 200


def test_answers_cannot_be_framed_scripted_or_kept(served):
    for address in ("/", "/api/v1/runs", "/runs/nope", "/metrics"):
        headers = served.client.get(address).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "'unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


def test_static_files_may_be_kept_since_their_address_changes_with_them(served):
    address = served.client.get("/").text.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = served.client.get(address)
    assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)
    assert served.client.get("/static/../app.py").status_code == 404


@pytest.mark.parametrize("host", ["localhost:4319", "127.0.0.1:80", "[::1]:4319", "mirror.localhost"])
def test_on_loopback_it_answers_to_loopback_names(served, host):
    assert served.client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4319", "", "127.0.0.1.evil.example", "a b", "[::1"])
def test_on_loopback_it_refuses_foreign_names(served, host):
    """A page of evil.example that points its name at 127.0.0.1 cannot read captured payloads."""
    answer = served.client.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "localhost" in answer.text


def test_the_configured_name_is_answered_and_off_loopback_any(served):
    behind = Config(web=Web(url="https://mirror.example/"))
    open_to_all = Config(listen=Config().listen.model_copy(update={"web": "0.0.0.0:4319"}))
    for config, host, status in (
        (behind, "mirror.example", 200),
        (behind, "evil.example", 421),
        (open_to_all, "any", 200),
    ):
        client = serve(served.reader, config).client
        assert client.get("/", headers={"host": host}).status_code == status


def test_a_fault_is_answered_and_logged_without_its_text(served, caplog):
    class Broken:
        def __getattr__(self, name):
            raise ValueError("secret value")

    client = TestClient(web_app(Broken(), Config(), lambda: (), lambda: ()), base_url="http://localhost")
    assert client.get("/api/v1/runs").json()["error"]["code"] == "internal"
    assert client.get("/").status_code == 500
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("cap", ["PATHS_MAX", "PAGE_PATHS_MAX"])
def test_paths_have_series_up_to_a_cap_the_worst_first(served, monkeypatch, cap):
    labels = {"run": RUN, "service": "shop"}
    whole = {key: n for key, n in scraped(served).items() if key[0] == "mirror_run_path_state"}
    assert ("state", "regressed") in {pair for key in whole for pair in key[1]}
    monkeypatch.setattr(f"mirror.serve.metrics.{cap}", 2)
    samples = scraped(served)
    kept = {key: n for key, n in samples.items() if key[0] == "mirror_run_path_state"}
    assert kept.keys() < whole.keys()
    assert [dict(key[1])["state"] for key in kept] == ["regressed", "regressed"]
    assert len([key for key in samples if key[0] == "mirror_run_path_triples_total"]) == 6
    assert samples["mirror_run_paths_left_out", tuple(sorted(labels.items()))] == len(whole) - 2
