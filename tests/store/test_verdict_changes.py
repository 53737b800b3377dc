"""Changes of verdicts are noted once, whoever looks, and each listener has its own place; on both databases."""

from __future__ import annotations

import threading

from mirror.core.verdict import Policy
from mirror.store import Store
from mirror.store.verdict_changes import ChangeQueue
from tests.store.building import RUN, START_S, A, commit, several

POLICY = Policy(vote_by="call", min_duration_s=0, min_triples=1, budget=0.01)


def listener(store: Store, name: str = "ci") -> ChangeQueue:
    queue = ChangeQueue(store.engine, name)
    queue.begin()
    return queue


def test_a_change_is_noted_once_however_often_one_looks(by_call: Store):
    queue = listener(by_call)
    commit(by_call, several(5))
    by_call.look(POLICY, START_S)
    assert queue.waiting(10) == ([], 0)  # an epoch begins as inconclusive
    commit(by_call, several(1000, named="more"))
    for _ in range(3):
        by_call.look(POLICY, START_S)
    (change,), count = queue.waiting(10)
    assert (count, change.run, change.verdict, change.body["before"]) == (1, RUN, "pass", "inconclusive")
    assert change.body["reasons"][0]["code"] == "within_budget"


def test_several_that_look_at_once_note_it_once(by_call: Store, url: str):
    queue = listener(by_call)
    commit(by_call, several(60, candidate=[A]))
    stores = [Store.open(url, judge=by_call.options) for _ in range(4)]
    try:
        threads = [threading.Thread(target=one.look, args=(POLICY, START_S)) for one in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for one in stores:
            one.close()
    assert queue.waiting(10)[1] == 1


def test_each_listener_goes_on_from_its_own_place_after_a_restart(by_call: Store):
    first, second = listener(by_call, "a"), listener(by_call, "b")
    commit(by_call, several(1000))
    by_call.look(POLICY, START_S)
    commit(by_call, several(300, named="x", candidate=[A]))
    by_call.look(POLICY, START_S)
    changes, _ = first.waiting(10)
    assert [one.verdict for one in changes] == ["pass", "fail"]
    first.done_to(changes[0].id)
    again, other = listener(by_call, "a"), listener(by_call, "b")
    assert [one.verdict for one in again.waiting(10)[0]] == ["fail"]
    assert second.waiting(1)[1] == other.waiting(1)[1] == 2
    assert again.waiting(10)[0][0].uid == changes[1].uid


def test_a_new_listener_begins_behind_what_was_told_before(by_call: Store):
    commit(by_call, several(1000))
    by_call.look(POLICY, START_S)
    assert listener(by_call, "new").waiting(10) == ([], 0)
