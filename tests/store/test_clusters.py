"""Sets of what differs and samples of requests: counted with everything else, bounded, started anew by rules, read as clusters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from mirror.core.model import Kind, Role
from mirror.core.noise import State
from mirror.core.request_fields import RequestFields
from mirror.store import Limits, Reader, Store, StoreError
from mirror.store.sampling import Sampler, SetChanges, number_of, set_of
from mirror.store.tables_of_examples import difference_sets, request_samples
from tests.store.building import METHOD, START_S, comparison, faulty, ignore, judged, several, under

A, B, C = "response.a", "response.b", "response.c"


def fields(**values):
    return RequestFields({f"request.{name}": (value,) for name, value in values.items()})


def add(store: Store, *groups, keep: bool = False, now_s: float = START_S):
    """Commit (judged, fields of the request) pairs."""
    changes = store.changes()
    for one, of_request in groups:
        changes.add(one, comparison(one) if keep else None, of_request if changes.sets.wants(one) else None)
    store.commit(changes, now_s)


def only(reader: Reader):
    (run,) = reader.runs()
    return run.epochs[0]


def clusters(reader: Reader, **query):
    return reader.clusters(only(reader).id, **query)


def named(view):
    return {tuple(h.hypothesis.pattern for h in one.paths): one.n for one in view.clusters}


def japanese(n: int, *, candidate=(A,), at_s: float = START_S, name="jp"):
    return [(judged(f"{name}-{i}", at_s + i, candidate=candidate), fields(currency="JPY", n=i)) for i in range(n)]


def smallest(calls, n: int) -> set[int]:
    """The numbers by which a sample of `n` is taken of these calls."""
    return set(sorted(number_of(one.group.key.mirror_id) for one, _ in calls)[:n])


def others(n: int, *, jpy_each: int = 40, name="eu"):
    return [
        (judged(f"{name}-{i}", START_S + i), fields(currency="JPY" if i % jpy_each == 0 else "EUR", n=i))
        for i in range(n)
    ]


def rows(store: Store, table, *where):
    with store.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()


def test_a_cluster_has_its_lead_its_figures_and_its_newest_examples(store: Store, reader: Reader):
    add(store, *japanese(41), *others(120), keep=True)
    (one,) = clusters(reader).clusters
    (path,) = one.paths
    assert (one.method, path.hypothesis.pattern, one.state) == (METHOD, A, State.SUSPECT)
    assert (one.n, one.calls, one.first_s, one.last_s) == (41, 161, START_S, START_S + 40)
    (lead,) = one.leads
    assert (lead.condition, lead.inside, lead.inside_of) == ('request.currency = "JPY"', 41, 41)
    assert (lead.outside, lead.outside_of) == (3, 120)
    assert (one.sampled, one.matches_sampled, one.instances) == (41, 120, (("candidate-1", 41),))
    assert [example.mirror_id for example in one.examples] == [f"jp-{i}" for i in (19, 18, 17, 16, 15)]


def test_an_instance_that_alone_goes_wrong_is_a_lead(store: Store, reader: Reader):
    def on(instance: str, name: str, **told):
        one = judged(name, **told)
        calls = one.group.calls
        moved = replace(calls[Role.CANDIDATE], resource=calls[Role.CANDIDATE].resource._replace(instance=instance))
        return replace(one, group=replace(one.group, calls={**calls, Role.CANDIDATE: moved})), fields(n=len(name))

    wrong = [on("pod-7", f"w{i}", candidate=[A]) for i in range(30)]
    add(store, *wrong, *(on(f"pod-{5 + i % 3}", f"r{i}") for i in range(90)))
    (one,) = clusters(reader).clusters
    assert [(lead.condition, lead.outside, lead.outside_of) for lead in one.leads] == [
        ('candidate.instance = "pod-7"', 30, 90)
    ]
    assert one.instances == (("pod-7", 30),)


def test_two_causes_that_meet_are_two_clusters_each_with_its_condition(store: Store, reader: Reader):
    both = [
        (
            judged(f"both-{i}", START_S, candidate=(A, B)),
            RequestFields({"request.currency": ("JPY",), "request.gift": (True,)}),
        )
        for i in range(2)
    ]
    gifts = [
        (
            judged(f"gift-{i}", START_S, candidate=(B,)),
            RequestFields({"request.currency": ("EUR",), "request.gift": (True,)}),
        )
        for i in range(20)
    ]
    add(store, *japanese(30), *gifts, *both, *others(200))
    found = clusters(reader)
    assert named(found) == {(A,): 32, (B,): 22}
    assert {one.paths[0].hypothesis.pattern: one.leads[0].condition for one in found.clusters} == {
        A: 'request.currency = "JPY"',
        B: "request.gift = true",
    }


def test_noise_is_in_no_cluster(store: Store, reader: Reader):
    raw = [(judged(f"raw-{i}", candidate=[C]), fields(n=i)) for i in range(20)]
    noise = [(judged(f"noise-{i}", secondary=[C]), fields(n=i)) for i in range(40)]
    mixed = [(judged(f"mixed-{i}", candidate=[A, C]), fields(currency="JPY", n=i)) for i in range(20)]
    add(store, *raw, *noise, *mixed, *japanese(20), *others(100))
    states = {h.hypothesis.pattern: h.state for h in reader.hypotheses(only(reader).id)}
    assert (states[A], states[C]) == (State.SUSPECT, State.NOISY)
    view = clusters(reader)
    assert (named(view), view.left_over) == ({(A,): 40}, 0)
    assert view.clusters[0].leads[0].condition == 'request.currency = "JPY"'


def test_without_a_secondary_all_that_differs_is_in_clusters(store: Store, reader: Reader):
    alone = {Role.CANDIDATE}
    add(
        store,
        *((judged(f"a-{i}", candidate=[A], expect=alone), fields(n=i)) for i in range(5)),
        *((judged(f"b-{i}", expect=alone), fields(n=i)) for i in range(50)),
    )
    (one,) = clusters(reader).clusters
    assert (one.n, one.calls, one.state) == (5, 55, State.UNSEEN)


def test_what_was_not_compared_is_in_no_set(store: Store):
    add(
        store,
        (judged("1", incomparable="schema"), None),
        (judged("2", came=[Role.CANDIDATE, Role.SECONDARY]), None),
        (judged("3", blocked=[A]), None),
    )
    assert rows(store, difference_sets) == 0


def test_a_candidate_that_never_answered_is_a_difference(store: Store, reader: Reader):
    add(store, *((judged(f"{i}", came=[Role.PRIMARY, Role.SECONDARY]), fields(n=i)) for i in range(4)), *others(50))
    (one,) = clusters(reader).clusters
    assert [(h.hypothesis.pattern, h.hypothesis.kind) for h in one.paths] == [("status.no_answer", Kind.NO_ANSWER)]
    assert one.instances == ()


def test_samples_are_bounded_and_the_same_in_whatever_order_calls_come(url: str):
    limits = Limits(samples_of_method=20, samples_of_set=5)
    calls = [*japanese(30), *others(100)]
    with Store.open(url, limits=limits) as store:
        for start in range(0, 130, 13):
            add(store, *calls[start : start + 13])
        matched, differing = smallest(calls, 20), smallest(calls[:30], 5)
        with store.engine.connect() as connection:
            kept = connection.execute(select(request_samples.c.bucket, request_samples.c.number)).all()
    assert {row.number for row in kept if row.bucket == 0} == matched
    assert {row.number for row in kept if row.bucket} == differing


def test_a_full_sample_asks_for_no_more_requests(url: str):
    with Store.open(url, limits=Limits(samples_of_method=10, samples_of_set=5)) as store:
        add(store, *others(3000))
        changes = store.changes()
        wanted = sum(changes.sets.wants(one) for one in several(3000, named="later"))
    assert wanted < 30  # 10 in 3,000 are as small as the tenth smallest


def test_a_batch_holds_no_more_samples_than_the_store_would():
    sets = SetChanges(Sampler(Limits(samples_of_method=7, samples_of_set=3)))
    for one, of_request in [*japanese(50), *others(200)]:
        sets.add(one, of_request)
    assert sorted(len(held.samples) for held in sets.held.values()) == [3, 7]
    assert sum(seen.n for seen in sets.seen.values()) == 250


def test_no_samples_where_they_are_switched_off(url: str):
    with Store.open(url, limits=Limits(samples_of_method=0, samples_of_set=0)) as store:
        assert not any(store.changes().sets.wants(one) for one, _ in [*japanese(3), *others(3)])
        add(store, *japanese(10), *others(50))
        assert rows(store, request_samples) == 0
        (one,) = clusters(store.reader()).clusters
    assert (one.n, one.leads, one.sampled) == (10, (), 0)


def test_sets_beyond_the_cap_are_left_over(url: str):
    with Store.open(url, limits=Limits(sets_max=3)) as store:
        many = [(judged(f"{i}", candidate=[f"response.p{i}"]), fields(n=i)) for i in range(10)]
        add(store, *others(20))
        add(store, *many[:5])
        add(store, *many[5:])
        view = clusters(store.reader())
        assert rows(store, difference_sets) == 4
        assert (view.count, view.left_over) == (2, 8)
        assert store.reader().counters()["difference_sets_over_limit"] == 8


def test_only_so_many_sets_are_sampled_those_of_most_calls(url: str):
    with Store.open(url, limits=Limits(sampled_sets_max=2)) as store:
        add(store, *japanese(5, candidate=[A], name="a"), *japanese(9, candidate=[B], name="b"))
        add(store, *japanese(7, candidate=[C], name="c"))
        with store.engine.connect() as connection:
            found = connection.execute(
                select(difference_sets.c.members, func.count())
                .join(request_samples, request_samples.c.bucket == difference_sets.c.id)
                .group_by(difference_sets.c.members)
            ).all()
    assert dict(map(tuple, found)) == {f'[["{B}", "value"]]': 9, f'[["{C}", "value"]]': 7}


def test_a_rule_that_only_ignores_more_keeps_the_sets_and_takes_the_path_out(store: Store, reader: Reader):
    under(store, takes_over=True, groups=[*faulty(20, candidate=[A, B]), *several(30, named="fine")])
    assert named(clusters(reader)) == {(A, B): 20}
    under(store, ignore(A), takes_over=True)
    assert rows(store, difference_sets) == 2
    assert named(clusters(reader)) in ({}, {(B,): 20})


def test_another_change_of_rules_starts_the_sets_anew(store: Store, reader: Reader):
    under(store, ignore(B), takes_over=True, groups=[*faulty(20, candidate=[A]), *several(30, named="fine")])
    assert rows(store, difference_sets) == 2
    under(store, takes_over=True)
    assert (rows(store, difference_sets), rows(store, request_samples)) == (0, 0)
    assert clusters(reader).count == 0
    under(store, groups=faulty(3, named="again", candidate=[B]))
    assert named(clusters(reader)) == {(B,): 3}


def test_samples_go_with_age(url: str):
    with Store.open(url, limits=Limits(kept_max_age_s=1000.0)) as store:
        add(store, *others(5), *japanese(3))
        assert rows(store, request_samples) == 11
        add(store, now_s=START_S + 5000)
        assert rows(store, request_samples) == 0
        assert store.changes().sets.wants(judged("later"))


def test_a_commit_that_failed_can_be_tried_again(store: Store, reader: Reader, monkeypatch: pytest.MonkeyPatch):
    changes = store.changes()
    for one, of_request in [*japanese(5), *others(20)]:
        changes.add(one, None, of_request)

    def fail(*_given, **_more):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("mirror.store.store.judging.judge_touched", fail)
        with pytest.raises(StoreError):
            store.commit(changes, START_S)
    assert rows(store, difference_sets) == 0
    store.commit(changes, START_S)
    assert named(clusters(reader)) == {(A,): 5}
    assert rows(store, request_samples) == 30


def test_a_noisy_path_is_in_the_set_of_a_call_whose_value_shows_the_fault():
    both = judged("x", START_S, candidate=(A,), secondary=(A,))
    for votes, members in (
        ({("class", "empty"): 1, ("class", "uuid"): -1}, {(A, Kind.VALUES)}),
        ({("length", "3"): 1}, set()),
    ):
        found = set_of(replace(both, values={A: votes}))
        assert found is not None
        assert found[2] == members
