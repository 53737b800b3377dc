"""Clusters and suggested rules as API and page show them: leads with both sides, previews, and nothing applied."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from mirror.config import Config
from mirror.config.addition import read_addition
from mirror.core.request_fields import RequestFields
from mirror.serve.clusters import lead_words, without_lead
from mirror.store import Reader, Store
from tests.serve.conftest import RULES, serve
from tests.serve.shopdata import METHODS, store_url
from tests.store.building import METHOD, RUN, START_S, comparison, judged

CLUSTERS = "/api/v1/runs/checkout-rewrite/clusters"
SUGGESTIONS = "/api/v1/runs/checkout-rewrite/suggestions"
HOSTILE = "<script>alert(1)</script>-"


@pytest.fixture
def yen(tmp_path):
    """A site over a run in which all 41 calls in JPY differ, whose customers begin with what a page must escape."""
    with Store.open(store_url(tmp_path)) as store:
        changes = store.changes()
        for i in range(180):
            differs = i < 41
            one = judged(f"m-{i}", START_S + i / 10, candidate=["response.total", "response.tax"] if differs else [])
            fields = RequestFields(
                {
                    "request.currency": ("JPY" if differs or i % 30 == 0 else "EUR",),
                    "request.customer": (f"{HOSTILE if differs else 'eu-'}{i}",),
                }
            )
            changes.add(one, comparison(one), fields)
        store.commit(changes, START_S + 30)
    reader = Reader.open(store_url(tmp_path))
    yield serve(reader, Config(runs=(RUN,), rules=RULES))
    reader.close()


def test_a_cluster_says_what_differs_what_sets_it_apart_and_where_to_look(yen):
    found = yen.client.get(f"/api/v1/runs/{RUN}/clusters").json()
    assert (found["run"], found["count"], found["left_over"]) == (RUN, 1, 0)
    (one,) = found["clusters"]
    assert [path["pattern"] for path in one["paths"]] == ["response.tax", "response.total"]
    assert (one["method"], one["calls"], one["calls_of"], one["statuses"]) == (METHOD, 41, 180, [])
    assert (one["first_seen_s"], one["last_seen_s"]) == (START_S, START_S + 4.0)
    assert [lead["path"] for lead in one["leads"]] == ["request.customer", "request.currency"]
    assert one["leads"][1]["words"] == 'request.currency = "JPY": 41 of 41 mismatches, 2.9% of matches'
    assert one["instances"] == [{"instance": "candidate-1", "calls": 41}]
    assert len(one["examples"]) == 5
    assert yen.client.get(f"/api/v1/runs/{RUN}/clusters?method=no.such/Method").json()["clusters"] == []


def test_the_page_shows_them_escaped_with_links_to_paths_and_examples(yen):
    page = yen.client.get(f"/runs/{RUN}").text
    section = page[page.index('id="clusters"') : page.index("Paths that differ")]
    assert "request.currency = &#34;JPY&#34;" in section
    assert "<strong>41 of 41</strong> mismatches, <strong>2.9%</strong> of matches" in section
    assert "<script>" not in section
    assert "a lead, no proof" in section
    assert section.count('href="/comparisons/') == 5
    assert section.count(f'href="/runs/{RUN}/paths/') == 2


def test_a_cluster_without_a_lead_says_so(served):
    found = served.client.get(CLUSTERS).json()
    assert found["count"] == len(found["clusters"]) == 5
    assert [one["state"] for one in found["clusters"]] == ["regressed"] * 5
    assert found["clusters"][-1]["statuses"] == ["OK -> INTERNAL"]
    # Two faults depend on the order's number, and so does which of two instances answers.
    assert [lead["path"] for one in found["clusters"] for lead in one["leads"]] == ["candidate.instance"] * 2
    assert not any(
        "request_id" in path["pattern"] or "tags" in path["pattern"] for c in found["clusters"] for path in c["paths"]
    )
    page = served.client.get("/runs/checkout-rewrite").text
    assert "no field of the request sets these calls apart, in " in page
    assert 'ended <span class="mono">OK → INTERNAL</span>' in page
    one = served.reader.clusters(found["epoch"], METHODS[2]).clusters[0]
    assert without_lead(one) == f"no field of the request sets these calls apart, in {one.sampled} calls looked at"


def test_an_earlier_epoch_and_a_run_without_pairs_have_their_own(served):
    earlier = served.client.get("/api/v1/runs/checkout-rewrite").json()["epochs"][-1]["id"]
    assert served.client.get(CLUSTERS, params={"epoch": earlier}).json()["epoch"] == earlier
    assert served.client.get("/api/v1/runs/java-21/clusters").json() == {
        "run": "java-21",
        "epoch": None,
        "count": 0,
        "left_over": 0,
        "clusters": [],
    }
    assert served.client.get("/api/v1/runs/nope/clusters").status_code == 404


def test_leads_in_words():
    from mirror.core.leads import Lead  # noqa: PLC0415 - only here

    assert (
        lead_words(Lead("r.x", "r.x is set", 1200, 1300, 0, 0, 9.0))
        == "r.x is set: 1,200 of 1,300 mismatches, 0% of matches"
    )


def test_suggested_rules_explain_noise_and_hide_nothing_else(served):
    found = served.client.get(SUGGESTIONS).json()
    told = {(one["method"], one["pattern"]): one for one in found["suggestions"]}
    assert {where: one["type"] for where, one in told.items()} == {
        (METHODS[0], "response.request_id"): "value_class",
        (METHODS[0], "response.tags"): "unordered",
        (METHODS[2], "response.tags"): "unordered",
    }
    random_id = told[METHODS[0], "response.request_id"]
    assert (random_id["rule"]["class"], random_id["state"], random_id["last_resort"]) == ("same_length", "noisy", False)
    preview = random_id["preview"]
    assert preview["hidden"] == preview["touched"] == preview["comparisons"] > 50
    assert preview["hidden_in_question"] == 0
    assert ", none suspect; " in preview["words"]
    assert found["without"] == []


def test_each_suggestion_is_a_rule_as_the_configuration_takes_it(served):
    for one in served.client.get(SUGGESTIONS).json()["suggestions"]:
        assert YAML(typ="safe").load(one["yaml"]) == [one["rule"]]
        rule = read_addition(one["yaml"], RULES.rules, ("checkout-rewrite",))
        assert (str(rule.scope.path), rule.scope.methods) == (one["pattern"], (one["method"],))


def test_nothing_is_applied(served):
    before = served.client.get("/api/v1/rules").json()
    served.client.get(SUGGESTIONS)
    assert served.client.get("/api/v1/rules").json() == before
    assert served.client.post(SUGGESTIONS).status_code == 405


def test_the_page_of_suggestions_has_rules_to_paste(served):
    page = served.client.get("/runs/checkout-rewrite/suggestions").text
    assert "path: response.request_id" in page
    assert "class: same_length" in page
    assert "None of them is applied" in page
    assert "It would hide" in page
    assert "/runs/checkout-rewrite/suggestions?epoch=" in served.client.get("/runs/checkout-rewrite").text
    assert served.client.get("/runs/java-21/suggestions").status_code == 200
