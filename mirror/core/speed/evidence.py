"""How much slower, or larger, at least: the largest ratio of the grid for which the evidence holds. Pure.

For each ratio the votes of minutes give an e-value with hourly restarts, of the median alone and of the tail the mean over
TAILS. The hypotheses are nested (who is over twice as slow is over 1.5 times as slow), so one weight does for all ratios, and the
largest with w E* >= 1/alpha is a lower bound at all times; it never falls. Source: facts on noise, section 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from mirror.core.evalue import log_e_star, log_sum_exp, weight
from mirror.core.speed.votes import RATIOS, TAILS, Metric, Votes


@dataclass(frozen=True, slots=True)
class Hour:
    """The votes of one hour of the epoch: of the median, and of each of TAILS."""

    median: Votes
    tails: tuple[Votes, ...]


@dataclass(frozen=True, slots=True)
class AtLeast:
    """Ratios that the candidate is over, at least; 0: no sign of any."""

    median: float = 0.0  # in most minutes most calls took over so many times the secondary's
    tail: float = 0.0  # its tail is beyond so many times the secondary's

    def or_more(self, other: AtLeast) -> AtLeast:
        """A lower bound that held once holds for good."""
        return AtLeast(max(self.median, other.median), max(self.tail, other.tail))


def at_least(hours: Sequence[Hour], rank: int, *, alpha: float) -> AtLeast:
    """The bounds at this look, of all hours begun in the epoch, oldest first. `rank` counts from 1 among latencies and sizes."""
    goal = -log(alpha) - log(weight(rank))
    median = tail = 0.0
    for at, ratio in enumerate(RATIOS):
        if log_e_star([hour.median[at] for hour in hours]) >= goal:
            median = ratio
        parts = [log_e_star([hour.tails[x][at] for hour in hours]) for x in range(len(TAILS))]
        if log_sum_exp(parts) - log(len(TAILS)) >= goal:
            tail = ratio
    return AtLeast(median, tail)


def has_votes(hours: Sequence[Hour]) -> bool:
    """Whether there is a discordant vote at any ratio."""
    every = (votes for hour in hours for votes in (hour.median, *hour.tails))
    return any(raw or noise for votes in every for raw, noise in votes)


def words_of(metric: str, bound: AtLeast) -> str:
    """What the bounds say, in one sentence."""
    took, time = ("took", "the secondary's time") if metric == Metric.LATENCY else ("had", "the secondary's size")
    parts = []
    if bound.median:
        parts.append(f"in most minutes, most calls {took} over {bound.median:g} times {time}")
    if bound.tail:
        worst = "slowest" if metric == Metric.LATENCY else "largest"
        parts.append(f"the {worst} calls {took} over {bound.tail:g} times that of the secondary's {worst}")
    return "; ".join(parts) or f"no sign that it is {'slower' if metric == Metric.LATENCY else 'larger'}"
