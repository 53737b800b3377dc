"""Exporters in processes of their own, and a collector's memory and disk meanwhile; not a test."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.collect.process import CollectorProcess
from tests.live.beside import Beside
from tests.live.flood.calls import RUN, Maker
from tests.live.flood.sending import END_MAX_S, REQUEST_CALLS, Told, exporter

BLOCKS = 4  # of so many blocks of calls in a row, each exporter has some
SEATS = (  # who sends what: role, kind of exporter, its blocks. The interceptors' sender lets a service's own work go before its own
    ("primary", "mirror", (0,)),
    ("primary", "grpc", (1, 2, 3)),
    ("candidate", "grpc", (0, 1, 2, 3)),
    ("secondary", "http", (0, 1, 2, 3)),
)
Seat = tuple[str, str, tuple[int, ...]]
WRONG_EVERY = 100
UNDER_WAY_CALLS = 4000  # fewer than any exporter's queue holds
FULL_S = 0.002  # until one that has so many is looked at again
SAMPLE_S = 0.1
PACE_S = 0.25
COUNTED_MAX_S = 600


@dataclass(frozen=True)
class Load:
    """Calls first to first + calls - 1 of each role: `rate` a second whatever comes back, or 0: as fast as acknowledged."""

    first: int
    calls: int
    rate: float
    body_bytes: int = 200


def send(addresses: dict[str, str], load: Load) -> dict[Seat, Told]:
    """Have all exporters send it, and wait until all that they took is acknowledged: what each was told."""
    context = multiprocessing.get_context("spawn")
    begin = context.Event()
    pipes, children = {}, []
    for seat in SEATS:
        pipes[seat], other = context.Pipe()
        child = context.Process(target=_export, args=(seat, addresses, load, begin, other), daemon=True)
        child.start()
        other.close()
        children.append(child)
    try:
        for pipe in pipes.values():
            assert pipe.poll(120)
            assert pipe.recv() == "ready"
        begin.set()
        told = {}
        for seat, pipe in pipes.items():
            assert pipe.poll(load.calls / (load.rate or 500) + END_MAX_S + 60), f"the exporter of {seat} never ended"
            told[seat] = pipe.recv()
        return told
    finally:
        for child in children:
            child.join(10)
            if child.is_alive():
                child.kill()


def _export(  # runs in its own process
    seat: Seat, addresses: dict[str, str], load: Load, begin: Event, pipe: Connection
) -> None:
    role, kind, blocks = seat
    told = Told()
    maker = Maker(role, wrong_every=WRONG_EVERY, body_bytes=load.body_bytes)
    to = exporter(kind, addresses, maker, told)
    pipe.send("ready")
    begin.wait()
    began, put = time.monotonic(), 0
    for number, start in enumerate(range(0, load.calls, REQUEST_CALLS)):
        if number % BLOCKS not in blocks:
            continue
        calls = range(load.first + start, load.first + min(start + REQUEST_CALLS, load.calls))
        if load.rate:
            time.sleep(max(0.0, began + (start + len(calls)) / load.rate - time.monotonic()))
        else:
            while put - told.acknowledged > UNDER_WAY_CALLS:
                time.sleep(FULL_S)
        to.put(calls)
        put += len(calls)
    to.end()
    pipe.send(told)
    pipe.close()


class Pace(Beside):
    """How fast pairs come into the store."""

    def __init__(self, collector: CollectorProcess) -> None:
        self._collector = collector
        super().__init__()
        self._seen = [(time.monotonic(), collector.pairs(RUN))]

    def until(self, pairs: int) -> None:
        """Wait until so many are there."""
        self._collector.until(lambda: self._seen[-1][1] >= pairs, f"counted {pairs} pairs", COUNTED_MAX_S)

    @property
    def rate(self) -> float:
        """Pairs a second while it had as much as it could carry: between a fifth and four fifths of all."""
        start, end = self._seen[0][1], self._seen[-1][1]
        low, high = start + 0.2 * (end - start), start + 0.8 * (end - start)
        middle = [seen for seen in self._seen if low <= seen[1] <= high]
        used = middle if len(middle) > 1 else self._seen
        (began_s, first), (ended_s, last) = used[0], used[-1]
        return (last - first) / (ended_s - began_s)

    def _go_on(self) -> None:
        while not self._stop.wait(PACE_S):
            pairs = self._collector.pairs(RUN)
            if pairs > self._seen[-1][1]:
                self._seen.append((time.monotonic(), pairs))


def metric(collector: CollectorProcess, name: str, label: str) -> dict[str, float]:
    """The values of a metric by one of its labels, those of the others together."""
    text = collector.get("/metrics").text
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name:
                found[sample.labels[label]] += sample.value
    return dict(found)


def gauge(collector: CollectorProcess, name: str) -> float:
    """The value of a metric without labels."""
    families = text_string_to_metric_families(collector.get("/metrics").text)
    return next(sample.value for family in families for sample in family.samples if sample.name == name)


class Watch(Beside):
    """The most that a process and the files of its folder came to, looked at ten times a second."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._pid, self._folder = pid, folder
        super().__init__()
        self.rss_bytes = self.journal_bytes = self.store_bytes = 0

    def _go_on(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            with suppress(OSError):
                self.rss_bytes = max(self.rss_bytes, rss_bytes(self._pid))
            self.journal_bytes = max(self.journal_bytes, size_of(self._folder, "mirror.journal*"))
            self.store_bytes = max(self.store_bytes, size_of(self._folder, "mirror.db*"))


def rss_bytes(pid: int | str = "self") -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def size_of(folder: Path, pattern: str) -> int:
    """Bytes of the files of this name."""
    total = 0
    for path in folder.glob(pattern):
        with suppress(OSError):  # SQLite removed its log
            total += path.stat().st_size
    return total
