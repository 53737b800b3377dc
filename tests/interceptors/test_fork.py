"""A fork of a process that captures already: the child starts anew, the parent goes on."""

import os

import pytest
from grpc_mirror.counters import Counters
from grpc_mirror.sinks.direct import DirectTransport
from grpc_mirror.sinks.sender import Sender, resource_of

from tests.interceptors.test_sender import record


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_has_an_empty_queue_and_counts_of_its_own(receiver, settings):
    counters = Counters()
    sender = Sender(settings, counters, DirectTransport)
    sender.put(record("parent"))
    parent = counters.source_id
    child = os.fork()
    if child == 0:
        fresh = counters.source_id != parent and counters.read().captured == 0 and len(sender._queue) == 0
        os._exit(0 if fresh and sender._thread is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert receiver.call("parent")
    sender.shutdown(5)


def test_each_process_life_is_an_instance_of_its_own(settings):
    assert dict(resource_of(settings))["service.instance.id"] != dict(resource_of(settings))["service.instance.id"]
