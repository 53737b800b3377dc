"""How many calls may differ unexplained: bounds on a rate that hold at all looks at once. Pure arithmetic on counts.

Both bound the running mean of the conditional rates, under drift and dependence: log(1 - p delta) is concave in p, so by
Jensen each term lies below a martingale (Howard et al. 2021; Waudby-Smith and Ramdas 2024). Never intersect them over
time. The equations are solved by Newton's method from a point on the side where it falls monotonically to the root: each
left side is convex in p, and the value at which one term alone reaches 1/alpha is such a point.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from math import exp, expm1, log, log1p
from typing import Final

from mirror.core.evalue import GRID
from mirror.core.model import Kind

_STEPS_MAX: Final = 80
_PRECISION: Final = 1e-13
_LOWER_RATIOS: Final = tuple(2.0**j for j in range(-6, 14))


@lru_cache(maxsize=16384)
def upper(x: float, n: float, alpha: float) -> float:
    """U(x, n): with chance 1 - `alpha` the rate of an event seen `x` times in `n` never exceeds this, at any look.

    The p >= x/n with sum_j share_j (1 - delta_j)^x (1 - p delta_j)^-n = 1/alpha over the grid of the e-value; 1 where
    nothing excludes it. Raises ValueError unless 0 <= x <= n and 0 < alpha < 1.
    """
    _check(x, n, alpha)
    if x >= n:
        return 1.0
    terms = [(log(share) + (x * log1p(-delta) if x else 0.0), delta) for delta, share in GRID if delta < 1 or not x]
    goal = -log(alpha)
    p = min(-expm1((start - goal) / n) / delta for start, delta in terms)
    if p >= 1:
        p = 1.0
        if _upper_gap(p, n, terms)[0] <= goal:
            return 1.0
    for _ in range(_STEPS_MAX):
        value, slope = _upper_gap(p, n, terms)
        step = (value - goal) / slope
        p -= step
        if step <= _PRECISION * p:
            break
    return min(1.0, max(p, x / n))


def _upper_gap(p: float, n: float, terms: list[tuple[float, float]]) -> tuple[float, float]:
    """Log of the left side at `p`, and its slope."""
    logs = [start - n * log1p(-p * delta) for start, delta in terms]
    top = max(logs)
    parts = [exp(value - top) for value in logs]
    total = sum(parts)
    slope = sum(part * delta / (1 - p * delta) for part, (_, delta) in zip(parts, terms, strict=True))
    return top + log(total), n * slope / total


@lru_cache(maxsize=16384)
def lower(x: float, n: float, alpha: float) -> float:
    """L(x, n): with chance 1 - `alpha` the rate of an event seen `x` times in `n` never falls below this, at any look.

    The p <= x/n with mean_{j=-6..13} (1 + 2^j)^x (1 + p 2^j)^-n = 1/alpha; 0 for x = 0 and where nothing excludes it.
    Raises ValueError unless 0 <= x <= n and 0 < alpha < 1.
    """
    _check(x, n, alpha)
    if not x:
        return 0.0
    goal = log(len(_LOWER_RATIOS)) - log(alpha)
    terms = [(x * log1p(ratio), ratio) for ratio in _LOWER_RATIOS]
    p = max(0.0, *(expm1((start - goal) / n) / ratio for start, ratio in terms))
    if not p and _lower_gap(p, n, terms)[0] <= goal:
        return 0.0
    for _ in range(_STEPS_MAX):
        value, slope = _lower_gap(p, n, terms)
        step = (goal - value) / slope
        p += step
        if step <= _PRECISION * p:
            break
    return max(0.0, min(p, x / n))


def _lower_gap(p: float, n: float, terms: list[tuple[float, float]]) -> tuple[float, float]:
    """Log of the sum at `p`, and its slope (negative)."""
    logs = [start - n * log1p(p * ratio) for start, ratio in terms]
    top = max(logs)
    parts = [exp(value - top) for value in logs]
    total = sum(parts)
    slope = sum(part * ratio / (1 + p * ratio) for part, (_, ratio) in zip(parts, terms, strict=True))
    return top + log(total), -n * slope / total


def unexplained(
    signatures: Mapping[frozenset[tuple[str, Kind]], int],
    explained_now: AbstractSet[tuple[str, Kind]],
    left_out: Mapping[tuple[str, Kind], int],
) -> int:
    """x, the triples not explained now: what the bound counts.

    `signatures`: triples by the set of their raw-only (pattern, kind)s; `explained_now`: the hypotheses of this method that
    noise explains at this look; `left_out`: for each (pattern, kind) left out of signatures because it was explained
    when its pair was judged, how often it was. One that is explained no longer counts again.
    """
    whole = sum(count for signature, count in signatures.items() if not signature <= explained_now)
    return whole + sum(count for member, count in left_out.items() if member not in explained_now)


def _check(x: float, n: float, alpha: float) -> None:
    if not (0 <= x <= n and 0 < alpha < 1):
        raise ValueError(f"a bound needs 0 <= x <= n and 0 < alpha < 1, got x={x}, n={n}, alpha={alpha}")
