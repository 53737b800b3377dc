"""Holding what the store says at the end against what was seeded. Pure: hypotheses in, found, missed and false out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from mirror_demo.seeds import Seed

REPORTED: Final = frozenset({"regressed", "suspect"})
_ANY: Final = "any"  # per method: some path differs that noise does not explain


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One hypothesis that is regressed or suspect at the end. `seed`: the fault that it shows; empty where it shows none."""

    method: str
    pattern: str
    kind: str
    state: str
    seed: str = ""

    def as_json(self) -> dict[str, Any]:
        """For `mirror demo --json`."""
        record = {"method": self.method, "pattern": self.pattern, "kind": self.kind, "state": self.state}
        return {"seed": self.seed, **record} if self.seed else record


@dataclass(frozen=True, slots=True)
class Checked:
    """`found` findings that show a seed, `missed` seeds that none shows, `false` findings that no seed explains."""

    found: tuple[Finding, ...]
    missed: tuple[Seed, ...]
    false: tuple[Finding, ...]


def check(findings: Iterable[Finding], seeds: Iterable[Seed]) -> Checked:
    """Hold `findings` (regressed or suspect, all of them) against the faults that were on.

    The hypothesis `any` of a method with seeds is theirs, but finds none of them.
    """
    seeds = tuple(seeds)
    of_place = {(s.full_method, pattern, kind): s.name for s in seeds for pattern, kind in s.expected}
    seeded_methods = {s.full_method for s in seeds}
    found, false = [], []
    for finding in sorted(findings):
        name = of_place.get((finding.method, finding.pattern, finding.kind), "")
        if name:
            found.append(Finding(finding.method, finding.pattern, finding.kind, finding.state, name))
        elif finding.kind != _ANY or finding.method not in seeded_methods:
            false.append(finding)
    shown = {finding.seed for finding in found}
    return Checked(tuple(found), tuple(s for s in seeds if s.name not in shown), tuple(false))
