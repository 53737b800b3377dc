"""Writes the tables of metrics in docs/api.md from the tables that the code counts by.

python tools/metrics_docs.py           writes them
python tools/metrics_docs.py --check   changes nothing; exit code 1 where they are out of date
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from mirror.collect.counters import METRICS, Metric
from mirror.serve.metrics import RUN_METRICS

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
BEGIN, END = "<!-- metrics: written by tools/metrics_docs.py -->", "<!-- metrics: end -->"


def page_text(page: str) -> str:
    """The page with its tables as they should be."""
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    return f"{head}{BEGIN}\n\n{_table(RUN_METRICS.values())}\n\n{_table(METRICS)}\n\n{END}{tail}"


def _table(metrics: Iterable[Metric]) -> str:
    rows = [f"| `{one.name}` | {one.kind} | {', '.join(one.labels)} | {one.help} |" for one in metrics]
    return "\n".join(["| Metric | Kind | Labels | Meaning |", "|---|---|---|---|", *rows])


def main(*, check: bool) -> int:
    """Write or check; the exit code."""
    page = PAGE.read_text(encoding="utf-8")
    wanted = page_text(page)
    if page == wanted:
        return 0
    if check:
        print(f"{PAGE.name} is out of date: python tools/metrics_docs.py")
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
