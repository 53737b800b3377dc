"""Mismatches grouped by what differs, so that each cause is one cluster. Pure: sets of differences in, clusters out.

A cause shows as a set of path patterns and kinds (with the statuses, where the calls ended otherwise). Two causes that meet
in one call show as the union of their sets, and one that is in every call is in all of them. So from the smallest set up:

1. A set that no known cluster is a part of is a cluster.
2. Of a set that has known clusters in it, what remains is a new cluster; with it those known ones that come with it far more
   often than they do otherwise: they belong to it. The others only met it.
3. A set that is the union of known clusters is a meeting of them, unless it is commoner than these alone and than chance
   allows: then it is a cluster too.

Each call counts for every cluster in its set, of one within another for the larger alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import log
from typing import Final, TypeAlias

from mirror.core.chance import beyond_chance, smoothed
from mirror.core.model import Kind

Member: TypeAlias = tuple[str, Kind]  # (path pattern, kind)
Item: TypeAlias = tuple[str, Kind, str]  # with the statuses, of kind status
OVERFLOW: Final[Member] = ("(overflow)", Kind.ANY)  # stands for whatever went beyond the store's cap
SETS_MAX: Final = 2000  # distinct ones that are grouped, those of most calls first
CLUSTERS_MAX: Final = 200  # of one method
DEPENDENT_LOG: Final = log(1000)  # so unlikely by chance: then two belong together


@dataclass(frozen=True, slots=True)
class DifferenceSet:
    """Compared calls of one method that differ alike. `status`: how they ended, "OK -> UNKNOWN", where that differs."""

    id: int
    members: frozenset[Member]
    status: str
    n: int
    first_s: float
    last_s: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """One group. `sets`: ids of the sets that it is in, those with the fewest others in them first."""

    id: str
    items: tuple[Item, ...]
    n: int
    first_s: float
    last_s: float
    sets: tuple[int, ...]

    @property
    def members(self) -> tuple[Member, ...]:
        """Its (path pattern, kind)s."""
        return tuple(dict.fromkeys((pattern, kind) for pattern, kind, _ in self.items))

    @property
    def statuses(self) -> tuple[str, ...]:
        """How its calls ended where that differs."""
        return tuple(status for _, _, status in self.items if status)


@dataclass(frozen=True, slots=True)
class Grouped:
    """`calls`: all that were compared; `left_over`: those that differ in something named here and are in no cluster."""

    clusters: tuple[Cluster, ...] = ()
    calls: int = 0
    left_over: int = 0


def group(method: str, sets: Iterable[DifferenceSet], named: AbstractSet[Member]) -> Grouped:
    """The clusters of one method, those of most calls first.

    `sets` hold every compared call once, the matched ones in an empty set. `named` are the (path pattern, kind)s that may be
    in clusters; noise is not among them, so whatever else differs is left out of every set.
    """
    every = list(sets)
    unknown = sum(one.n for one in every if OVERFLOW in one.members)
    by_items: defaultdict[frozenset[Item], list[DifferenceSet]] = defaultdict(list)
    for one in every:
        if OVERFLOW not in one.members:
            by_items[_items(one, named)].append(one)
    calls = sum(one.n for one in every)
    by_items.pop(frozenset(), None)
    counts = {items: sum(one.n for one in found) for items, found in by_items.items()}
    often = sorted(counts, key=lambda items: (-counts[items], sorted(items)))[:SETS_MAX]
    atoms = _atoms({items: counts[items] for items in often}, calls)
    inside: dict[frozenset[Item], list[tuple[int, DifferenceSet]]] = {atom: [] for atom in atoms}
    left_over = unknown
    for items, found in by_items.items():
        cover = _largest_within(atoms, items)
        left_over += 0 if cover else counts[items]
        for atom in cover:
            inside[atom] += ((len(items) - len(atom), one) for one in found)
    clusters = [_cluster(method, atom, found) for atom, found in inside.items() if found]
    clusters.sort(key=lambda one: (-one.n, one.items))
    return Grouped(tuple(clusters), calls, left_over)


def _items(one: DifferenceSet, named: AbstractSet[Member]) -> frozenset[Item]:
    return frozenset((p, k, one.status if k is Kind.STATUS else "") for p, k in one.members & named)


def _cluster(method: str, atom: frozenset[Item], found: list[tuple[int, DifferenceSet]]) -> Cluster:
    items = tuple(sorted(atom))
    sets = [one for _, one in found]
    return Cluster(
        id=hashlib.sha256(repr((method, items)).encode()).hexdigest()[:12],
        items=items,
        n=sum(one.n for one in sets),
        first_s=min(one.first_s for one in sets),
        last_s=max(one.last_s for one in sets),
        sets=tuple(one.id for _, one in sorted(found, key=lambda each: (each[0], each[1].id))),
    )


def _atoms(counts: Mapping[frozenset[Item], int], calls: int) -> list[frozenset[Item]]:
    """The sets of items that are clusters."""
    look = _Counts(counts, calls)
    atoms: list[frozenset[Item]] = []
    for items in sorted(counts, key=lambda each: (len(each), -counts[each], sorted(each))):
        if len(atoms) >= CLUSTERS_MAX:
            break
        below = _largest_within(atoms, items)
        rest = items.difference(*below)
        if not rest:
            new = items if len(below) > 1 and look.one_cause(items, below) else None
        else:
            new = rest.union(*(atom for atom in below if look.comes_with(atom, rest)))
        if new is not None and new not in atoms:
            atoms.append(new)
    return atoms


def _largest_within(atoms: Iterable[frozenset[Item]], items: frozenset[Item]) -> list[frozenset[Item]]:
    within = [atom for atom in atoms if atom <= items]
    return [atom for atom in within if not any(atom < other for other in within)]


class _Counts:
    """How many calls hold which items."""

    def __init__(self, counts: Mapping[frozenset[Item], int], calls: int) -> None:
        self._counts = counts
        self._calls = calls
        self._with: defaultdict[Item, set[frozenset[Item]]] = defaultdict(set)
        for items in counts:
            for item in items:
                self._with[item].add(items)

    def holding(self, items: Collection[Item]) -> int:
        """Calls that differ in all of these, and perhaps in more."""
        found = set.intersection(*(self._with[item] for item in items))
        return sum(self._counts[one] for one in found)

    def comes_with(self, atom: frozenset[Item], rest: frozenset[Item]) -> bool:
        """Whether calls with `rest` hold `atom` far more often than the others do."""
        n, both, whole = self.holding(rest), self.holding(atom | rest), self.holding(atom)
        return beyond_chance(both, n, smoothed(whole - both, self._calls - n)) >= DEPENDENT_LOG

    def one_cause(self, items: frozenset[Item], parts: Collection[frozenset[Item]]) -> bool:
        """Whether a union of clusters is commoner than they are alone, and than they would meet by chance."""
        here = self._counts[items]
        if here <= sum(self._counts.get(part, 0) for part in parts):
            return False
        expected = 1.0
        for part in parts:
            expected *= self.holding(part) / self._calls
        return expected < 1 and beyond_chance(here, self._calls, expected) >= DEPENDENT_LOG


def instances_of(seen: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Instances by how many of the calls each served, the busiest first."""
    return tuple(Counter(one for one in seen if one).most_common())
