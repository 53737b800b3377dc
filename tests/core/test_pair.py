"""Which calls the pairer releases together, when and why; and that no record is lost unseen."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.model import CallRecord, PairKey, Release, Resource, Role
from mirror.core.pair import DROPS, RECORD_OVERHEAD_BYTES, Pairer

BOTH = frozenset({Role.CANDIDATE, Role.SECONDARY})
P, C, S = Role.PRIMARY, Role.CANDIDATE, Role.SECONDARY
RESOURCE = Resource("shop", "1", "pod")


def call(role, mirror_id="a", *, at=0.0, expect=BOTH, attempt=0, status="OK", capture=b"capture"):
    key = PairKey("run", "shop.v1.Shop/Buy", mirror_id)
    span_id = f"{role}-{mirror_id}-{attempt}".encode()
    return CallRecord(key, role, frozenset(expect), attempt, status, RESOURCE, b"trace", span_id, capture, at)


def pairer(**settings):
    defaults = {"deadline_s": 30.0, "grace_s": 5.0, "open_max_bytes": 10**9, "tombstones_max": 1000}
    return Pairer(**(defaults | settings))


def feed(pairs, *records):
    """Add each record at its own arrival time; everything that was released."""
    return [group for record in records for group in pairs.add(record, record.arrived_s)]


def roles(group):
    return set(group.calls)


@pytest.mark.parametrize("order", [(P, C, S), (S, C, P), (C, P, S)])
def test_a_group_is_released_when_all_expected_calls_are_there(order):
    pairs = pairer()
    *early, last = [call(role) for role in order]
    assert feed(pairs, *early) == []
    [group] = feed(pairs, last)
    assert (group.release, roles(group), group.expect) == (Release.COMPLETE, {P, C, S}, BOTH)
    assert (pairs.open, pairs.open_bytes, pairs.next_deadline_s) == (0, 0, None)


def test_who_is_expected_comes_with_the_calls():
    [group] = feed(pairer(), call(P, expect={C}), call(C, expect={C}))
    assert group.expect == {C}


def test_a_shadow_may_tell_of_more_shadows_than_the_primary():
    pairs = pairer()
    assert feed(pairs, call(P, expect={C}), call(S, expect={S})) == []
    assert roles(feed(pairs, call(C, expect={C}))[0]) == {P, C, S}


def test_what_is_missing_at_the_deadline_stays_missing():
    pairs = pairer()
    feed(pairs, call(P, at=100), call(S, at=110))
    assert pairs.next_deadline_s == 130
    assert pairs.take_expired(129.9) == []
    [group] = pairs.take_expired(130)
    assert (group.release, roles(group), group.first_arrival_s) == (Release.DEADLINE, {P, S}, 100)


def test_shadows_without_primary_are_released_at_the_deadline():
    pairs = pairer()
    feed(pairs, call(C), call(S))
    [group] = pairs.take_expired(30)
    assert (group.release, roles(group)) == (Release.DEADLINE, {C, S})


def test_the_deadline_counts_by_arrival_even_if_nobody_looked_in_time():
    """A record that arrived after the deadline is late, whenever the pairer comes to read it."""
    pairs = pairer()
    released = feed(pairs, call(P), call(C), call(S, at=31))
    assert [(g.release, roles(g)) for g in released] == [(Release.DEADLINE, {P, C})]
    assert pairs.counts["late_secondary"] == 1


def test_a_retry_after_the_grace_is_late_even_if_nobody_looked_in_time():
    pairs = pairer()
    feed(pairs, call(P, attempt=1, status="UNAVAILABLE"), call(C), call(S))
    [group] = feed(pairs, call(P, at=5, attempt=2))
    assert (group.release, group.calls[P].attempt) == (Release.COMPLETE, 1)
    assert pairs.counts["late_primary"] == 1


def test_a_late_call_is_counted_and_opens_no_new_group():
    pairs = pairer()
    feed(pairs, call(P), call(S))
    pairs.take_expired(30)
    assert feed(pairs, call(C, at=40)) == []
    assert (pairs.counts["late_candidate"], pairs.open) == (1, 0)


def test_a_span_sent_again_is_a_duplicate_before_and_after_release():
    pairs = pairer()
    feed(pairs, call(P), call(P), call(C), call(S), call(C, at=3))
    assert pairs.counts["duplicate"] == 2
    assert pairs.counts["late_candidate"] == 0


def test_a_primary_for_which_no_shadow_comes_is_not_mirrored():
    pairs = pairer()
    assert feed(pairs, call(P, expect=())) == []
    assert (pairs.counts["not_mirrored"], pairs.open) == (1, 0)


def test_a_failed_primary_waits_for_a_retry():
    """The retry's success is what the client saw, so it is what counts."""
    pairs = pairer()
    first, retry = call(P, attempt=1, status="UNAVAILABLE"), call(P, at=2, attempt=2)
    assert feed(pairs, first, call(C), call(S)) == []
    assert pairs.next_deadline_s == 5
    [group] = feed(pairs, retry)
    assert (group.calls[P].attempt, group.release) == (2, Release.COMPLETE)
    assert pairs.counts["replaced_attempt"] == 1


def test_a_failed_primary_without_retry_is_released_after_its_grace():
    pairs = pairer()
    feed(pairs, call(P, attempt=1, status="NOT_FOUND", at=1), call(C), call(S))
    assert pairs.take_expired(5.9) == []
    [group] = pairs.take_expired(6)
    assert (group.release, roles(group)) == (Release.COMPLETE, {P, C, S})
    assert (pairs.take_expired(100), pairs.open) == ([], 0)


def test_a_shadow_that_comes_after_the_grace_completes_at_once():
    pairs = pairer()
    feed(pairs, call(P, attempt=1, status="NOT_FOUND"), call(C))
    assert pairs.take_expired(5) == []
    assert len(feed(pairs, call(S, at=7))) == 1


def test_the_grace_never_outlasts_the_deadline():
    pairs = pairer(grace_s=50)
    feed(pairs, call(P, attempt=1, status="NOT_FOUND", at=1), call(C), call(S))
    [group] = pairs.take_expired(31)
    assert group.release is Release.COMPLETE


@pytest.mark.parametrize(("attempt", "status"), [(0, "NOT_FOUND"), (0, "OK"), (1, "OK"), (3, "OK")])
def test_no_grace_without_a_known_attempt_or_without_a_failure(attempt, status):
    assert len(feed(pairer(), call(C), call(S), call(P, attempt=attempt, status=status))) == 1


def test_a_failed_shadow_waits_for_nothing():
    assert len(feed(pairer(), call(P), call(S), call(C, attempt=1, status="INTERNAL"))) == 1


def test_a_lower_attempt_that_comes_later_is_dropped():
    pairs = pairer()
    feed(pairs, call(P, attempt=2), call(P, attempt=1, status="UNAVAILABLE"))
    assert pairs.counts["lower_attempt"] == 1
    [group] = feed(pairs, call(C), call(S))
    assert group.calls[P].attempt == 2


def test_the_oldest_make_room_when_memory_is_full():
    room = 3 * (RECORD_OVERHEAD_BYTES + 1000)
    pairs = pairer(open_max_bytes=room)
    records = [call(P, name, at=at, capture=bytes(1000)) for at, name in enumerate("abcd")]
    [group] = feed(pairs, *records)
    assert (group.key.mirror_id, group.release) == ("a", Release.EVICTED)
    assert pairs.counts["evicted"] == 1
    assert (pairs.open, pairs.open_bytes) == (3, room)


def test_a_call_larger_than_all_memory_does_not_stay():
    pairs = pairer(open_max_bytes=1000)
    [group] = feed(pairs, call(P, capture=bytes(2000)))
    assert (group.release, pairs.open_bytes) == (Release.EVICTED, 0)


def test_draining_releases_everything_oldest_first():
    pairs = pairer()
    feed(pairs, call(P, "b", at=1), call(P, "a", at=2), call(P, "c", at=3, attempt=1, status="NOT_FOUND"))
    feed(pairs, call(C, "c", at=4), call(S, "c", at=4))
    assert [(g.key.mirror_id, g.release) for g in pairs.drain()] == [
        ("b", Release.DRAIN),
        ("a", Release.DRAIN),
        ("c", Release.COMPLETE),
    ]
    assert (pairs.open, pairs.open_bytes) == (0, 0)


def test_the_same_id_of_another_method_or_run_is_another_request():
    pairs = pairer()
    other = replace(call(C), key=PairKey("run", "shop.v1.Shop/Sell", "a"))
    elsewhere = replace(call(S), key=PairKey("other", "shop.v1.Shop/Buy", "a"))
    assert feed(pairs, call(P), other, elsewhere) == []
    assert pairs.open == 3


def test_tombstones_are_bounded():
    pairs = pairer(tombstones_max=2)
    for name in "abc":
        feed(pairs, call(P, name), call(C, name), call(S, name))
    feed(pairs, call(C, "c", at=1), call(C, "a", at=1))
    assert (pairs.counts["duplicate"], pairs.open) == (1, 1)  # "a" is forgotten and waits anew


def test_waiting_lists_do_not_grow_with_what_was_released():
    pairs = pairer()
    feed(pairs, call(P, "one that waits"))
    for number in range(20_000):
        at = -number % 2  # every other one is stamped by a clock that is behind
        feed(pairs, *(call(role, str(number), at=at) for role in (P, C, S)))
    assert pairs.open == 1
    assert len(pairs._deadlines) <= 2200


def test_a_clock_that_is_set_back_makes_nobody_wait_longer():
    """Those of the later time, which began before, are still open when the others' time is over."""
    pairs = pairer()
    feed(pairs, call(P, "a", at=3600), call(P, "b", at=0), call(P, "c", at=1))
    assert [group.key.mirror_id for group in pairs.take_expired(1e3)] == ["b", "c"]
    assert pairs.next_deadline_s is not None
    assert [group.key.mirror_id for group in pairs.take_expired(1e4)] == ["a"]
    assert pairs.next_deadline_s is None


@st.composite
def arrivals(draw):
    """Calls of a few requests, with retries and missing shadows, in any order within the grace."""
    records = []
    for name in "abc"[: draw(st.integers(1, 3))]:
        expect = draw(st.sampled_from([BOTH, frozenset({C})]))
        attempts = draw(st.integers(0, 3))
        records += [call(P, name, expect=expect, attempt=n, status="UNAVAILABLE") for n in range(1, attempts)]
        records.append(
            call(P, name, expect=expect, attempt=attempts, status=draw(st.sampled_from(["OK", "NOT_FOUND"])))
        )
        present = draw(st.sets(st.sampled_from(sorted(expect))))
        records += [call(role, name, expect=expect) for role in sorted(present)]
    return records, draw(st.permutations(records))


def released_by(records):
    pairs = pairer()
    groups = feed(pairs, *[replace(r, arrived_s=n / 100) for n, r in enumerate(records)]) + pairs.take_expired(1000)
    return {g.key: (g.release, {role: c.span_id for role, c in g.calls.items()}) for g in groups}


@given(arrivals())
def test_any_order_of_arrival_gives_the_same_groups(case):
    in_order, shuffled = case
    assert released_by(in_order) == released_by(shuffled)


steps = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        st.sampled_from(Role),
        st.sampled_from([BOTH, frozenset({C}), frozenset()]),
        st.integers(0, 2),
        st.sampled_from(["OK", "UNAVAILABLE"]),
        st.floats(0, 20),
        st.booleans(),
    ),
    max_size=60,
)


def released_from(steps, *, always_look):
    pairs, now_s, released = pairer(), 0.0, []
    for name, role, expect, attempt, status, pause_s, look in steps:
        now_s += pause_s
        if look or always_look:
            released += pairs.take_expired(now_s)
        released += pairs.add(call(role, name, at=now_s, expect=expect, attempt=attempt, status=status), now_s)
    released += pairs.take_expired(10_000)
    as_text = sorted(f"{g.first_arrival_s} {g.key} {g.release} {sorted(g.calls)}" for g in released)
    return as_text, dict(pairs.counts)


@given(steps)
def test_reading_again_decides_the_same_however_often_one_looks(steps):
    assert released_from(steps, always_look=True) == released_from(steps, always_look=False)


@given(steps, st.integers(1, 10), st.integers(0, 5))
def test_no_record_is_lost_unseen(steps, room, tombstones):
    """In = released + dropped by name + open, whatever comes, and memory stays within its cap."""
    pairs = pairer(open_max_bytes=room * (RECORD_OVERHEAD_BYTES + 20), tombstones_max=tombstones)
    now_s, released = 0.0, []
    for name, role, expect, attempt, status, pause_s, look in steps:
        now_s += pause_s
        if look:
            released += pairs.take_expired(now_s)
        released += pairs.add(call(role, name, at=now_s, expect=expect, attempt=attempt, status=status), now_s)
        assert pairs.open_bytes <= room * (RECORD_OVERHEAD_BYTES + 20)
        assert (pairs.next_deadline_s is None) == (pairs.open == 0)
    released += pairs.drain()
    dropped = sum(pairs.counts[name] for name in DROPS)
    assert sum(len(g.calls) for g in released) + dropped == len(steps)
    assert pairs.open == pairs.open_bytes == 0
    assert pairs.counts["evicted"] == Counter(g.release for g in released)[Release.EVICTED]
