"""Runs an ASGI application on a bound socket inside the present event loop, without touching signals or the log's set-up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mirror.collect.doorway import Doorway

STOP_GRACE_S: Final = 3  # what requests under way are given
KEEP_ALIVE_S: Final = 75
CONNECTIONS_MAX: Final = 1000
TLS_CONNECTIONS_MAX: Final = 300  # each costs 300 KiB instead of 6
HEAD_TIMEOUT_S: Final = 15.0  # for the whole head of a request
LEFT_OVER_MAX_BYTES: Final = 16 << 20  # of a body that is still sent after its answer; it is thrown away
CLIENT_CERTIFICATE: Final = "client_certificate"  # in a request's state: whether its connection showed a valid one


class _Places:
    """The connections of one server, at most `most`. For one more, one without a request is closed.

    First those who never had an answer, so that a burst of strangers cannot take the place of a client between two of its
    requests; of either kind the longest idle. Where all have a request under way, the new one.
    """

    def __init__(self, most: int, closed: Callable[[str], None]) -> None:
        self.closed = closed
        self._most = most
        self._open: set[_Protocol] = set()
        self._new: dict[_Protocol, None] = {}  # without an answer so far; the longest idle first
        self._known: dict[_Protocol, None] = {}  # between two requests; likewise

    def take(self, one: _Protocol) -> None:
        """A connection came."""
        self._open.add(one)
        if len(self._open) > self._most:
            self._close(next(iter(self._new or self._known), one))
        if one in self._open:
            self._new[one] = None

    def _close(self, longest: _Protocol) -> None:
        self.leave(longest)
        self.closed("connections_max")
        longest.transport.abort()

    def leave(self, one: _Protocol) -> None:
        """It ended."""
        self._open.discard(one)
        self.busy(one)

    def busy(self, one: _Protocol) -> None:
        """It has a request under way."""
        self._new.pop(one, None)
        self._known.pop(one, None)

    def answered(self, one: _Protocol) -> None:
        """It has none any more."""
        if one in self._open:
            self._known[one] = None


class _Protocol(H11Protocol):
    """Closes connections whose request head does not come, whose body goes on after its answer, and the idle ones where there are too many."""

    _head_timer: asyncio.TimerHandle | None = None
    _left_over_bytes = 0

    def __init__(self, places: _Places, **options: Any) -> None:
        super().__init__(**options)
        self._places = places

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        shown = connection is not None and bool(connection.getpeercert())
        self.app_state = {**self.app_state, CLIENT_CERTIFICATE: shown}
        self._watch_head()
        self._places.take(self)

    def data_received(self, data: bytes) -> None:
        if self._goes_on_too_long(len(data)):
            self._places.closed("left_over")
            self.transport.abort()
            return
        super().data_received(data)
        self._watch_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._under_way:  # the next one may have come early
            self._places.answered(self)
        if self.conn.trailing_data[0] or self.conn.their_state is h11.SEND_BODY:
            self._watch_head()

    def send_400_response(self, msg: str) -> None:
        self._places.closed("no_http")
        super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        self._places.leave(self)
        self._forget_head()
        super().connection_lost(exc)

    def _goes_on_too_long(self, size: int) -> bool:
        """A sender that is told no in the middle of its body may end it, so that it reads why; but not send on for ever."""
        answered = self.cycle is not None and self.cycle.response_complete and self.conn.their_state is h11.SEND_BODY
        self._left_over_bytes = self._left_over_bytes + size if answered else 0
        return self._left_over_bytes > LEFT_OVER_MAX_BYTES

    @property
    def _under_way(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch_head(self) -> None:
        """The time counts from a head's beginning, however it drips; between requests uvicorn's own limit holds."""
        if self._under_way:
            self._places.busy(self)
            self._forget_head()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        self._places.closed("head_timeout")
        self.transport.close()


class _Server(uvicorn.Server):
    """Signals belong to the command that runs us, not to one of its servers."""

    def __init__(self, config: uvicorn.Config, context: ssl.SSLContext | None, closed: Callable[[str], None]) -> None:
        super().__init__(config)
        self._context = context
        self._places = _Places(CONNECTIONS_MAX if context is None else TLS_CONNECTIONS_MAX, closed)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's for bound sockets, with our protocol, and TLS within limits."""
        await self.lifespan.startup()
        self.servers = [await self._listen(bound) for bound in sockets or ()]
        self.started = True

    async def _listen(self, bound: socket.socket) -> Any:
        if self._context is not None:
            return Doorway(bound, self._protocol, self._context, self._places.closed)
        loop = asyncio.get_running_loop()
        return await loop.create_server(self._protocol, sock=bound, backlog=self.config.backlog)

    def _protocol(self) -> _Protocol:
        options = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        return _Protocol(self._places, **options)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Host:
    """One application on one socket, which it takes over.

    `context`: TLS, where one is given. `closed`: told why a connection was closed early, by a counter's label.
    """

    def __init__(
        self,
        app: Any,
        bound: socket.socket,
        context: ssl.SSLContext | None = None,
        *,
        closed: Callable[[str], None] = lambda _: None,
    ) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_GRACE_S,
        )
        # It writes a line for each request that is no HTTP, so strangers could fill the disk. They are counted (no_http).
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._socket = bound
        self._server = _Server(config, context, closed)
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
