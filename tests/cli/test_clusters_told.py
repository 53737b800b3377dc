"""`mirror report` tells clusters, `mirror rules suggest` rules: for people and as JSON."""

from __future__ import annotations

import json

import pytest
from ruamel.yaml import YAML

from mirror.config.addition import read_addition
from mirror.core.request_fields import RequestFields
from mirror.store import Store
from tests.cli.test_verdict import RUN, elsewhere, mirror, url  # noqa: F401 - fixtures
from tests.serve.shopdata import METHODS, store_url
from tests.store.building import METHOD, START_S, judged
from tests.store.building import RUN as REWRITE


@pytest.fixture
def yen(tmp_path):
    """The URL of a store in which all calls in JPY differ."""
    with Store.open(store_url(tmp_path)) as store:
        changes = store.changes()
        for i in range(100):
            one = judged(f"m-{i}", START_S, candidate=["response.total"] if i < 10 else [])
            changes.add(one, None, RequestFields({"request.currency": ("JPY" if i < 10 else "EUR\x1b[31m",)}))
        store.commit(changes, START_S)
    return store_url(tmp_path)


def test_the_report_names_what_differs_and_what_sets_it_apart(capsys, monkeypatch, yen):
    code, out, _ = mirror(capsys, monkeypatch, "report", "--store", yen)
    assert code == 0
    section = out[out.index("clusters (1)") :].splitlines()
    assert section[0].endswith("(a lead, no proof)")
    assert section[1:4] == [
        f"suspect  {METHOD}: 10 of 100 calls",
        "    response.total (value)",
        '    lead: request.currency = "JPY": 10 of 10 mismatches, 0% of matches',
    ]
    assert "\x1b" not in out


def test_the_report_as_json_has_them_in_the_shape_of_the_api(capsys, monkeypatch, yen):
    _, out, _ = mirror(capsys, monkeypatch, "report", "--store", yen, "--run", REWRITE, "--json")
    (one,) = json.loads(out)["clusters"]
    assert (one["calls"], one["leads"][0]["condition"]) == (10, 'request.currency = "JPY"')


def test_suggested_rules_can_be_pasted_as_they_are_printed(capsys, monkeypatch, tmp_path, url):  # noqa: F811
    config = tmp_path / "mirror.yaml"
    config.write_text(f"runs: [{RUN}]\nstore: {{url: '{url}'}}\n", encoding="utf-8")
    before = config.read_text(encoding="utf-8")
    code, out, err = mirror(capsys, monkeypatch, "rules", "suggest", "--config", str(config), "--run", RUN)
    assert (code, err) == (0, "")
    assert "None of them is applied" in out
    rules = YAML(typ="safe").load(out)
    assert {rule["path"] for rule in rules} >= {"response.request_id", "response.tags"}
    assert config.read_text(encoding="utf-8") == before
    config.write_text(f"{before}rules:\n{out}", encoding="utf-8")
    code, out, _ = mirror(capsys, monkeypatch, "rules", "check", str(config))
    assert code == 0
    assert f"{len(rules)} rules, none wrong" in out


def test_suggestions_as_json_by_epoch(capsys, monkeypatch, url):  # noqa: F811
    arguments = ("rules", "suggest", "--store", url, "--run", RUN, "--method", METHODS[0], "--json")
    code, out, _ = mirror(capsys, monkeypatch, *arguments)
    (found,) = json.loads(out)
    assert code == 0
    assert {one["method"] for one in found["suggestions"]} == {METHODS[0]}
    for one in found["suggestions"]:
        read_addition(one["yaml"], (), (RUN,))


def test_a_run_that_is_not_there_is_said(capsys, monkeypatch, url):  # noqa: F811
    code, _, err = mirror(capsys, monkeypatch, "rules", "suggest", "--store", url, "--run", "chekout")
    assert code == 2
    assert "There is no run 'chekout'" in err
    code, _, err = mirror(capsys, monkeypatch, "rules", "suggest", "--store", url, "--run", RUN, "--method", "Nope")
    assert (code, "has no method 'Nope'; it has " in err, METHODS[0] in err) == (2, True, True)
