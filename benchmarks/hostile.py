"""Messages made to hurt, about 4 MB each: how long a comparison takes, and what memory it needs above the two messages.

The promise: each ends in 2 s, in a whole result or in one that says where it is too complex, within 100 MB. Every kind runs in a
process of its own, which reads both messages from files, so that the peak before the comparison is that of parsing.
A comparison is one thread that waits for nothing, so its time is the processor's; the wall's, which other work on the machine
lengthens, stands beside it. Prints a table; --json FILE writes the figures.

Usage: python benchmarks/hostile.py [--only NAME ...] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from hostile_messages.kinds import KINDS
from hostile_messages.measuring import kept, line_of, measure, run


def main() -> int:
    """Print the table; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="NAME")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure", nargs=3, metavar=("NAME", "LEFT", "RIGHT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        name, left, right = arguments.measure
        print(json.dumps(measure(name, Path(left), Path(right))))
        return 0
    found = []
    print(f"{'kind':30} {'seconds':>8} {'wall':>8} {'MB':>7} {'found':>9}  result")
    for name in arguments.only:
        found.append(run(name))
        print(line_of(found[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2), encoding="utf-8")
    return 0 if all(map(kept, found)) else 1


if __name__ == "__main__":
    sys.exit(main())
