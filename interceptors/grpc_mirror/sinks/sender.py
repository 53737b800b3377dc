"""The life of the sender thread: started by the first call, flushed on demand, stopped once, and left behind by a fork.

Nothing runs and no connection is open before the first captured call, so a pre-fork server may make its interceptors
in the parent. A forked child starts with an empty queue, counts of its own and a thread of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry import context as otel_context

from grpc_mirror.counters import Counters, Counts
from grpc_mirror.records import CallRecord, Queued
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.delivery import Control, Flush
from grpc_mirror.sinks.queue import ANY_BYTES, QUEUE
from grpc_mirror.sinks.transport import Transport
from grpc_mirror.sinks.worker import Worker
from grpc_mirror.v1 import attributes

_LOG = logging.getLogger("grpc_mirror")
Connect = Callable[[Settings, Sequence[tuple[str, str]]], Transport]

_STEP_S = 0.05  # the sender's thread may be within a step when its time is over
_CUT_S = 1.0  # and is given so long to end once its export is cut short
_START_AGAIN_S = 1.0

_senders: weakref.WeakSet[Sender] = weakref.WeakSet()
_watching_forks = False
_abandoned: list[object] = []


class Sender:
    """A bounded queue and the one thread that empties it into a transport."""

    def __init__(
        self, settings: Settings, counters: Counters, connect: Connect, on_fork: Callable[[], None] = lambda: None
    ) -> None:
        self._settings = settings
        self._counters = counters
        self._connect = connect
        self._on_fork = on_fork
        self.queue = QUEUE(
            counters, max_bytes=settings.queue_max_bytes, max_calls=settings.queue_max_calls, rouse=self._rouse
        )
        self._begin_anew()
        _watch_forks(self)

    def put(self, record: Queued) -> None:
        """Take a finished call. Never blocks; drops and counts where there is no room."""
        self.queue.put(record)
        if record.__class__ is CallRecord and record.outbound is not None:
            self._hasten()

    def _rouse(self) -> None:
        """There is a call, and no thread yet that sees to it, or one that sleeps until there is, or until there are enough."""
        if self._thread is not None:
            self._control.wake.set()
        elif not self.queue.closed:
            self._start()

    def _hasten(self) -> None:
        """An outbound call is worth waking up for. Set first and asked then, as the thread does it the other way round."""
        control = self._control
        control.outbound = True
        if control.watching:
            control.watching = False
            control.wake.set()

    def counts(self) -> Counts:
        """What came of all calls so far; those that wait are counted a moment apart from the others."""
        worker = self._worker
        return self._counters.read()._replace(waiting=len(self.queue) + (worker.in_hand if worker else 0))

    def flush(self, timeout_s: float) -> bool:
        """Send what is queued. Returns whether all of it was dealt with in time."""
        return self.end_flush(self.begin_flush(), timeout_s)

    def begin_flush(self) -> Flush | None:
        """Ask for what is queued to be sent; None: there is nobody to do it."""
        thread = self._thread
        if thread is None or not (thread.is_alive() or thread.ident is None):  # without: it is about to start
            return None
        flush = Flush(self.queue.accepted, threading.Event())
        self._control.flushes.append(flush)
        self._control.wake.set()
        return flush

    def end_flush(self, flush: Flush | None, timeout_s: float) -> bool:
        """Wait for what `begin_flush` asked for. Returns whether all of it was dealt with in time."""
        if flush is None:
            return len(self.queue) == 0
        done = flush.done.wait(timeout_s)
        if not done:
            with contextlib.suppress(ValueError):
                self._control.flushes.remove(flush)
        return done

    def shutdown(self, timeout_s: float) -> bool:
        """Send what is queued, then stop for good. Returns whether all of it was dealt with in time."""
        self.begin_shutdown(timeout_s)
        return end_all([self])

    def begin_shutdown(self, timeout_s: float) -> None:
        """Take no calls any more and have the thread end, within `timeout_s`."""
        self.queue.close("shutdown")
        self._lost_before = self._counters.read().dropped.get("shutdown", 0)
        self._control.stop_by = time.monotonic() + timeout_s
        self._control.wake.set()

    def join(self, by: float) -> bool:
        """Wait until the thread has ended, at most until `by` (monotonic). Returns whether it has."""
        if self._lock.acquire(timeout=max(0.0, by - time.monotonic())):  # held: it is about to start
            self._lock.release()
        thread = self._thread
        if thread is None or thread.ident is None or thread is threading.current_thread():
            return True
        thread.join(max(0.0, by - time.monotonic()))
        return not thread.is_alive()

    def cut_short(self) -> None:
        """End an export that is under way."""
        if self._worker is not None:
            self._worker.cut_short()

    @property
    def stop_by(self) -> float:
        """When the thread has to end (monotonic), after `begin_shutdown`."""
        return self._control.stop_by or 0.0

    def lost(self) -> bool:
        """Whether calls were not dealt with in the time that there was; they are counted. After the end."""
        self.queue.clear()
        return self._counters.read().dropped.get("shutdown", 0) != self._lost_before

    def after_fork(self) -> None:
        """In a child: begin anew. The parent's thread is not here, and its connection is not ours to close."""
        _abandoned.append((self._thread, self._control, self._worker))
        self._counters.reset()
        self._on_fork()
        self.queue.reset()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._control = Control()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._worker: Worker | None = None
        # Writes the spans of calls that end plainly where they end, and puts them into `queue` itself; None: the thread writes them.
        self.encoder: Any = None
        self._start_after = 0.0
        self._lost_before = 0

    def _start(self) -> None:
        """Start the thread. Where the system has none to give, calls stay in the queue and it is tried again a second later."""
        if time.monotonic() < self._start_after or not self._lock.acquire(blocking=False):
            self.queue.rouse_at = ANY_BYTES
            return
        try:
            if self._thread is None:
                # Known before it runs: else a flush finds nobody to wait for, and the queue empty, while calls are on their way.
                self._thread = threading.Thread(target=self._run, name="grpc-mirror-sender", daemon=True)
                self._thread.start()
        except RuntimeError:
            self._thread = None
            self.queue.rouse_at = ANY_BYTES
            self._start_after = time.monotonic() + _START_AGAIN_S
            self._counters.notice("sender_not_started")
        finally:
            self._lock.release()

    def _run(self) -> None:
        # Instrumentation libraries heed this key; our exports are not the service's calls.
        otel_context.attach(otel_context.set_value("suppress_instrumentation", value=True))
        resource = resource_of(self._settings)
        connect = self._connect
        try:
            self._worker = Worker(
                self._settings, self.queue, self._counters, self._control, lambda: connect(self._settings, resource)
            )
            self.encoder = self._worker.encoder
            self._worker.run()
        except Exception as error:  # noqa: BLE001 - the service must not see it
            self._counters.notice("internal_error")
            # Nothing empties the queue any more: keep nothing in it, and count what comes.
            self.queue.close("sender_failed")
            self.queue.clear()
            _LOG.error("grpc_mirror: the sender stopped, nothing is captured any more: %s", type(error).__name__)


def flush_all(senders: Sequence[Sender], timeout_s: float) -> bool:
    """Have all send what is queued, at once. Returns whether all of it was dealt with in time."""
    deadline = time.monotonic() + timeout_s
    begun = [(sender, sender.begin_flush()) for sender in senders]
    done = [sender.end_flush(flush, max(0.0, deadline - time.monotonic())) for sender, flush in begun]
    return all(done)


def end_all(senders: Sequence[Sender]) -> bool:
    """Wait for what `begin_shutdown` of each began. Returns whether all calls were dealt with in time."""
    late = [sender for sender in senders if not sender.join(sender.stop_by + _STEP_S)]
    for sender in late:
        sender.cut_short()
    by = time.monotonic() + _CUT_S
    still = [sender for sender in late if not sender.join(by)]
    lost = [sender for sender in senders if sender.lost()]
    return not still and not lost


def resource_of(settings: Settings) -> tuple[tuple[str, str], ...]:
    """The resource of this process. `service.instance.id` is generated where the settings have none."""
    found = {attributes.SERVICE_NAME: settings.service_name, **dict(settings.resource)}
    found.setdefault(attributes.SERVICE_INSTANCE, str(uuid.uuid4()))
    return tuple(found.items())


def _watch_forks(sender: Sender) -> None:
    global _watching_forks  # noqa: PLW0603 - one hook for the process
    _senders.add(sender)
    if not _watching_forks and hasattr(os, "register_at_fork"):
        _watching_forks = True
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for sender in list(_senders):
        sender.after_fork()
