"""`mirror accept`, `reject` and `withdraw`: what they need, what they keep, and that the verdict follows."""

from __future__ import annotations

import json

import pytest

from tests.cli.test_verdict import mirror
from tests.serve.using import FAILING, filled
from tests.store.building import METHOD, RUN, A

SAID = ["--run", RUN, "--owner", "ada", "--reason", "rounding"]


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    policy = "{vote_by: call, min_duration_s: 0, min_triples: 1, budget: 0.01}"
    (tmp_path / "mirror.yaml").write_text(f"store: {{url: 'sqlite:///{tmp_path}/mirror.db'}}\npolicy: {policy}\n")
    filled(f"sqlite:///{tmp_path}/mirror.db", FAILING).close()


@pytest.mark.usefixtures("url")
def test_accept_reject_and_withdraw_turn_the_verdict(capsys, monkeypatch):
    def verdict():
        return mirror(capsys, monkeypatch, "verdict", "--run", RUN)[0]

    assert verdict() == 1
    code, out, _ = mirror(capsys, monkeypatch, "accept", A, *SAID, "--expires", "2099-01-31")
    assert (code, out) == (0, f"{METHOD}: {A} (value) accepted by ada until 2099-01-31: rounding\n")
    assert verdict() == 0
    code, out, _ = mirror(capsys, monkeypatch, "withdraw", A, *SAID, "--json")
    assert (code, json.loads(out)["what"]) == (0, "withdrawn")
    assert verdict() == 1
    assert mirror(capsys, monkeypatch, "reject", A, *SAID)[0] == 0
    told = mirror(capsys, monkeypatch, "verdict", "--run", RUN)[1]
    assert "was rejected by ada: rounding" in told
    assert "regressed, rejected" in mirror(capsys, monkeypatch, "report", "--run", RUN)[1]
    report = json.loads(mirror(capsys, monkeypatch, "report", "--run", RUN, "--json")[1])
    decided = [path["decision"] for path in report["paths"]["differing"] if path["decision"]]
    assert [one["what"] for one in decided] == ["rejected"]


@pytest.mark.usefixtures("url")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["accept", A, *SAID, "--expires", "soon"], "--expires soon: say a day"),
        (["accept", A, *SAID, "--expires", "2001-01-31"], "2001-01-31 has passed"),
        (["accept", "response.aa", *SAID, "--expires", "2099-01-31"], "Did you mean 'response.a'?"),
        (["accept", A, *SAID, "--kind", "missing", "--expires", "2099-01-31"], "It differs as:"),
        (["reject", A, "--run", RUN, "--owner", " ", "--reason", "x"], "owner is missing"),
        (["withdraw", A, *SAID], "no decision on this path"),
        (["reject", A, "--run", "rewrit", "--owner", "a", "--reason", "x"], "Did you mean 'rewrite'?"),
    ],
)
def test_what_does_not_do_is_2_and_says_what_does(capsys, monkeypatch, arguments, told):
    code, out, err = mirror(capsys, monkeypatch, *arguments)
    assert (code, out) == (2, "")
    assert told in err
