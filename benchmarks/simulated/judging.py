"""Many hypotheses at many looks at once: the e-value, ranks and states of mirror/core in numpy, for simulations alone.

`mirror.core.noise` judges one hypothesis at one look; a simulation asks for 80 million of them. The same formulas stand
here on arrays, written from the definitions and not from that code: `tests/benchmarks/test_judgement.py` holds one against the
other. Grid, weights and limits are the core's own.

Arrays: `b`, `c`, `d` are counts so far, one row a look, one column a hypothesis; `hour` is the hour of the epoch of each look.
All of a look's votes fall in its hour. Columns stand in the order of names: ties of rank go by it.
"""

from __future__ import annotations

from functools import cache
from math import log
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mirror.core.evalue import GRID, weight
from mirror.core.noise import LEFT_OUT_FROM, SUSPECT_AT_LOG, State

Counts: TypeAlias = NDArray[np.integer[Any]]
Values: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Cells: TypeAlias = tuple[NDArray[np.intp], NDArray[np.intp]]  # rows and columns of some cells

STATES: Final = (State.CLEAN, State.NOISY, State.SUSPECT, State.REGRESSED)  # a state's code is its place here
CLEAN, NOISY, SUSPECT, REGRESSED = range(len(STATES))


def log_sum_exp(terms: Values) -> Values:
    """The log of the sum of exp over the first axis."""
    top = terms.max(axis=0)
    return top + np.log(np.exp(terms - top).sum(axis=0))


def log_e(b: Counts, c: Counts) -> Values:
    """The log of E(b, c), element by element."""
    terms = [log(share) + b * np.log1p(delta) + c * np.log1p(-delta) for delta, share in GRID[1:]]
    terms.append(np.where(c == 0, log(GRID[0][1]) + b * log(2.0), -np.inf))
    return log_sum_exp(np.stack(terms))


def log_e_star(b: Counts, c: Counts, hour: Counts, cells: Cells) -> Values:
    """The log of E*, hourly restarts and all, at some cells."""
    rows, columns = cells
    total = -np.log(hour[rows] + 2.0)
    for start, first in _starts(hour):
        begun = np.flatnonzero(rows >= first)
        at = rows[begun], columns[begun]
        since_b, since_c = b[at] - _before(b, first)[at[1]], c[at] - _before(c, first)[at[1]]
        term = log_e(since_b, since_c) - log((start + 1) * (start + 2))
        total[begun] = np.logaddexp(total[begun], term)
    return total


def may_reach(b: Counts, c: Counts, hour: Counts, goal: float | Values) -> Cells:
    """The cells in which log E* may be `goal` or more; in all others it is not.

    log E(b, c) <= (b-c)^2 / (b+c) where b > c, <= 0 elsewhere (see `mirror.core.evalue.log_e_star_reaches`). Goals are over 0.
    """
    found = np.zeros(b.shape, dtype=np.bool_)
    for _, first in _starts(hour):
        since_b, since_c = b[first:] - _before(b, first), c[first:] - _before(c, first)
        lead = since_b - since_c
        found[first:] |= (lead > 0) & (lead * lead >= goal * np.maximum(since_b + since_c, 1))
    return np.nonzero(found)


def ranks(b: Counts, c: Counts) -> Counts:
    """The rank of each column, from 1, in the order of first discordant votes; 0: it has none."""
    discordant = (b + c) > 0
    first = np.where(discordant[-1], discordant.argmax(axis=0), len(b))
    given = np.empty(b.shape[1], dtype=np.int64)
    given[np.argsort(first, kind="stable")] = np.arange(1, b.shape[1] + 1)
    return np.where(discordant[-1], given, 0)


def goals(rank: Counts, alpha: float) -> Values:
    """The log E* from which a hypothesis of this rank is regressed; infinite without one."""
    weights = np.concatenate(([0.0], _log_weights(int(rank.max(initial=1)))))
    return np.where(rank > 0, -log(alpha) - weights[rank], np.inf)


def regressed_at(b: Counts, c: Counts, hour: Counts, alpha: float) -> Counts:
    """The first look (from 0) at which each column is regressed; the number of looks: never."""
    goal = goals(ranks(b, c), alpha)
    cells = may_reach(b, c, hour, goal)
    reached = log_e_star(b, c, hour, cells) >= goal[cells[1]]
    first = np.full(b.shape[1], len(b), dtype=np.int64)
    np.minimum.at(first, cells[1][reached], cells[0][reached])
    return first


def reaches(b: Counts, c: Counts, hour: Counts, goal: float) -> bool:
    """Whether E* of any hypothesis is `goal` (a log, over 0) or more at any look, whatever its rank."""
    return bool((log_e_star(b, c, hour, may_reach(b, c, hour, goal)) >= goal).any())


def next_states(before: Counts | None, b: Counts, noise: Counts, log_star: Values, goal: Values) -> Counts:
    """The states at one look, given those at the look before; `noise` is c + d. There is at least one triple."""
    seen = noise >= 1
    suspect = (log_star >= SUSPECT_AT_LOG) | ((b >= 1) & ~seen)
    regressed = log_star >= goal
    if before is not None:
        suspect |= (before == SUSPECT) & ~(seen & (log_star <= 0))
        regressed |= before == REGRESSED
    return np.where(regressed, REGRESSED, np.where(suspect, SUSPECT, np.where(seen, NOISY, CLEAN)))


def states(b: Counts, c: Counts, d: Counts, hour: Counts, alpha: float) -> Counts:
    """The state of each column at each look, as codes."""
    goal = goals(ranks(b, c), alpha)
    log_star = np.zeros(b.shape)
    voted = np.nonzero(b + c)
    log_star[voted] = log_e_star(b, c, hour, voted)
    found = np.empty(b.shape, dtype=np.int8)
    before: Counts | None = None
    for look in range(len(b)):
        before = next_states(before, b[look], c[look] + d[look], log_star[look], goal)
        found[look] = before
    return found


def explained(state: Counts, b: Counts, c: Counts) -> Mask:
    """Which are explained at a look: noisy, and b <= 3c + 3."""
    return (state == NOISY) & (b <= 3 * c + 3)


def left_out(state: Counts, b: Counts, c: Counts, d: Counts) -> Mask:
    """Which stay out of the signatures of triples judged from now on."""
    return explained(state, b, c) & (c + d >= LEFT_OUT_FROM)


def log_upper_gap(x: Counts, n: Counts, rate: Values, alpha: float) -> Values:
    """Over 0 where the upper bound U(x, n) lies under `rate`, which is under 1: the sum that defines it, less its goal."""
    terms = [log(share) + _times(x, np.log1p(-delta)) - n * np.log1p(-rate * delta) for delta, share in GRID[1:]]
    terms.append(np.where(x == 0, log(GRID[0][1]) - n * np.log1p(-rate), -np.inf))
    return log_sum_exp(np.stack(terms)) + log(alpha)


def log_lower_gap(x: Counts, n: Counts, rate: Values, alpha: float) -> Values:
    """Over 0 where the lower bound L(x, n) lies over `rate`."""
    ratios = [2.0**j for j in range(-6, 14)]
    terms = [x * np.log1p(ratio) - n * np.log1p(rate * ratio) for ratio in ratios]
    return log_sum_exp(np.stack(terms)) - log(len(ratios)) + log(alpha)


def _starts(hour: Counts) -> list[tuple[int, int]]:
    """Each hour begun, with its first look; hours between looks have none of their own."""
    return [(start, int(np.searchsorted(hour, start))) for start in range(int(hour[-1]) + 1)]


def _before(counts: Counts, first: int) -> Counts:
    return counts[first - 1] if first else np.zeros_like(counts[0])


def _times(x: Counts, step: float) -> Values:
    return np.asarray(x * step, dtype=np.float64)


@cache
def _log_weights(most: int) -> Values:
    return np.log([weight(rank) for rank in range(1, most + 1)])
