"""Committing goes on until the store takes it; only a stop or a fault of ours ends it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from mirror.collect import app
from mirror.collect.counters import Counters
from mirror.collect.writer import Writer
from mirror.core.model import EpochKey, Verdict
from mirror.core.policy import Policy
from mirror.store import Changes, Checkpoint, Store, StoreError
from mirror.store.views import RuleChangeView
from tests.collect.records import judged

EPOCH = EpochKey("checkout", "shop", "1", "2")


class Failing(Store):
    """A real store that fails before it works."""

    failures: list[Exception]
    attempts = 0
    looks = 0

    def look(self, policy: Policy, now_s: float) -> None:
        self.looks += 1
        super().look(policy, now_s)

    def commit(
        self, changes: Changes, now_s: float, checkpoints: Iterable[Checkpoint] = ()
    ) -> tuple[RuleChangeView, ...]:
        self.attempts += 1
        if self.failures:
            raise self.failures.pop()
        return super().commit(changes, now_s, checkpoints)


@pytest.fixture
def store(tmp_path: Path) -> Failing:
    opened = Failing.open(f"sqlite:///{tmp_path}/mirror.db")
    assert isinstance(opened, Failing)
    opened.failures = []
    return opened


def writer(store: Store) -> tuple[Writer, Counters]:
    counters = Counters()
    made = Writer(store, counters, policy=Policy(), clock=time.time)
    made.changes.add(judged("m1", Verdict.MATCHED))
    return made, counters


def pairs(store: Store) -> int:
    return sum(epoch.counts.pairs for epoch in store.reader().epochs("checkout"))


def test_what_is_flushed_is_in_the_store_and_new_changes_begin(store: Failing) -> None:
    made, counters = writer(store)
    made.flush()
    assert (pairs(store), made.changes.empty) == (1, True)
    assert counters.value("mirror_commits_total") == 1


def test_a_failing_store_is_tried_until_it_works_and_nothing_is_counted_twice(
    store: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    store.failures = [StoreError("the disk is full")] * 3
    made, counters = writer(store)
    made.flush()
    assert pairs(store) == 1
    assert counters.value("mirror_commit_failures_total") == 3
    assert caplog.text.count("the disk is full") == 1
    assert not made.failing


def test_at_the_stop_a_store_that_never_works_is_given_up_and_the_loss_is_counted(store: Failing) -> None:
    store.failures = [StoreError("gone")] * 10_000
    made, counters = writer(store)
    made.give_up_in(0.0)
    made.flush()
    assert counters.value("mirror_uncommitted_lost_total") == 1
    assert made.changes.empty


def test_a_fault_of_ours_does_not_block_for_ever(store: Failing) -> None:
    store.failures = [ValueError("secret")] * 10_000
    made, counters = writer(store)
    made.flush()
    assert counters.value("mirror_uncommitted_lost_total") == 1
    assert counters.value("mirror_internal_errors_total", stage="commit") == 3


def test_empty_changes_are_committed_now_and_then_so_that_minutes_close(store: Failing) -> None:
    now = [1000.0]
    made = Writer(store, Counters(), policy=Policy(), clock=lambda: now[0])
    made.flush()
    made.flush()
    assert store.attempts == 1
    now[0] += 60
    made.flush()
    assert store.attempts == 2


def test_every_run_is_decided_once_a_minute_so_that_a_fail_is_kept(store: Failing) -> None:
    now = [1000.0]
    made = Writer(store, Counters(), policy=Policy(), clock=lambda: now[0])
    for _ in range(13):
        made.flush()
        now[0] += 10
    assert store.looks == 3  # at 0, 60 and 120 seconds


def test_what_the_database_can_never_take_is_lost_after_a_few_attempts_and_counted(store: Failing) -> None:
    """Tried for ever, it would block everything behind it."""
    store.failures = [StoreError("too many SQL variables", lasting=True) for _ in range(3)]
    made, counters = writer(store)
    made.flush()
    assert store.attempts == 3
    assert counters.value("mirror_uncommitted_lost_total") == 1


def test_a_store_that_gives_no_answer_is_not_asked_again_for_every_group():
    """Each question may wait for a timeout; a queue of groups would wait for hours, and nothing would be committed."""

    class Silent:
        asked = 0

        def explained(self, _epoch: object, _method: str) -> frozenset[object]:
            self.asked += 1
            raise StoreError("no answer")

    store, counters = Silent(), Counters()
    explained = app._explained(store, counters)  # type: ignore[arg-type] # all that it asks of a store
    assert [explained(EPOCH, "m") for _ in range(100)] == [frozenset()] * 100
    assert store.asked == 1
