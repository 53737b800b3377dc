"""More than a collector can carry: it pushes back, stays small, and counts all that it acknowledged once.

`python benchmarks/overload.py` prints the figures.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.collect.process import CollectorProcess
from tests.collect.servers import EXPORT
from tests.live.flood.calls import Maker
from tests.live.flood.overload import Outcome, overload
from tests.live.flood.promises import faults
from tests.live.flood.running import Watch, rss_bytes

pytestmark = pytest.mark.live
MIB = 1 << 20
WAL_MAX = 64 * MIB  # the log beside the journal, see mirror/collect/journal/file.py
QUEUED_COST = 2  # of a queued request: its bytes until they are on disk, and what was cut from them


def check(outcome: Outcome, *, queue_bytes: int, open_bytes: int, journal_bytes: int) -> None:
    told = f"{outcome.bounds}\n{outcome.account}\nrefused {outcome.refused}\n{outcome.log}"
    assert not faults(outcome), f"{faults(outcome)}\n{told}"
    pushed_back = outcome.total("pushed_back")
    assert min(pushed_back["UNAVAILABLE"], pushed_back["429"]) > 0, f"{pushed_back}\n{told}"
    assert set(outcome.total("asked_s")) == {1.0}, "RetryInfo and Retry-After say when to come back"
    assert outcome.refused.keys() <= {"queue_full", "share_used_up", "journal"}, told
    grown = outcome.bounds.rss - outcome.bounds.rss_at_rest
    assert grown <= QUEUED_COST * queue_bytes + 1.3 * open_bytes + 64 * MIB, told
    assert outcome.bounds.journal <= journal_bytes + WAL_MAX + 16 * MIB, told


def limits(*, queue_bytes: int, open_bytes: int, journal_bytes: int) -> dict[str, Any]:
    return {
        "intake": {"queue_max_bytes": queue_bytes},
        "pairing": {"open_max_bytes": open_bytes},
        "journal": {"max_bytes": journal_bytes},
    }


@pytest.mark.timeout(600)
def test_twice_what_it_can_carry_is_pushed_back_and_nothing_acknowledged_is_lost(tmp_path: Path):
    bounds = {"queue_bytes": 2 * MIB, "open_bytes": 64 * MIB, "journal_bytes": 48 * MIB}
    check(overload(tmp_path, calls=12_000, seconds=5, **limits(**bounds)), **bounds)


@pytest.mark.timeout(300)
def test_large_requests_that_come_all_at_once_are_not_all_held(tmp_path: Path):
    """What is still being read is in no queue. Half a gigabyte comes at once, against a queue of 16 MiB, again and again."""
    queue_bytes, at_once, until_s = 16 * MIB, 128, time.monotonic() + 6
    body = Maker("primary", body_bytes=20_000).request(range(200))
    kept = {"pairing": {"open_max_bytes": queue_bytes}, "journal": {"max_bytes": 128 * MIB}}
    with CollectorProcess(tmp_path, intake={"queue_max_bytes": queue_bytes}, **kept) as collector:
        at_rest = rss_bytes(collector.process.pid)
        with Watch(collector.process.pid, tmp_path) as watch, contextlib.ExitStack() as stack:
            options = [("grpc.use_local_subchannel_pool", 1)]
            channels = [grpc.insecure_channel(collector.addresses["otlp_grpc"], options) for _ in range(at_once // 8)]
            exports = [stack.enter_context(channel).unary_unary(EXPORT) for channel in channels]
            codes: Counter[str] = Counter()
            while time.monotonic() < until_s:
                sent = [export.future(body, timeout=60) for export in exports for _ in range(8)]
                codes.update(one.code().name for one in sent)
                assert collector.get("/healthz").status_code == 200
        assert codes.keys() == {"OK", "UNAVAILABLE"}, codes
        assert len(body) * at_once > 500 * MIB
        assert watch.rss_bytes - at_rest < 300 * MIB, f"{watch.rss_bytes - at_rest} of {len(body) * at_once}"


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_minute_of_twice_the_load_as_configured_by_default(tmp_path: Path):
    outcome = overload(tmp_path, calls=50_000, seconds=60)
    check(outcome, queue_bytes=128 * MIB, open_bytes=256 * MIB, journal_bytes=2048 * MIB)
