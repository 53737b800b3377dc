"""How far a share lies beyond what chance would bring. Pure arithmetic."""

from __future__ import annotations

from math import log


def beyond_chance(k: float, n: float, p: float) -> float:
    """Natural log of how unlikely k or more of n are where each has chance p; 0 where that is no surprise.

    Chernoff's bound, n KL(k/n || p): the chance is at most exp(-result). 0 < p < 1, 0 <= k <= n.
    """
    if not n or k / n <= p:
        return 0.0
    q = k / n
    rest = (1 - q) * log((1 - q) / (1 - p)) if q < 1 else 0.0
    return n * (q * log(q / p) + rest)


def smoothed(k: float, n: float) -> float:
    """A share that is never 0 or 1 (Laplace's rule of succession)."""
    return (k + 1) / (n + 2)
