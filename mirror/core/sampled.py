"""Of how many calls the messages were looked at: of a method with large and many messages a share is captured with them. Pure.

Which calls that are follows from the mirror ID (`grpc_mirror.sampling`), so the others are no loss but are counted apart. The limit
is each process's own: where the replicas' limits or loads differ, one has captured calls whole that another has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mirror.core.model import Role, Verdict
from mirror.core.outcomes import NOT_SAMPLED, unanswered

UNLOOKED: Final = f"{Verdict.INCOMPARABLE}.{NOT_SAMPLED}"  # as it is counted
SILENT: Final = f"{Verdict.INCOMPLETE}.{unanswered(Role.CANDIDATE)}"  # nor did the candidate answer
ONE_SIDED: Final = {role: f"only_{role}.{NOT_SAMPLED}" for role in (Role.CANDIDATE, Role.SECONDARY)}


@dataclass(frozen=True, slots=True)
class Sampled:
    """Pairs of one method, or of several: `looked_at` + `not_sampled` are all."""

    looked_at: int
    not_sampled: int
    silent: int  # of the latter those in which the candidate never answered, which is not judged
    one_sided: Mapping[
        Role, int
    ]  # by the shadow that has not captured whole what the primary and the other shadow have

    @property
    def share(self) -> float:
        """That was looked at, from 0 to 1."""
        return self.looked_at / (self.looked_at + self.not_sampled) if self.not_sampled else 1.0


def sampled(pairs: int, reasons: Mapping[str, int]) -> Sampled:
    """By the counts of a method, or their sum: see `MethodCounts`."""
    silent = reasons.get(SILENT, 0)
    not_sampled = reasons.get(UNLOOKED, 0) + silent
    one_sided = {role: reasons[name] for role, name in ONE_SIDED.items() if reasons.get(name)}
    return Sampled(pairs - not_sampled, not_sampled, silent, one_sided)
