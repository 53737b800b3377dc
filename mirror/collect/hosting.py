"""Runs an ASGI application on a bound socket inside the present event loop, without touching signals or the log's set-up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

STOP_GRACE_S: Final = 3  # what requests under way are given
KEEP_ALIVE_S: Final = 75
CONNECTIONS_MAX: Final = 1000
HEAD_TIMEOUT_S: Final = 15.0  # for the whole head of a request
HANDSHAKE_TIMEOUT_S: Final = 10.0
TLS_CLOSE_TIMEOUT_S: Final = 2.0  # for the peer's word that it heard us close; below STOP_GRACE_S
CLIENT_CERTIFICATE: Final = "client_certificate"  # in a request's state: whether its connection showed a valid one


class _Protocol(H11Protocol):
    """Closes connections whose request head does not come: else idle ones would use up CONNECTIONS_MAX for good."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        shown = connection is not None and bool(connection.getpeercert())
        self.app_state = {**self.app_state, CLIENT_CERTIFICATE: shown}
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.trailing_data[0]:  # of the next request, come early
            self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def _watch_head(self) -> None:
        """The time counts from a head's beginning, however it drips; between requests uvicorn's own limit holds."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_head()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        self.transport.close()


class _Server(uvicorn.Server):
    """Signals belong to the command that runs us, not to one of its servers; and TLS has its limits of time."""

    def __init__(self, config: uvicorn.Config, context: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._context = context

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's for bound sockets, which gives each handshake a minute and a close half of one."""
        await self.lifespan.startup()
        secure, loop = self._context is not None, asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                self._protocol,
                sock=bound,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if secure else None,
                ssl_shutdown_timeout=TLS_CLOSE_TIMEOUT_S if secure else None,
                backlog=self.config.backlog,
            )
            for bound in sockets or ()
        ]
        self.started = True

    def _protocol(self) -> asyncio.Protocol:
        return _Protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Host:
    """One application on one socket, which it takes over; by TLS where a context is given."""

    def __init__(self, app: Any, bound: socket.socket, context: ssl.SSLContext | None = None) -> None:
        config = uvicorn.Config(
            app,
            http=_Protocol,
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
        self._server = _Server(config, context)
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
