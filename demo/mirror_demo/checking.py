"""Holding what the store says at the end against what was seeded. Pure: hypotheses and clusters in, found, missed and false out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from mirror_demo.seeds import Seed

REPORTED: Final = frozenset({"regressed", "suspect"})
CALLS_ENOUGH: Final = 10  # of a cluster, from which its condition must be named too
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


@dataclass(frozen=True, slots=True)
class Group:
    """One cluster at the end. `path`: of the request, that its first lead is about; `seed`: the fault that it names."""

    method: str
    members: frozenset[tuple[str, str]]  # (path pattern, kind)s
    calls: int
    path: str = ""
    lead: str = ""  # in words
    seed: str = ""

    def as_json(self) -> dict[str, Any]:
        """For `mirror demo --json`."""
        patterns = sorted(pattern for pattern, _ in self.members)
        record = {"method": self.method, "patterns": patterns, "calls": self.calls, "lead": self.lead}
        return {"seed": self.seed, **record} if self.seed else record


@dataclass(frozen=True, slots=True)
class CheckedGroups:
    """`named` clusters that are a seeded fault, with its condition; `unnamed` seeds that none is; `false` clusters that are none."""

    named: tuple[Group, ...] = ()
    unnamed: tuple[Seed, ...] = ()
    false: tuple[Group, ...] = ()


def check_groups(groups: Iterable[Group], seeds: Iterable[Seed]) -> CheckedGroups:
    """Hold the clusters against the faults that were on.

    A cluster is a fault if all that it holds is the fault's. It names it if its first lead is about the field that brings
    the fault out; of too few calls (under CALLS_ENOUGH) no lead is asked for. One with anything else in it is false.
    """
    seeds = tuple(seeds)
    named, false = [], []
    for group in groups:
        seed = next((s for s in seeds if s.full_method == group.method and group.members <= {*s.expected}), None)
        if seed is None:
            false.append(group)
        elif group.path == seed.condition or (group.calls < CALLS_ENOUGH and not group.path):
            named.append(replace(group, seed=seed.name))
    shown = {group.seed for group in named}
    return CheckedGroups(tuple(named), tuple(s for s in seeds if s.name not in shown), tuple(false))
