"""Bounds on the calls that may differ where not all methods are looked at alike: the calls of each are weighed by how many there were. Pure.

Of a method with large messages a share of the calls is judged (`grpc_mirror.sampling`), of others all. To add them up as they are
would have the judged calls of the others stand for those that were not looked at. So such methods are strata of their own,
all other methods together are one more, and the bound is the mean of the strata's, each weighed by its calls and taken at alpha / strata: the
chance that any of them fails is at most alpha (Bonferroni), and so is that of the mean. With one stratum it is the plain bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mirror.core.bound import lower, upper
from mirror.core.run_facts import MethodFacts, RunFacts


@dataclass(frozen=True, slots=True)
class Stratum:
    """Methods of which the calls are looked at alike."""

    x: int  # judged triples (pairs) that differ unexplained
    n: int  # judged
    hidden: int  # incomparable ones that may differ as well
    within: int  # of these the ones that are among the judged, since a part of them was compared
    calls: int  # what it stands for: those, and the pairs that nobody looked at

    @property
    def worst(self) -> tuple[int, int]:
        """X and n, if all that is hidden differs."""
        n = self.n + self.hidden - self.within
        return min(n, self.x + self.hidden), n


def strata(facts: RunFacts) -> tuple[Stratum, ...]:
    """Those of a run that have calls; where none has, one without any."""
    others = _of([m for m in facts.methods if not m.not_sampled], facts)
    found = [*(_of([m], facts) for m in facts.methods if m.not_sampled), others]
    return tuple(one for one in found if one.calls) or (others,)


def at_worst(facts: RunFacts) -> tuple[int, int]:
    """X and n of the run, if all that is hidden differs."""
    counts = [one.worst for one in strata(facts)]
    return sum(x for x, _ in counts), sum(n for _, n in counts)


def most(facts: RunFacts, alpha: float) -> float:
    """With chance 1 - `alpha` no more than this share of the calls differs unexplained, at any look."""
    return _mean(facts, lambda one, strata: upper(*one.worst, alpha / strata))


def least(facts: RunFacts, alpha: float) -> float:
    """With chance 1 - `alpha` no less than this share does."""
    return _mean(facts, lambda one, strata: lower(one.x, one.n, alpha / strata))


def unseen(facts: RunFacts) -> float:
    """A defect rarer than this share of the calls may not have occurred among those that were judged (the rule of three)."""
    return _mean(facts, lambda one, _: min(1.0, 3 / one.n if one.n else 1.0))


def _mean(facts: RunFacts, of: Callable[[Stratum, int], float]) -> float:
    """The mean over the strata of `of(stratum, how many there are)`, each weighed by its calls."""
    found = strata(facts)
    if len(found) == 1:
        return of(found[0], 1)
    return sum(one.calls * of(one, len(found)) for one in found) / sum(one.calls for one in found)


def _of(methods: list[MethodFacts], facts: RunFacts) -> Stratum:
    secondary = facts.has_secondary
    n = sum(m.judged(has_secondary=secondary) for m in methods)
    hidden = sum(m.hidden_of(has_secondary=secondary) for m in methods)
    within = sum(m.hidden_within(has_secondary=secondary) for m in methods)
    unlooked = sum(m.not_sampled for m in methods)
    x = sum(m.unexplained_of(has_secondary=secondary) for m in methods)
    return Stratum(x, n, hidden, within, n + hidden - within + unlooked)
