"""Changes of rules in the API and on the run's page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mirror.core.path import PathPattern
from mirror.core.rules import Scope, Tolerance
from mirror.store import JudgeOptions, Store
from tests.serve.conftest import serve
from tests.serve.shopdata import NOW_S, store_url
from tests.store.building import RUN, faulty, ignore, several, under


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    with Store.open(store_url(tmp_path), judge=JudgeOptions(vote_by="call")) as opened:
        under(opened, groups=[*faulty(20), *several(10)], takes_over=True)
        yield opened


def test_the_api_has_the_rules_and_what_started_anew(store: Store):
    under(store, ignore(), takes_over=True, now_s=NOW_S)
    (change,) = serve(store.reader()).client.get(f"/api/v1/runs/{RUN}/rule-changes").json()["changes"]
    assert change["at_s"] == NOW_S
    assert change["rules"] == [
        {
            "what": "added",
            "id": "ignore response.a",
            "type": "ignore",
            "path": "response.a",
            "parameters": "",
            "methods": [],
            "reason": "meant",
            "owner": "",
            "link": "",
        }
    ]
    (restart,) = change["restarts"]
    assert (restart["bound"], restart["unexplained"], restart["unexplained_after"]) == ("recounted", 20, 0)
    assert restart["paths"][0] == {
        "pattern": "response.a",
        "kind": "value",
        "state": "regressed",
        "raw_only": 20,
        "noise_only": 0,
        "both": 0,
    }


def test_the_page_says_it_in_words(store: Store):
    under(store, ignore(), takes_over=True, now_s=NOW_S)
    page = serve(store.reader()).client.get(f"/runs/{RUN}").text
    assert "counted anew: 20 of 30 triples unexplained became 0" in page
    assert "was regressed: raw-only 20" in page


def test_what_changed_in_a_rule_is_shown(store: Store):
    """A rule that changed has one id and one path before and after: its parameters tell them apart."""
    place = Scope(PathPattern.parse("response.a"))
    under(store, Tolerance(scope=place, id="about a", absolute=0.01), takes_over=True, now_s=NOW_S)
    under(store, Tolerance(scope=place, id="about a", absolute=2.0), takes_over=True, now_s=NOW_S + 1)
    shop = serve(store.reader())
    (newest, _) = shop.client.get(f"/api/v1/runs/{RUN}/rule-changes").json()["changes"]
    assert [(rule["what"], rule["parameters"]) for rule in newest["rules"]] == [
        ("added", "absolute=2.0 relative=0.0"),
        ("removed", "absolute=0.01 relative=0.0"),
    ]
    assert "absolute=0.01 relative=0.0" in shop.client.get(f"/runs/{RUN}").text


def test_rules_that_stayed_have_no_history(store: Store):
    shop = serve(store.reader())
    assert "Rule changes" not in shop.client.get(f"/runs/{RUN}").text
    assert shop.client.get(f"/api/v1/runs/{RUN}/rule-changes").json()["changes"] == []
