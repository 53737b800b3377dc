"""`mirror report`: the run in the terminal, wide enough in a pipe, and as JSON."""

import json
import re

import pytest

from mirror.cli import reading
from mirror.cli.reading import configured
from mirror.store import JudgeOptions, Store
from mirror.store.increments import RuleUse
from tests.cli.test_verdict import RUN, elsewhere, mirror, url  # noqa: F401 - fixtures
from tests.collect.process import CollectorProcess
from tests.serve.shopdata import METHODS, NOW_S, fill, store_url
from tests.store.building import METHOD, faulty, ignore, several, under


@pytest.fixture
def report(capsys, monkeypatch, url):  # noqa: F811 - the fixture
    return mirror(capsys, monkeypatch, "report", "--store", url)


def test_the_newest_run_is_shown_with_everything_a_reader_needs(report):
    code, out, err = report
    assert (code, err) == (0, "")
    for told in (
        f"run {RUN}  fail",
        "shop 1.8.2 -> 2.0.0-rc2",
        "3,000 pairs: ",
        "why:",
        "methods",
        "paths that differ",
        "noise explains",
        "what this verdict cannot see",
        "look next",
        "http://127.0.0.1:4319/runs/",
    ):
        assert told in out


def test_in_a_pipe_each_path_stands_whole_on_one_line_below_its_method_without_colour(report):
    _, out, _ = report
    lines = out.splitlines()
    (at,) = [i for i, line in enumerate(lines) if "response.labels[*]" in line and "regressed  " in line]
    above = [line for line in lines[:at] if line.startswith("shop.")]
    assert above[-1].startswith(METHODS[0])
    assert "\x1b" not in out


def test_json_has_the_shapes_of_the_api(capsys, monkeypatch, url):  # noqa: F811
    code, out, _ = mirror(capsys, monkeypatch, "report", "--store", url, "--run", RUN, "--json")
    found = json.loads(out)
    assert code == 0
    assert set(found) == {
        "run",
        "verdict",
        "epoch",
        "methods",
        "paths",
        "clusters",
        "schema_changes",
        "account",
        "cluster_count",
        "cluster_left_over",
        "rule_changes",
        "speeds",
        "instances",
        "page",
        "rules",
    }
    assert found["verdict"]["verdict"] == "fail"
    assert {p["state"] for p in found["paths"]["explained"]} == {"noisy"}
    assert found["paths"]["differing"][0]["state"] == "regressed"
    assert [one["count"] for one in found["schema_changes"]] == [1200]


def test_schema_changes_stand_by_themselves_and_are_told_to_be_no_differences(report):
    _, out, _ = report
    told = out.partition("schema changes (1,200)")[2].partition("look next")[0]
    assert "is no difference of a call and never changes the verdict" in told
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert "added differ where set response.coupon - string coupon = 9" in lines
    assert "another type compared response.items[*].quantity int32 quantity = 3 sint32 quantity = 3" in lines
    assert "and 1,180 more; --json and the page have up to 200" in lines
    assert "these schemas are too large to be looked at as a whole: there may be more" in lines


@pytest.mark.live
def test_a_collector_says_the_same_by_its_address(capsys, monkeypatch, tmp_path):
    """With a token, for people, as JSON and as JUnit; the newest run, a run of that name, and an epoch of it."""
    at = store_url(tmp_path)
    fill(at, requests=300, minutes=2)
    settings = {"runs": [RUN], "store": {"url": at}, "auth": {"read_tokens": ["r" * 32]}}
    monkeypatch.chdir(tmp_path)

    def told(*arguments: str) -> str:
        code, out, err = mirror(capsys, monkeypatch, "report", *arguments)
        assert (code, err) == (0, "")
        return re.sub(r"http://127.0.0.1:\d+", "", out)

    with CollectorProcess(tmp_path, **settings) as collector:
        where = ("--url", f"http://{collector.addresses['web']}/")
        code, _, err = mirror(capsys, monkeypatch, "report", *where)
        assert (code, "MIRROR_BEARER" in err) == (2, True)
        monkeypatch.setenv("MIRROR_BEARER", "r" * 32)
        here = ("--store", at)
        assert told(*where) == told(*here, "--run", RUN)
        assert f"http://{collector.addresses['web']}/runs/{RUN}" in mirror(capsys, monkeypatch, "report", *where)[1]
        epoch = json.loads(told(*here, "--json"))["epoch"]["id"] - 1
        for more in (("--run", RUN), ("--epoch", str(epoch))):
            ours, theirs = (json.loads(told(*asked, *more, "--json")) for asked in (here, where))
            ours.pop("rules"), theirs.pop("rules")
            assert ours == theirs
        told(*where, "--junit", "out.xml")
        assert 'type="fail"' in (tmp_path / "out.xml").read_text()
        code, _, err = mirror(capsys, monkeypatch, "report", *where, "--run", "chekout")
        assert (code, "There is no run 'chekout'" in err) == (2, True)
        code, _, err = mirror(capsys, monkeypatch, "report", *where, *here)
        assert (code, "leave --config and --store out" in err) == (2, True)
    code, _, err = mirror(capsys, monkeypatch, "report", *where)
    assert (code, "no answer" in err) == (2, True)


def test_a_store_without_pairs_says_what_to_do(capsys, monkeypatch, tmp_path):
    with Store.open(store_url(tmp_path)):
        pass
    code, _, err = mirror(capsys, monkeypatch, "report", "--store", store_url(tmp_path))
    assert code == 2
    assert "no pair has been seen yet" in err


def test_control_characters_from_calls_cannot_drive_the_terminal():
    assert "\x1b" not in reading.plain("a\x1b[31mb\nc").plain


def test_calls_of_a_run_that_is_not_allowed_are_named_where_nothing_else_came(capsys, monkeypatch, tmp_path):
    with Store.open(store_url(tmp_path)) as store:
        changes = store.changes()
        changes.unknown_run("chekout-v2")
        store.commit(changes, 1000.0)
    code, _, err = mirror(capsys, monkeypatch, "report", "--store", store_url(tmp_path))
    assert code == 2
    assert "'chekout-v2' (1)" in err
    assert "add it to `runs`" in err


def test_a_file_in_the_place_of_a_stores_url_is_named_with_what_to_say(capsys, monkeypatch):
    code, _, err = mirror(capsys, monkeypatch, "report", "--store", "/var/lib/mirror.db")
    assert code == 2
    assert "--store /var/lib/mirror.db: not a store's URL; say sqlite:////var/lib/mirror.db" in err


RULES = """\
runs: [{run}]
rules:
  - {{type: tolerance, path: response.total, absolute: 0.005}}
  - {{type: ignore, path: response.never, owner: ada}}
  - {{type: ignore, path: response.old, expires: 2020-01-31}}
  - {{type: ignore, path: response.else, methods: [x.Y/Z]}}
"""


def test_rules_that_their_owners_should_look_at_are_told(capsys, monkeypatch, tmp_path):
    """One that never matched, and one that expired; not those that applied, or were asked only as they were before."""
    (tmp_path / "mirror.yaml").write_text(RULES.format(run=RUN), encoding="utf-8")
    config = configured(tmp_path / "mirror.yaml", None)
    applied, never, *_, elsewhere_only = config.rules.rules
    fill(store_url(tmp_path), requests=40, minutes=1)
    with Store.open(store_url(tmp_path)) as store:
        changes = store.changes()
        changes.rule_uses = {
            (RUN, applied.id): RuleUse(applied.digest, 3000, 5),
            (RUN, never.id): RuleUse(never.digest, 3000, 0),
            (RUN, elsewhere_only.id): RuleUse("another meaning", 3000, 0),
        }
        store.commit(changes, NOW_S)
    asked = ("--config", str(tmp_path / "mirror.yaml"), "--store", store_url(tmp_path), "--run", RUN)
    _, out, _ = mirror(capsys, monkeypatch, "report", *asked)
    (at,) = [i for i, line in enumerate(out.splitlines()) if line == "rules to look at (2 of 4)"]
    listed = [line.split("  ") for line in out.splitlines()[at + 2 : at + 4]]
    assert [(row[0].strip(), row[-1].strip() or row[-2].strip()) for row in listed] == [
        ("never matched in 3,000 comparisons", "ignore response.never"),
        ("expired, it applied until 2020-01-31", "ignore response.old"),
    ]
    _, out, _ = mirror(capsys, monkeypatch, "report", *asked, "--json")
    assert [(rule["never_matched"], rule["compared"]) for rule in json.loads(out)["rules"]] == [
        (False, 3000),
        (True, 3000),
        (False, 0),
        (False, 0),
    ]


def test_a_change_of_rules_is_told_with_what_it_started_anew(capsys, monkeypatch, tmp_path):
    at = store_url(tmp_path)
    with Store.open(at, judge=JudgeOptions(vote_by="call")) as store:
        under(store, groups=[*faulty(20), *several(10)], takes_over=True)
        under(store, ignore(), takes_over=True)
    code, out, _ = mirror(capsys, monkeypatch, "report", "--store", at)
    assert code == 0
    told = out.partition("rule changes (1)")[2].partition("look next")[0]
    assert "added: ignore response.a, meant" in told
    assert f"{METHOD}: 2 paths started anew; the bound counted anew: 20 of 30 triples unexplained became 0" in told
    _, out, _ = mirror(capsys, monkeypatch, "report", "--store", at, "--json")
    (change,) = json.loads(out)["rule_changes"]
    assert change["restarts"][0]["bound"] == "recounted"
