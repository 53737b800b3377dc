"""Twice the load that a collector can carry, from exporters of three kinds: what it takes, what it pushes back, what it needs.

A real `mirror collector` on a core of its own where there are two, with a small queue, so that seconds fill it. First all exporters send as fast as
they are acknowledged: that is the rate it carries. Then they offer twice that, whatever comes back: the interceptors' own sender,
gRPC clients that heed RetryInfo, one of HTTP that heeds Retry-After. What does not fit into an exporter's queue is dropped there and
counted. At the end each acknowledged call must be in the store's figures once. Prints a table; --json FILE writes the figures; exit
code 1 if a promise is broken.

Usage: python benchmarks/overload.py [--calls 40000] [--seconds 30] [--times 2] [--queue-mib 8] [--body 200] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.live.flood.overload import Outcome, overload
from tests.live.flood.promises import faults

MIB = 1 << 20


def figures(outcome: Outcome) -> dict[str, Any]:
    """What is printed and written."""
    calls, bounds = outcome.account.calls, outcome.bounds
    exporters = {}
    for (role, kind, _), (_, told) in outcome.told.items():
        exporters[f"{role}, {kind}"] = {
            "acknowledged": told.acknowledged,
            "dropped_at_the_exporter": told.dropped,
            "pushed_back": dict(told.pushed_back),
            "unanswered": dict(told.unanswered),
        }
    return {
        "carried_per_s": outcome.carried,
        "offered_per_s": outcome.offered,
        "seconds": outcome.seconds,
        "carried_meanwhile_per_s": outcome.flooded,
        "exporters": exporters,
        "refused_by_reason": outcome.refused,
        "rss_mib_carrying": bounds.rss_at_rest / MIB,
        "rss_mib_most": bounds.rss / MIB,
        "journal_mib_most": bounds.journal / MIB,
        "store_mib_most": bounds.store / MIB,
        "received": calls.received,
        "grouped": calls.grouped,
        "dropped": calls.dropped,
        "evicted_groups": outcome.account.evicted,
        "faults": faults(outcome),
    }


def table(found: dict[str, Any]) -> None:
    """Print them."""
    print(f"carries {found['carried_per_s']:,.0f} triples a second")
    print(
        f"offered {found['offered_per_s']:,.0f} for {found['seconds']:.0f} s, carried meanwhile {found['carried_meanwhile_per_s']:,.0f}"
    )
    print(
        f"{'exporter':>16} {'acknowledged':>13} {'dropped there':>14} {'requests pushed back':>28} {'unanswered':>20}"
    )
    for kind, one in found["exporters"].items():
        back, lost = (
            ", ".join(f"{n} {status}" for status, n in one[name].items()) or "0"
            for name in ("pushed_back", "unanswered")
        )
        print(f"{kind:>16} {one['acknowledged']:>13,} {one['dropped_at_the_exporter']:>14,} {back:>28} {lost:>20}")
    print(
        "refused by the collector: "
        + ", ".join(f"{n:.0f} {reason}" for reason, n in found["refused_by_reason"].items())
    )
    print(f"memory {found['rss_mib_carrying']:.0f} MiB when carrying, {found['rss_mib_most']:.0f} MiB at most")
    print(f"disk at most: journal {found['journal_mib_most']:.0f} MiB, store {found['store_mib_most']:.0f} MiB")
    print(
        f"calls received {found['received']:,}, grouped {found['grouped']:,}, dropped {found['dropped']}, groups evicted {found['evicted_groups']:,}"
    )
    print("\n".join(found["faults"]) or "all that was acknowledged is counted once")


def main() -> int:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=40_000, help="of each role, to find what it carries")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--times", type=float, default=2.0)
    parser.add_argument(
        "--queue-mib", type=int, default=8, help="intake.queue_max_bytes; the collector's default is 128"
    )
    parser.add_argument("--body", type=int, default=200, help="bytes of a response")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        outcome = overload(
            Path(folder),
            calls=options.calls,
            seconds=options.seconds,
            times=options.times,
            body_bytes=options.body,
            core=cores[0] if len(cores) > 1 else None,
            intake={"queue_max_bytes": options.queue_mib * MIB},
        )
    found = figures(outcome)
    table(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))
    return 1 if found["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
