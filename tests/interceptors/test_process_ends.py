"""What lies in the queue when a process ends is flushed: at SIGTERM, at exit, and in forked children."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interceptors.servers import Client, notes

SCRIPT = Path(__file__).with_name("worker_process.py")


@contextlib.contextmanager
def process(root, mode, endpoint):
    env = {**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), mode, endpoint], stdout=subprocess.PIPE, text=True, env=env
    ) as child:
        try:
            yield child, int(child.stdout.readline())
        finally:
            child.kill()


def call(child, port, mirror_id):
    client = Client(port)
    assert client.call("Unary", notes("return"), mirror_id).responses
    client.close()
    assert child.stdout.readline() == "served\n"


@pytest.mark.parametrize("server", ["default", "aio"])
def test_at_sigterm_with_its_default_the_queue_is_flushed_and_the_process_dies_of_it(root, receiver, server):
    with process(root, server, receiver.endpoint) as (child, port):
        call(child, port, "sigterm")
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == -signal.SIGTERM
    assert receiver.call("sigterm")


def test_a_service_that_handles_sigterm_itself_flushes_at_its_exit(root, receiver):
    with process(root, "own", receiver.endpoint) as (child, port):
        call(child, port, "own")
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    assert receiver.call("own")


def test_a_normal_exit_flushes(root, receiver):
    with process(root, "exit", receiver.endpoint) as (child, port):
        call(child, port, "exit")
        assert child.wait(20) == 0
    assert receiver.call("exit")


def test_a_dead_collector_does_not_keep_a_process_from_dying(root):
    with process(root, "default", "127.0.0.1:1") as (child, port):
        call(child, port, "dead")
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == -signal.SIGTERM


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_captures_with_a_sender_of_its_own(root, receiver):
    with process(root, "fork", receiver.endpoint) as (child, port):
        call(child, port, "forked")
        assert child.wait(20) == 0
    assert receiver.call("forked")
