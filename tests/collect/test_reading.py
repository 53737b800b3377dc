"""Requests are read by turns: few where they are large, many where they are small, and nobody slow holds the others up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mirror.collect import reading
from mirror.collect.reading import CrowdedError, Reading, SlowError


class Senders:
    """Requests whose bytes come when the test says so."""

    def __init__(self, max_bytes: int, message_max_bytes: int) -> None:
        self.reading = Reading(max_bytes, message_max_bytes=message_max_bytes)
        self.begun: list[str] = []
        self._sent: dict[str, asyncio.Event] = {}

    def begin(self, name: str, body: bytes = b"x") -> asyncio.Task[bytes]:
        self._sent[name] = asyncio.Event()

        async def come() -> bytes:
            self.begun.append(name)
            await self._sent[name].wait()
            return body

        return asyncio.create_task(self.reading.read(come, len))

    def send(self, name: str) -> None:
        self._sent[name].set()

    async def take(self, *bodies: bytes) -> None:
        """Read these, one after the other."""
        for body in bodies:
            task = self.begin("taken", body)
            self.send("taken")
            assert await task == body
        self.begun.clear()


async def settle() -> None:
    """Everything that can go on without time passing has done so."""
    for _ in range(10):
        await asyncio.sleep(0)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


def test_the_first_are_taken_for_the_largest_and_read_in_the_order_in_which_they_came():
    async def test() -> None:
        senders = Senders(200, 100)
        tasks = [senders.begin(name, bytes(100)) for name in "abc"]
        await settle()
        assert senders.begun == ["a", "b"]
        senders.send("b")
        await tasks[1]
        await settle()
        assert senders.begun == ["a", "b", "c"]
        senders.send("a")
        senders.send("c")
        await asyncio.gather(*tasks)

    run(test)


def test_small_ones_make_room_and_a_large_one_takes_it_again():
    async def test() -> None:
        senders = Senders(1000, 1000)
        await senders.take(*[b"x"] * 60)
        names = [str(number) for number in range(reading.TURNS_MAX + 1)]
        tasks = [senders.begin(name) for name in names]
        await settle()
        assert senders.begun == names[:-1], "never more than TURNS_MAX"
        for name in names:
            senders.send(name)
        await asyncio.gather(*tasks)
        await senders.take(bytes(600))
        tasks = [senders.begin(name) for name in "ab"]
        await settle()
        assert senders.begun == ["a"], "two such would be over 1000"
        senders.send("a")
        senders.send("b")
        await asyncio.gather(*tasks)

    run(test)


def test_one_is_always_read_whatever_its_size():
    async def test() -> None:
        await Senders(1, 1000).take(bytes(1000), bytes(1000))

    run(test)


def test_who_is_slow_gives_the_turn_back_and_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "TURN_MAX_S", 0.01)

    async def test() -> None:
        senders = Senders(100, 100)
        slow, other = senders.begin("slow"), senders.begin("other")
        senders.send("other")
        assert await other == b"x"
        senders.send("slow")
        assert await slow == b"x"
        tasks = [senders.begin(name, bytes(100)) for name in "ab"]
        senders.send("a")
        senders.send("b")
        await asyncio.gather(*tasks)  # the turn was given back once, not twice

    run(test)


def test_who_waits_too_long_is_told_and_whoever_sends_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "WAIT_MAX_S", 0.01)
    monkeypatch.setattr(reading, "READ_MAX_S", 0.1)

    async def test() -> None:
        senders = Senders(100, 100)
        silent, waiting = senders.begin("silent"), senders.begin("waiting")
        with pytest.raises(CrowdedError):
            await waiting
        with pytest.raises(SlowError):
            await silent
        assert senders.begun == ["silent"]
        await senders.take(b"x")

    run(test)


@pytest.mark.parametrize("which", ["reads", "waits"])
def test_a_sender_that_goes_away_takes_no_turn_with_it(which: str):
    async def test() -> None:
        senders = Senders(100, 100)
        tasks = {"reads": senders.begin("reads"), "waits": senders.begin("waits")}
        await settle()
        gone = tasks.pop(which)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        (name,) = tasks
        senders.send(name)
        assert await tasks[name] == b"x"
        await senders.take(b"x")

    run(test)


def test_a_read_that_fails_gives_its_turn_back():
    async def test() -> None:
        senders = Senders(100, 100)

        async def fail() -> bytes:
            raise RuntimeError("broken")

        with pytest.raises(RuntimeError, match="broken"):
            await senders.reading.read(fail, len)
        await senders.take(b"x")

    run(test)
