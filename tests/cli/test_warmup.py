"""`mirror warmup`: an A/A run through a real store, sound or with its faults, in either direction."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mirror.core.model import EpochKey, Hypothesis, Kind, Role
from mirror.core.noise import Evidence, State, judge
from mirror.core.policy import Policy
from mirror.core.run_facts import HypothesisFacts, MethodFacts, RunFacts
from mirror.core.warmup import judge_warmup
from tests.cli.test_verdict import mirror
from tests.collect.process import CollectorProcess
from tests.serve.using import filled
from tests.store.building import RUN, A, several

OLD = {"candidate_version": "1.0"}


@pytest.fixture
def warmed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    policy = "{vote_by: call, min_duration_s: 0, min_triples: 500}"
    (tmp_path / "mirror.yaml").write_text(
        f"runs: [{RUN}]\nstore: {{url: 'sqlite:///{tmp_path}/mirror.db'}}\npolicy: {policy}\n"
    )

    def run(groups, *arguments):
        filled(f"sqlite:///{tmp_path}/mirror.db", groups).close()
        code, out, err = mirror(capsys, monkeypatch, "warmup", "--run", RUN, "--json", *arguments)
        assert code in (0, 1, 3), err
        told = json.loads(out)
        service = told["services"][0] if told["services"] else {"faults": [], "missing": []}
        assert told["outcome"] == {0: "sound", 1: "faulty", 3: "inconclusive"}[code]
        return code, [f["code"] for f in service["faults"]], service

    return run


def test_one_build_twice_with_noise_alike_on_both_sides_is_sound(warmed):
    noise = several(100, named="c", candidate=[A], **OLD) + several(100, named="s", secondary=[A], **OLD)
    assert warmed(several(800, **OLD) + noise)[:2] == (0, [])


@pytest.mark.parametrize("side", ["candidate", "secondary"])
def test_what_differs_on_one_side_alone_is_a_fault_in_either_direction(warmed, side):
    code, faults, told = warmed(several(800, **OLD) + several(60, named="x", **{side: [A]}, **OLD))
    assert (code, faults) == (1, ["unequal_shadows"])
    assert told["faults"][0]["figures"]["side"] == side
    assert (
        f"response.a (value) differs more in the {side}, though both shadows are one build" in told["faults"][0]["text"]
    )


def test_another_build_is_no_warm_up(warmed):
    assert warmed(several(800))[:2] == (1, ["not_one_build"])


def test_without_a_secondary_there_is_nothing_to_warm_up(warmed):
    assert "no_secondary" in warmed(several(800, expect=[Role.CANDIDATE], **OLD))[1]


def test_shadows_that_never_come_are_a_fault_of_the_setup(warmed):
    """Absent alike on both sides: no path shows it, and a run like this must not be called sound."""
    gone = several(100, named="x", came=[Role.PRIMARY], **OLD)
    code, faults, _ = warmed(several(800, **OLD) + gone)
    assert code == 1
    assert {"incomplete", "status_noise"} <= set(faults)


def test_too_few_calls_say_what_is_missing(warmed):
    code, faults, told = warmed(several(100, **OLD))
    assert (code, faults, [m["code"] for m in told["missing"]]) == (3, [], ["coverage"])


def test_before_the_first_call_it_is_not_known(warmed, monkeypatch, capsys):
    assert warmed([])[0] == 3
    out = mirror(capsys, monkeypatch, "warmup", "--run", RUN)[1]
    assert "No pair of it has been seen yet" in out


def test_a_service_that_takes_no_part_is_2(warmed, monkeypatch, capsys):
    warmed(several(800, **OLD))
    code, _, err = mirror(capsys, monkeypatch, "warmup", "--run", RUN, "--service", "pay")
    assert (code, "it has shop" in err) == (2, True)


def test_in_words(warmed, monkeypatch, capsys):
    warmed(several(800, **OLD) + several(60, named="x", candidate=[A], **OLD))
    out = mirror(capsys, monkeypatch, "warmup", "--run", RUN)[1]
    assert out.startswith(f"FAULTY  warm-up of run {RUN}\n")
    assert "\n\nshop 1.0 -> 1.0, 860 triples: faulty\n" in out
    assert not any(line.endswith(" ") for line in out.splitlines())


def test_values_have_no_direction():
    hypothesis = Hypothesis("shop.v1.Shop/GetProduct", "response.offer_id", Kind.VALUES)
    judgement = replace(judge(None, Evidence(), alpha=0.01), state=State.REGRESSED)
    facts = HypothesisFacts(hypothesis, Evidence(d=84, n=1050), judgement)
    method = MethodFacts(hypothesis.method, hypotheses=(facts,))
    fault, *_ = judge_warmup(RunFacts(EpochKey(RUN, "shop", "1", "1"), (method,)), Policy()).faults
    assert (
        "other values in the candidate than in the secondary, though both are one build: unlike in 84 of 1,050"
        in fault.text
    )
    assert "alone" not in fault.text


def test_a_collector_says_the_same_by_its_address(warmed, tmp_path, monkeypatch, capsys):
    """The store is the collector's: whoever asks by --url has no file of it."""
    _, _, by_store = warmed(several(800, **OLD) + several(60, named="x", candidate=[A], **OLD))
    settings = {"runs": [RUN], "store": {"url": f"sqlite:///{tmp_path}/mirror.db"}}
    policy = {"vote_by": "call", "min_duration_s": 0, "min_triples": 500}
    with CollectorProcess(tmp_path, policy=policy, **settings) as collector:
        where = ("--url", f"http://{collector.addresses['web']}")
        code, out, _ = mirror(capsys, monkeypatch, "warmup", "--run", RUN, *where, "--json")
        assert (code, json.loads(out)["services"]) == (1, [by_store])
        code, _, err = mirror(capsys, monkeypatch, "warmup", "--run", RUN, *where, "--service", "pay")
        assert (code, "it has shop" in err) == (2, True)
    code, _, err = mirror(capsys, monkeypatch, "warmup", "--run", RUN, *where)
    assert (code, "no answer" in err) == (2, True)


def test_waiting_ends_once_it_is_known(warmed):
    assert warmed(several(800, **OLD), "--wait", "1h")[0] == 0
    assert warmed([], "--wait", "0")[0] == 0
