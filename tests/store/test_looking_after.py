"""All of `mirror db` by its command line, on each kind of database."""

from __future__ import annotations

import json

from mirror.store.migrating import HEAD
from tests.cli.test_verdict import mirror
from tests.serve.shopdata import fill

RUN = "checkout-rewrite"


def test_a_store_from_first_to_last(url: str, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mirror.store.pruning.OVER_AFTER_S", float("-inf"))  # the shop's clock is its own

    def db(*arguments: str) -> tuple[int, str]:
        code, out, _ = mirror(capsys, monkeypatch, "db", *arguments, "--store", url)
        return code, out

    fill(url, requests=300, minutes=5)
    assert json.loads(db("upgrade", "--json")[1]).items() >= {"from": HEAD, "upgraded": False}.items()
    code, out = db("check", "--json")
    found = json.loads(out)
    assert (code, found["ok"]) == (0, True)
    kept = found["sizes"]["kept_count"]
    assert db("export", "--out", "rows.jsonl", "--what", "comparisons")[0] == 0
    ids = [json.loads(line)["id"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(set(ids)) == len(ids) == kept > 0
    assert json.loads(db("prune", "--max-bytes", "1", "--json")[1])["crowded"] == kept
    assert db("prune", "--run", RUN)[0] == 2
    assert db("prune", "--run", RUN, "--yes")[0] == 0
    code, out = db("check", "--json")
    assert (code, json.loads(out)["rows"]["epochs"]) == (0, 0)
