"""The sender's thread: its start, which a system may refuse, and its end, whatever a collector, an exporter or a log handler does."""

import logging
import threading
import time
from dataclasses import replace

import grpc
import pytest
from grpc_mirror.call import Outcome
from grpc_mirror.settings import Settings
from grpc_mirror.sinks import pacing
from grpc_mirror.sinks.queue import ANY_BYTES
from grpc_mirror.sinks.tracer import TracerTransport
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tests.interceptors.receiver import Receiver
from tests.interceptors.test_delivery import refusing
from tests.interceptors.test_sender import record


def test_a_sender_that_cannot_start_holds_nothing_and_counts(settings, sending):
    def connect(*_):
        raise OSError("no such file")

    sender, _ = sending(settings, connect)
    sender.put(record())
    sender._thread.join(20)
    sender.put(record())
    counts = sender.counts()
    assert (counts.captured, counts.dropped, counts.waiting) == (2, {"sender_failed": 2}, 0)
    assert sender.flush(0)


def test_a_system_without_threads_to_give_stops_no_call(receiver, settings, sending, monkeypatch):
    """The calls wait; the thread is tried again a second later."""
    sender, counters = sending(settings)

    def start(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        sender.put(record("1"))
        sender.put(record("2"))
        assert counters.read().conditions == {"sender_not_started": 1}
        assert not sender.flush(0.05)
    sender._start_after = 0.0
    sender.put(record("3"))
    assert len(receiver.wait_calls(3)) == 3


@pytest.mark.parametrize("end", ["flush", "shutdown"])
def test_what_ends_while_the_thread_is_being_started_waits_for_its_calls(settings, sending, monkeypatch, end):
    """It may have taken them already: an empty queue says nothing."""
    started, go_on, asked = threading.Event(), threading.Event(), threading.Event()
    start = threading.Thread.start

    def start_slowly(thread):
        start(thread)
        if thread.name == "grpc-mirror-sender":
            started.set()
            go_on.wait(20)

    def answer(_request, _context):
        asked.set()
        go_on.wait(20)

    with Receiver(answer) as receiver:
        sender, counters = sending(replace(settings, endpoint=receiver.endpoint))
        monkeypatch.setattr(threading.Thread, "start", start_slowly)
        putting, done = threading.Thread(target=sender.put, args=(record(),)), []
        ending = threading.Thread(target=lambda: done.append((getattr(sender, end)(20), counters.read().sent)))
        putting.start()
        assert started.wait(20)
        assert asked.wait(20)
        ending.start()
        ending.join(0.05)
        assert done == []
        go_on.set()
        ending.join(20)
        putting.join(20)
        assert done == [(True, 1)]


def test_a_call_that_comes_while_the_thread_is_being_started_wakes_it(receiver, settings, sending, monkeypatch):
    """It may have nothing left to do already, and sleep until somebody rouses it."""
    go_on, slept = threading.Event(), threading.Event()
    start = threading.Thread.start

    def start_slowly(thread):
        start(thread)
        if thread.name == "grpc-mirror-sender":
            go_on.wait(20)

    monkeypatch.setattr(pacing, "IDLE_S", 3600.0)
    sender, _ = sending(settings)
    wait = sender._control.wake.wait

    def wait_then(timeout_s):
        if receiver.calls and timeout_s == pacing.IDLE_S and sender.queue.rouse_at == ANY_BYTES:
            slept.set()
        return wait(timeout_s)

    monkeypatch.setattr(sender._control.wake, "wait", wait_then)
    monkeypatch.setattr(threading.Thread, "start", start_slowly)
    putting = threading.Thread(target=sender.put, args=(record("1"),))
    putting.start()
    try:
        assert slept.wait(20)
        sender.put(record("2"))
        receiver.wait_calls(2)
    finally:
        go_on.set()
        putting.join(20)


def test_a_shutdown_with_a_collector_that_hangs_cuts_the_export_short(silent, sending):
    """The thread is gone afterwards: it does not linger in an export of ten seconds."""
    sender, _ = sending(Settings(endpoint=silent, batch_age_s=0.01, flush_on_sigterm=False))
    sender.put(record())
    assert not sender.flush(0.05)
    assert not sender.shutdown(0.1)
    assert not sender._thread.is_alive()
    assert sender.counts().dropped == {"shutdown": 1}


def test_a_log_handler_that_raises_costs_no_call(settings, sending):
    """It is the service's, and runs on the sender's thread."""

    class Broken(logging.Handler):
        def emit(self, _record):
            raise RuntimeError("no")

    handler = Broken()
    logging.getLogger("grpc_mirror").addHandler(handler)
    answer, _ = refusing(1, grpc.StatusCode.UNAVAILABLE)
    try:
        with Receiver(answer) as receiver:
            sender, _ = sending(replace(settings, endpoint=receiver.endpoint))
            sender.put(record("bad")._replace(outcome=Outcome(99, "", 0)))
            sender.put(record("good"))
            assert receiver.call("good")
            assert sender.flush(20)
            assert (sender.counts().sent, sender.counts().dropped) == (1, {"encode_error": 1})
    finally:
        logging.getLogger("grpc_mirror").removeHandler(handler)


def test_an_exporter_that_never_returns_does_not_keep_a_shutdown(settings, sending):
    """A foreign exporter may wait for its own export when it is told to stop: whoever ends the process does not ask it to."""
    released, stopped_by = threading.Event(), []

    class Stuck(SpanExporter):
        def export(self, _spans):
            released.wait(20)
            return SpanExportResult.SUCCESS

        def shutdown(self):
            stopped_by.append(threading.current_thread().name)

    sender, _ = sending(replace(settings, endpoint="", sink="tracer", exporter=Stuck()), TracerTransport)
    sender.put(record())
    try:
        assert not sender.shutdown(0.1)
        assert stopped_by == []
    finally:
        released.set()
    assert sender.join(time.monotonic() + 20)
    assert stopped_by == ["grpc-mirror-sender"]
    assert sender.counts().sent == 1
