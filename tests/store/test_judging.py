"""Votes, ranks and states: counted by minute once it is closed, judged by the core, kept over restarts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirror.core import noise
from mirror.core.model import Kind
from mirror.core.noise import State
from mirror.store import JudgeOptions, Reader, Store
from mirror.store.views import HypothesisView
from tests.store.building import EPOCH, METHOD, START_S, commit, judged, several

MINUTE_S = 60
A = ("response.a", Kind.VALUE)


def look(reader: Reader) -> dict[str, HypothesisView]:
    """The hypotheses on values, by pattern."""
    (run,) = reader.runs()
    return {h.hypothesis.pattern: h for h in reader.hypotheses(run.epochs[0].id) if h.hypothesis.kind is Kind.VALUE}


def minute(index: int) -> float:
    return START_S + index * MINUTE_S


def test_a_minute_votes_once_it_is_closed_also_when_nothing_comes(store: Store, reader: Reader):
    commit(store, several(5, candidate=["response.a"]), minute(0) + 30)
    one = look(reader)["response.a"]
    assert (one.state, one.rank, one.judgement.log_e_star) == (State.SUSPECT, 0, 0.0)
    commit(store, [], minute(1) + 9)  # it closes 10 s after its end
    assert look(reader)["response.a"].rank == 0
    commit(store, [], minute(1) + 10)
    one = look(reader)["response.a"]
    # E(1, 0) = 1.61; half of the weight is kept for later hours.
    assert one.rank > 0
    assert one.judgement.log_e_star == pytest.approx(noise.log_e_star([(1, 0)]))


def test_what_comes_late_for_a_closed_minute_changes_its_vote(store: Store, reader: Reader):
    commit(store, several(2, candidate=["response.a"]), minute(5))
    assert look(reader)["response.a"].judgement.log_e_star > 0
    commit(store, several(3, named="late", secondary=["response.a"]), minute(5) + 1)
    one = look(reader)["response.a"]
    assert (one.b, one.c) == (2, 3)
    assert one.judgement.log_e_star == pytest.approx(noise.log_e_star([(0, 1)]))


def test_a_tie_is_no_vote_and_gets_no_rank(store: Store, reader: Reader):
    commit(store, [judged("1", candidate=["response.a"]), judged("2", secondary=["response.a"])], minute(5))
    one = look(reader)["response.a"]
    assert (one.rank, one.state, one.minutes) == (0, State.NOISY, 0)


def test_ranks_follow_first_votes_and_ties_go_by_name_not_by_direction(store: Store, reader: Reader):
    commit(store, [judged("1", minute(1), candidate=["response.a"])], minute(1))
    commit(store, [judged("2", minute(0), candidate=["response.z"], secondary=["response.y"])], minute(1))
    commit(store, [], minute(5))
    ranks = {name: h.rank for name, h in look(reader).items()}
    assert ranks["response.y"] < ranks["response.z"] < ranks["response.a"]


def test_by_call_each_triple_votes_at_once(by_call: Store, reader: Reader):
    commit(by_call, several(30, candidate=["response.a"]))
    one = look(reader)["response.a"]
    assert one.state is State.REGRESSED
    assert one.regressed_at_s == START_S
    assert one.judgement.log_e_star == pytest.approx(noise.log_e_star([(30, 0)]))


def test_regressed_is_for_good_over_a_restart_too(url: str):
    options = JudgeOptions(vote_by="call")
    with Store.open(url, judge=options) as store:
        commit(store, several(30, candidate=["response.a"]))
    with Store.open(url, judge=options) as store:
        commit(store, several(3000, START_S + 120, secondary=["response.a"]), START_S + 120)
        one = look(store.reader())["response.a"]
    assert (one.state, one.regressed_at_s, one.since_s) == (State.REGRESSED, START_S, START_S)
    assert one.judgement.state is State.REGRESSED


def test_hours_restart_the_evidence(by_call: Store, reader: Reader):
    """What starts late is found by the restart of its hour: the votes stand in the hours of the epoch."""
    for i in range(20):
        commit(by_call, [judged(f"r{i}", candidate=["response.a"]), judged(f"n{i}", secondary=["response.a"])])
    commit(by_call, several(10, minute(125), candidate=["response.a"]), minute(125))
    expected = noise.log_e_star([(20, 20), (0, 0), (10, 0)])
    assert look(reader)["response.a"].judgement.log_e_star == pytest.approx(expected)


def test_another_way_of_counting_counts_everything_anew(url: str):
    groups = [one for i in range(4) for one in several(3, minute(i), candidate=["response.a"])]
    with Store.open(url, judge=JudgeOptions(vote_by="call")) as store:
        commit(store, groups)
    with Store.open(url, judge=JudgeOptions(deadline_s=10)) as store:
        commit(store, [], minute(100))
        assert look(store.reader())["response.a"].judgement.log_e_star == pytest.approx(noise.log_e_star([(4, 0)]))
    with Store.open(url, judge=JudgeOptions(vote_by="call")) as store:
        commit(store, [], minute(100))
        assert look(store.reader())["response.a"].judgement.log_e_star == pytest.approx(noise.log_e_star([(12, 0)]))


def test_explained_paths_are_left_out_of_signatures_from_ten_noisy_triples_on(store: Store, reader: Reader):
    commit(store, several(9, secondary=["response.a"]), minute(0))
    assert store.explained(EPOCH, METHOD) == frozenset()
    commit(store, several(1, named="tenth", secondary=["response.a"]), minute(0))
    assert store.explained(EPOCH, METHOD) == {A}
    left = store.explained(EPOCH, METHOD)
    commit(store, several(2, named="out", candidate=["response.a"], explained=left), minute(0))
    assert look(reader)["response.a"].left_out == 2


def test_explained_is_asked_for_epochs_not_seen_yet(store: Store):
    assert store.explained(EPOCH, "never/Seen") == frozenset()


# A batch: how many minutes later it is committed, and of how many calls each side alone, or both, differ.
batches = st.lists(
    st.tuples(st.integers(0, 90), st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=8
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=batches, vote_by=st.sampled_from(["minute", "call"]))
def test_committed_in_parts_it_is_judged_as_the_core_judges_the_whole(tmp_path_factory, batches, vote_by):
    """Oracle: the counts by minute, added up by hand, through the core's own functions."""
    path = tmp_path_factory.mktemp("store") / "mirror.db"
    minutes: dict[int, tuple[int, int]] = {}
    at, d = 0, 0
    with Store.open(f"sqlite:///{path}", judge=JudgeOptions(vote_by=vote_by, deadline_s=10)) as store:
        for number, (later, raw, quiet, both) in enumerate(batches):
            at += later
            groups = several(raw, minute(at), named=f"r{number}", candidate=["response.a"])
            groups += several(quiet, minute(at), named=f"n{number}", secondary=["response.a"])
            groups += several(both, minute(at), named=f"d{number}", candidate=["response.a"], secondary=["response.a"])
            groups.append(judged(f"x{number}", minute(at)))
            commit(store, groups, minute(at))
            was = minutes.get(at, (0, 0))
            minutes[at] = (was[0] + raw, was[1] + quiet)
            d += both
        commit(store, [], minute(at + 2))
        found = look(store.reader()).get("response.a")
        left_out = store.explained(EPOCH, METHOD)
    if found is None:
        assert not any(b or c for b, c in minutes.values())
        return
    hours = [(0, 0)] * ((at - batches[0][0]) // 60 + 1)
    for index, (b, c) in minutes.items():
        votes = (b, c) if vote_by == "call" else (int(b > c), int(b < c))
        hour = (index - batches[0][0]) // 60
        hours[hour] = (hours[hour][0] + votes[0], hours[hour][1] + votes[1])
    assert found.judgement.log_e_star == pytest.approx(noise.log_e_star(hours))
    assert (found.b, found.c, found.d) == (sum(b for b, _ in minutes.values()), sum(c for _, c in minutes.values()), d)
    evidence = noise.Evidence(b=found.b, c=found.c, d=found.d, n=found.n, hours=hours, rank=found.rank)
    assert (A in left_out) == noise.may_leave_out(noise.judge(found.state, evidence, alpha=0.01), evidence)


def test_states_stay_since_when_they_began(store: Store, reader: Reader):
    commit(store, [judged("1", candidate=["response.a"])], minute(0) + 1)
    commit(store, [judged("2", candidate=["response.a"])], minute(0) + 5)
    one = look(reader)["response.a"]
    assert (one.first_seen_s, one.since_s) == (minute(0) + 1, minute(0) + 1)
    commit(store, several(3, named="n", secondary=["response.a"]), minute(0) + 7)
    seen = [look(reader)["response.a"]]
    assert [h.state for h in seen] == [State.NOISY]
    assert all(earlier.since_s <= later.since_s for earlier, later in pairwise([one, *seen]))
    assert seen[0].since_s == minute(0) + 7


def test_a_clock_that_is_set_back_loses_no_vote(store: Store, reader: Reader):
    for i in range(6):
        commit(store, several(2, minute(i), named=f"m{i}", candidate=["response.a"]), minute(i))
    commit(store, [], minute(10))
    commit(store, several(1, minute(2), named="again", candidate=["response.a"]), minute(4))
    commit(store, [], minute(20))
    assert look(reader)["response.a"].judgement.log_e_star == pytest.approx(noise.log_e_star([(6, 0)]))
