"""Millions of equal pairs: do processor time, memory and disk stay flat?

One collector, as configured by default, from OTLP bytes to stored counts, over five methods. Its clock is the traffic's own, at --rate
pairs a second: ten million pairs at a thousand are 167 minutes of votes, of the store's growth by minute and of the journal's forgetting,
in however long they take to be judged. Prints a line after each step, of pairs that were judged: processor seconds a million
(making the requests is not among them), memory, files, rows; at the end what grew. --json FILE writes the figures; exit code 1 unless each pair
was counted once.

Usage: python benchmarks/flat.py [--pairs 300000] [--step N] [--rate 1000] [--secondary] [--body 200] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from mirror.collect.app import Collector, open_store
from mirror.collect.receive import Accepted
from mirror.config import Config
from mirror.config.sections import Listen, Store
from tests.live.flood.calls import METHODS, RUN, Maker
from tests.live.flood.running import rss_bytes, size_of

BATCH = 256  # calls of a request
SENDERS = 12  # exporters that wait for their answers
AHEAD_PAIRS = 5000  # that may wait to be judged: the traffic's clock goes no faster than the judging
MIB = 1 << 20
MILLION = 1_000_000


@dataclass(frozen=True)
class Step:
    """How it was when so many pairs had been judged."""

    pairs: int
    minutes: float  # of the traffic
    cpu_s: float  # since the start
    wall_s: float
    rss_bytes: int
    store_bytes: int
    journal_bytes: int
    rows: dict[str, int] = field(repr=False)  # by table


class Feed:
    """The traffic: its requests, its clock, and the processor time that making them took."""

    def __init__(self, pairs: int, rate: float, roles: tuple[str, ...], body_bytes: int) -> None:
        expect = ",".join(roles[1:])
        self._makers = [Maker(role, methods=len(METHODS), body_bytes=body_bytes, expect=expect) for role in roles]
        self._pairs, self._rate = pairs, rate
        self._began_s = time.time() // 60 * 60
        self.sent = 0
        self.making_s = 0.0

    @property
    def schemas(self) -> list[bytes]:
        """A request of each process with its schema."""
        return [maker.schema_request for maker in self._makers]

    @property
    def minutes(self) -> float:
        """Of the traffic so far."""
        return self.sent / self._rate / 60

    def clock(self) -> float:
        """Unix seconds."""
        return self._began_s + self.sent / self._rate

    def requests(self) -> Iterator[bytes]:
        """Of all roles by turns."""
        for start in range(0, self._pairs, BATCH):
            numbers = range(start, min(start + BATCH, self._pairs))
            for maker in self._makers:
                began = time.thread_time()
                body = maker.request(numbers)
                self.making_s += time.thread_time() - began
                yield body
            self.sent = numbers.stop


class Measured:
    """One collector in `folder` and the steps of its life."""

    def __init__(self, feed: Feed, folder: Path, step: int) -> None:
        self._feed, self._folder, self._step = feed, folder, step
        listen = Listen(otlp_grpc="127.0.0.1:0", otlp_http="127.0.0.1:0", web="127.0.0.1:0")
        config = Config(listen=listen, runs=(RUN,), store=Store(url=f"sqlite:///{folder}/mirror.db"))
        self.store = open_store(config)
        self._collector = Collector(config, self.store, clock=feed.clock)
        self.steps: list[Step] = []

    async def run(self) -> None:
        """Feed it, and end it in order."""
        await self._collector.start()
        self._receive = self._collector._receiver.receive  # noqa: SLF001 - the entrance behind both listeners
        for body in self._feed.schemas:
            assert isinstance(await self._receive(body, "grpc"), Accepted)
        self._began = time.process_time() - self._feed.making_s, time.monotonic()
        self._note()
        requests = self._feed.requests()
        await asyncio.gather(*(self._send(requests) for _ in range(SENDERS)))
        assert await self._collector.stop()
        self._note()

    async def _send(self, requests: Iterator[bytes]) -> None:
        for body in requests:
            while not isinstance(await self._receive(body, "grpc"), Accepted):  # noqa: ASYNC110 - pushed back, as a sender
                await asyncio.sleep(0.01)
            while self._feed.sent - self._judged() > AHEAD_PAIRS:  # noqa: ASYNC110 - it is another thread's count
                await asyncio.sleep(0.005)
            if self._judged() >= self.steps[-1].pairs + self._step:
                self._note()

    def _judged(self) -> int:
        value = self._collector.counters.value
        return int(value("mirror_comparisons_total", role="candidate", verdict="matched"))

    def _note(self) -> None:
        gc.collect()
        began_cpu, began_wall = self._began
        self.steps.append(
            Step(
                pairs=self._judged(),
                minutes=self._feed.minutes,
                cpu_s=time.process_time() - self._feed.making_s - began_cpu,
                wall_s=time.monotonic() - began_wall,
                rss_bytes=rss_bytes(),
                store_bytes=size_of(self._folder, "mirror.db*"),
                journal_bytes=size_of(self._folder, "mirror.journal*"),
                rows=rows_of(self._folder / "mirror.db"),
            )
        )
        tell(self.steps)


def rows_of(path: Path) -> dict[str, int]:
    """Rows by table, of those that have any."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
    finally:
        connection.close()
    return {name: count for name, count in counts.items() if count}


def tell(steps: list[Step]) -> None:
    """Print the last one."""
    last = steps[-1]
    if len(steps) == 1:
        heads = ("pairs", "minutes", "CPU s/million", "wall s", "RSS MiB", "store MiB", "journal MiB", "rows")
        print(" ".join(f"{head:>13}" for head in heads))
    before = steps[-2] if len(steps) > 1 else last
    judged = last.pairs - before.pairs
    cpu = (last.cpu_s - before.cpu_s) * MILLION / judged if judged else 0
    sizes = (last.rss_bytes / MIB, last.store_bytes / MIB, last.journal_bytes / MIB)
    print(
        f"{last.pairs:>13,} {last.minutes:>13.1f} {cpu:>13.1f} {last.wall_s:>13.1f}",
        *(f"{size:>13.1f}" for size in sizes),
        f"{sum(last.rows.values()):>13,}",
        flush=True,
    )


def grown(steps: list[Step]) -> list[str]:
    """What the second half added, in words: it warms up in the first."""
    middle, last = steps[len(steps) // 2], steps[-2]  # the last but one still has its traffic
    pairs, minutes = (last.pairs - middle.pairs) / MILLION, last.minutes - middle.minutes
    if pairs <= 0:
        return ["too few steps to tell what grows"]
    said = [
        f"{name} {(getattr(last, attribute) - getattr(middle, attribute)) / MIB / pairs:+.1f} MiB a million pairs"
        for name, attribute in (("memory", "rss_bytes"), ("store", "store_bytes"), ("journal", "journal_bytes"))
    ]
    for table in sorted(last.rows):
        more = last.rows[table] - middle.rows.get(table, 0)
        if more:
            said.append(f"{table} {more:+,} rows ({more / minutes:.1f} a minute of the traffic)")
    return said


def main() -> int:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300_000)
    parser.add_argument(
        "--step", type=int, help="pairs between two lines; a million, or a tenth of all if that is less"
    )
    parser.add_argument("--rate", type=float, default=1000.0, help="pairs a second by the traffic's clock")
    parser.add_argument("--secondary", action="store_true", help="with a secondary, so that each pair is a triple")
    parser.add_argument("--body", type=int, default=200, help="bytes of a response")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    roles = ("primary", "candidate", "secondary")[: 3 if options.secondary else 2]
    feed = Feed(options.pairs, options.rate, roles, options.body)
    with tempfile.TemporaryDirectory() as folder:
        measured = Measured(feed, Path(folder), options.step or min(MILLION, max(1, options.pairs // 10)))
        asyncio.run(measured.run())
        (epoch,) = measured.store.reader().epochs(RUN)
        measured.store.close()
    print("\nin the second half:", *grown(measured.steps), sep="\n  ")
    counts = epoch.counts
    whole = (counts.pairs, counts.matched) == (options.pairs, options.pairs)
    print("each pair was counted once" if whole else f"{options.pairs} pairs were sent, and the store has {counts}")
    if options.json:
        options.json.write_text(json.dumps([asdict(step) for step in measured.steps], indent=2))
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
