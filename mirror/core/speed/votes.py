"""One triple's latency or size held against a grid of ratios: its cells. Pure; cells add up.

Median: the call is over the ratio rho where L_C > rho L_S, under it where L_C < rho L_S. Since the ratios are nested, where the
call's own ratio falls among them says all eleven answers at once: one cell instead of eleven votes.

Tail, for x the secondary's quantile of the minutes before: raw where L_C > rho x and not L_S > x, noise the reverse. How many rho
have rho x < L_C, and whether L_S > x, say all of them at once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from math import inf
from typing import Final, NamedTuple, TypeAlias

from mirror.core.model import Name

RATIOS: Final = (1.0, 1.02, 1.05, 1.1, 1.15, 1.2, 1.3, 1.5, 2.0, 3.0, 5.0)
TAILS: Final = (0.9, 0.99, 0.999)
MINUTE_TRIPLES_MIN: Final = 5  # fewer say nothing of a minute
Cells: TypeAlias = Mapping[int, int]  # how many triples are in each
Votes: TypeAlias = tuple[tuple[int, int], ...]  # raw and noise, at each of RATIOS


class Metric(Name):
    """What is measured."""

    LATENCY = "latency"  # nanoseconds of the whole call, at the server
    SIZE = "size"  # bytes of all responses


class Speed(NamedTuple):
    """One triple's figures. `tails`: the cell at each of TAILS; empty: not known yet what the secondary's tail is."""

    metric: Metric
    primary: float
    candidate: float
    secondary: float
    cell: int
    tails: tuple[int, ...] = ()


def cell_of(candidate: float, secondary: float) -> int:
    """Where a call's ratio falls among RATIOS: 2k between two of them, with k below it; 2k + 1 on one of them."""
    ratio = candidate / secondary if secondary else inf if candidate else 1.0
    return bisect_left(RATIOS, ratio) + bisect_right(RATIOS, ratio)


def tail_cell_of(candidate: float, secondary: float, x: float) -> int:
    """Beyond which of rho x the candidate is, and whether the secondary is beyond x: 2k + (secondary beyond)."""
    return 2 * bisect_left(RATIOS, candidate / x) + (secondary > x)


def median_counts(cells: Cells) -> Votes:
    """At each ratio how many calls are over it, and under it."""
    return tuple(
        (
            sum(n for cell, n in cells.items() if at < cell // 2),
            sum(n for cell, n in cells.items() if at >= (cell + 1) // 2),
        )
        for at in range(len(RATIOS))
    )


def tail_counts(cells: Cells) -> Votes:
    """At each ratio the raw and the noise ones."""
    return tuple(
        (
            sum(n for cell, n in cells.items() if not cell % 2 and at < cell // 2),
            sum(n for cell, n in cells.items() if cell % 2 and at >= cell // 2),
        )
        for at in range(len(RATIOS))
    )


def votes_of_minute(counts: Votes, triples: int, *, by_call: bool) -> Votes:
    """One vote at each ratio by which are more, of a minute with enough triples; by call all of them."""
    if by_call:
        return counts
    if triples < MINUTE_TRIPLES_MIN:
        return tuple((0, 0) for _ in counts)
    return tuple((int(raw > noise), int(raw < noise)) for raw, noise in counts)


def add_votes(one: Votes, other: Votes) -> Votes:
    """Both together."""
    return tuple((a + c, b + d) for (a, b), (c, d) in zip(one, other, strict=True))


NO_VOTES: Final[Votes] = tuple((0, 0) for _ in RATIOS)
