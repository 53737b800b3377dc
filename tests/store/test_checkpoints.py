"""A checkpoint is in the store with what it covers or not at all, and only the owner of a partition writes one."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from mirror.collect.app import _claim
from mirror.core.ledger import Progress
from mirror.store import Checkpoint, Claim, FencedError, Store, StoreError
from mirror.store.checkpoints import progress_of
from tests.store.building import START_S, faulty

HALF = Progress(9, {4: b"\x05", 8: b"\x00\x80"})


def claimed(store: Store, partition: int = 0) -> Claim:
    return store.claim("journal:a", partition, owner="host 1", now_s=START_S)


def commit(store: Store, claim: Claim, progress: Progress, n: int = 0) -> None:
    changes = store.changes()
    for one in faulty(n, named=str(progress.next_position)) if n else ():
        changes.add(one)
    store.commit(changes, START_S, [Checkpoint(claim, progress)])


def pairs(store: Store) -> int:
    return sum(epoch.counts.pairs for run in store.reader().runs() for epoch in run.epochs)


def test_what_was_committed_is_what_the_next_owner_begins_with(url: str):
    with Store.open(url) as store:
        first = claimed(store)
        assert (first.generation, first.progress) == (1, Progress())
        commit(store, first, HALF)
    with Store.open(url) as store:
        second = claimed(store)
        assert (second.generation, second.progress) == (2, HALF)
        assert second.progress.lowest_open == 4


def test_partitions_and_sources_know_nothing_of_each_other(url: str):
    with Store.open(url) as store:
        commit(store, claimed(store), HALF)
        commit(store, claimed(store, 7), Progress(2))
        assert store.claim("kafka:spans", 0, owner="", now_s=START_S).progress == Progress()
        with store.engine.connect() as connection:
            assert progress_of(connection, "journal:a") == {0: HALF, 7: Progress(2)}


def test_another_collector_that_wrote_of_late_is_named(url: str, caplog: pytest.LogCaptureFixture):
    with Store.open(url) as store:
        commit(store, claimed(store), HALF)
        store.claim("kafka:spans", 0, owner="a worker", now_s=START_S)
        assert store.active_elsewhere("journal:a", since_s=START_S) == {}  # itself, and what is no journal
        assert store.active_elsewhere("journal:b", since_s=START_S) == {"host 1": START_S}
        assert store.active_elsewhere("journal:b", since_s=START_S + 1) == {}
        _claim(store, "journal:b", 0, START_S + 5)
    assert "another collector (host 1) wrote into this store 5 s ago" in caplog.text


def test_a_writer_that_lost_its_partition_writes_nothing_at_all(url: str):
    with Store.open(url) as old, Store.open(url) as new:
        mine = claimed(old)
        commit(old, mine, HALF, 3)
        taken = new.claim("journal:a", 0, owner="host 2", now_s=START_S)
        with pytest.raises(FencedError, match=r"no longer ours \(generation 1\): host 2 has it \(generation 2\)"):
            commit(old, mine, Progress(20), 5)
        assert pairs(new) == 3
        commit(new, taken, Progress(20), 5)
        assert pairs(new) == 8
        assert claimed(new).progress == Progress(20)


def test_of_several_partitions_one_that_was_lost_holds_all_of_it_back(url: str):
    with Store.open(url) as store:
        mine, lost = claimed(store, 0), claimed(store, 1)
        claimed(store, 1)
        changes = store.changes()
        for one in faulty(2):
            changes.add(one)
        with pytest.raises(FencedError):
            store.commit(changes, START_S, [Checkpoint(mine, HALF), Checkpoint(lost, HALF)])
        assert (pairs(store), claimed(store, 0).progress) == (0, Progress())


def test_a_position_is_not_there_where_its_changes_are_not(url: str, monkeypatch: pytest.MonkeyPatch):
    with Store.open(url) as store:
        mine = claimed(store)

        def fails(*_: object) -> None:
            raise RuntimeError

        with monkeypatch.context() as broken:
            broken.setattr(store, "_write", fails)
            with pytest.raises(RuntimeError):
                commit(store, mine, HALF, 3)
        assert (claimed(store).progress, pairs(store)) == (Progress(), 0)


def test_open_positions_that_cannot_be_read_are_no_guess(url: str):
    with Store.open(url) as store:
        commit(store, claimed(store), HALF)
        with store.engine.begin() as connection:
            connection.execute(text("UPDATE partitions SET open = :raw"), {"raw": b"\x80"})
        with pytest.raises(StoreError, match="go back to a backup"):
            claimed(store)
