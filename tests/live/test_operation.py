"""A real collector in operation: it says that it is not ready when it is not, ends in order within its time, and logs as it was told."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from tests.collect.otlp import request
from tests.collect.process import FAST, CollectorProcess
from tests.collect.servers import EXPORT
from tests.collect.shop import VERSIONS, product_call, schema_span
from tests.live.beside import Beside

pytestmark = pytest.mark.live
STOP_MAX_S = 40  # docs/operating.md: terminationGracePeriodSeconds
SMALL = 4096


def triple(number: int, size: int = 10) -> list[bytes]:
    """The three calls of one request, each from its replica."""
    return [
        request(
            schema_span(), product_call(f"m{number}", role, name="n" * size, price=1), version=version
        ).SerializeToString()
        for role, version in VERSIONS.items()
    ]


class Sender(Beside):
    """Sends triples until told; `whole`: so many were acknowledged in all three parts."""

    def __init__(self, collector: CollectorProcess, *, size: int = 10) -> None:
        self.whole = 0
        self.refused = ""
        self._collector, self._size = collector, size
        super().__init__()

    def _go_on(self) -> None:
        with grpc.insecure_channel(self._collector.addresses["otlp_grpc"]) as channel:
            export = channel.unary_unary(EXPORT)
            for number in range(1_000_000):
                for body in triple(number, self._size):
                    while not self._sent(export, body):
                        if self._stop.wait(0.05):
                            return
                self.whole += 1
                if self._stop.is_set():
                    return

    def _sent(self, export: grpc.UnaryUnaryMultiCallable, body: bytes) -> bool:  # type: ignore[type-arg]
        try:
            export(body, timeout=10)
        except grpc.RpcError as error:
            self.refused = f"{error.code().name}: {error.details()}"
            return False
        return True


@contextmanager
def no_larger_files(collector: CollectorProcess) -> Iterator[None]:
    """A disk that is full, for this process: nothing that it has can grow beyond a page of the log."""
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("limits of another process can be set on Linux only")
    usual = resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, (SMALL, usual[1]))
    try:
        yield
    finally:
        if collector.process.poll() is None:
            resource.prlimit(collector.process.pid, resource.RLIMIT_FSIZE, usual)


def test_with_a_full_disk_it_is_not_ready_pushes_back_and_works_again_once_there_is_room(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path, pairing=FAST) as collector, Sender(collector, size=20_000) as sender:
        collector.until(lambda: collector.get("/readyz").status_code == 200 and sender.whole > 3, "was ready")
        with no_larger_files(collector):
            collector.until(lambda: collector.get("/readyz").status_code == 503, "said that it is not ready")
            said = collector.get("/readyz").text
            assert "journal" in said or "store" in said
            assert "mirror_ready 0.0" in collector.get("/metrics").text
            collector.until(lambda: sender.refused, "pushed back")
            assert sender.refused.startswith("UNAVAILABLE: ")
            assert collector.get("/healthz").status_code == 200  # it lives, so nobody shall restart it
        collector.until(lambda: collector.get("/readyz").status_code == 200, "was ready again")
        before = sender.whole
        collector.until(lambda: sender.whole > before + 3, "took more")
        sender.__exit__()
        collector.until(lambda: collector.pairs() == sender.whole, "counted what it acknowledged")
        assert collector.end(signal.SIGTERM) == 0


def test_at_sigterm_it_takes_no_more_counts_what_it_took_and_ends(tmp_path: Path) -> None:
    """While somebody sends, somebody waits for an answer, and others hold connections half open."""
    with CollectorProcess(tmp_path, pairing={"max_stream_duration_s": 60.0}) as collector:
        with Sender(collector) as sender:
            collector.until(lambda: sender.whole > 20, "took some")
            half_open = [_connected(address) for address in collector.addresses.values() for _ in range(5)]
            collector.process.send_signal(signal.SIGTERM)
            assert collector.process.wait(STOP_MAX_S) == 0, collector.log
        assert sender.refused.startswith("UNAVAILABLE: ")
        for one in half_open:
            one.close()
        assert collector.log.splitlines()[-1].endswith("stopped")
        whole = _matched(collector)
        assert sender.whole <= whole <= sender.whole + 1  # of the last one the answer may not have come through


def test_while_it_drains_it_says_that_it_is_not_ready(tmp_path: Path) -> None:
    """A request under way is given its time; until then the page is there, and says so."""
    with CollectorProcess(tmp_path, pairing=FAST) as collector:
        host, port = collector.addresses["otlp_http"].rsplit(":", 1)
        head = (
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 10\r\n\r\n"
        )
        with socket.create_connection((host, int(port)), timeout=30) as under_way:
            under_way.sendall(head)
            collector.until(lambda: collector.get("/readyz").status_code == 200, "was ready")
            collector.process.send_signal(signal.SIGTERM)
            collector.until(lambda: _readiness(collector) == "starting or stopping\n", "said that it is stopping")
            assert collector.process.wait(STOP_MAX_S) == 0


def test_at_sigterm_with_a_full_disk_it_ends_too_and_the_next_one_counts_it_all(tmp_path: Path) -> None:
    with CollectorProcess(tmp_path, pairing=FAST) as collector:
        with Sender(collector, size=20_000) as sender:
            collector.until(lambda: sender.whole > 3, "took some")
            with no_larger_files(collector):
                collector.until(lambda: collector.get("/readyz").status_code == 503, "was not ready")
                collector.process.send_signal(signal.SIGTERM)
                assert collector.process.wait(STOP_MAX_S) in (0, 1), collector.log  # 1: not all could be committed
        collector.start()
        collector.until(lambda: collector.pairs() >= sender.whole, "counted what was acknowledged")
        assert collector.pairs() <= sender.whole + 1
        assert collector.end(signal.SIGTERM) == 0


def test_the_log_is_json_where_that_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tests.collect.process._COMMAND", [sys.executable, "-m", "mirror", "collector", "--log-format", "json"]
    )
    with CollectorProcess(tmp_path, pairing=FAST) as collector:
        assert httpx.get(f"http://{collector.addresses['web']}/readyz", timeout=30).status_code == 200
        assert collector.end(signal.SIGTERM) == 0
        lines = [json.loads(line) for line in collector.log.splitlines()]
    assert [line["message"] for line in (lines[0], lines[-1])] == ["mirror collector is ready", "stopped"]
    for line in lines:
        assert set(line) == {"time", "level", "logger", "message"}
        assert line["time"].endswith("+00:00")


def _connected(address: str) -> socket.socket:
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(b"POST /v1/traces HTTP/1.1\r\nhost")
    return connection


def _readiness(collector: CollectorProcess) -> str:
    """Why it is not ready; empty where it is, or does not answer."""
    try:
        answer = collector.get("/readyz")
    except httpx.HTTPError:
        return ""
    return "" if answer.status_code == 200 else answer.text


def _matched(collector: CollectorProcess) -> int:
    reader = collector.reader()
    try:
        return sum(epoch.counts.matched for epoch in reader.epochs("checkout"))
    finally:
        reader.close()
