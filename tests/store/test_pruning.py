"""Letting go on request: what a dry run says is what then goes; a run goes whole, and a collector beside it loses nothing."""

from __future__ import annotations

import pytest
from grpc_mirror.v1 import schema_pb2
from sqlalchemy import func, select

from mirror.core.model import Resource
from mirror.store import Store, StoreError
from mirror.store.checking import check_store
from mirror.store.columns import metadata
from mirror.store.pruning import OVER_AFTER_S, Pruned, prune_kept, prune_run, would_prune
from mirror.store.tables import source_minutes
from tests.store.building import EPOCH, METHOD, RUN, START_S, commit, judged, several

LATER_S = START_S + OVER_AFTER_S + 60


def would(store: Store, **limits) -> Pruned:
    with store.engine.connect() as connection:
        return would_prune(connection, **limits)


def sizes(store: Store) -> list[int]:
    table = metadata.tables["comparisons"]
    with store.engine.connect() as connection:
        return list(connection.execute(select(table.c.size).order_by(table.c.compared_at_s)).scalars())


def filled(store: Store, n: int = 6) -> None:
    for i in range(n):
        commit(store, [judged(f"k{i}", START_S + i, candidate=["response.a"])], keep=True)


def test_by_age_and_bytes_goes_what_the_dry_run_said(store: Store):
    filled(store)
    held = sizes(store)
    limits = {"before_s": START_S + 3, "max_bytes": sum(held[-2:])}  # compared a second after they came: two are older
    told = would(store, **limits)
    assert told == Pruned(aged=2, crowded=2, size=sum(held[:4]))
    assert prune_kept(store.engine, **limits) == told
    assert sizes(store) == held[-2:]
    assert store.reader().counters("") == {"comparisons_pruned_for_age": 2, "comparisons_pruned_for_bytes": 2}


def test_a_limit_that_is_not_given_does_not_apply(store: Store):
    filled(store)
    assert prune_kept(store.engine, before_s=None, max_bytes=None) == Pruned()
    assert prune_kept(store.engine, before_s=None, max_bytes=10**9) == Pruned()
    assert prune_kept(store.engine, before_s=START_S, max_bytes=None) == Pruned()
    assert len(sizes(store)) == 6


def test_more_than_one_transaction_takes(store: Store, monkeypatch):
    monkeypatch.setattr("mirror.store.pruning.PRUNE_AT_ONCE", 2)
    monkeypatch.setattr("mirror.store.examples.PRUNE_AT_ONCE", 2)
    filled(store, 9)
    held = sizes(store)
    assert prune_kept(store.engine, before_s=START_S + 6, max_bytes=held[-1]) == Pruned(5, 3, sum(held[:8]))


def test_reports_go_with_the_runs_of_their_time(store: Store):
    def reported(at_s: float, sequence: int) -> None:
        changes = store.changes()
        report = schema_pb2.SourceReport(source_id="one", sequence=sequence, captured=10 * sequence)
        changes.source(report, Resource("shop", "2.0", "pod"))
        store.commit(changes, at_s)

    def minutes() -> list[int]:
        with store.engine.connect() as connection:
            return sorted(connection.execute(select(source_minutes.c.minute)).scalars())

    day_s = START_S + 86_400
    commit(store, [judged("old")])
    reported(START_S, 1)
    commit(store, [judged("new", day_s, run="another")], day_s)
    reported(day_s, 2)
    prune_run(store.engine, "another", day_s + 86_400)
    assert len(minutes()) == 2  # the old run's verdict asks for all of them
    commit(store, [judged("newest", day_s, run="another")], day_s)
    prune_run(store.engine, RUN, day_s + 86_400)
    assert minutes() == [int(day_s) // 60]


def test_of_a_run_that_is_pruned_nothing_is_left(store: Store):
    filled(store)
    commit(store, [judged("x", START_S, candidate=["response.b"], run="other")], keep=True)
    found = prune_run(store.engine, RUN, LATER_S)
    assert (found.epochs, found.methods, found.pairs, found.comparisons) == (1, 1, 6, 6)
    assert [run.name for run in store.reader().runs()] == ["other"]
    with store.engine.connect() as connection:
        left = {
            t.name: connection.execute(select(func.count()).select_from(t)).scalar() for t in metadata.sorted_tables
        }
    assert (left["epochs"], left["methods"], left["comparisons"], left["comparison_blobs"]) == (1, 1, 1, 1)
    assert store.reader().counters("") == {"comparisons_pruned_with_run": 6, "runs_pruned": 1}


def test_a_run_that_gets_pairs_stays(store: Store):
    filled(store)
    with pytest.raises(StoreError, match=f"run {RUN} is not over.*Stop mirroring"):
        prune_run(store.engine, RUN, START_S + OVER_AFTER_S - 1)
    assert len(sizes(store)) == 6


def test_a_run_that_is_not_there_is_none(store: Store):
    assert prune_run(store.engine, "never", LATER_S) is None
    assert store.reader().counters() == {}


def test_a_collector_that_knew_the_run_begins_it_anew(store: Store, url: str):
    """It remembers row ids; those that are gone, or belong to another run by now, must not be used."""
    commit(store, several(3, candidate=["response.a"]), keep=True)
    prune_run(store.engine, RUN, LATER_S)
    with Store.open(url, judge=store.options) as beside:
        commit(
            beside, several(2, run="other", candidate=["response.z"]), LATER_S, keep=True
        )  # may get the ids that are free
    commit(store, several(4, LATER_S, named="new", candidate=["response.b"]), LATER_S, keep=True)
    runs = {run.name: run.epochs[0] for run in store.reader().runs()}
    assert {name: epoch.counts.pairs for name, epoch in runs.items()} == {RUN: 4, "other": 2}
    paths = {(name, h.hypothesis.pattern) for name, epoch in runs.items() for h in store.reader().hypotheses(epoch.id)}
    assert paths == {(RUN, "response.b"), (RUN, "(any)"), ("other", "response.z"), ("other", "(any)")}
    assert check_store(url, store.limits, now_s=LATER_S).findings == ()


def test_what_is_explained_is_forgotten_with_the_run(store: Store):
    commit(store, several(20, candidate=["response.a"], secondary=["response.a"]))
    commit(store, [], START_S + 600)
    before = store.explained(EPOCH, METHOD)
    prune_run(store.engine, RUN, LATER_S)
    commit(store, [judged("new", LATER_S)], LATER_S)
    assert store.explained(EPOCH, METHOD) == frozenset()
    assert before  # else this shows nothing
