"""The queue between listeners and pipeline: bounded by bytes, never dropping."""

from __future__ import annotations

import threading

from mirror.collect.intake import Intake
from mirror.collect.slices import Batch


def test_what_is_put_is_taken_in_order() -> None:
    intake = Intake(100)
    for ordinary in (1, 2):
        assert intake.reserve(10)
        intake.put(Batch(ordinary=ordinary), 10)
    assert [intake.take(0).ordinary, intake.take(0).ordinary, intake.take(0)] == [1, 2, None]
    assert intake.bytes == 0


def test_a_full_queue_refuses_until_something_is_taken() -> None:
    intake = Intake(100)
    assert intake.reserve(60)
    assert not intake.reserve(60)
    intake.put(Batch(), 60)
    assert not intake.reserve(60)
    intake.take(0)
    assert intake.reserve(60)


def test_what_came_to_nothing_gives_its_room_back() -> None:
    intake = Intake(100)
    assert intake.reserve(100)
    intake.release(100)
    assert intake.reserve(100)


def test_one_larger_than_the_queue_passes_alone() -> None:
    intake = Intake(100)
    assert intake.reserve(1000)
    assert not intake.reserve(1)


def test_after_closing_what_was_reserved_still_comes_through() -> None:
    intake = Intake(100)
    assert intake.reserve(10)
    intake.close()
    assert not intake.reserve(10)
    assert not intake.drained
    intake.put(Batch(ordinary=1), 10)
    assert intake.take(0) is not None
    assert intake.drained


def test_a_waiting_taker_is_woken() -> None:
    intake = Intake(100)
    taken: list[Batch | None] = []
    taker = threading.Thread(target=lambda: taken.append(intake.take(60)))
    taker.start()
    intake.reserve(1)
    intake.put(Batch(ordinary=7), 1)
    taker.join(60)
    assert taken == [Batch(ordinary=7)]
