"""A changed rule starts anew what it covers, and nothing else; what it was stands in the history."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select

from mirror.core.model import Kind
from mirror.core.noise import State
from mirror.core.path import PathPattern
from mirror.core.policy import Policy
from mirror.core.rules import Ignore, Rule, RuleSet, Scope, Tolerance
from mirror.core.triples import ANY
from mirror.core.verdict import MethodFacts, decide
from mirror.store import InForce, JudgeOptions, Limits, Reader, Store, StoreError
from mirror.store.tables import hypotheses, methods
from mirror.store.verdicts import run_facts
from mirror.store.views import RestartedPath, RuleChangeView
from tests.store.building import EPOCH, METHOD, RUN, START_S, A, faulty, ignore, judged, several, under

LIST = "shop.v1.Shop/ListOrders"
B = "response.b"
POLICY = Policy(vote_by="call", min_duration_s=0, min_triples=10)


def tolerance(path: str = A, absolute: float = 0.1) -> Tolerance:
    return Tolerance(scope=Scope(PathPattern.parse(path)), id=f"tolerance {path}", absolute=absolute)


def start(store: Store, *rules: Rule, now_s: float = START_S) -> tuple[RuleChangeView, ...]:
    """What a collector with these rules does first."""
    return under(store, *rules, takes_over=True, now_s=now_s)


def facts(reader: Reader, method: str = METHOD) -> MethodFacts:
    (epoch,) = reader.epochs(RUN)
    return next(m for m in run_facts(reader, epoch.id, POLICY, START_S).methods if m.method == method)


def found(reader: Reader, method: str = METHOD) -> dict[str, tuple[State, int, int]]:
    """State, raw-only triples and n of each hypothesis of a method."""
    (epoch,) = reader.epochs(RUN)
    return {h.hypothesis.pattern: (h.state, h.b, h.n) for h in reader.hypotheses(epoch.id, method)}


def bound(reader: Reader, method: str = METHOD) -> tuple[int, int]:
    """Unexplained of all triples."""
    of = facts(reader, method)
    return of.unexplained, of.judged(has_secondary=True)


def test_a_rule_restarts_the_paths_that_it_covers_and_the_bound_of_their_method(by_call: Store):
    reader = by_call.reader()
    start(by_call)
    under(by_call, groups=[*faulty(), *faulty(20, named="b", candidate=[B]), *faulty(30, method=LIST)])
    before = found(reader)
    assert before[A] == before[B] == (State.REGRESSED, 20, 40)
    start(by_call, tolerance())
    after = found(reader)
    assert A not in after
    assert ANY[0] not in after
    assert after[B] == before[B]
    assert bound(reader) == (0, 0)


def test_another_method_and_its_bound_stay(by_call: Store):
    reader = by_call.reader()
    start(by_call)
    under(by_call, groups=[*faulty(), *faulty(30, method=LIST)])
    (change,) = start(by_call, ignore(methods=(METHOD,)))
    assert [one.method for one in change.restarts] == [METHOD]
    assert found(reader, LIST)[A] == (State.REGRESSED, 30, 30)
    assert bound(reader, LIST) == (30, 30)


def test_what_is_ignored_now_is_taken_out_of_the_stored_signatures(by_call: Store):
    """Pairs that differed elsewhere too stay unexplained; the triples that were seen still count."""
    reader = by_call.reader()
    start(by_call)
    under(
        by_call,
        groups=[
            *faulty(5),
            *faulty(3, named="ab", candidate=[A, B]),
            *faulty(2, named="b", candidate=[B]),
            *several(30),
        ],
    )
    assert bound(reader) == (10, 40)
    (change,) = start(by_call, ignore())
    assert bound(reader) == (5, 40)
    (restart,) = change.restarts
    assert (restart.bound, restart.triples, restart.unexplained, restart.unexplained_after) == ("recounted", 40, 10, 5)
    under(by_call, ignore(), groups=[*faulty(4, named="new", candidate=[B]), *several(4, named="m")])
    assert bound(reader) == (9, 48)


def test_a_triple_is_a_triple_of_what_was_found_since(by_call: Store):
    """Of a path that is first seen under the new rules nobody knows how it was before."""
    start(by_call)
    under(by_call, groups=several(30))
    start(by_call, tolerance())
    under(by_call, tolerance(), groups=[*faulty(2), *several(8, named="m")])
    assert found(by_call.reader())[A] == (State.SUSPECT, 2, 10)
    assert bound(by_call.reader()) == (2, 10)


def test_the_same_rules_again_change_nothing(by_call: Store):
    reader = by_call.reader()
    start(by_call, ignore(B))
    under(by_call, ignore(B), groups=faulty())
    start(by_call, ignore(B), tolerance())
    under(by_call, ignore(B), tolerance(), groups=faulty(3, named="n"))
    was = found(reader), bound(reader)
    for rules in ((ignore(B), tolerance()), (tolerance(), ignore(B))):
        assert start(by_call, *rules) == ()
    (epoch,) = reader.epochs(RUN)
    assert (found(reader), bound(reader), len(reader.rule_changes(epoch.id))) == (*was, 1)


def test_papers_and_a_scope_that_still_holds_restart_nothing(by_call: Store):
    start(by_call, ignore())
    under(by_call, ignore(), groups=faulty(candidate=[B]))
    was = found(by_call.reader())
    again = Ignore(
        scope=Scope(PathPattern.parse(A), methods=(METHOD,)), id="other", reason="new", expires=date(2999, 1, 1)
    )
    assert start(by_call, again) == ()
    assert found(by_call.reader()) == was


def test_a_rule_that_expired_is_a_rule_that_went(by_call: Store):
    """Differences under it were not kept, so the bound starts anew."""
    reader = by_call.reader()
    until = ignore(expires=date(2023, 11, 14))
    start(by_call, until)
    under(by_call, until, groups=[*several(20, ignored=[A]), *faulty(5, candidate=[B])])
    (change,) = start(by_call, now_s=START_S + 86400)
    assert [(rule.what, rule.id, rule.path, rule.reason) for rule in change.rules] == [
        ("expired", "ignore response.a", A, "meant")
    ]
    assert bound(reader) == (0, 0)
    assert found(reader)[B] == (State.SUSPECT, 5, 25)


def test_the_history_says_what_was_known(by_call: Store):
    start(by_call, tolerance(B))
    under(by_call, tolerance(B), groups=[*faulty(), *faulty(2, named="n", secondary=[A])])
    start(by_call, ignore(), now_s=START_S + 5)
    (epoch,) = by_call.reader().epochs(RUN)
    (change,) = by_call.reader().rule_changes(epoch.id)
    assert (change.run, change.service, change.at_s) == (RUN, EPOCH.service, START_S + 5)
    assert [(rule.what, rule.type, rule.path) for rule in change.rules] == [
        ("added", "ignore", A),
        ("removed", "tolerance", B),
    ]
    (restart,) = change.restarts
    assert restart.bound == "restarted"
    assert restart.paths[0] == RestartedPath(A, Kind.VALUE, State.REGRESSED, 20, 0, 2)
    assert restart.path_count == 2


def test_a_change_that_covers_nothing_that_was_seen_is_history_too(by_call: Store):
    start(by_call)
    under(by_call, groups=faulty())
    was = found(by_call.reader()), bound(by_call.reader())
    (change,) = start(by_call, ignore("response.never"))
    assert [(one.bound, one.paths) for one in change.restarts] == [("kept", ())]
    assert (found(by_call.reader()), bound(by_call.reader())) == was


def test_a_fail_that_was_kept_is_lifted_with_its_path_only(by_call: Store):
    reader = by_call.reader()
    start(by_call)
    under(by_call, groups=[*faulty(), *faulty(named="b", candidate=[B])])
    by_call.look(POLICY, START_S)
    start(by_call, ignore())
    (epoch,) = reader.epochs(RUN)
    report = decide(run_facts(reader, epoch.id, POLICY, START_S), POLICY)
    assert report.verdict == "fail"
    assert [reason.figures["where"] for reason in report.reasons] == [f"{METHOD}: {B} (value)"]
    start(by_call, ignore(), ignore(B))
    report = decide(run_facts(reader, epoch.id, POLICY, START_S), POLICY)
    assert report.verdict == "inconclusive"
    assert report.x == 0


def test_votes_and_ranks_begin_anew(store: Store):
    """By minute: hours and minutes before the change give no vote, and the path gets a rank of its own again."""
    start(store)
    for minute in range(3):
        under(store, groups=several(2, START_S + 60 * minute, candidate=[A]), now_s=START_S + 60 * minute)
    under(store, now_s=START_S + 300)
    (epoch,) = store.reader().epochs(RUN)
    was = store.reader().hypotheses(epoch.id)
    assert {(h.minutes, h.judgement.state) for h in was} == {(3, State.SUSPECT)}
    start(store, tolerance(), now_s=START_S + 301)
    under(store, tolerance(), groups=several(2, START_S + 120, named="x", candidate=[A]), now_s=START_S + 302)
    under(store, tolerance(), now_s=START_S + 400)
    now = store.reader().hypotheses(epoch.id)
    assert {h.minutes for h in now} == {1}
    assert min(h.rank for h in now) > max(h.rank for h in was)


def test_signatures_with_only_some_elements_ignored_cannot_be_counted_anew(by_call: Store):
    start(by_call)
    under(by_call, groups=[*faulty(3, candidate=["response.items[0].id"]), *several(7)])
    (change,) = start(by_call, ignore("response.items[2].id"))
    assert change.restarts[0].bound == "restarted"
    assert bound(by_call.reader()) == (0, 0)


def test_pairs_beyond_the_caps_stay_unexplained(url: str):
    """What stands behind "(other)" or the overflow may have been anything."""
    with Store.open(
        url, judge=JudgeOptions(vote_by="call"), limits=Limits(hypotheses_max=3, signatures_max=2)
    ) as store:
        start(store)
        for path in (A, B, "response.c", "response.d"):
            under(store, groups=faulty(2, named=path, candidate=[path]))
        under(store, groups=several(12))
        assert bound(store.reader()) == (8, 20)
        (change,) = start(store, ignore())
        assert change.restarts[0].bound == "recounted"
        assert bound(store.reader()) == (6, 20)
        under(store, ignore(), groups=faulty(1, named="again", candidate=["response.d"]))
        assert bound(store.reader()) == (7, 21)


def test_what_noise_explained_stays_explained(by_call: Store):
    """A rule for one path does not undo what is known of another."""
    noisy = [*faulty(6, candidate=[B]), *faulty(12, named="c", candidate=(), secondary=[B])]
    start(by_call)
    under(by_call, groups=[*noisy, *faulty(1, named="a"), *several(5)])
    by_noise = by_call.explained(EPOCH, METHOD)
    assert by_noise == {(B, Kind.VALUE)}
    under(by_call, groups=faulty(2, named="left", candidate=[B], explained=by_noise))
    assert bound(by_call.reader()) == (1, 26)
    start(by_call, ignore())
    assert by_call.explained(EPOCH, METHOD) == by_noise
    assert bound(by_call.reader()) == (0, 26)


def test_without_a_secondary_the_pairs_of_the_bound_start_anew(by_call: Store):
    """Signatures are made of triples: which pairs an ignore rule explains is not stored."""
    reader = by_call.reader()
    alone = {"expect": ["candidate"]}
    start(by_call)
    under(by_call, groups=[*several(5, candidate=[A], **alone), *several(20, named="m", **alone)])
    of = facts(reader)
    assert (of.unexplained_of(has_secondary=False), of.judged(has_secondary=False)) == (5, 25)
    start(by_call, ignore())
    of = facts(reader)
    assert (of.unexplained_of(has_secondary=False), of.judged(has_secondary=False), of.counts.pairs) == (0, 0, 25)
    under(by_call, ignore(), groups=several(4, named="n", candidate=[B], **alone))
    of = facts(reader)
    assert (of.unexplained_of(has_secondary=False), of.judged(has_secondary=False)) == (4, 4)


def test_over_the_budget_without_a_secondary_is_lifted_as_its_counts_are(by_call: Store):
    start(by_call)
    under(by_call, groups=several(50, candidate=[A], expect=["candidate"]))
    by_call.look(POLICY, START_S)
    (epoch,) = by_call.reader().epochs(RUN)

    def verdict() -> str:
        return decide(run_facts(by_call.reader(), epoch.id, POLICY, START_S), POLICY).verdict

    assert verdict() == "fail"
    start(by_call, ignore())
    assert verdict() == "inconclusive"


def test_the_verdict_says_what_no_longer_counts(by_call: Store):
    start(by_call)
    under(by_call, groups=[*several(30), *several(7, method=LIST)])
    start(by_call, Tolerance(scope=Scope(PathPattern.parse(A), methods=(METHOD,)), id="t", absolute=1.0))
    (epoch,) = by_call.reader().epochs(RUN)
    report = decide(run_facts(by_call.reader(), epoch.id, POLICY, START_S), POLICY)
    assert f"30 triples came under other rules and do not count ({METHOD})." in report.blind_spots
    assert (report.x, report.n) == (0, 7)


def test_an_older_epoch_stays_until_a_pair_comes_for_it(by_call: Store):
    """It was judged by the rules of its time; but two sets of rules never count together."""
    reader = by_call.reader()
    start(by_call)
    under(by_call, groups=faulty())
    under(by_call, groups=several(20, START_S + 60, candidate=[A], candidate_version="3.0"))
    start(by_call, tolerance())
    new, old = reader.epochs(RUN)
    assert {h.hypothesis.pattern for h in reader.hypotheses(old.id)} == {A, ANY[0]}
    assert reader.hypotheses(new.id) == []
    under(by_call, tolerance(), groups=several(1, START_S + 120, named="late"))
    assert reader.hypotheses(old.id) == []
    assert len(reader.rule_changes(old.id)) == 1


def test_a_run_that_is_no_longer_configured_stays_as_it_is(by_call: Store):
    start(by_call)
    under(by_call, groups=faulty())
    by_call.commit(by_call.changes(InForce(RuleSet((tolerance(),)), frozenset({"other"})), takes_over=True), START_S)
    assert found(by_call.reader())[A] == (State.REGRESSED, 20, 20)


def test_pairs_of_a_collector_that_was_replaced_do_not_count_beside_those_of_the_next(url: str):
    """A rolling restart: for a while two of them write, with different rules."""
    with (
        Store.open(url, judge=JudgeOptions(vote_by="call")) as old,
        Store.open(url, judge=JudgeOptions(vote_by="call")) as new,
    ):
        start(old)
        under(old, groups=[*faulty(), *several(3, method=LIST)])
        scoped = ignore(methods=(METHOD,))
        start(new, scoped)
        under(old, groups=[*faulty(4, named="late"), *several(5, named="late", method=LIST)])
        reader = new.reader()
        assert bound(reader) == (0, 20)
        assert A not in found(reader)
        assert bound(reader, LIST) == (0, 8)
        assert reader.counters(RUN)["pairs_under_replaced_rules"] == 4
        under(new, scoped, groups=several(2, named="n"))
        assert bound(reader) == (0, 22)
        (epoch,) = reader.epochs(RUN)
        assert len(reader.rule_changes(epoch.id)) == 1


def test_a_commit_that_fails_half_way_restarts_nothing(by_call: Store, monkeypatch: pytest.MonkeyPatch):
    start(by_call)
    under(by_call, groups=faulty())
    was = found(by_call.reader()), bound(by_call.reader())

    def disk_full(*_args: object, **_more: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("mirror.store.judging.judge_touched", disk_full)
        with pytest.raises(StoreError):
            start(by_call, tolerance())
    (epoch,) = by_call.reader().epochs(RUN)
    assert (found(by_call.reader()), bound(by_call.reader()), by_call.reader().rule_changes(epoch.id)) == (*was, [])
    assert len(start(by_call, tolerance())) == 1
    assert bound(by_call.reader()) == (0, 0)


def test_counts_of_before_the_store_knew_of_rules_are_taken_for_the_rules_that_come_first(by_call: Store):
    changes = by_call.changes()
    for one in faulty():
        changes.add(one)
    by_call.commit(changes, START_S)
    assert start(by_call, tolerance()) == ()
    assert found(by_call.reader())[A] == (State.REGRESSED, 20, 20)
    start(by_call)
    assert found(by_call.reader()) == {}


def test_while_the_rules_stay_a_commit_asks_for_no_method(by_call: Store):
    """What is settled is remembered."""
    start(by_call, ignore(B))
    under_rules = InForce(RuleSet((ignore(B),)), frozenset({RUN}))
    first = by_call.changes(under_rules)
    first.add(judged("1"))
    by_call.commit(first, START_S)
    with by_call.engine.begin() as connection:
        connection.execute(methods.update().values(rules="another"))
    second = by_call.changes(under_rules)
    second.add(judged("2"))
    assert by_call.commit(second, START_S) == ()
    with by_call.engine.connect() as connection:
        assert connection.execute(select(methods.c.rules)).scalar_one() == "another"
        assert connection.execute(select(hypotheses.c.id)).all() == []
