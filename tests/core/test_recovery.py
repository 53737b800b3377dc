"""Reading again after a crash: the pairer and the ledger together count every span once, and every request once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mirror.core.ledger import Ledger, Progress
from mirror.core.model import CallRecord, Origin, PairKey, Resource, Role
from mirror.core.pair import Pairer
from mirror.core.recovery import recovered

EXPECT = frozenset({Role.CANDIDATE, Role.SECONDARY})
# Requests of 1 to 4 calls, each (which request of the mirrored ones, role, attempt); some come twice or thrice.
CALLS = st.tuples(st.integers(0, 4), st.sampled_from(list(Role)), st.integers(0, 2))
LOGS = st.lists(st.lists(CALLS, min_size=1, max_size=4), max_size=12)


def call(number: int, role: Role, attempt: int, at_s: float = 0.0) -> CallRecord:
    key = PairKey("run", "shop.v1.Shop/Buy", str(number))
    span_id = f"{role}-{number}-{attempt}".encode()
    status = "OK" if attempt != 1 else "UNAVAILABLE"
    return CallRecord(key, role, EXPECT, attempt, status, Resource("shop", "1", ""), b"t" * 16, span_id, b"", at_s)


def records(log) -> list[list[CallRecord]]:
    """With their places: request n of the log came at n seconds."""
    return [
        [
            replace(call(*one, float(position)), origin=Origin(0, position), span_index=3 * nth)
            for nth, one in enumerate(request)
        ]
        for position, request in enumerate(log)
    ]


class Life:
    """One life of a reader, from a checkpoint on. What it counts is counted once `commit` was reached."""

    def __init__(self, committed: Progress, deadline_s: float) -> None:
        self.committed = self._start = committed
        self.counted: list[tuple[int, int]] = []
        self.groups: list[PairKey] = []
        self._ledger = Ledger(committed)
        self._pairer = Pairer(deadline_s, 1.0, open_max_bytes=10**9, tombstones_max=1000)
        self._counted: list[tuple[int, int]] = []
        self._groups: list[PairKey] = []

    def read(self, request: list[CallRecord]) -> None:
        position = request[0].origin.position
        parts = recovered(self._start, position, request)
        for span in parts.closed:
            self._pairer.bury(span)
        self._ledger.read(position, [span.span_index for span in parts.taken])
        if parts.counted:
            for span in parts.taken:
                self._pairer.reopen(span.key)
        for span in parts.taken:
            self._took(self._pairer.add(span, span.arrived_s))

    def expire(self, now_s: float) -> None:
        self._took(self._pairer.take_expired(now_s))

    def end(self) -> None:
        self._took(self._pairer.drain())

    def commit(self) -> None:
        self.committed = self._ledger.progress()
        self.counted += self._counted
        self.groups += self._groups
        self._counted, self._groups = [], []

    def _took(self, groups) -> None:
        for group in groups:
            self._groups.append(group.key)
            for one in group.calls.values():
                self._close(one)
        for record, _ in self._pairer.take_dropped():
            self._close(record)

    def _close(self, record: CallRecord) -> None:
        self._counted.append((record.origin.position, record.span_index))
        self._ledger.close(record.origin.position, record.span_index)


@given(LOGS, st.integers(1, 20), st.data())
def test_whenever_it_dies_each_span_and_each_request_is_counted_once(log, deadline_s: int, data: st.DataObject):
    """Requests repeat calls, attempts follow one another, groups expire; it dies and begins again any number of times."""
    log = records(log)
    committed, counted, groups = Progress(), list[tuple[int, int]](), list[PairKey]()
    lives = data.draw(st.integers(0, 3))
    for nth in range(lives + 1):
        last = nth == lives
        life = Life(committed, float(deadline_s))
        until = len(log) if last else data.draw(st.integers(0, len(log)))
        for request in log[:until]:
            life.read(request)
            if not last and data.draw(st.booleans()):
                life.expire(request[0].arrived_s)
            if data.draw(st.booleans()):
                life.commit()
        if last:
            life.end()
            life.commit()
        committed, counted, groups = life.committed, counted + life.counted, groups + life.groups
    assert sorted(counted) == sorted((c.origin.position, c.span_index) for request in log for c in request)
    assert not {key: n for key, n in Counter(groups).items() if n > 1}
    assert committed == Progress(len(log), {})


def test_a_repeat_of_what_was_counted_before_the_crash_is_a_duplicate():
    pairer = Pairer(30.0, 5.0, open_max_bytes=10**9, tombstones_max=10)
    for role in Role:
        pairer.bury(call(1, role, 0))
    assert pairer.add(call(1, Role.CANDIDATE, 0), 100.0) == []
    assert [reason for _, reason in pairer.take_dropped()] == ["duplicate"]
    assert pairer.open == 0


def test_what_was_open_is_not_late_though_a_repeat_of_it_was_counted():
    pairer = Pairer(30.0, 5.0, open_max_bytes=10**9, tombstones_max=10)
    pairer.bury(call(1, Role.PRIMARY, 1))  # replaced by the attempt that is open
    pairer.reopen(call(1, Role.PRIMARY, 2).key)
    released = [group for role in Role for group in pairer.add(call(1, role, 2), 0.0)]
    assert [len(group.calls) for group in released] == [3]


def test_after_a_start_nobody_expires_before_senders_had_their_time():
    pairer = Pairer(30.0, 5.0, open_max_bytes=10**9, tombstones_max=10)
    pairer.wait_until(1000.0)
    pairer.add(call(1, Role.PRIMARY, 0, at_s=10.0), 10.0)
    assert pairer.take_expired(999.0) == []
    late = [group for role in (Role.CANDIDATE, Role.SECONDARY) for group in pairer.add(call(1, role, 0, 990.0), 990.0)]
    assert [len(group.calls) for group in late] == [3]
    pairer.add(call(2, Role.PRIMARY, 0, at_s=990.0), 990.0)
    assert [len(group.calls) for group in pairer.take_expired(1020.0)] == [1]
