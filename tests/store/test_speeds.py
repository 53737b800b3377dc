"""Latency, size and instances in the store: counted by minute, judged by hour, kept over restarts, bounded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from mirror.core.model import Role
from mirror.core.policy import Policy
from mirror.core.speed.votes import Metric, Speed, cell_of
from mirror.core.verdict import decide
from mirror.store import JudgeOptions, Reader, Store
from mirror.store.limits import Limits
from mirror.store.speeds import MINUTES_KEPT
from mirror.store.tables_of_values import speed_hours, speed_minutes
from mirror.store.verdicts import run_facts
from mirror.store.views import SpeedView
from tests.store.building import METHOD, START_S, commit, faulty, ignore, judged, several, under


def timed(n: int, at_s: float = START_S, *, ours: float, theirs: float = 100.0, named: str = "t", **told):
    speeds = (Speed(Metric.LATENCY, 90.0, ours, theirs, cell_of(ours, theirs)),)
    return [replace(one, speeds=speeds) for one in several(n, at_s, named=named, **told)]


def minute(index: int) -> float:
    return START_S + 60 * index


def look(reader: Reader) -> SpeedView:
    (run,) = reader.runs()
    (found,) = reader.speeds(run.epochs[0].id)
    return found


def test_a_minute_votes_once_it_is_closed_and_the_bound_rises_with_minutes(store: Store, reader: Reader):
    commit(store, timed(5, ours=140), minute(0) + 30)
    (run,) = reader.runs()
    assert reader.speeds(run.epochs[0].id) == []
    for index in range(40):
        commit(store, timed(5, minute(index), ours=140, named=f"m{index}"), minute(index) + 59)
    commit(store, [], minute(50))
    one = look(reader)
    assert (one.method, one.metric, one.minutes, one.triples, one.rank) == (METHOD, "latency", 40, 205, 1)
    assert (one.median_ratio, one.tail_ratio) == (1.3, 0.0)
    assert one.quantiles["candidate"][0] == pytest.approx(140, rel=0.02)
    assert one.quantiles["primary"] == pytest.approx((90, 90, 90), rel=0.02)
    assert len(one.by_minute) == 40
    assert one.by_minute[0].triples == 10


def test_a_minute_with_few_triples_has_no_vote(store: Store, reader: Reader):
    for index in range(40):
        commit(store, timed(4, minute(index), ours=500, named=f"m{index}"), minute(index))
    commit(store, [], minute(50))
    assert (look(reader).median_ratio, look(reader).rank) == (0.0, 0)


def test_what_comes_late_changes_the_vote_of_its_minute(store: Store, reader: Reader):
    for index in range(40):
        commit(store, timed(5, minute(index), ours=140, named=f"a{index}"), minute(index) + 80)
    bound = look(reader).median_ratio
    for index in range(40):
        commit(store, timed(9, minute(index), ours=80, named=f"b{index}"), minute(45))
    commit(store, [], minute(50))
    assert look(reader).median_ratio == bound  # a lower bound that held once holds
    with reader.connect() as connection:
        (votes,) = connection.execute(select(speed_hours.c.votes)).scalars()
    assert '"median": [[0, 40]' in votes


def test_the_bound_is_kept_over_a_restart_and_another_way_of_counting(url: str):
    with Store.open(url, judge=JudgeOptions(vote_by="call")) as store:
        commit(store, timed(60, ours=140))
        assert look(store.reader()).median_ratio == 1.3
    with Store.open(url, judge=JudgeOptions(deadline_s=10)) as store:
        commit(store, timed(60, ours=50, named="fast"), minute(5))
        one = look(store.reader())
    assert (one.median_ratio, one.triples) == (1.3, 120)


def test_ranks_are_their_own(by_call: Store, reader: Reader):
    commit(by_call, [*faulty(5), *timed(5, ours=140)])
    (run,) = reader.runs()
    assert look(reader).rank == 1
    assert {h.rank for h in reader.hypotheses(run.epochs[0].id)} == {1, 2}


def test_old_minutes_go_and_their_votes_stay(by_call: Store, reader: Reader):
    commit(by_call, timed(60, ours=140))
    later = START_S + 60 * (MINUTES_KEPT + 200)
    commit(by_call, timed(10, later, ours=140, named="later"), later)
    late = timed(3, minute(1), ours=140, named="late")
    commit(by_call, late, later + 1)
    with reader.connect() as connection:
        assert connection.execute(select(func.count()).select_from(speed_minutes)).scalar() == 1
    assert look(reader).triples == 70
    assert reader.counters()["speeds_too_late"] == 3


def test_a_changed_rule_leaves_latency_alone(by_call: Store, reader: Reader):
    under(by_call, groups=[*faulty(5), *timed(60, ours=140)], takes_over=True)
    under(by_call, ignore(), takes_over=True)
    assert look(reader).median_ratio == 1.3


@pytest.mark.parametrize(
    ("on_latency", "ratio", "verdict"), [("report", 1.2, False), ("fail", 1.2, True), ("fail", 1.5, False)]
)
def test_a_slower_method_fails_only_where_the_policy_says_so(
    by_call: Store, reader: Reader, on_latency, ratio, verdict
):
    commit(by_call, timed(60, ours=140))
    policy = Policy(on_latency=on_latency, latency_ratio=ratio, vote_by="call")
    (run,) = reader.runs()
    report = decide(run_facts(reader, run.epochs[0].id, policy, START_S), policy)
    assert ([reason.code for reason in report.reasons] == ["slower"]) is verdict
    if verdict:
        assert "took over 1.3 times the secondary's time" in report.reasons[0].text


def test_instances_are_counted_by_role_and_capped(url: str):
    with Store.open(url, limits=Limits(instances_max=4)) as store:
        commit(store, several(5))
        commit(store, several(2, START_S + 9, named="more"))
        reader = store.reader()
        epoch_id = reader.runs()[0].epochs[0].id
        assert [(one.role, one.instance, one.calls, one.last_s - one.first_s) for one in reader.instances(epoch_id)] == [
            (role, f"{role}-1", 7, 9) for role in sorted(Role)
        ]  # fmt: skip
        changes = store.changes()
        for n in range(3):
            one = judged(f"x{n}")
            call = one.group.calls[Role.CANDIDATE]
            one.group.calls[Role.CANDIDATE] = replace(call, resource=call.resource._replace(instance=f"other-{n}"))
            changes.add(one)
        store.commit(changes, START_S)
        found = {one.instance: one.calls for one in reader.instances(epoch_id) if one.role == "candidate"}
        assert (found["(other)"], sum(found.values())) == (2, 10)
