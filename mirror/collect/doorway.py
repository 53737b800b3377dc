"""TLS for a listening socket, with a bound on handshakes under way; stands where uvicorn has an asyncio.Server.

Each connection by TLS costs asyncio 300 KiB from its first moment, so half-open ones must be few. Where there are too many the
oldest is closed: a handshake that means it takes milliseconds, so a flood keeps nobody else out.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from mirror.collect.faults import log_fault

HANDSHAKES_MAX: Final = 100
HANDSHAKE_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0  # for the peer's word that it heard us close
PAUSE_S: Final = 1.0  # where the system has no file for another connection
_log: Final = logging.getLogger(__name__)


class Doorway:
    """Takes connections of `bound`, which stays the caller's, until closed. `closed` is told why one was closed early."""

    def __init__(
        self,
        bound: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        closed: Callable[[str], None],
    ) -> None:
        self._bound = bound
        self._protocol = protocol
        self._context = context
        self._closed = closed
        self._handshakes: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Take no more, and end the handshakes under way. Connections that stand go on."""
        self._accepting.cancel()
        for task in self._handshakes:
            task.cancel()

    async def wait_closed(self) -> None:
        """Return once that is done."""
        await asyncio.gather(self._accepting, *self._handshakes, return_exceptions=True)

    async def _accept(self) -> None:
        listening = self._bound.dup()  # so that the caller may close its own while we still wait on ours
        listening.setblocking(False)  # noqa: FBT003 - its only argument
        loop = asyncio.get_running_loop()
        with listening:
            while True:
                if (peer := await self._next(loop, listening)) is not None:
                    self._begin(peer)
                await asyncio.sleep(0)  # the others' turn, however many come

    async def _next(self, loop: asyncio.AbstractEventLoop, listening: socket.socket) -> socket.socket | None:
        try:
            return (await loop.sock_accept(listening))[0]
        except OSError:
            self._closed("accept_failed")
            await asyncio.sleep(PAUSE_S)
            return None

    def _begin(self, peer: socket.socket) -> None:
        task = asyncio.create_task(self._shake_hands(peer))
        self._handshakes[task] = None
        task.add_done_callback(lambda ended: self._ended(ended, peer))
        if len(self._handshakes) > HANDSHAKES_MAX:
            oldest = next(iter(self._handshakes))
            del self._handshakes[oldest]
            oldest.cancel()
            self._closed("handshakes_max")

    async def _shake_hands(self, peer: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(
            self._protocol,
            peer,
            ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
            ssl_shutdown_timeout=CLOSE_TIMEOUT_S,
        )

    def _ended(self, task: asyncio.Task[None], peer: socket.socket) -> None:
        self._handshakes.pop(task, None)
        problem = None if task.cancelled() else task.exception()
        if not task.cancelled() and problem is None:
            return
        peer.close()  # also where the task had not begun
        if isinstance(problem, ConnectionAbortedError):
            self._closed("handshake_timeout")
        elif problem is not None and not isinstance(problem, OSError):
            log_fault(_log, "taking a connection", problem)
