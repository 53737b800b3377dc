"""The time of a lane is that of what it reads, also where the clock is set back."""

from __future__ import annotations

from mirror.collect.lane import Lane
from mirror.collect.waiting import WaitingRoom
from mirror.core.model import Role
from mirror.core.pair import Pairer
from tests.core.test_pair import call

START_S, WAIT_S = 1_000_000.0, 10.0


def test_what_comes_after_the_clock_was_set_back_waits_no_longer_than_ever() -> None:
    """At its start a collector lets groups wait until senders can have come back: by the clock of then."""
    lane = Lane(Pairer(WAIT_S, 1, open_max_bytes=1 << 20, tombstones_max=10), WaitingRoom(WAIT_S, max_bytes=1 << 20))
    lane.see(START_S)
    lane.pairer.wait_until(START_S + 5)
    back_s = START_S - 3600
    lane.see(back_s)
    lane.pairer.add(call(Role.PRIMARY, at=back_s), back_s)
    assert lane.pairer.next_deadline_s == back_s + WAIT_S
    lane.see(back_s - 1)  # two that came by different ways: no step of the clock
    assert lane.seen_s == back_s - 1
