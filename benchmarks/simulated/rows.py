"""Figures, limits and tables. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil, inf
from typing import Final, Literal

RUNS: Final = 200  # of which the limits speak


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `limit`: at most so much, or with `at_least` at least; None: said beside, nothing is promised.

    `unit`: a number of runs of so many, a share from 0 to 1, or triples.
    """

    part: str
    what: str
    figure: float
    limit: float | None = None
    unit: Literal["runs", "share", "triples"] = "share"
    runs: int = 0  # that were simulated
    at_least: bool = False
    note: str = ""  # what the facts say, and what else was seen

    @property
    def held(self) -> bool | None:
        """Whether the limit is kept; None where there is none."""
        if self.limit is None:
            return None
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit


def at_most(limit: int, runs: int) -> int:
    """A limit on a number of runs of RUNS, for another number of runs; rounded up, or few runs would allow nothing."""
    return ceil(limit * runs / RUNS)


def tables(rows: list[Row]) -> list[str]:
    """All rows as lines, a table for each part."""
    width = max((len(row.what) for row in rows), default=0)
    lines: list[str] = []
    for part in dict.fromkeys(row.part for row in rows):
        lines += ["", part, f"  {'what':<{width}} {'figure':>12} {'limit':>9}  {'':<4}  note"]
        for row in (row for row in rows if row.part == part):
            held = {True: "pass", False: "miss", None: "-"}[row.held]
            line = f"  {row.what:<{width}} {_figure(row):>12} {_limit(row):>9}  {held:<4}  {row.note}"
            lines.append(line.rstrip())
    return lines[1:]


def as_json(rows: list[Row]) -> list[dict[str, object]]:
    """The rows, for machines: an infinite figure is null."""
    return [asdict(row) | {"figure": None if row.figure == inf else row.figure, "held": row.held} for row in rows]


def _figure(row: Row) -> str:
    return f"{row.figure:,.0f} of {row.runs:,}" if row.unit == "runs" else _number(row, row.figure)


def _limit(row: Row) -> str:
    return "-" if row.limit is None else f"{'>=' if row.at_least else '<='} {_number(row, row.limit)}"


def _number(row: Row, value: float) -> str:
    if value == inf:
        return "never"
    return f"{value:.1%}" if row.unit == "share" else f"{value:,.0f}"
