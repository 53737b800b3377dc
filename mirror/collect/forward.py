"""Forwards spans of judged pairs to a tracing backend, from a thread of its own behind a bounded queue.

The pipeline only ever puts serialised spans here and goes on: a slow or dead endpoint costs counted drops and nothing else.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from typing import Final

from mirror.collect.counters import Counters
from mirror.collect.faults import log_fault
from mirror.collect.forward_spans import ForwardOptions, OutSpan, request_of, spans_of
from mirror.collect.forward_transport import RefusedError, RetryLaterError, Transport
from mirror.core.model import Judged

QUEUE_MAX_BYTES: Final = 16 << 20
BATCH_MAX_SPANS: Final = 512
BATCH_MAX_BYTES: Final = 2 << 20  # receivers default to 4 MB
BATCH_AGE_S: Final = 0.2
SEND_TIMEOUT_S: Final = 10.0
BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 30.0
_log: Final = logging.getLogger(__name__)


class Forwarder:
    """One queue, one thread. `offer` may be called from one thread, `start` and `stop` from another."""

    def __init__(
        self,
        transport: Transport,
        options: ForwardOptions,
        counters: Counters,
        *,
        queue_max_bytes: int = QUEUE_MAX_BYTES,
    ) -> None:
        self._transport = transport
        self._options = options
        self._counters = counters
        self._queue_max_bytes = queue_max_bytes
        self._changed = threading.Condition()
        self._queue: deque[OutSpan] = deque()
        self._bytes = 0
        self._stop_at_s: float | None = None  # monotonic; set: send what is left until then
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="mirror-forward", daemon=True)

    @property
    def takes_matched(self) -> bool:
        """Whether it is offered pairs in which nothing differs too."""
        return self._options.matched

    def start(self) -> None:
        """Start sending."""
        self._thread.start()

    def offer(self, judged: Judged) -> None:
        """Queue what is to be forwarded of `judged`; without room it is dropped and counted. Never blocks for long."""
        spans = spans_of(judged, self._options)
        size = sum(len(out.span) for out in spans)
        if not spans:
            return
        with self._changed:
            if self._bytes + size > self._queue_max_bytes or self._stop_at_s is not None:
                self._drop(len(spans), "queue_full" if self._stop_at_s is None else "stopping")
                return
            self._queue.extend(spans)
            self._bytes += size
            self._changed.notify_all()

    def stop(self, flush_s: float) -> None:
        """Send what is queued for at most `flush_s`; what is left then is dropped and counted."""
        with self._changed:
            self._stop_at_s = time.monotonic() + flush_s
            self._changed.notify_all()
        self._thread.join(flush_s)
        self._transport.close()
        self._thread.join(1.0)
        with self._changed:
            if self._queue:
                self._drop(len(self._queue), "shutdown")
                self._queue.clear()

    def _run(self) -> None:
        while batch := self._next():
            self._deliver_safely(batch)

    def _deliver_safely(self, batch: list[OutSpan]) -> None:
        try:
            self._deliver(batch)
        except Exception as fault:  # noqa: BLE001 - the thread must live on
            self._counters.inc("mirror_internal_errors_total", stage="forward")
            self._drop(len(batch), "internal_error")
            log_fault(_log, "forwarding spans", fault)

    def _next(self) -> list[OutSpan]:
        """The next batch; waits for one. Empty: stopped and nothing is left."""
        with self._changed:
            while not self._queue:
                if self._stop_at_s is not None:
                    return []
                self._changed.wait()
            if self._stop_at_s is None and len(self._queue) < BATCH_MAX_SPANS:
                self._changed.wait_for(lambda: self._stop_at_s is not None, BATCH_AGE_S)
            batch: list[OutSpan] = []
            size = 0
            while self._queue and len(batch) < BATCH_MAX_SPANS and size < BATCH_MAX_BYTES:
                batch.append(self._queue.popleft())
                size += len(batch[-1].span)
            self._bytes -= size
            return batch

    def _deliver(self, batch: list[OutSpan]) -> None:
        request = request_of(batch)
        backoff_s = BACKOFF_FIRST_S
        while True:
            try:
                rejected = self._transport.send(request, timeout_s=self._timeout_s())
            except RefusedError as why:
                self._drop(len(batch), "refused")
                self._warn("refuses", why)
                return
            except RetryLaterError as why:
                self._counters.inc("mirror_forward_failures_total")
                self._warn("takes nothing", why)
            else:
                self._count_sent(len(batch), rejected)
                return
            if not self._pause(backoff_s * random.uniform(0.8, 1.2)):  # noqa: S311 - jitter
                self._drop(len(batch), "shutdown")
                return
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)

    def _timeout_s(self) -> float:
        if self._stop_at_s is None:
            return SEND_TIMEOUT_S
        return max(0.1, min(SEND_TIMEOUT_S, self._stop_at_s - time.monotonic()))

    def _pause(self, wait_s: float) -> bool:
        """Wait before the next attempt. False: it is time to give up."""
        with self._changed:
            if self._stop_at_s is None:
                self._changed.wait_for(lambda: self._stop_at_s is not None, wait_s)
                return True
            left_s = self._stop_at_s - time.monotonic()
        if left_s <= 0:
            return False
        time.sleep(min(0.2, left_s))
        return True

    def _count_sent(self, spans: int, rejected: int) -> None:
        rejected = min(max(rejected, 0), spans)
        self._counters.inc("mirror_forward_spans_total", spans - rejected)
        if rejected:
            self._drop(rejected, "rejected")
        if self._failing:
            self._failing = False
            _log.info("forwarding works again")

    def _warn(self, what: str, why: Exception) -> None:
        if not self._failing:  # once, until it works again
            self._failing = True
            _log.warning("the forwarding endpoint %s: %s", what, why)

    def _drop(self, spans: int, reason: str) -> None:
        self._counters.inc("mirror_forward_dropped_total", spans, reason=reason)
