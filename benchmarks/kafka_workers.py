"""Two workers against one on Kafka: triples a second from a full topic to stored counts.

A real broker, PostgreSQL (SQLite where there is none) and real `mirror worker` processes, all on this machine, so that with as few
cores as processes the broker and the database take their part of both. The workers have their partitions, are stopped while the
topic is filled, and are timed from when they go on until all is committed. Prints a table; --json FILE writes the figures.

Usage: python benchmarks/kafka_workers.py [--triples 20000] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from mirror.config.sections import Kafka
from mirror.kafka import clients
from mirror.kafka.messages import cut
from tests.kafka.process import MirrorProcess
from tests.kafka.storm import pairs, settings
from tests.live.chaos import requests
from tests.live.kafka import Broker, broker
from tests.live.mesh import wait_until
from tests.live.postgres import Postgres, postgres_server

PARTITIONS = 6
ROLES = ("primary", "candidate", "secondary")
HOUR_S = 3600  # of a session, since stopped workers are not heard of


def fill(address: str, topic: str, triples: int) -> None:
    """Write all calls, as `mirror ingest` does; a tenth of the pairs differ in one field."""
    producer = clients.producer(Kafka(brokers=(address,)), lambda _: None, queue_max_bytes=256 << 20, patient=True)
    for parts in zip(*(requests(role, triples, 64, 1) for role in ROLES), strict=True):
        for _, body in parts:
            for message in cut(body, message_max_bytes=1 << 20).messages:
                producer.produce(topic, message.value, message.key)
            producer.poll(0)
    assert not producer.flush(120)


def cpu_s(pid: int) -> float:
    """CPU seconds that a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(kafka: Broker, url: str, topic: str, workers: int, triples: int) -> tuple[float, float]:
    """(seconds, CPU seconds of all workers) from the full topic to the last commit."""
    sets: dict[str, Any] = settings(kafka, topic, url)
    sets["kafka"] |= {"session_timeout_s": 300, "partitions": PARTITIONS}
    kafka.create_topic(topic, PARTITIONS)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = [MirrorProcess(folder, "worker", f"worker-{number}", **sets) for number in range(workers)]
        for one in running:
            stack.callback(one.stop)
            one.ready()
        share = PARTITIONS // workers
        wait_until(lambda: all(one.metric("mirror_kafka_partitions") == share for one in running), "partitions")
        pids = [one._child.pid for one in running]  # noqa: SLF001 - ours
        for one in running:
            one.signal(signal.SIGSTOP)
        fill(kafka.address, topic, triples)
        cpu, began = sum(map(cpu_s, pids)), time.monotonic()
        for one in running:
            one.signal(signal.SIGCONT)
        wait_until(lambda: pairs(url) >= triples, "all pairs", timeout_s=HOUR_S)
        return time.monotonic() - began, sum(map(cpu_s, pids)) - cpu


@contextlib.contextmanager
def database() -> Iterator[Postgres | None]:
    """PostgreSQL, if it can be had."""
    with contextlib.ExitStack() as stack:
        server = None
        try:
            server = stack.enter_context(postgres_server())
        except pytest.skip.Exception as reason:
            print(f"with SQLite: {reason}")
        yield server


def measure(kafka: Broker, server: Postgres | None, folder: Path, triples: int, rounds: int) -> list[dict[str, float]]:
    """A row for each number of workers."""
    seconds: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for round_ in range(rounds):
        for workers, found in seconds.items():
            name = f"bench_{round_}_{workers}"
            url = server.database(name) if server else f"sqlite:///{folder}/{name}.db"
            found.append(timed(kafka, url, name.replace("_", "-"), workers, triples))
    return [
        {
            "workers": workers,
            "triples_per_s": statistics.median(triples / wall for wall, _ in found),
            "triples_per_cpu_s": statistics.median(triples / cpu for _, cpu in found),
        }
        for workers, found in seconds.items()
    ]


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as name, broker(Path(name)) as kafka, database() as server:
            rows = measure(kafka, server, Path(name), options.triples, options.rounds)
    except pytest.skip.Exception as reason:
        print(f"not measured: {reason}")
        return
    print(f"{os.cpu_count()} cores for workers, broker and database")
    print(
        f"{'workers':>8} {'triples/s':>10} {'comparisons/s':>14} {'triples/s a core of workers':>28} {'against one':>12}"
    )
    for row in rows:
        rate, per_core = row["triples_per_s"], row["triples_per_cpu_s"]
        ratio = rate / rows[0]["triples_per_s"]
        print(f"{row['workers']:>8} {rate:>10,.0f} {2 * rate:>14,.0f} {per_core:>28,.0f} {ratio:>12.2f}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
