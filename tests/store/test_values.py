"""The kind `values`: votes of labels by minute and hour, ranks, states, and leaf values, in the transaction of the rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from mirror.core.model import Judged, Kind, Leaf
from mirror.core.noise import State
from mirror.core.policy import Policy
from mirror.core.values.evidence import log_e_values
from mirror.store import JudgeOptions, Reader, Store
from mirror.store.limits import Limits
from mirror.store.tables_of_values import leaf_values, value_hours, value_minutes
from mirror.store.verdicts import run_facts
from mirror.store.views import HypothesisView
from tests.store.building import EPOCH, METHOD, START_S, A, commit, ignore, judged, several, under

EMPTY, HEX = ("class", "empty"), ("class", "hex")


def with_values(groups: list[Judged], *labels, pattern: str = A, vote: int = 1) -> list[Judged]:
    """The same groups; in each these labels voted."""
    return [replace(one, values={pattern: dict.fromkeys(labels, vote)}) for one in groups]


def unlike(n: int, at_s: float = START_S, *, named: str = "v", labels=(EMPTY,), vote: int = 1, **told) -> list[Judged]:
    """`n` groups in which both shadows differ, and the candidate's value has the labels."""
    given = {"candidate": [A], "secondary": [A]} | told
    return with_values(several(n, at_s, named=named, **given), *labels, vote=vote)


def look(reader: Reader) -> dict[str, HypothesisView]:
    (run,) = reader.runs()
    return {h.hypothesis.pattern: h for h in reader.hypotheses(run.epochs[0].id) if h.hypothesis.kind is Kind.VALUES}


def minute(index: int) -> float:
    return START_S + 60 * index


def test_by_call_each_triple_votes_at_once(by_call: Store, reader: Reader):
    commit(by_call, unlike(40))
    one = look(reader)[A]
    assert (one.state, one.b, one.c, one.d, one.n, one.regressed_at_s) == (State.REGRESSED, 0, 0, 40, 40, START_S)
    assert one.judgement.log_e_star == pytest.approx(log_e_values({EMPTY: [(40, 0)]}))
    (label,) = one.labels
    assert (label.family, label.label, label.text, label.votes_raw, label.votes_noise) == (
        "class",
        "empty",
        "is empty",
        40,
        0,
    )


def test_by_minute_a_label_has_one_vote_a_closed_minute(store: Store, reader: Reader):
    commit(store, [*unlike(5), *unlike(3, named="w", vote=-1, labels=(EMPTY, HEX))], minute(0) + 30)
    assert (look(reader)[A].rank, look(reader)[A].labels) == (0, ())
    commit(store, [], minute(1) + 10)
    one = look(reader)[A]
    assert one.rank > 0
    assert {(label.label, label.votes_raw, label.votes_noise) for label in one.labels} == {
        ("empty", 1, 0),
        ("hex", 0, 1),
    }
    assert (one.minutes, one.d) == (1, 8)


def test_what_comes_late_changes_the_vote_of_its_minute(store: Store, reader: Reader):
    commit(store, unlike(2), minute(3))
    assert look(reader)[A].labels[0].votes_raw == 1
    commit(store, unlike(3, named="late", vote=-1), minute(3) + 1)
    one = look(reader)[A]
    assert [(label.votes_raw, label.votes_noise) for label in one.labels] == [(0, 1)]


def test_votes_stand_in_their_hours_and_restart_the_evidence(by_call: Store, reader: Reader):
    commit(by_call, [*unlike(10), *unlike(10, named="n", vote=-1)])
    commit(by_call, unlike(8, minute(125), named="h"), minute(125))
    expected = log_e_values({EMPTY: [(10, 10), (0, 0), (8, 0)]})
    assert look(reader)[A].judgement.log_e_star == pytest.approx(expected)


def test_ranks_are_given_among_the_other_kinds(by_call: Store, reader: Reader):
    commit(by_call, unlike(1, secondary=[]))
    (run,) = reader.runs()
    ranks = {(h.hypothesis.pattern, h.hypothesis.kind): h.rank for h in reader.hypotheses(run.epochs[0].id)}
    assert sorted(ranks.values()) == [1, 2, 3]
    assert ranks["(any)", Kind.ANY] < ranks[A, Kind.VALUE] < ranks[A, Kind.VALUES]  # of one minute, by name


def test_another_way_of_counting_counts_labels_anew(url: str):
    groups = [one for i in range(4) for one in unlike(3, minute(i), named=f"m{i}")]
    with Store.open(url, judge=JudgeOptions(vote_by="call")) as store:
        commit(store, groups)
    with Store.open(url, judge=JudgeOptions(deadline_s=10)) as store:
        commit(store, [], minute(100))
        assert look(store.reader())[A].labels[0].votes_raw == 4


def test_it_is_noise_and_says_so_where_labels_vote_alike(by_call: Store, reader: Reader):
    commit(by_call, [*unlike(20), *unlike(20, named="n", vote=-1)])
    one = look(reader)[A]
    assert (one.state, one.judgement.explained, one.judgement.blind) == (State.NOISY, True, False)
    assert "no sign" in one.judgement.words
    assert by_call.explained(EPOCH, METHOD) >= {(A, Kind.VALUE)}


def test_a_failed_commit_leaves_nothing_and_is_made_again(by_call: Store, reader: Reader):
    changes = by_call.changes()
    for one in unlike(3):
        changes.add(one)
    by_call.commit(changes, START_S)
    by_call.commit(by_call.changes(), START_S)
    with reader.connect() as connection:
        assert connection.execute(select(func.sum(value_minutes.c.b))).scalar() == 3


def test_paths_beyond_the_cap_have_no_votes_and_are_counted(url: str):
    with Store.open(url, judge=JudgeOptions(vote_by="call"), limits=Limits(hypotheses_max=3)) as store:
        for i in range(6):
            one = several(1, named=f"{i}-", candidate=[f"response.f{i}"], secondary=[f"response.f{i}"])
            commit(store, with_values(one, EMPTY, pattern=f"response.f{i}"))
        views = look(store.reader())
        assert "(other)" in views
        assert views["(other)"].labels == ()
        assert store.reader().counters()["values_over_limit"] > 0


def test_growth_is_by_paths_labels_and_minutes_not_by_calls(by_call: Store, reader: Reader):
    for _ in range(3):
        commit(by_call, unlike(50, labels=(EMPTY, HEX)))
    with reader.connect() as connection:
        for table in (value_minutes, value_hours):
            assert connection.execute(select(func.count()).select_from(table)).scalar() == 2


def test_a_changed_rule_starts_the_values_of_its_paths_anew(by_call: Store, reader: Reader):
    under(by_call, groups=unlike(30), takes_over=True)
    assert look(reader)[A].labels
    under(by_call, ignore(), takes_over=True)
    assert look(reader) == {}
    with reader.connect() as connection:
        assert connection.execute(select(func.count()).select_from(value_hours)).scalar() == 0


# Leaf values


def with_leaves(groups: list[Judged], **of_pattern) -> list[Judged]:
    leaves = Counter({Leaf(f"response.{name}"): n for name, n in of_pattern.items()})
    return [replace(one, leaves=leaves) for one in groups]


def facts(reader: Reader):
    (run,) = reader.runs()
    (method,) = run_facts(reader, run.epochs[0].id, Policy(), START_S).methods
    return method


def test_leaf_values_of_some_calls_stand_for_all(by_call: Store, reader: Reader):
    commit(by_call, several(90))
    assert facts(reader).leaf_values is None
    commit(by_call, with_leaves(several(10, named="s"), a=1, b=3))
    found = facts(reader)
    assert (found.leaf_values, found.blind_values, found.leaf_calls) == (400, 0, 10)


def test_blind_ignored_and_unjudged_leaves_are_what_nobody_judges(by_call: Store, reader: Reader):
    groups = with_leaves(several(20, candidate=["response.id"], secondary=["response.id"]), id=1, b=1)
    more = [Leaf("response.c", ignored=True), Leaf("response.d", unhashed=True), Leaf("response.e", hashed=True)]
    others = several(20, named="x", candidate=["response.id"], secondary=["response.id"])
    commit(by_call, [*groups, *(replace(one, leaves=Counter(more)) for one in others)])
    found = facts(reader)
    assert (found.leaf_values, found.hashed_values) == (100, 20)
    assert dict(found.unseen_values) == {"blind": 20, "ignored": 20, "unjudged": 20}
    assert found.blind_values == 60


def test_another_rule_has_the_leaves_counted_anew(by_call: Store, reader: Reader):
    under(by_call, groups=with_leaves(several(5), a=1), takes_over=True)
    assert facts(reader).leaf_values == 5
    under(by_call, ignore(), takes_over=True)
    assert facts(reader).leaf_values is None


def test_patterns_of_leaves_are_capped(url: str):
    with Store.open(url, limits=Limits(hypotheses_max=3)) as store:
        commit(store, with_leaves(several(1), **{f"f{i}": 2 for i in range(10)}))
        with store.reader().connect() as connection:
            rows = dict(connection.execute(select(leaf_values.c.pattern, leaf_values.c.n)).all())
    assert rows == {"response.f0": 2, "response.f1": 2, "response.f2": 2, "(other)": 14}


def test_judging_is_kept_over_a_restart(url: str):
    options = JudgeOptions(vote_by="call")
    with Store.open(url, judge=options) as store:
        commit(store, unlike(40))
    with Store.open(url, judge=options) as store:
        commit(store, unlike(400, named="back", vote=-1))
        assert look(store.reader())[A].state is State.REGRESSED
        assert judged("1").values == {}
