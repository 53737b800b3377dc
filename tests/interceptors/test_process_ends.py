"""What lies in the queue when a process ends is flushed: at SIGTERM, at exit, and in forked children."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interceptors.servers import Client, notes

SCRIPT = Path(__file__).with_name("worker_process.py")


@contextlib.contextmanager
def process(root, mode, endpoint, stderr=None):
    env = {**os.environ, "PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), mode, endpoint], stdout=subprocess.PIPE, stderr=stderr, text=True, env=env
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_workers_forked_from_a_process_that_has_captured_already_capture_too(root, receiver):
    """Each with a connection and counts of its own; the parent goes on with what it had."""
    with process(root, "prefork", receiver.endpoint) as (child, port):
        ports = [port, int(child.stdout.readline())]
        for number, one in enumerate(ports):
            call(child, one, f"worker {number}")
        assert child.wait(20) == 0
    assert len(set(ports)) == 2
    for mirror_id in ("parent before", "parent after", "worker 0", "worker 1"):
        assert receiver.call(mirror_id)
    last = {report.source_id: report for report in receiver.reports}
    assert sorted(report.captured for report in last.values()) == [1, 1, 2]
    assert len({one.resource["service.instance.id"] for one in receiver.calls}) == 3


@pytest.fixture(params=["dead", "silent", "ready"])
def collector(request, receiver):
    """The endpoint of a collector that is not there, takes connections and never answers, or is there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = f"127.0.0.1:{listener.getsockname()[1]}"
        yield {"dead": "127.0.0.1:1", "silent": silent, "ready": receiver.endpoint}[request.param]


def complaints(text):
    """Lines on stderr that are not the interceptor's own log."""
    return [line for line in text.splitlines() if not line.startswith("grpc_mirror: ")]


@pytest.mark.parametrize("mode", ["exit", "busy"])
def test_an_exit_is_bounded_and_quiet_whatever_the_collector_does(root, receiver, collector, mode, tmp_path):
    """Also while threads that nobody waits for go on capturing: no hang, no traceback."""
    stderr = tmp_path / "stderr"
    with stderr.open("w") as log, process(root, mode, collector, log) as (child, port):
        if mode == "exit":
            call(child, port, "last")
        assert child.wait(20) == 0
    assert complaints(stderr.read_text()) == []
    if collector == receiver.endpoint:
        assert receiver.wait_calls()
