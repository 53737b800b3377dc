"""What share of an answer's leaf values nobody judges: blind, ignored or unjudged. Pure.

Which leaves there are comes from a sample of the calls (see `leaves`); which of them are blind or unjudged follows from the
hypotheses at this look. Each leaf counts once, for the first reason that holds: ignored, unjudged, blind. A blind path counts
also where its values are judged by their distribution: a single wrong one would not be seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mirror.core.model import Kind, Leaf
from mirror.core.noise import BLIND_OVER, State
from mirror.core.run_facts import HypothesisFacts

_VALUED: Final = frozenset({Kind.VALUE, Kind.MISSING, Kind.ADDED})


class Unseen(StrEnum):
    """Why a leaf value is not judged."""

    IGNORED = "ignored"  # a rule says so
    UNJUDGED = "unjudged"  # private and without a hash, or it differed only where calls had been blocked
    BLIND = "blind"  # the secondary differs there in over 90% of triples, in whatever kind


@dataclass(frozen=True, slots=True)
class LeafShare:
    """The leaf values of the sampled calls of one method. `hashed`: those of which only equality and repetition are seen."""

    calls: int
    total: int
    unseen: Mapping[Unseen, int] = field(default_factory=dict)
    hashed: int = 0

    def of_all(self, n: int, leaves: int) -> int:
        """What `leaves` of the sample are for `n` calls."""
        return round(leaves * n / self.calls) if self.calls else 0


def leaf_share(calls: int, leaves: Mapping[Leaf, int], hypotheses: Iterable[HypothesisFacts]) -> LeafShare:
    """The share of one method, of the leaves counted in `calls` calls and its hypotheses at this look."""
    valued = [one for one in hypotheses if one.hypothesis.kind in _VALUED]
    rates: defaultdict[str, float] = defaultdict(
        float
    )  # of a path: what is missing here and of another value there is one noise
    for one in valued:
        if one.judgement.state is State.NOISY:
            rates[one.hypothesis.pattern] += one.judgement.noise_rate
    blind = {pattern for pattern, rate in rates.items() if rate > BLIND_OVER}
    unjudged = {one.hypothesis.pattern for one in valued if one.judgement.state is State.UNJUDGED}
    found: Counter[Unseen] = Counter()
    for leaf, n in leaves.items():
        reason = (
            Unseen.IGNORED
            if leaf.ignored
            else Unseen.UNJUDGED
            if leaf.unhashed or _within(leaf.pattern, unjudged)
            else Unseen.BLIND
            if _within(leaf.pattern, blind)
            else None
        )
        if reason is not None:
            found[reason] += n
    hashed = sum(n for leaf, n in leaves.items() if leaf.hashed and not leaf.ignored)
    return LeafShare(calls, sum(leaves.values()), found, hashed)


def _within(pattern: str, above: Iterable[str]) -> bool:
    """Whether a leaf is at one of these patterns or below it."""
    return any(pattern == one or (pattern.startswith(one) and pattern[len(one)] in ".[") for one in above)
