"""A commit adds everything that was gathered, or nothing; what goes beyond a cap is counted under "(other)"."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from mirror.core.model import EpochKey, Kind, Release, Role
from mirror.core.noise import State
from mirror.store import Limits, Reader, Store, StoreError
from mirror.store.limits import OTHER
from tests.store.building import EPOCH, METHOD, MINUTE, START_S, Changes, commit, group, judged, several


def only_epoch(reader: Reader) -> int:
    (run,) = reader.runs()
    (epoch,) = run.epochs
    return epoch.id


def counted(reader: Reader) -> dict[str, tuple[int, int, int]]:
    return {
        h.hypothesis.pattern: (h.b, h.c, h.d)
        for h in reader.hypotheses(only_epoch(reader))
        if h.hypothesis.kind is Kind.VALUE
    }


def test_counts_every_verdict_and_reason(store: Store, reader: Reader):
    commit(
        store,
        [
            judged("1"),
            judged("2", candidate=["response.total"]),
            judged("3", ignored=["response.at"]),
            judged("4", incomparable="client_ended"),
            judged("5", came=[Role.PRIMARY, Role.SECONDARY]),
            judged("6", primary_status="NOT_FOUND"),
        ],
    )
    (epoch,) = reader.epochs(EPOCH.run)
    counts = epoch.counts
    assert epoch.key == EPOCH
    assert epoch.has_secondary
    assert (counts.pairs, counts.matched, counts.mismatched, counts.ignored) == (6, 2, 1, 1)
    assert (counts.incomplete, counts.incomparable, counts.triples) == (1, 1, 5)
    assert (counts.primary_errors, counts.secondary_status) == (1, 1)
    assert counts.reasons == {
        "incomparable.client_ended": 1,
        "incomplete.candidate": 1,
        "only_candidate.client_ended": 1,
        "no_triple.incomparable_client_ended": 1,
    }


def test_a_candidate_that_never_answered_is_evidence(store: Store, reader: Reader):
    commit(store, [judged("1", came=[Role.PRIMARY, Role.SECONDARY], release=Release.DEADLINE)])
    found = {(h.hypothesis.pattern, h.hypothesis.kind): h.b for h in reader.hypotheses(only_epoch(reader))}
    assert found["status.no_answer", Kind.NO_ANSWER] == 1


def test_evidence_says_which_side_differs(store: Store, reader: Reader):
    commit(store, several(3, candidate=["response.a"]) + several(2, named="n", secondary=["response.a"]))
    commit(store, several(4, named="b", candidate=["response.a", "response.b"], secondary=["response.a"]))
    assert counted(reader) == {"response.a": (3, 2, 4), "response.b": (4, 0, 0)}
    (method,) = reader.methods(only_epoch(reader))
    assert (method.method, method.counts.triples, method.state) == (METHOD, 9, State.SUSPECT)


def test_pairs_without_secondary_count_as_volume_and_not_as_evidence(store: Store, reader: Reader):
    commit(store, several(3, candidate=["response.a"], expect=[Role.CANDIDATE]))
    (hypothesis,) = reader.hypotheses(only_epoch(reader))
    assert (hypothesis.b, hypothesis.pairs, hypothesis.n, hypothesis.rank) == (0, 3, 0, 0)
    assert not reader.epochs(EPOCH.run)[0].has_secondary


def test_two_versions_are_two_epochs_the_newest_first(store: Store, reader: Reader):
    commit(store, [judged("1"), judged("2", START_S + 60, candidate_version="2.1")])
    assert [epoch.key.candidate_version for epoch in reader.epochs(EPOCH.run)] == ["2.1", "2.0"]


def test_a_commit_that_fails_leaves_nothing_and_can_be_repeated(store: Store, reader: Reader):
    changes = store.changes()
    for one in several(5, candidate=["response.a"]):
        changes.add(one)

    def fail(*_) -> None:
        raise OSError(28, "No space left on device")

    event.listen(store.engine, "commit", fail)
    with pytest.raises(StoreError, match="cannot be written"):
        store.commit(changes, START_S)
    event.remove(store.engine, "commit", fail)
    assert reader.runs() == []
    store.commit(changes, START_S)
    assert counted(reader) == {"response.a": (5, 0, 0)}


def test_an_empty_commit_is_one(store: Store, reader: Reader):
    changes = store.changes()
    assert changes.empty
    store.commit(changes, START_S)
    assert reader.runs() == []


def test_patterns_beyond_the_cap_are_counted_as_other_never_twice_a_triple(url: str):
    paths = [f"response.f{i}" for i in range(5)]
    with Store.open(url, limits=Limits(hypotheses_max=3)) as store:
        commit(store, several(10, candidate=paths))
        commit(store, several(1, named="x", candidate=["response.f4"]))
        reader = store.reader()
        found = counted(reader)
        assert found[OTHER] == (11, 0, 0)
        assert len(found) == 3  # with `any` in the third place, and "(other)" beside them
        assert all(h.b <= h.n for h in reader.hypotheses(only_epoch(reader)))


def test_other_is_never_explained(url: str):
    with Store.open(url, limits=Limits(hypotheses_max=1)) as store:
        commit(store, several(40, secondary=["response.a", "response.b"]))
        assert store.explained(EPOCH, METHOD) == frozenset()


def test_methods_and_epochs_beyond_the_cap_share_one(url: str):
    with Store.open(url, limits=Limits(methods_max=2, epochs_max=2)) as store:
        commit(store, [judged(str(i), method=f"a.B/M{i}") for i in range(4)])
        commit(store, [judged(str(i), candidate_version=f"3.{i}") for i in range(3)])
        reader = store.reader()
        keys = {epoch.key: epoch.counts.pairs for epoch in reader.epochs(EPOCH.run)}
        assert keys[EpochKey(EPOCH.run, OTHER, "", "")] == 2
        assert len(keys) == 3
        first = next(epoch.id for epoch in reader.epochs(EPOCH.run) if epoch.key == EPOCH)
        assert {m.method: m.counts.pairs for m in reader.methods(first)} == {"a.B/M0": 1, "a.B/M1": 1, OTHER: 2}


def test_names_that_the_database_would_refuse_are_kept_readable(store: Store, reader: Reader):
    long = "response." + "very_deep." * 90
    commit(
        store,
        [
            judged("1", method="a.B/C\x00", candidate=[long + "x"]),
            judged("2", method="a.B/C\x00", candidate=[long + "y"]),
        ],
    )
    patterns = {h.hypothesis.pattern for h in reader.hypotheses(only_epoch(reader)) if h.hypothesis.kind is Kind.VALUE}
    assert len(patterns) == 2
    assert all(len(pattern) <= 600 for pattern in patterns)
    assert reader.methods(only_epoch(reader))[0].method == "a.B/C\ufffd"


def test_minutes_are_those_of_the_first_arrival(store: Store, reader: Reader):
    commit(store, [*several(3, START_S + 60, candidate=["response.a"]), judged("0")])
    minutes = reader.minutes(only_epoch(reader))
    assert [(m.minute, m.counts.pairs, m.raw_only) for m in minutes] == [(MINUTE, 1, 0), (MINUTE + 1, 3, 3)]


def test_a_builder_made_without_a_store_works_too(store: Store, reader: Reader):
    changes = Changes()
    changes.add(judged("1"))
    store.commit(changes, START_S)
    assert reader.runs()[0].epochs[0].counts.pairs == 1


def test_the_primary_alone_is_no_pair(store: Store, reader: Reader):
    one = judged("1", expect=[])
    assert one.group.calls.keys() == group("1", expect=[]).calls.keys()
    commit(store, [one])
    assert reader.runs()[0].epochs[0].counts.pairs == 0
