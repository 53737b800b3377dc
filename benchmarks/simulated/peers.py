"""Rules that others go by, on the same counts: Diffy's, McNemar's test at each look, and e-BH. Written from their sources."""

from __future__ import annotations

from functools import cache
from math import exp, lgamma, log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .draws import Looked
from .judging import Cells, Counts, Mask, Values

RELATIVE: Final = 1, 5  # 20%
ABSOLUTE: Final = 3, 10_000  # 0.03%


def diffy(looked: Looked) -> Mask:
    """Diffy's rule: which paths it would show at each look.

    Raw differences are more than noise, |raw - noise| / (raw + noise) over 20% and |raw - noise| / total over 0.03%. Source: opendiffy,
    ai.diffy.analysis.DifferencesFilterFactory and JoinedField, with its default thresholds.
    """
    lead = looked.b - looked.c
    either = np.maximum(looked.b + looked.c + 2 * looked.d, 1)
    relative, absolute = (
        lead * below > above * of for (above, below), of in ((RELATIVE, either), (ABSOLUTE, looked.n[:, None]))
    )
    return relative & absolute


def mcnemar(b: Counts, c: Counts, alpha: float) -> Mask:
    """McNemar's exact test, one-sided: of b + c discordant calls, b or more raw-only have chance at most `alpha`.

    Source: McNemar 1947, with the exact binomial distribution. Valid at one look fixed beforehand.
    """
    most = 1 << int((b + c).max(initial=0)).bit_length()  # few tables serve all runs
    return b >= critical(most, alpha)[b + c]


@cache
def critical(most: int, alpha: float) -> NDArray[np.int64]:
    """For each m from 0 to `most` the least k with P(Binomial(m, 1/2) >= k) <= alpha; m + 1 where no k is enough.

    From m to m + 1 the tail at k grows by half of P(m, k - 1); where that is too much, k moves up by one.
    """
    found = np.empty(most + 1, dtype=np.int64)
    k, tail = 1, 0.0
    for m in range(most + 1):
        while tail > alpha:
            tail -= _half(m, k)
            k += 1
        found[m] = k
        tail += _half(m, k - 1) / 2
    return found


def e_bh(log_e: Values, rows: NDArray[np.intp], known: Counts, alpha: float) -> Mask:
    """e-BH: which of these cells are rejected at their look.

    Of `known[row]` hypotheses reject those with the k largest e-values, for the largest k with k e_(k) >= K / alpha. Source: Wang and
    Ramdas 2022. Its false discovery rate holds at one stopping time with K fixed beforehand.
    """
    order = np.lexsort((-log_e, rows))
    row, value = rows[order], log_e[order]
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    place = np.arange(len(row)) - np.repeat(starts, np.diff(starts, append=len(row))) + 1
    enough = value >= np.log(known[row]) - np.log(place) - log(alpha)
    most = np.zeros(len(known), dtype=np.int64)
    np.maximum.at(most, row[enough], place[enough])
    rejected = np.empty(len(row), dtype=np.bool_)
    rejected[order] = place <= most[row]
    return rejected


def of(cells: Cells, where: Mask) -> Cells:
    """Some of the cells."""
    return cells[0][where], cells[1][where]


def _half(m: int, k: int) -> float:
    """P(Binomial(m, 1/2) = k)."""
    return exp(lgamma(m + 1) - lgamma(k + 1) - lgamma(m - k + 1) - m * log(2)) if 0 <= k <= m else 0.0
