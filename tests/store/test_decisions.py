"""Accepting and rejecting a path: what it does to verdict, bound and fails, on both databases, beside a writer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from mirror.core.decisions import Decision, Ruling
from mirror.core.model import Hypothesis, Kind
from mirror.core.verdict import Policy, decide
from mirror.store import Changes, Reader, Store, StoreError
from mirror.store.deciding import DECISIONS_MAX, history_of
from mirror.store.deciding import decide as keep
from mirror.store.tables import decisions
from mirror.store.verdicts import run_facts
from tests.store.building import EPOCH, METHOD, START_S, A, commit, several

POLICY = Policy(vote_by="call", min_duration_s=0, min_triples=1, budget=0.01)
TODAY = date(2023, 11, 14)  # the day of START_S
LATER_S = START_S + 30 * 86400
NAME = Hypothesis(METHOD, A, Kind.VALUE)


def ruling(what: Ruling = Ruling.ACCEPTED, name: Hypothesis = NAME, **changed) -> Decision:
    expires = date(2023, 11, 30) if what is Ruling.ACCEPTED else None
    return replace(Decision(name, what, "ada", "rounding is meant", expires, START_S), **changed)


def report(reader: Reader, policy: Policy = POLICY, now_s: float = START_S + 600):
    (run,) = reader.runs()
    return decide(run_facts(reader, run.epochs[0].id, policy, now_s), policy)


def epoch_of(reader: Reader) -> int:
    return reader.runs()[0].epochs[0].id


def decided(store: Store, decision: Decision) -> None:
    keep(store.engine, epoch_of(store.reader()), decision, decision.at_s)


def failing(store: Store) -> None:
    """60 of 3,060 calls differ in A alone; the fail is latched."""
    commit(store, several(60, candidate=[A]) + several(3000, named="same"))
    store.look(POLICY, START_S)


def test_an_accepted_regression_neither_fails_nor_counts_in_the_bound(by_call: Store, reader: Reader):
    failing(by_call)
    assert report(reader).verdict == "fail"
    decided(by_call, ruling())
    after = report(reader)
    assert (after.verdict, after.x) == ("pass", 0)
    told = f"{METHOD}: {A} (value) does not count: accepted by ada until 2023-11-30: rounding is meant."
    assert told in after.blind_spots


def test_what_is_accepted_stays_regressed_in_the_page_with_the_decision_beside_it(by_call: Store, reader: Reader):
    failing(by_call)
    decided(by_call, ruling())
    (path,) = [h for h in reader.hypotheses(epoch_of(reader)) if h.hypothesis.kind is Kind.VALUE]
    assert (path.state, path.decision.owner) == ("regressed", "ada")


def test_further_calls_that_differ_there_change_nothing(by_call: Store, reader: Reader):
    """The sum over all paths would be regressed too, were the path still in it."""
    failing(by_call)
    by_call.explained(*_of_method())  # remembered from before
    decided(by_call, ruling())
    commit(by_call, several(60, named="under way", candidate=[A]))  # judged before, committed after
    explained = by_call.explained(*_of_method())
    assert explained == {(A, Kind.VALUE)}
    commit(by_call, several(200, named="more", candidate=[A], explained=explained))
    after = report(reader)
    assert (after.verdict, after.x, after.n) == ("pass", 0, 3320)


def gathered(store: Store) -> Changes:
    """Calls that differ in A, judged before anybody accepted it."""
    changes, explained = store.changes(), store.explained(EPOCH, METHOD)
    for one in several(60, named="meanwhile", candidate=[A], explained=explained):
        changes.add(one)
    return changes


def test_what_was_gathered_before_an_acceptance_is_left_out_of_a_commit_that_is_tried_again(
    by_call: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch
):
    failing(by_call)
    changes = gathered(by_call)
    decided(by_call, ruling())
    with monkeypatch.context() as broken:
        broken.setattr("mirror.store.judging.judge_touched", full)
        with pytest.raises(StoreError):
            by_call.commit(changes, START_S)
    by_call.commit(changes, START_S)
    assert report(reader).verdict == "pass"


def full(*_, **__) -> None:
    raise OSError("no space left")


def test_what_was_gathered_before_an_acceptance_is_left_out_of_the_first_commit_too(by_call: Store, reader: Reader):
    failing(by_call)
    with Store.open(by_call.engine.url.render_as_string(hide_password=False), judge=by_call.options) as restarted:
        changes = gathered(restarted)
        decided(restarted, ruling())
        restarted.commit(changes, START_S)
    assert report(reader).verdict == "pass"


def test_another_path_still_fails(by_call: Store, reader: Reader):
    failing(by_call)
    decided(by_call, ruling())
    explained = by_call.explained(*_of_method())
    commit(by_call, several(60, named="b", candidate=[A, "response.b"], explained=explained))
    after = report(reader)
    assert (after.verdict, [r.figures["where"] for r in after.reasons]) == ("fail", [f"{METHOD}: response.b (value)"])
    assert after.x == 60


def test_when_the_day_has_passed_it_counts_again(by_call: Store, reader: Reader):
    failing(by_call)
    decided(by_call, ruling())
    explained = by_call.explained(*_of_method())
    commit(by_call, several(40, named="more", candidate=[A], explained=explained))
    last_day = report(reader, now_s=START_S + 15 * 86400)
    assert last_day.verdict == "pass"
    after = report(reader, now_s=LATER_S)
    assert (after.verdict, after.x) == ("fail", 100)
    assert any("counts again, having been accepted by ada until 2023-11-30" in spot for spot in after.blind_spots)
    commit(by_call, several(1, LATER_S), LATER_S)
    assert by_call.explained(*_of_method()) == frozenset()


def test_a_suspect_that_holds_the_pass_lets_it_go(by_call: Store, reader: Reader):
    commit(by_call, several(3, candidate=[A]) + several(30_000, named="same"))
    assert [r.code for r in report(reader).reasons] == ["suspect"]
    decided(by_call, ruling())
    assert report(reader).verdict == "pass"


def test_a_suspect_that_is_rejected_fails_the_run_and_only_a_withdrawal_takes_it_back(by_call: Store, reader: Reader):
    commit(by_call, several(3, candidate=[A]) + several(30_000, named="same"))
    decided(by_call, ruling(Ruling.REJECTED, reason="that is a bug"))
    by_call.look(POLICY, START_S)
    rejected = report(reader, now_s=LATER_S)
    assert [(r.code, r.text) for r in rejected.reasons] == [
        ("rejected", f"{METHOD}: {A} (value) was rejected by ada: that is a bug")
    ]
    decided(by_call, ruling(Ruling.WITHDRAWN, reason="it was not"))
    assert [r.code for r in report(reader).reasons] == ["suspect"]
    with reader.connect() as connection:
        assert [one.what for one in history_of(connection, epoch_of(reader))] == ["withdrawn", "rejected"]


def test_a_run_that_broke_by_what_is_accepted_is_whole_again(store: Store, reader: Reader):
    by_minute = replace(POLICY, vote_by="minute")
    for minute in range(4):
        at_s = START_S + 60 * minute
        commit(store, several(20, at_s, candidate=[A]) + several(130, at_s, named="same"), at_s)
    now_s = START_S + 400
    store.look(by_minute, now_s)
    assert {r.code for r in report(reader, by_minute, now_s).reasons} == {"broken"}
    decided(store, ruling())
    assert report(reader, replace(by_minute, budget=0.02), now_s).verdict == "pass"


def test_a_path_that_the_epoch_does_not_have_is_refused(by_call: Store):
    failing(by_call)
    with pytest.raises(StoreError, match=r"has no path response.zz \(value\)"):
        decided(by_call, ruling(name=NAME._replace(pattern="response.zz")))


def test_decisions_are_bounded(by_call: Store):
    failing(by_call)
    epoch_id = epoch_of(by_call.reader())
    row = {
        "epoch_id": epoch_id, "method": METHOD, "pattern": "p", "kind": "value", "what": "withdrawn",
        "owner": "o", "reason": "r", "expires": None, "at_s": 0.0,
    }  # fmt: skip
    with by_call.engine.begin() as connection:
        connection.execute(decisions.insert(), [row] * DECISIONS_MAX)
    with pytest.raises(StoreError, match="write rules instead"):
        decided(by_call, ruling())


def _of_method():
    from tests.store.building import EPOCH  # noqa: PLC0415

    return EPOCH, METHOD
