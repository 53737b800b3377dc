"""A collector that is killed at random moments while exporters send to it, and what became of what they sent; not a test."""

from __future__ import annotations

import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc_mirror
from grpc_mirror.sinks import otlp
from grpc_mirror.sinks.over_grpc import GrpcChannel

from tests.collect.process import CollectorProcess
from tests.collect.shop import VERSIONS, product_call, schema_span

START_MAX_S = 300  # on a machine that does much else
WRONG_EVERY = 10  # of so many pairs one differs


@dataclass
class Sent:
    """What one exporter was told."""

    acknowledged: int = 0  # spans
    repeated: int = 0  # requests that came to no answer, or were pushed back
    problems: list[str] = field(default_factory=list)


def requests(role: str, pairs: int, size: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """All calls of one replica in the direct sink's encoding: (calls, request), in an order of its own."""
    numbers = list(range(pairs))
    chance = random.Random(f"{seed} {role}")
    for start in range(0, pairs, size * 4):  # nearly in order, as replicas answer
        part = numbers[start : start + size * 4]
        chance.shuffle(part)
        numbers[start : start + size * 4] = part
    resource = otlp.resource_bytes(
        [("service.name", "shop"), ("service.version", VERSIONS[role]), ("service.instance.id", role)]
    )
    for start in range(0, pairs, size):
        spans = [_call(number, role) for number in numbers[start : start + size]]
        yield len(spans), otlp.request_bytes(resource, [schema_span().SerializeToString(), *spans])


def _call(number: int, role: str) -> bytes:
    wrong = role == "candidate" and number % WRONG_EVERY == 0
    return product_call(f"m{number}", role, name=f"product {number}", price=999 if wrong else 100).SerializeToString()


def export(
    endpoint: str,
    work: Sequence[tuple[int, bytes]],
    sent: Sent,
    stop: threading.Event,
    share: Callable[[], float],
) -> None:
    """Send it all as the direct sink does, each request until it is acknowledged; of all never more than `share()`.

    It connects anew after each failure, as a service that starts does: gRPC's own pauses are longer than the lives here.
    """
    channel = GrpcChannel(grpc_mirror.Settings(endpoint=endpoint))
    for place, (calls, body) in enumerate(work):
        while place > share() * len(work) and not stop.is_set():
            stop.wait(0.005)
        while not stop.is_set():
            result = channel.send([body], 5.0)
            if result.ok:
                sent.acknowledged += calls
                if result.rejected:
                    sent.problems.append(result.reason)
                break
            if not result.retryable:
                sent.problems.append(result.reason)
                break
            sent.repeated += 1
            stop.wait(0.02)
            channel.close()
            channel = GrpcChannel(grpc_mirror.Settings(endpoint=endpoint))
    channel.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Chaos:
    """Three exporters, and a collector that is killed meanwhile."""

    def __init__(self, folder: Path, *, pairs: int, seed: int) -> None:
        self.pairs = pairs
        self.seed = seed
        self.sent = {role: Sent() for role in VERSIONS}
        self.kills = 0
        self._endpoint = f"127.0.0.1:{free_port()}"
        listen = {"otlp_grpc": self._endpoint, "otlp_http": "127.0.0.1:0", "web": "127.0.0.1:0"}
        self.collector = CollectorProcess(folder, listen=listen)
        self._stop = threading.Event()

    def run(self, kills: int, *, lives_s: tuple[float, float], size: int = 16) -> None:
        """Send everything while the collector dies `kills` times, each life ending at a random moment.

        `size`: calls in a request. Each life has its part of the work, so that every kill finds some left.
        """
        chance = random.Random(self.seed)
        work = {role: list(requests(role, self.pairs, size, self.seed)) for role in VERSIONS}
        threads = [
            threading.Thread(
                target=export,
                args=(self._endpoint, work[role], self.sent[role], self._stop, lambda: (self.kills + 1) / (kills + 1)),
            )
            for role in VERSIONS
        ]
        with self.collector:
            for thread in threads:
                thread.start()
            try:
                while self.kills < kills:
                    time.sleep(chance.uniform(*lives_s))
                    self.collector.process.kill()
                    self.collector.process.wait()
                    self.kills += 1
                    self.collector.start(START_MAX_S)
                for thread in threads:
                    thread.join(600)
                    assert not thread.is_alive(), f"not all could be sent\n{self.collector.log}"
            finally:
                self._stop.set()
                for thread in threads:
                    thread.join(30)
            assert self.collector.end(signal.SIGTERM) == 0, self.collector.log
