"""Groups wait for a schema: for a time, and within a number of bytes."""

from __future__ import annotations

from mirror.collect.waiting import WaitingRoom
from mirror.core.model import Group, PairKey, Release, Role
from tests.collect.records import record


def group(mirror_id: str, arrived_s: float) -> Group:
    calls = {Role.PRIMARY: record(mirror_id)}
    return Group(PairKey("r", "m", mirror_id), calls, frozenset(), Release.COMPLETE, arrived_s)


SIZE = record("x").size


def test_they_wait_until_their_time_is_over() -> None:
    room = WaitingRoom(10, max_bytes=10 * SIZE)
    early, late = group("a", 100), group("b", 105)
    assert room.add(early) == room.add(late) == []
    assert room.has_time(early, 109.9)
    assert not room.has_time(early, 110)
    assert room.take_expired(109.9) == []
    assert room.take_expired(110) == [early]
    assert room.take_expired(200) == [late]
    assert len(room) == 0


def test_the_oldest_make_room() -> None:
    room = WaitingRoom(10, max_bytes=2 * SIZE)
    first, second, third = (group(name, 100) for name in "abc")
    assert room.add(first) == room.add(second) == []
    assert room.add(third) == [first]
    assert room.evicted == 1
    assert room.take_all() == [second, third]


def test_one_too_large_for_the_room_does_not_stay() -> None:
    room = WaitingRoom(10, max_bytes=1)
    only = group("a", 100)
    assert room.add(only) == [only]
    assert len(room) == 0
