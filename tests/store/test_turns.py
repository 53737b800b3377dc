"""Several writers of one database: each commit counts once, also where its answer is lost, and ranks are given by one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from mirror.core.ledger import Progress
from mirror.store import Checkpoint, JudgeOptions, Store, StoreError
from mirror.store.views import RuleStatus
from tests.store.building import EPOCH, START_S, A, faulty
from tests.store.test_checkpoints import claimed, pairs


@pytest.mark.parametrize("journaled", [True, False])
def test_a_commit_whose_answer_was_lost_counts_once(url: str, monkeypatch: pytest.MonkeyPatch, journaled: bool):
    """As when the database is restarted within COMMIT: it is tried again, and finds itself done."""
    with Store.open(url) as store:
        marks = [Checkpoint(claimed(store), Progress(9))] if journaled else []
        changes = store.changes()
        for one in faulty(5):
            changes.add(one)
        begin = store.engine.begin

        @contextlib.contextmanager
        def lossy():
            with begin() as connection:
                yield connection
            raise OperationalError("COMMIT", {}, ConnectionError("the server closed the connection unexpectedly"))

        with monkeypatch.context() as broken:
            broken.setattr(store.engine, "begin", lossy)
            with pytest.raises(StoreError, match="closed the connection"):
                store.commit(changes, START_S, marks)
        store.commit(changes, START_S, marks)
        assert pairs(store) == 5
        following = store.changes()
        for one in faulty(3, named="more"):
            following.add(one)
        store.commit(following, START_S, marks)
        assert pairs(store) == 8


def test_writers_that_commit_at_once_count_and_rank_as_one(url: str):
    """Many small commits of four writers, all of the same new epoch, methods and paths."""
    judge = JudgeOptions(vote_by="call")

    def write(number: int) -> None:
        with Store.open(url, judge=judge, shared=True) as store:
            for turn in range(10):
                changes = store.changes()
                for one in faulty(5, named=f"{number} {turn}", candidate=[A, f"response.of_{turn}"]):
                    changes.add(one)
                _patiently(lambda changes=changes: store.commit(changes, START_S))

    with Store.open(url, judge=judge, shared=True):
        pass
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    with Store.open(url, judge=judge) as store:
        (epoch,) = store.reader().epochs(EPOCH.run)
        expected = 40 * 5
        assert epoch.counts.pairs == epoch.counts.triples == expected
        with store.engine.connect() as connection:
            ranks = list(connection.execute(text("SELECT rank FROM hypotheses WHERE rank > 0 ORDER BY rank")).scalars())
        assert ranks == list(range(1, len(ranks) + 1))
        assert ranks


def test_writers_that_start_at_once_make_the_tables_once(url: str):
    def open_it(_: int) -> None:
        Store.open(url, shared=True).close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(open_it, range(4)))


def _patiently(commit: Callable[[], object]) -> None:
    """SQLite's writers wait for each other a bounded time; the pipeline tries again, and so does this."""
    for _ in range(20):
        with contextlib.suppress(StoreError):
            commit()
            return
    commit()


def test_what_one_writer_says_of_rules_leaves_what_another_knows(url: str):
    valid = RuleStatus("price", "r", "a/M", "valid")
    with Store.open(url, shared=True) as one, Store.open(url, shared=True) as other:
        changes = one.changes()
        changes.rules([valid, RuleStatus("gone", "r", "a/M", "valid")])
        one.commit(changes, START_S)
        changes = other.changes()
        changes.rules([RuleStatus("price", "", "", "pending"), RuleStatus("tags", "r", "b/N", "unknown", "?")])
        other.commit(changes, START_S)
        found = {view.id: view.statuses for view in one.reader().rules()}
    assert found == {"price": (valid,), "tags": (RuleStatus("tags", "r", "b/N", "unknown", "?"),)}
