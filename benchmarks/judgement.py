"""Is the verdict to be trusted? Simulations with fixed seeds: false alarms, detection, bounds, passes, and others' rules beside.

What is simulated:
  false alarms   both builds alike, 1,000 paths, independent calls (`vote_by: call`): any path ever regressed; and one path whose
                 calls are not independent, by minute, by ten seconds and by call
  detection      after how many triples a fault on one of 1,000 paths is regressed; an id that turns empty, by its values
  bounds         whether the bound of unexplained triples misses the truth at any look, under drift, and where what is
                 explained is known only afterwards
  passes         whole runs, until mirror.core.verdict says pass or fail, over the budget and within

Others' rules see the same counts: Diffy's, McNemar's test at each look, e-BH, Clopper-Pearson's limits. Detection, values, bounds at
the looks that decide, and verdicts are mirror/core's own; where that is too slow for 80 million judgements, the same formulas
in numpy, held against it by tests/benchmarks/test_judgement.py. The parts stand in `simulated`.

Limits speak of 200 runs, and are taken in proportion for another number. Seeds are fixed: the same figures on every machine with
the same numpy. Cheap parts take more runs: detection 5 times as many, bounds alone 10 times. `--quick` takes 10 of most, to see
that all of it works; its figures say little.

Without numpy nothing is simulated: one line says so, and the exit code is 0, unless MIRROR_REQUIRE names `judgement`.

Usage: python benchmarks/judgement.py [--runs 200 | --quick] [--only PARTS] [--json FILE] [--check]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from simulated.rows import Row

RUNS: Final = {"alarms": 1, "detection": 5, "values": 1, "bounds": 10, "whole": 1}  # times --runs
QUICK: Final = {"alarms": 10, "detection": 10, "values": 10, "bounds": 20, "whole": 2}


def positive(text: str) -> int:
    """A number of runs; raises ArgumentTypeError."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)


def arguments(given: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument("--runs", type=positive, default=200)
    how_many.add_argument("--quick", action="store_true", help="few runs, in seconds")
    parser.add_argument("--only", type=parts, default=list(RUNS), metavar="PARTS", help=",".join(RUNS))
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    return parser.parse_args(given)


def parts(text: str) -> list[str]:
    """Names of parts, by commas; raises ArgumentTypeError."""
    found = text.split(",")
    if unknown := set(found) - RUNS.keys():
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not a part; there are {', '.join(RUNS)}")
    return found


def progress(text: str) -> None:
    """Say on a terminal what is going on, over what was said before."""
    if sys.stderr.isatty():
        print(f"\r{text:<40}\r", end="", file=sys.stderr, flush=True)


def simulate(runs: Mapping[str, int]) -> list[Row]:
    """The parts that have a number of runs, one after the other."""
    from simulated import alarms, bounds, detection, passing, sticky  # noqa: PLC0415 - they need numpy

    known: list[tuple[Callable[[int], list[Row]], str]] = [
        (alarms.part_independent, "alarms"),
        (sticky.part_sticky, "alarms"),
        (detection.part_faults, "detection"),
        (detection.part_values, "values"),
        (bounds.part_bounds, "bounds"),
        (passing.part_missed, "whole"),
        (passing.part_over, "whole"),
        (passing.part_within, "whole"),
    ]
    rows: list[Row] = []
    wanted = [(part, runs[kind]) for part, kind in known if kind in runs]
    for number, (part, of_runs) in enumerate(wanted, start=1):
        progress(f"part {number} of {len(wanted)}")
        rows += part(of_runs)
    progress("")
    return rows


def main(given: list[str] | None = None) -> int:
    """Simulate, print; the exit code."""
    options = arguments(given)
    if importlib.util.find_spec("numpy") is None:
        print(
            "judgement: not simulated: numpy is not installed (pip install -c constraints.txt numpy)", file=sys.stderr
        )
        return int("judgement" in os.environ.get("MIRROR_REQUIRE", "").split(","))
    from simulated.rows import as_json, tables  # noqa: PLC0415

    runs = {kind: QUICK[kind] if options.quick else RUNS[kind] * options.runs for kind in options.only}
    started = time.process_time()
    rows = simulate(runs)
    took_s = time.process_time() - started
    print(
        f"runs: {', '.join(f'{kind} {n:,}' for kind, n in runs.items())}; {took_s:.0f} s of one core; numpy {version('numpy')}\n"
    )
    print("\n".join(tables(rows)))
    if options.json:
        said = {"runs": runs, "cpu_s": round(took_s, 1), "numpy": version("numpy"), "rows": as_json(rows)}
        options.json.write_text(json.dumps(said, indent=2) + "\n")
    return int(options.check and any(row.held is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
