"""Telling webhooks of changed verdicts: one thread each, which reads the store's queue and never touches the pipeline.

At least once, in order, by an id that stays the same. What cannot be delivered is tried again with growing pauses for a
day, then dropped and counted; of a queue that has grown too long the oldest are dropped. Redirects are not followed.
"""

from __future__ import annotations

import http.client
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib import error, request
from urllib.parse import quote, urlsplit

from sqlalchemy import Engine

from mirror.collect.counters import Counters
from mirror.collect.faults import log_fault
from mirror.collect.files import FilesError
from mirror.collect.webhook_messages import body_of, headers_of, key_of
from mirror.config.webhook_models import Webhook
from mirror.store import StoreError
from mirror.store.verdict_changes import ChangeQueue, VerdictChange

QUEUE_MAX: Final = 1000
GIVE_UP_S: Final = 86_400.0
TIMEOUT_S: Final = 10.0  # without a byte
ATTEMPT_S: Final = (
    30.0  # for the whole of it: a byte now and then, or one interim answer after the other, could go on for ever
)
POLL_S: Final = 1.0
BACKOFF_FIRST_S: Final = 1.0
BACKOFF_MAX_S: Final = 300.0
STOP_S: Final = 3.0
FAULT_PAUSE_S: Final = 30.0
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """One webhook with its secrets."""

    settings: Webhook
    url: str
    key: bytes | None

    def wants(self, change: VerdictChange) -> bool:
        """Whether it is to be told of this."""
        runs = self.settings.runs
        return change.verdict in self.settings.verdicts and (not runs or change.run in runs)


def targets(webhooks: Sequence[Webhook], env: Mapping[str, str] | None = None) -> tuple[Target, ...]:
    """The webhooks with what the environment holds for them. Raises FilesError with every problem, no secret in it."""
    env = os.environ if env is None else env
    found, problems, names = [], [], set[str]()
    for place, one in enumerate(webhooks):
        where = f"webhooks[{place}] ({one.name})"
        if one.name in names:
            problems.append(f"{where}: another one has this name")
        names.add(one.name)
        if bool(one.url) == bool(one.url_env):
            problems.append(f"{where}: say either url or url_env")
        url, key = one.url or env.get(one.url_env, ""), None
        if one.url_env and not url.startswith(("http://", "https://")):
            problems.append(f"{where}: the environment has no address in {one.url_env}")
        if urlsplit(url).username is not None:
            problems.append(
                f"{where}: an address with a name or password in it stands in logs; sign with secret_env instead"
            )
        if one.secret_env and not env.get(one.secret_env):
            problems.append(f"{where}: the environment has no secret in {one.secret_env}")
        elif one.secret_env:
            try:
                key = key_of(env[one.secret_env])
            except ValueError as problem:
                problems.append(f"{where}: the secret in {one.secret_env} {problem}")
        found.append(Target(one, url, key))
    if problems:
        raise FilesError(problems)
    return tuple(found)


class Webhooks:
    """The threads. `engine` writes to the store; `web_url` is the base of links to pages; `clock` gives unix seconds."""

    def __init__(
        self,
        told: Sequence[Target],
        engine: Engine,
        counters: Counters,
        *,
        web_url: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=Teller(one, engine, counters, self._stop, web_url, clock).run, daemon=True)
            for one in told
        ]

    def start(self) -> None:
        """Start telling."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop; what was not told is told after the next start."""
        self._stop.set()
        end_s = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(0.0, end_s - time.monotonic()))


class Teller:
    """Tells one webhook, one change after the other."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a thread works with
        self,
        target: Target,
        engine: Engine,
        counters: Counters,
        stop: threading.Event,
        web_url: str,
        clock: Callable[[], float],
    ) -> None:
        self._target, self._counters, self._stop, self._clock = target, counters, stop, clock
        self._web_url = web_url.rstrip("/")
        self._queue = ChangeQueue(engine, target.settings.name)
        self._line = _Line()
        self._opener = request.build_opener(_NoRedirect(), _Http(self._line), _Https(self._line))
        self._begun = self._failing = False

    def run(self) -> None:
        """Until stopped. A store that fails is asked again; no fault of ours ends it."""
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            pause_s = self._guarded_turn()

    def _guarded_turn(self) -> float:
        try:
            if not self._begun:
                self._queue.begin()
                self._begun = True
            return self.turn()
        except StoreError as problem:
            self._count("store_failed")
            _log.warning("webhook %s: %s", self._target.settings.name, problem)
        except Exception as fault:  # noqa: BLE001 - counted and logged; the next turn goes on
            self._counters.inc("mirror_internal_errors_total", stage="webhook")
            log_fault(_log, "telling a webhook", fault)
        return FAULT_PAUSE_S

    def turn(self) -> float:
        """Tell what waits; how long to pause before the next turn, in seconds."""
        changes, count = self._queue.waiting(QUEUE_MAX)
        self._counters.set("mirror_webhooks_waiting", count, hook=self._target.settings.name)
        while count > QUEUE_MAX:
            over = changes[: count - QUEUE_MAX]
            self._drop(over, "dropped_overflow")
            changes, count = self._queue.waiting(QUEUE_MAX)
        for change in changes:
            if self._target.wants(change) and not self._deliver(change):
                return POLL_S
            self._queue.done_to(change.id)
        return POLL_S

    def _drop(self, changes: Sequence[VerdictChange], how: str) -> None:
        for change in changes:
            if self._target.wants(change):
                self._count(how)
        self._queue.done_to(changes[-1].id)

    def _deliver(self, change: VerdictChange) -> bool:
        """Whether it is done with: delivered, or given up. False: the collector stops."""
        pause_s = BACKOFF_FIRST_S
        while not self._attempt(change):
            if self._clock() - change.at_s >= GIVE_UP_S:
                self._count("dropped_expired")
                return True
            if self._queue.waiting(1)[1] > QUEUE_MAX:
                return False  # the turn begins anew, and makes room
            if self._stop.wait(pause_s):
                return False
            pause_s = min(2 * pause_s, BACKOFF_MAX_S)
        return True

    def _attempt(self, change: VerdictChange) -> bool:
        run = quote(change.run, safe="")
        body = body_of(change, self._target.settings.format, f"{self._web_url}/runs/{run}?epoch={change.body['epoch']}")
        headers = headers_of(change, body, self._target.key, self._clock())
        asked = request.Request(self._target.url, body, headers, method="POST")  # noqa: S310 - http or https, checked
        try:
            with self._line.cut_after(ATTEMPT_S), self._opener.open(asked, timeout=TIMEOUT_S):
                pass
        except (OSError, http.client.HTTPException, ValueError) as problem:
            self._failed(problem)
            if isinstance(problem, error.HTTPError):
                problem.close()
            return False
        self._failing = False
        self._count("delivered")
        return True

    def _failed(self, problem: Exception) -> None:
        self._count("failed")
        if not self._failing:  # once, until it works again; never the address, which may be a secret
            self._failing = True
            what = problem.code if isinstance(problem, error.HTTPError) else type(problem).__name__
            _log.warning("webhook %s takes nothing (%s); it is tried again", self._target.settings.name, what)

    def _count(self, result: str) -> None:
        self._counters.inc("mirror_webhooks_total", hook=self._target.settings.name, result=result)


class _Line:
    """The connection of one thread's attempt, which another thread can cut."""

    def __init__(self) -> None:
        self._connection: http.client.HTTPConnection | None = None

    def over(self, kind: type[http.client.HTTPConnection]) -> Callable[..., http.client.HTTPConnection]:
        """What makes a connection of this kind, to be remembered here."""

        def make(*args: Any, **named: Any) -> http.client.HTTPConnection:
            self._connection = kind(*args, **named)
            return self._connection

        return make

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        """Whatever is still read from it after so long ends with an error."""
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._connection = None

    def _cut(self) -> None:
        connection = self._connection
        held: socket.socket | None = connection.sock if connection is not None else None
        if held is not None:
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)


class _Http(request.HTTPHandler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def http_open(self, req: request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._line.over(http.client.HTTPConnection), req)


class _Https(request.HTTPSHandler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def https_open(self, req: request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._line.over(http.client.HTTPSConnection), req)


class _NoRedirect(request.HTTPRedirectHandler):
    """What is told is for this address."""

    def redirect_request(self, *_: Any) -> None:
        return None
