"""Runs an ASGI application on a bound socket inside the present event loop, without touching signals or the log's set-up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Final

import uvicorn

STOP_GRACE_S: Final = 3  # what requests under way are given
KEEP_ALIVE_S: Final = 75
CONNECTIONS_MAX: Final = 1000


class _Server(uvicorn.Server):
    """Signals belong to the command that runs us, not to one of its servers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Host:
    """One application on one socket, which it takes over."""

    def __init__(self, app: Any, bound: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_GRACE_S,
            limit_concurrency=CONNECTIONS_MAX,
        )
        self._socket = bound
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once connections are taken."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._task.done():
                await self._task  # raises what went wrong
                raise RuntimeError("the HTTP server ended at its start")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Take no new connections; requests under way have STOP_GRACE_S to end."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()
