"""Which comparisons are kept as examples: a few per method, path pattern and minute. In memory, one owner, no I/O.

Differences under a rule have their own count: a tolerance that applies in every call leaves room for what is beyond it.
Matched pairs keep nothing. After a restart the minute's count begins anew: at worst one more helping of examples.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from mirror.core.model import EpochKey, Judged, Kind, Role, Verdict
from mirror.store.limits import Limits

MINUTES_MAX: Final = 64  # of which counts are remembered
_Bucket = tuple[EpochKey, str, str, bool]  # epoch, method, pattern, whether under a rule


def differing(judged: Judged) -> frozenset[tuple[str, Kind]]:
    """The (path pattern, kind)s in which the candidate differed, whether the group was a triple or not."""
    outcome = judged.outcomes.get(Role.CANDIDATE)
    return frozenset() if outcome is None else outcome.hypotheses


def unjudged(judged: Judged) -> frozenset[tuple[str, Kind]]:
    """Those in which it differed after calls were blocked, which is not judged."""
    outcome = judged.outcomes.get(Role.CANDIDATE)
    if outcome is None or not outcome.unjudged:
        return frozenset()
    return frozenset((d.pattern, d.kind) for d in outcome.unjudged) - differing(judged)


class Keeper:
    """Counts what was kept. `wants` asks, `take` asks and reserves."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._minutes: dict[int, Counter[_Bucket]] = {}

    def wants(self, judged: Judged) -> bool:
        """Whether a comparison of this pair would be kept: then, and only then, it is worth serialising."""
        buckets = _buckets(judged)
        if not buckets:
            return False
        kept = self._minutes.get(judged.minute, Counter())
        return any(kept[bucket] < self.limits.keep_per_minute for bucket in buckets)

    def take(self, judged: Judged) -> bool:
        """As `wants`; where it does, the pair is counted as kept under each of its patterns."""
        if not self.wants(judged):
            return False
        while judged.minute not in self._minutes and len(self._minutes) >= MINUTES_MAX:
            del self._minutes[min(self._minutes)]
        self._minutes.setdefault(judged.minute, Counter()).update(_buckets(judged))
        return True


def _buckets(judged: Judged) -> set[_Bucket]:
    outcome = judged.outcomes.get(Role.CANDIDATE)
    if outcome is None or outcome.verdict is Verdict.MATCHED:
        return set()
    counting = {(pattern, False) for pattern, _ in differing(judged) | unjudged(judged)}
    found = counting | {(ignored.pattern, True) for ignored in outcome.ignored}
    found = found or {(f"({outcome.verdict}.{outcome.reason})", False)}
    return {(judged.epoch, judged.group.key.method, pattern, ruled) for pattern, ruled in found}
