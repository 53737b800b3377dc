"""Over two hundred hostile inputs on every listener of a real collector: a clear error each, and nobody else notices.

After each input the process is alive and a good client of all listeners was never refused; after all of them its memory
is bounded, everything that the good clients sent was counted once, and it ends in order. What is slow was begun first.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirror.collect.recordings import WAITING_MAX
from tests.live.hostile import asking, bodies, http1, http2, strangers
from tests.live.hostile.slow import Slow, Waiters
from tests.live.hostile.target import OTHER, READ, WRITE, Case, GoodClient, Target

pytestmark = pytest.mark.live
PLAIN = [*bodies.CASES, *asking.CASES, *http1.CASES, *http2.CASES]
SECURE = strangers.CASES
# The queue (16 MiB), what is read at a time (as much), open groups and their wait, and what a busy allocator keeps.
GROWTH_MAX_BYTES = 96 << 20


@dataclass
class Siege:
    """A collector, its good client, those who are slow, and how much memory it had at first."""

    target: Target
    good: GoodClient
    slow: Slow
    pid: int
    rss_bytes: int

    def holds(self) -> None:
        """Nobody has noticed anything."""
        assert self.target.process.poll() is None, self.target.log
        assert self.target.process.pid == self.pid
        assert self.good.problems == []


def begun(folder: Path, *, secure: bool) -> Iterator[Siege]:
    with Target(folder, secure=secure) as target, GoodClient(target) as good:
        target.until(lambda: good.rounds >= 5, "served a good client")
        rss_bytes = target.rss_bytes if sys.platform == "linux" else 0
        with Slow(target) as slow:
            yield Siege(target, good, slow, target.process.pid, rss_bytes)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    yield from begun(tmp_path_factory.mktemp("secure"), secure=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, secure: Siege) -> Iterator[Siege]:
    """Both begin at once, so that the slow ones' time runs together."""
    yield from begun(tmp_path_factory.mktemp("plain"), secure=False)


def test_there_are_two_hundred_and_each_is_another() -> None:
    names = [case.name for case in (*PLAIN, *SECURE)]
    assert len(set(names)) == len(names) >= 200


@pytest.mark.parametrize("case", PLAIN, ids=[case.name for case in PLAIN])
def test_each_gets_a_clear_error(plain: Siege, case: Case) -> None:
    case.check(plain.target)
    plain.holds()


@pytest.mark.parametrize("case", SECURE, ids=[case.name for case in SECURE])
def test_strangers_get_nowhere(secure: Siege, case: Case) -> None:
    case.check(secure.target)
    secure.holds()


def test_of_too_many_shadows_that_wait_some_are_told_to_go(plain: Siege) -> None:
    told = Counter(Waiters(plain.target).answers())
    assert set(told) <= {"NOT_FOUND", "BUSY", "CANCELLED"}, told
    assert told["NOT_FOUND"] <= WAITING_MAX, told
    plain.holds()


@pytest.mark.parametrize("which", ["secure", "plain"])
def test_at_last_the_slow_are_ended_memory_is_bounded_and_the_good_were_counted(
    which: str, request: pytest.FixtureRequest
) -> None:
    siege: Siege = request.getfixturevalue(which)
    assert {(name, wanted, told) for name, wanted, told in siege.slow.ends() if wanted != told} == set()
    siege.holds()
    if sys.platform == "linux":
        print(f"{which}: {siege.rss_bytes >> 20} MiB at first, {siege.target.rss_bytes >> 20} MiB now")
        grown = siege.target.rss_bytes - siege.rss_bytes
        assert grown < GROWTH_MAX_BYTES, f"grew by {grown >> 20} MiB"
    siege.good.__exit__()
    assert siege.good.problems == []
    siege.target.until(siege.good.counted, "counted all that the good client sent")
    assert siege.target.end(15) == 0
    for secret in (READ, WRITE, OTHER, "Traceback", "internal error"):
        assert secret not in siege.target.log
