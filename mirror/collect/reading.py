"""How many gRPC requests are read at a time: their sizes are known only once they are there.

What is being read is in no queue yet, and a hundred exporters that come at once with four megabytes each would be held whole.
So a request waits for its turn before it is read, which costs a connection's window and no more; flow control keeps the rest at
its sender. Each is taken to be as large as the largest of late, which fades by a tenth with every request.

Who sends slowly gives its turn back after a moment and reads on beside the others, so that no number of slow senders holds them up for
long. One event loop uses it. It touches its clock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

_T = TypeVar("_T", bound=object)
TURNS_MAX: Final = 64
FADING: Final = 0.9
TURN_MAX_S: Final = 0.5  # then the next one's begins
WAIT_MAX_S: Final = 5.0  # for a turn
READ_MAX_S: Final = 30.0  # as bodies have over HTTP


class CrowdedError(Exception):
    """No turn came in time: the sender should come again."""


class SlowError(Exception):
    """The request did not come within READ_MAX_S."""


class Reading:
    """Turns to read. All that have theirs are expected to hold `max_bytes` together; one always may.

    `message_max_bytes`: the largest that a request can be, and what the first are taken for.
    """

    def __init__(self, max_bytes: int, *, message_max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._expected: float = message_max_bytes
        self._turns = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def read(self, read: Callable[[], Awaitable[_T]], size: Callable[[_T], int]) -> _T:
        """What `read()` gives, of `size(...)` bytes, once it is its turn. Raises CrowdedError and SlowError, and what `read` raises."""
        await self._turn()
        turn = _Turn(self._next)
        ends = asyncio.get_running_loop().call_later(TURN_MAX_S, turn.end)
        try:
            async with asyncio.timeout(READ_MAX_S):
                message = await read()
            self._expected = max(float(size(message)), self._expected * FADING, 1.0)
        except TimeoutError:
            raise SlowError from None
        finally:
            ends.cancel()
            turn.end()
            self._wake()  # also where the turn had ended: there may be room for more
        return message

    @property
    def _room(self) -> bool:
        return self._turns < max(1, min(TURNS_MAX, int(self._max_bytes / self._expected)))

    async def _turn(self) -> None:
        if self._room and not self._waiting:
            self._turns += 1
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            async with asyncio.timeout(WAIT_MAX_S):
                await mine
        except BaseException as problem:
            if mine.done() and not mine.cancelled():
                self._next()  # it was given and is not used
            if isinstance(problem, TimeoutError):
                raise CrowdedError from None
            raise

    def _next(self) -> None:
        self._turns -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and (self._waiting[0].done() or self._room):
            first = self._waiting.popleft()
            if not first.done():  # else it waits no more
                self._turns += 1
                first.set_result(None)


class _Turn:
    """Ended once, by whoever comes first."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended: Callable[[], None] | None = ended

    def end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()
