"""The queue between listeners and pipeline: bounded by bytes, never dropping."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from mirror.collect.batch import Batch
from mirror.collect.intake import SHARE, Intake
from tests.collect.records import record


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


def of_run(run: str) -> Batch:
    return Batch(calls=(record(mirror__run=run),))


def fill(intake: Intake, run: str, size: int = 10) -> int:
    """Send of a run until it is pushed back; the bytes that it got in."""
    taken = 0
    while intake.reserve(size):
        if not intake.admit(of_run(run), size):
            intake.release(size)
            break
        intake.put(of_run(run), size)
        taken += size
    return taken


def test_one_run_alone_fills_most_of_the_queue_and_leaves_room_for_others() -> None:
    intake = Intake(1000)
    assert 780 <= fill(intake, "noisy") <= 800
    assert fill(intake, "quiet") >= 150
    assert fill(intake, "third") > 0


def test_a_run_of_which_nothing_waits_is_let_in_whatever_others_do() -> None:
    intake = Intake(1000)
    for n in range(2):
        fill(intake, f"noisy {n}")
    assert intake.reserve(1)
    assert intake.admit(of_run("quiet"), 1)


def test_what_a_run_holds_is_given_back_when_it_is_taken_or_comes_to_nothing() -> None:
    intake = Intake(1000)
    for _ in range(20):
        taken = fill(intake, "noisy", 100)
        while intake.take(0):
            pass
        assert intake.reserve(50)
        assert intake.admit(of_run("noisy"), 50)
        intake.release(50, of_run("noisy"))
        assert (taken, intake.bytes) == (800, 0)
    assert not intake._of_run


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 400), st.booleans()), max_size=60))
def test_no_run_ever_holds_more_than_its_share_of_what_is_free(steps: list[tuple[str, int, bool]]) -> None:
    intake = Intake(1000)
    waiting: list[tuple[str, int]] = []
    for run, size, take in steps:
        if take and waiting:
            intake.take(0)
            waiting.pop(0)
        if not intake.reserve(size):
            continue
        held = sum(n for name, n in waiting if name == run)
        if intake.admit(of_run(run), size):
            intake.put(of_run(run), size)
            waiting.append((run, size))
            assert not held or held + size <= SHARE * (1000 - sum(n for _, n in waiting))
        else:
            intake.release(size)
        assert intake.bytes == sum(n for _, n in waiting)
