"""The account of a run adds up: what came is in a group, dropped by reason, or waiting."""

from __future__ import annotations

from mirror.core.model import OutboundRecord, Release, Role
from mirror.store import Store
from tests.store.building import RUN, START_S, group, judged


def calls(n: int, *, run: str = RUN):
    return [call for i in range(n) for call in group(f"m{i}", run=run).calls.values()]


def outbound(mirror_id: str) -> OutboundRecord:
    key = group(mirror_id).key
    return OutboundRecord(key, Role.PRIMARY, frozenset(), b"s" * 8, "pay.v1.Pay/Charge", 0, False, b"", b"o" * 8, 0.0)


def test_what_came_is_grouped_dropped_or_waiting(url: str):
    with Store.open(url) as store:
        changes = store.changes()
        changes.received(calls(5), [outbound("m0"), outbound("m1")])
        changes.received(calls(2, run="other"), [])
        for n in range(3):
            changes.add(judged(f"m{n}"))
        changes.add(judged("m3", came={Role.PRIMARY, Role.SECONDARY}, release=Release.EVICTED))
        for call in calls(1)[:2]:
            changes.dropped(call, "duplicate")
        changes.dropped(outbound("m1"), "late_outbound")
        store.commit(changes, START_S)
        account = store.reader().account(RUN)
    assert (account.calls.received, account.calls.grouped, account.calls.dropped) == (15, 11, {"duplicate": 2})
    assert account.calls.waiting == 2
    assert (account.outbound.received, account.outbound.dropped, account.outbound.waiting) == (
        2,
        {"late_outbound": 1},
        1,
    )
    assert (account.requests, account.evicted, account.duplicates) == ({"complete": 3, "evicted": 1}, 1, 2)
    assert account.pairs == account.compared + sum(account.incomplete.values()) + sum(account.incomparable.values())
    assert (account.pairs, account.compared) == (4, 3)


def test_incomplete_and_incomparable_are_told_by_reason_over_all_epochs(url: str):
    with Store.open(url) as store:
        changes = store.changes()
        changes.add(judged("a", came={Role.PRIMARY, Role.SECONDARY}, release=Release.DEADLINE))
        changes.add(judged("b", incomparable="schema", candidate_version="3.0"))
        changes.add(judged("c", candidate_version="3.0"))
        store.commit(changes, START_S)
        account = store.reader().account(RUN)
        assert len(store.reader().epochs(RUN)) == 2
    assert (account.incomplete, account.incomparable) == ({"candidate": 1}, {"schema": 1})
    assert (account.pairs, account.compared) == (3, 1)


def test_of_a_run_that_nobody_saw_all_is_nothing(url: str):
    with Store.open(url) as store:
        account = store.reader().account("never")
    assert (account.calls.received, account.pairs, account.requests) == (0, 0, {})
