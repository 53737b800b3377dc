"""How batches get to the collector: tried again while that makes sense, halved where too large, else dropped and counted.

Runs on the sender's thread. When to try next is kept for the collector, not for a batch: one that was given up does not
make the next one hasty. What a receiver asks for by RetryInfo is heeded, up to a minute; without it pauses double, with jitter.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from grpc_mirror.counters import Counters
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.otlp import REQUEST_OVERHEAD_BYTES
from grpc_mirror.sinks.transport import SendResult, Transport

_LOG = logging.getLogger("grpc_mirror")

BACKOFF_FIRST_S = 0.25
BACKOFF_MAX_S = 5.0
RETRY_AFTER_MIN_S = 0.01
RETRY_AFTER_MAX_S = 60.0  # a receiver that asks for more is tried then
LIMIT_MIN_BYTES = 64 * 1024  # batches are made no smaller than this, whatever the receiver refused
LOG_EVERY_S = 60.0
_TEXT_MAX_CHARS = 200


class Flush(NamedTuple):
    """Somebody waits until the calls that were queued before are dealt with."""

    accepted: int  # how many had been queued by then
    done: threading.Event


class Control:
    """How other threads speak to the sender's. Every field is thread-safe itself, written once, or a flag that only hastens it."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.outbound = False  # an outbound call was queued since the sender last took from the queue
        self.watching = False  # it sleeps, and is to be woken by an outbound call
        self.flushes: deque[Flush] = deque()
        self.stop_by: float | None = None  # monotonic: end by then, whatever is left

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for what is queued."""
        return bool(self.flushes) or self.stop_by is not None

    @property
    def overdue(self) -> bool:
        """Whether the time to stop is over."""
        return self.stop_by is not None and time.monotonic() >= self.stop_by


class Item(Protocol):
    """One span of a batch."""

    @property
    def content(self) -> Any:
        """In the transport's own form."""

    @property
    def bytes(self) -> int:
        """Of the content."""

    @property
    def is_call(self) -> bool:
        """Else it is one that the sender made of itself: a schema, a report."""


class Encoded(NamedTuple):
    """An item that the sender's thread has encoded; those that come written (`records.Written`) are items as they are."""

    content: Any
    bytes: int
    is_call: bool


class Delivery:
    """Sends batches to one collector."""

    def __init__(self, transport: Transport, settings: Settings, counters: Counters, control: Control) -> None:
        self._transport = transport
        self._settings = settings
        self._counters = counters
        self._control = control
        self._attempt = 0  # failures in a row
        self._asked_until = 0.0  # monotonic; the receiver asked not to be bothered before
        self._paused_until = 0.0  # the same by our own doubling
        self._last_try = 0.0
        self._failing = False
        self._told_at: dict[str, float] = {}
        self.limit_bytes = settings.batch_max_bytes  # lower once the receiver has refused one as too large
        self.last_success = time.monotonic()
        self.recovered = False  # taken again after failures; whoever has seen to it sets it back

    def deliver(self, batch: Sequence[Item]) -> bool:
        """Send a batch. Returns whether all of it was taken; what was not is counted. Blocks; never raises."""
        started = time.monotonic()
        whole = True
        parts = [batch]
        while parts:
            part = parts.pop()
            result = self._send(part, started)
            if result.ok:
                continue
            if result.too_large and len(part) > 1:
                self.limit_bytes = max(LIMIT_MIN_BYTES, min(self.limit_bytes, size_of(part) // 2))
                parts += [part[len(part) // 2 :], part[: len(part) // 2]]
                continue
            whole = False
            calls = sum(item.is_call for item in part)
            if calls:
                self._counters.drop(result.reason, calls)
                self._tell("dropped", "%d captures were dropped (%s); more are counted, not told", calls, result.reason)
        return whole

    def _send(self, part: Sequence[Item], started: float) -> SendResult:
        """Try until it is taken or given up; then the result's reason is that of the drop."""
        while self._turn_comes():
            result = self._try(part)
            if result.ok:
                self._taken(part, result)
                return result
            if result.too_large:
                self._tell("too_large", "it takes no request of %d bytes; smaller ones are sent", size_of(part))
                return result._replace(reason="refused_too_large")
            self._failed(result)
            if not result.retryable:
                return result._replace(reason="export_refused")
            if time.monotonic() - started >= self._settings.retry_max_s:
                return result._replace(reason="export_failed")
        return SendResult(ok=False, reason="shutdown")

    def _try(self, part: Sequence[Item]) -> SendResult:
        self._last_try = now = time.monotonic()
        timeout_s = self._settings.export_timeout_s
        if self._control.stop_by is not None:
            timeout_s = max(0.01, min(timeout_s, self._control.stop_by - now))
        try:
            return self._transport.send([item.content for item in part], timeout_s)
        except Exception as error:  # noqa: BLE001 - the batch must be counted, whatever happens
            self._counters.notice("internal_error")
            return SendResult(ok=False, reason=type(error).__name__)

    def _turn_comes(self) -> bool:
        """Wait until the next try is due. False: the sender has to stop before that."""
        while True:
            stop_by, now, due = self._control.stop_by, time.monotonic(), self._due()
            if stop_by is not None and (now >= stop_by or due > stop_by):
                return False
            if due <= now:
                return True
            self._control.wake.wait(due - now)
            self._control.wake.clear()

    def _due(self) -> float:
        paused_until = self._paused_until
        if self._control.urgent:  # one is waiting: our own pauses are cut short, the receiver's are not
            paused_until = min(paused_until, self._last_try + BACKOFF_FIRST_S)
        return max(self._asked_until, paused_until)

    def _taken(self, part: Sequence[Item], result: SendResult) -> None:
        calls = sum(item.is_call for item in part)
        rejected = min(result.rejected, calls)  # which ones is not said; a call is the worse loss
        self._counters.sent += calls - rejected
        if rejected:
            self._counters.drop("rejected", rejected)
        if result.rejected:
            self._tell("rejected", "it rejected %d spans: %s", result.rejected, _quoted(result.reason))
        if self._failing:
            _log(logging.INFO, "%s: captures are delivered again", self._where)
        self.recovered = self.recovered or self._attempt > 0
        self._failing, self._attempt = False, 0
        self._asked_until = self._paused_until = 0.0
        self.last_success = time.monotonic()

    def _failed(self, result: SendResult) -> None:
        self._failing = True
        said = f"{_quoted(result.reason)}: {_quoted(result.words)}" if result.words else _quoted(result.reason)
        self._tell("failed", "cannot deliver captures: %s (calls are not affected)", said)
        if not result.retryable:
            return
        now = time.monotonic()
        if result.retry_after_s is None:
            self._paused_until = now + pause_s(self._attempt)
        else:
            asked_s = min(max(result.retry_after_s, RETRY_AFTER_MIN_S), RETRY_AFTER_MAX_S)
            self._asked_until = now + asked_s * random.uniform(1.0, 1.1)  # noqa: S311 - all replicas were told the same
        self._attempt += 1

    @property
    def _where(self) -> str:
        return self._settings.where or "the exporter"

    def _tell(self, kind: str, text: str, *args: Any) -> None:
        """Log, of each kind not more than once a minute."""
        now = time.monotonic()
        if now - self._told_at.get(kind, -LOG_EVERY_S) >= LOG_EVERY_S:
            self._told_at[kind] = now
            _log(logging.WARNING, "%s: " + text, self._where, *args)


def size_of(items: Sequence[Item]) -> int:
    """The bytes of a request with these spans."""
    return REQUEST_OVERHEAD_BYTES + sum(item.bytes for item in items)


def pause_s(attempt: int) -> float:
    """Doubling from 0.25 s to 5 s, of which up to a half is taken off at random."""
    return float(min(BACKOFF_FIRST_S * 2 ** min(attempt, 10), BACKOFF_MAX_S) * random.uniform(0.5, 1.0))  # noqa: S311


def _log(level: int, text: str, *args: Any) -> None:
    """Log. A service's own handler of logs may raise, which must not cost a batch."""
    with contextlib.suppress(Exception):
        _LOG.log(level, "grpc_mirror: " + text, *args)


def _quoted(text: str) -> str:
    """A stranger's words for a log: on one line, and not many."""
    return text[:_TEXT_MAX_CHARS] if text.isidentifier() else repr(text[:_TEXT_MAX_CHARS])
