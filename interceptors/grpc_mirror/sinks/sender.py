"""The life of the sender thread: started by the first call, flushed on demand, stopped once, and left behind by a fork.

Nothing runs and no connection is open before the first captured call, so a pre-fork server may make its interceptors
in the parent. A forked child starts with an empty queue, counts of its own and a thread of its own.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Sequence

from opentelemetry import context as otel_context

from grpc_mirror.counters import Counters
from grpc_mirror.records import Finished
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.queue import BoundedQueue
from grpc_mirror.sinks.transport import Transport
from grpc_mirror.sinks.worker import Control, Worker
from grpc_mirror.v1 import attributes

_LOG = logging.getLogger("grpc_mirror")
Connect = Callable[[Settings, Sequence[tuple[str, str]]], Transport]

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
        self._queue = BoundedQueue(counters, max_bytes=settings.queue_max_bytes, max_calls=settings.queue_max_calls)
        self._control = Control()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        _watch_forks(self)

    def put(self, record: Finished) -> None:
        """Take a finished call. Never blocks; drops and counts where there is no room."""
        if self._queue.put(record) and self._thread is None:
            self._start()

    def flush(self, timeout_s: float) -> bool:
        """Send what is queued. Returns whether all of it was dealt with in time."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            return len(self._queue) == 0
        done = threading.Event()
        self._control.flushes.append(done)
        self._control.wake.set()
        return done.wait(timeout_s)

    def shutdown(self, timeout_s: float) -> bool:
        """Send what is queued, then stop for good. Returns whether all of it was dealt with in time."""
        stop_by = time.monotonic() + timeout_s
        flushed = self.flush(timeout_s)
        self._control.stop_by = stop_by
        self._control.wake.set()
        left = self._queue.close()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.05, stop_by - time.monotonic()))
        return flushed and left == 0

    def after_fork(self) -> None:
        """In a child: begin anew. The parent's thread is not here, and its connection is not ours to close."""
        _abandoned.append((self._thread, self._control))
        self._counters.reset()
        self._on_fork()
        self._queue.reset()
        self._control = Control()
        self._lock = threading.Lock()
        self._thread = None

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="grpc-mirror-sender", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        # Instrumentation libraries heed this key; our exports are not the service's calls.
        otel_context.attach(otel_context.set_value("suppress_instrumentation", value=True))
        resource = resource_of(self._settings)
        connect = self._connect
        try:
            Worker(
                self._settings, self._queue, self._counters, self._control, lambda: connect(self._settings, resource)
            ).run()
        except Exception as error:  # noqa: BLE001 - the service must not see it
            self._counters.notice("internal_error")
            _LOG.error("grpc_mirror: the sender stopped: %s", type(error).__name__)


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
