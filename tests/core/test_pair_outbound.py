"""Calls and their outbound calls: who waits for whom, and that no outbound call is lost unseen."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.gathering import DROPS, OUTBOUND_MAX
from mirror.core.model import OutboundRecord, Release
from tests.core.test_pair import BOTH, C, P, S, call, pairer

CHARGE, MAIL = "pay.v1.Pay/Charge", "mail.send"


def serving(role, count, mirror_id="a", **more):
    """A served call that says to have made so many."""
    return replace(call(role, mirror_id, **more), outbound_calls=count)


def made(role, index=0, method=CHARGE, mirror_id="a", *, at=0.0, attempt=0, expect=BOTH, **more):
    """A call that the served one of this attempt made."""
    by = call(role, mirror_id, attempt=attempt)
    span_id = f"{method}{index}".encode()
    fields = {"after_end": False, "capture": b"asked"} | more
    return OutboundRecord(
        by.key, role, frozenset(expect), by.span_id, method, index, span_id=span_id, arrived_s=at, **fields
    )


def feed(pairs, *records):
    add = {OutboundRecord: pairs.add_outbound}
    return [g for one in records for g in add.get(type(one), pairs.add)(one, one.arrived_s)]


def names(call):
    return [(one.method, one.index) for one in call.outbound]


def test_calls_wait_for_the_calls_that_they_made():
    pairs = pairer()
    assert feed(pairs, serving(P, 1), serving(C, 1), serving(S, 0)) == []
    assert feed(pairs, made(P)) == []
    [group] = feed(pairs, made(C))
    assert group.release is Release.COMPLETE
    assert [names(group.calls[role]) for role in (P, C, S)] == [[(CHARGE, 0)], [(CHARGE, 0)], []]
    assert (pairs.open, pairs.open_bytes) == (0, 0)


def test_calls_that_were_made_may_come_before_those_that_made_them():
    pairs = pairer()
    [group] = feed(pairs, made(C), made(P), serving(P, 1), serving(C, 1), call(S))
    assert names(group.calls[C]) == names(group.calls[P]) == [(CHARGE, 0)]


def test_what_has_not_come_by_the_deadline_is_missing():
    """The served calls are there, so the group is complete; what lacks is known by the count."""
    pairs = pairer()
    feed(pairs, serving(P, 2), made(P), call(C), call(S))
    [group] = pairs.take_expired(30)
    assert group.release is Release.COMPLETE
    assert (group.calls[P].outbound_calls, names(group.calls[P])) == (2, [(CHARGE, 0)])


def test_the_deadline_counts_from_an_outbound_call_that_came_first():
    pairs = pairer()
    feed(pairs, made(P, at=100), serving(P, 1, at=110), call(C, at=110))
    assert pairs.next_deadline_s == 130


def test_calls_made_by_an_attempt_that_does_not_count_are_orphans():
    pairs = pairer()
    first, second = (serving(P, 1, attempt=n, status=s) for n, s in ((1, "UNAVAILABLE"), (2, "OK")))
    of_first = made(P, attempt=1)
    [group] = feed(pairs, of_first, first, call(C), call(S), second, made(P, attempt=2))
    assert [one.served_span_id for one in group.calls[P].outbound] == [second.span_id]
    assert pairs.counts["orphan_outbound"] == 1


def test_calls_whose_served_call_never_came_make_no_group():
    pairs = pairer()
    feed(pairs, made(P), made(C))
    assert pairs.take_expired(30) == []
    assert (pairs.counts["orphan_outbound"], pairs.open, pairs.open_bytes) == (2, 0, 0)
    assert feed(pairs, call(P, at=40)) == []  # it may still come, and is not late
    assert pairs.open == 1


@pytest.mark.parametrize(
    ("record", "drop"),
    [
        (made(P), "duplicate_outbound"),
        (made(P, 1, after_end=True), "outbound_after_end"),
        (made(P, mirror_id="b", expect=()), "not_mirrored_outbound"),
    ],
)
def test_what_is_dropped_is_counted(record, drop):
    pairs = pairer()
    assert feed(pairs, made(P), record) == []
    assert (pairs.counts[drop], pairs.open) == (1, 1)


def test_a_late_call_opens_no_group():
    pairs = pairer()
    feed(pairs, serving(P, 0), call(C), call(S), made(P))
    assert (pairs.counts["late_outbound"], pairs.open) == (1, 0)


def test_one_served_call_holds_so_many_and_no_more():
    pairs = pairer()
    feed(pairs, *(made(P, n) for n in range(OUTBOUND_MAX + 1)))
    assert pairs.counts["outbound_limit"] == 1


def test_outbound_calls_count_for_the_memory_cap():
    pairs = pairer(open_max_bytes=5000)
    feed(pairs, call(P, "old"))
    [group] = feed(pairs, made(P, mirror_id="new", at=1.0, capture=bytes(4500)))
    assert (group.key.mirror_id, group.release) == ("old", Release.EVICTED)


EVENTS = st.lists(
    st.one_of(
        st.builds(serving, st.sampled_from([P, C, S]), st.integers(0, 2), st.sampled_from("ab")),
        st.builds(
            made, st.sampled_from([P, C, S]), st.integers(0, 2), st.sampled_from([CHARGE, MAIL]), st.sampled_from("ab")
        ),
    ),
    max_size=40,
)


@given(EVENTS)
def test_each_outbound_call_is_released_open_or_counted(events):
    pairs = pairer()
    timed = [replace(event, arrived_s=float(n)) for n, event in enumerate(events)]
    groups = [*feed(pairs, *timed), *pairs.drain()]
    given = sum(isinstance(event, OutboundRecord) for event in timed)
    released = sum(len(one.outbound) for group in groups for one in group.calls.values())
    dropped = sum(pairs.counts[name] for name in DROPS)
    assert given == released + dropped
    assert (pairs.open, pairs.open_bytes) == (0, 0)
