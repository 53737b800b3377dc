"""The e-value: how strongly votes speak against "both builds behave alike". Pure arithmetic on counts.

Under H0 a discordant vote is raw-only with probability q <= 1/2, given everything before. One vote then multiplies term
j of the grid by 1 + delta_j (2q - 1) in expectation, at most 1; mixtures and sums over start hours keep that, so by
Ville P(E ever >= x) <= 1/x, whatever the noise rate, however it drifts and however often one looks.

Sources: Ville 1939; Shin, Ramdas and Rinaldo 2022 (e-detectors) for the restarts. All in logarithms: e-values of a
million votes neither overflow nor underflow, and nothing is floored.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, count, takewhile
from math import exp, inf, log, log1p, log2
from operator import add, sub
from typing import Final

# (delta, its share of the mixture); shares sum to 1.
GRID: Final = (
    (1.0, 1 / 4),
    (0.9, 1 / 8),
    (0.75, 1 / 8),
    (0.5, 1 / 8),
    (0.25, 1 / 8),
    (0.125, 1 / 8),
    (0.0625, 1 / 16),
    (0.03125, 1 / 16),
)
_PURE_SHARE_LOG: Final = log(GRID[0][1])  # delta = 1 contributes only while there is no noise vote
_PURE_STEP_LOG: Final = log(2.0)
_TERMS: Final = tuple((log(share), log1p(delta), log1p(-delta)) for delta, share in GRID[1:])
_NEGLIGIBLE: Final = 50.0  # a term this much (natural log) below a part of a sum is under its rounding error
_PLAIN: Final = 600.0  # exp() of less neither overflows nor underflows, also in a sum
_RANK_SCALE: Final = 64


def log_sum_exp(terms: Sequence[float]) -> float:
    """The log of sum(exp(t)), without overflow or underflow; -inf for no terms."""
    top = max(terms, default=-inf)
    if -_PLAIN < top < _PLAIN:
        return log(sum(map(exp, terms)))
    return top + log(sum(exp(term - top) for term in terms)) if terms else -inf


def log_e(b: int, c: int) -> float:
    """The log of E(b, c), of `b` raw-only and `c` noise-only votes, one-sided.

    E(b, c) = sum_j share_j (1 + delta_j)^b (1 - delta_j)^c. Falls in c, rises in b, at most 0 wherever b <= c.
    """
    terms = [share + b * up + c * down for share, up, down in _TERMS]
    if c == 0:
        terms.append(_PURE_SHARE_LOG + b * _PURE_STEP_LOG)
    return log_sum_exp(terms)


def log_e_star(hours: Sequence[tuple[int, int]]) -> float:
    """The log of E*, of the votes (B, C) of each hour begun in the epoch, oldest first: the e-value with hourly restarts.

    E* = sum_{s<H} E(votes since hour s) / ((s+1)(s+2)) + 1/(H+1). Restarts find what starts late. Hours without votes
    share one term, their shares telescoping: sum_{p<s<=t} 1/((s+1)(s+2)) = 1/(p+2) - 1/(t+2). Those after the last vote,
    with the 1/(H+1) kept for hours to come, hold 1/(last+2): E* is 1 without votes and changes only by votes.
    """
    voted = [s for s, votes in enumerate(hours) if votes[0] or votes[1]]
    if not voted:
        return 0.0
    latest_first = voted[::-1]
    raw = list(accumulate(hours[s][0] for s in latest_first))
    noise = list(accumulate(hours[s][1] for s in latest_first))
    shares = [log(1 / (p + 2) - 1 / (t + 2)) for t, p in zip(latest_first, [*latest_first[1:], -1], strict=True)]
    kept = -log(voted[-1] + 2)
    terms = [kept]
    totals = list(map(add, raw, noise))
    excess = max(map(sub, raw, noise))
    for share, up, down in _TERMS:
        # b up + c down = ((b - c)(up - down) + (b + c)(up + down)) / 2 and up + down < 0: once b + c is large enough, no
        # earlier start can change a digit of a sum that holds `kept`.
        enough = (2 * (_NEGLIGIBLE - kept) + excess * (up - down)) / -(up + down)
        starts = bisect_right(totals, enough)
        terms += [share + w + b * up + c * down for w, b, c in zip(shares[:starts], raw, noise, strict=False)]
    pure = takewhile(lambda start: not start[2], zip(shares, raw, noise, strict=True))
    terms += [_PURE_SHARE_LOG + w + b * _PURE_STEP_LOG for w, b, _ in pure]
    return log_sum_exp(terms)


def log_e_star_reaches(hours: Sequence[tuple[int, int]], goal: float) -> bool:
    """Whether log E* >= `goal`: most often decided without computing it.

    Whatever the delta, log E(b, c) <= b log(2b/(b+c)) + c log(2c/(b+c)) <= (b-c)^2/(b+c) where b > c, and <= 0 elsewhere
    (Kullback-Leibler divergence is at most chi-squared); E* is a mean of such terms and of 1.
    """
    latest_first = [votes for votes in reversed(hours) if votes[0] or votes[1]]
    raw = list(accumulate(votes[0] for votes in latest_first))
    noise = list(accumulate(votes[1] for votes in latest_first))
    most = max(((b - c) * (b - c) / (b + c) for b, c in zip(raw, noise, strict=True) if b > c), default=0.0)
    return goal <= most and log_e_star(hours) >= goal


def weight(rank: int) -> float:
    """The fixed weight of the hypothesis that was the `rank`-th (from 1) to get a discordant vote in its epoch.

    w(r) = 1/log2(2 + (r-1)/64) - 1/log2(2 + r/64). All weights sum to 1, so the chance that any true H0 is ever
    regressed stays under alpha, however many hypotheses appear. Raises ValueError below rank 1.
    """
    if rank < 1:
        raise ValueError(f"ranks count from 1, got {rank}")
    return 1 / log2(2 + (rank - 1) / _RANK_SCALE) - 1 / log2(2 + rank / _RANK_SCALE)


@lru_cache(maxsize=256)
def votes_needed(rank: int, alpha: float) -> int:
    """Raw-only votes of one hour, without any of noise, after which the hypothesis of this rank is regressed.

    16 at rank 1 and 19 at rank 100 for alpha 1%.
    """
    goal = -log(alpha * weight(rank))
    return next(b for b in count(1) if log_e_star([(b, 0)]) >= goal)
