"""Quantiles of positive numbers to a relative accuracy, in counts that add up: a DDSketch. Pure.

Source: Masson, Rim and Lee 2019, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees". Written out
here, since it is a logarithm and a counter: the published package was last released in 2024, and its serial form needs generated
code in the default pool, while ours is JSON of the counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import ceil, log
from typing import Final, Self

ACCURACY: Final = 0.02  # of a quantile, relative
_GAMMA: Final = (1 + ACCURACY) / (1 - ACCURACY)
_PER_LOG: Final = 1 / log(_GAMMA)


class Sketch:
    """Counts by bucket; bucket i holds (gamma^(i-1), gamma^i]. Numbers below 1 count as 1: the units are nanoseconds and bytes."""

    __slots__ = ("counts",)

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: Counter[int] = Counter(counts)

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Of these numbers."""
        made = cls()
        for value in values:
            made.add(value)
        return made

    @property
    def n(self) -> int:
        """How many numbers there are."""
        return self.counts.total()

    def add(self, value: float, n: int = 1) -> None:
        """One number, `n` times more."""
        self.counts[bucket_of(value)] += n

    def merge(self, other: Sketch) -> None:
        """All of another one's numbers more."""
        self.counts.update(other.counts)

    def quantile(self, q: float) -> float | None:
        """The number that a share `q` is not over, to ACCURACY; None where there is none. 0 < q <= 1."""
        return quantiles(self.counts, (q,))[0]


def bucket_of(value: float) -> int:
    """In which bucket a number is counted."""
    return ceil(log(value) * _PER_LOG) if value > 1 else 0


def quantiles(counts: Mapping[int, int], shares: Iterable[float]) -> list[float | None]:
    """Several at once, of the counts of a sketch."""
    ordered, total = sorted(counts.items()), sum(counts.values())
    return [_at(ordered, max(1, ceil(q * total - 1e-9))) if total else None for q in shares]


def _at(ordered: list[tuple[int, int]], place: int) -> float:
    """The middle, relatively, of the bucket that holds the number at this place, counted from 1."""
    bucket = 0
    for bucket, n in ordered:  # noqa: B007 - the last one stands
        place -= n
        if place <= 0:
            break
    return float(2 * _GAMMA**bucket / (_GAMMA + 1)) if bucket else 1.0
