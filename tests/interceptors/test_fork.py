"""A fork of a process that captures already: the child starts anew, the parent goes on."""

import os
import signal
import threading
from dataclasses import replace

import grpc_mirror
import pytest
from grpc_mirror import runtime
from grpc_mirror.counters import Counters
from grpc_mirror.sinks import sender
from grpc_mirror.sinks.direct import DirectTransport
from grpc_mirror.sinks.queue import BoundedQueue
from grpc_mirror.sinks.sender import Sender, resource_of
from grpc_mirror.sinks.shards import Shards

from tests.interceptors.test_sender import record


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_has_an_empty_queue_and_counts_of_its_own(receiver, settings):
    counters = Counters()
    made = Sender(settings, counters, DirectTransport)
    made.put(record("parent"))
    parent = counters.source_id
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # whatever goes wrong ends here
        fresh = counters.source_id != parent and counters.read().captured == 0 and len(made.queue) == 0
        os._exit(0 if fresh and made._thread is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert receiver.call("parent")
    made.shutdown(5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_locks_that_other_threads_held_when_the_process_forked_do_not_stop_the_child(receiver, settings, monkeypatch):
    """Each endpoint's sender begins anew, and so do the counts that they share. The compiled queue has no lock."""
    monkeypatch.setattr(sender, "QUEUE", BoundedQueue)
    grpc_mirror.server_interceptor(settings)  # the first of a process sees to forks
    process = Counters()
    shards = Shards(replace(settings, endpoint=f"{receiver.endpoint},127.0.0.1:1"), process, DirectTransport)
    process.notice("not_started")
    held, release = threading.Event(), threading.Event()

    def hold():
        queues = [one.queue for one in shards.senders]
        with process._lock, queues[0]._lock, queues[1]._lock, runtime._lock:
            held.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a deadlock ends here
        for number in range(20):
            shards.put(record(str(number)))
        counts = shards.counts().values()
        with runtime._lock:
            fresh = sum(one.captured for one in counts) == 20 and not any(one.conditions for one in counts)
        os._exit(0 if fresh else 1)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    release.set()
    holder.join()
    assert ended == 0


def test_each_process_life_is_an_instance_of_its_own(settings):
    assert dict(resource_of(settings))["service.instance.id"] != dict(resource_of(settings))["service.instance.id"]
