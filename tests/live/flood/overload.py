"""What a collector carries, then twice as much, and whether all that it acknowledged is in its figures once; not a test."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.core.model import MethodCounts
from mirror.store.accounts import Account
from tests.collect.process import CollectorProcess
from tests.live.flood.calls import RUN, Maker
from tests.live.flood.running import Load, Pace, Seat, Watch, gauge, metric, rss_bytes, send
from tests.live.flood.sending import Told


@dataclass(frozen=True)
class Bounds:
    """What memory and disk came to, in bytes."""

    rss_at_rest: int  # carrying what it can
    rss: int
    journal: int
    store: int


@dataclass(frozen=True)
class Outcome:
    """Rates are calls a second of each role."""

    carried: float  # into the store, when sent as fast as it is acknowledged
    offered: float
    seconds: float  # for which it was
    flooded: float  # into the store meanwhile
    calls: int  # of each role, in both parts
    told: dict[Seat, tuple[Told, Told]]  # in both parts
    bounds: Bounds
    refused: dict[str, float]  # requests by reason, by the collector's own count
    account: Account
    counts: MethodCounts
    log: str

    def acknowledged(self, role: str) -> bytearray:
        """How often each call was."""
        parts = [told.times for (whose, *_), both in self.told.items() for told in both if whose == role]
        return bytearray(map(sum, zip(*(times[: self.calls].ljust(self.calls, b"\0") for times in parts), strict=True)))

    def total(self, name: str) -> Counter[str]:
        """One of the counters of Told, over all."""
        return sum((getattr(told, name) for both in self.told.values() for told in both), Counter())

    @property
    def problems(self) -> list[str]:
        """What exporters were told that they should not be."""
        return [f"{seat}: {text}" for seat, both in self.told.items() for told in both for text in told.problems]


def overload(
    folder: Path,
    *,
    calls: int,
    seconds: float,
    times: float = 2.0,
    body_bytes: int = 200,
    core: int | None = None,
    **settings: Any,
) -> Outcome:
    """Measure with so many calls of each role, then offer `times` the rate for `seconds`, then end the collector in order.

    `core`: have the collector to itself on this one; None: wherever. `settings` as in mirror.yaml.
    """
    others = None if core is None else os.sched_getaffinity(0) - {core}
    with contextlib.ExitStack() as stack:
        with kept_to(None if core is None else {core}):
            collector = stack.enter_context(CollectorProcess(folder, **settings))
        stack.enter_context(kept_to(others))
        watch = stack.enter_context(Watch(collector.process.pid, folder))
        collector.export(*(Maker(role).schema_request for role in ("primary", "candidate", "secondary")))
        with Pace(collector) as pace:
            first = send(collector.addresses, Load(0, calls, 0, body_bytes))
            pace.until(calls)
        carried = pace.rate
        at_rest, watch.rss_bytes = rss_bytes(collector.process.pid), 0
        rate = times * carried
        load = Load(calls, int(rate * seconds), rate, body_bytes)
        with Pace(collector) as flooded:
            second = send(collector.addresses, load)
        refused = metric(collector, "mirror_batches_refused_total", "reason")
        # The end has a bound of its own, in which a full queue may not be judged; the rest would stay in the journal.
        collector.until(lambda: not gauge(collector, "mirror_queue_bytes"), "judged what was queued", timeout_s=300)
        assert collector.end(signal.SIGTERM) == 0, collector.log
    reader = collector.reader()
    (epoch,) = reader.epochs(RUN)
    outcome = Outcome(
        carried=carried,
        offered=rate,
        seconds=seconds,
        flooded=flooded.rate,
        calls=load.first + load.calls,
        told={seat: (first[seat], second[seat]) for seat in first},
        bounds=Bounds(at_rest, watch.rss_bytes, watch.journal_bytes, watch.store_bytes),
        refused=refused,
        account=reader.account(RUN),
        counts=epoch.counts,
        log=collector.log,
    )
    reader.close()
    return outcome


@contextlib.contextmanager
def kept_to(cores: set[int] | None) -> Iterator[None]:
    """What is started meanwhile runs on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
