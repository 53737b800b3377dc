"""Which elements of two sequences belong together. Pure: it sees positions and asks for costs.

A cost lies between 0 (the same, rules considered) and 1 (nothing in common): the share of leaves that differ. Ordered
sequences are aligned by the least total cost, where leaving an element alone costs GAP; so one lost element is one gap
and not a shifted tail, even among elements that all differ a little.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Protocol, TypeAlias

GAP: Final = 0.5
MOVED_MAX: Final = 0.25  # the most that an element found elsewhere may cost, where those in place cost less
NOISE_FACTOR: Final = 1.5  # by how much it may exceed what elements in place cost
STRANGER_MIN: Final = 0.9  # couples that cost more have nothing in common
SWAP_MIN: Final = 0.3  # couples that cost less are not taken apart
COUPLES_MAX: Final = 32  # couples of which the poor ones are sought
SWAPS_MAX: Final = 16  # couples among which swaps are sought by cost
BAND_MIN: Final = 2  # shifts that a banded alignment can follow beyond the difference in length

Couple: TypeAlias = tuple[int, int]


class Elements(Protocol):
    """Two sequences whose elements can be held against each other."""

    cells_max: int  # pairs of elements that one alignment may ask for
    exact: bool  # whether two elements with different keys differ, rules considered

    def among(self, left: int, rights: Sequence[int]) -> bool:
        """Whether an element on the left is equal to one of these on the right, rules apart."""

    def key(self, side: int, index: int) -> Hashable:
        """Of side 0 or 1. Equal keys: the same element for certain. None: no telling."""

    def same(self, left: int, right: int) -> bool:
        """Whether the two are the same, rules considered."""

    def cost(self, left: int, right: int) -> float:
        """0 to 1: the share of leaves that differ."""


@dataclass(slots=True)
class Pairing:
    """What belongs together (in left order), what stands alone, and whether elements stand in another order."""

    couples: list[Couple] = field(default_factory=list)
    left_only: list[int] = field(default_factory=list)
    right_only: list[int] = field(default_factory=list)
    moved: bool = False


def permuted(elements: Elements, differing: Sequence[int]) -> Pairing | None:
    """The pairing of two sequences of one length where the positions `differing` hold the same elements in another order.

    None where they do not: then they pair by position.
    """
    if len(differing) < 2 or (elements.exact and not elements.among(differing[0], differing)):
        return None
    found = _permutation(elements, differing, differing)
    if found is None:
        return None
    # Rules excuse what `!=` sees, and elements of two schemas are never equal: most often nothing has moved.
    settled = [(index, index) for index in differing if elements.same(index, index)]
    in_place = {index for index, _ in settled}
    rest = [index for index in differing if index not in in_place]
    if not rest:
        return Pairing(settled)
    found = _permutation(elements, rest, rest) if settled else found
    return None if found is None else Pairing(sorted([*settled, *found]), moved=True)


def pair_in_order(elements: Elements, left_count: int, right_count: int) -> Pairing:
    """Align two sequences that have an order; elements of the same head and tail are left out of the couples."""
    head, tail = _trim(elements, left_count, right_count)
    lefts, rights = range(head, left_count - tail), range(head, right_count - tail)
    if not (lefts and rights):
        return Pairing(left_only=list(lefts), right_only=list(rights))
    if len(lefts) == len(rights):
        permuted = _permutation(elements, lefts, rights)
        if permuted is not None:
            return Pairing(permuted, moved=True)
    pairing = _least_cost(elements, lefts, rights)
    _rejoin(elements, pairing)
    if len(pairing.couples) <= COUPLES_MAX:
        unswap(elements, pairing, [couple for couple in pairing.couples if elements.cost(*couple) >= SWAP_MIN])
    return pairing


def pair_in_any_order(
    elements: Elements, lefts: Sequence[int], rights: Sequence[int], *, alike: bool = True
) -> Pairing | None:
    """Pair elements whose order does not matter: as many as possible that are the same, then, if `alike`, those most so.

    None: too many are left over to be tried against each other.
    """
    both = lefts, rights
    couples, lefts, rights = _by_key(elements, lefts, rights)
    in_place = [couple for couple in zip(lefts, rights, strict=False) if elements.same(*couple)]
    if (len(lefts) - len(in_place)) * len(rights) > elements.cells_max:  # then what keeps its place is settled
        couples += in_place
        lefts, rights = _without(lefts, rights, in_place)
        in_place = []
    if (len(lefts) - len(in_place)) * len(rights) > elements.cells_max:
        return _ordered(couples, lefts, rights) if elements.exact and not alike else None
    if couples and not elements.exact and len(both[0]) * len(both[1]) <= elements.cells_max:
        # Of elements that may be the same as several, one that is equal to another need not be the one for it.
        couples = _maximum_matching(*both, _asked(elements), [*couples, *in_place])
        lefts, rights = _without(*both, couples)
    else:
        matched = _maximum_matching(lefts, rights, _asked(elements), in_place)
        couples += matched
        lefts, rights = _without(lefts, rights, matched)
    costs = ((elements.cost(i, j), i, j) for i in lefts for j in rights) if alike else iter(())
    for _, i, j in sorted(each for each in costs if each[0] <= GAP):
        if i in lefts and j in rights:
            couples.append((i, j))
            lefts, rights = _without(lefts, rights, [(i, j)])
    return _ordered(couples, lefts, rights)


def _ordered(couples: list[Couple], lefts: Sequence[int], rights: Sequence[int]) -> Pairing:
    couples.sort()
    moved = any(before[1] > after[1] for before, after in pairwise(couples))
    return Pairing(couples, list(lefts), list(rights), moved)


def _without(lefts: Sequence[int], rights: Sequence[int], taken: Sequence[Couple]) -> tuple[list[int], list[int]]:
    taken_left, taken_right = {i for i, _ in taken}, {j for _, j in taken}
    return [i for i in lefts if i not in taken_left], [j for j in rights if j not in taken_right]


def _by_key(
    elements: Elements, lefts: Sequence[int], rights: Sequence[int]
) -> tuple[list[Couple], Sequence[int], Sequence[int]]:
    """Cancel elements with equal keys, each once and in order: O(n)."""
    waiting: dict[Hashable, list[int]] = {}
    for j in reversed(rights):
        waiting.setdefault(elements.key(1, j), []).append(j)
    couples: list[Couple] = []
    alone: list[int] = []
    for i in lefts:
        key = elements.key(0, i)
        found = waiting.get(key) if key is not None else None
        if found:
            couples.append((i, found.pop()))
        else:
            alone.append(i)
    taken = {j for _, j in couples}
    return couples, alone, [j for j in rights if j not in taken]


def _permutation(elements: Elements, lefts: Sequence[int], rights: Sequence[int]) -> list[Couple] | None:
    """The couples if both hold the same elements, in whatever order; else None."""
    couples, left_over, right_over = _by_key(elements, lefts, rights)
    if len(left_over) ** 2 > elements.cells_max:
        return None
    matched: list[Couple] = []
    if left_over:
        same = _asked(elements)
        if not all(any(same(i, j) for j in right_over) for i in left_over):
            return None
        matched = _maximum_matching(left_over, right_over, same)
    if len(matched) < len(left_over):
        return None
    return sorted(couples + matched)


def _asked(elements: Elements) -> Callable[[int, int], bool]:
    """`same`, remembered; after `cells_max` questions the answer is no."""
    answers: dict[Couple, bool] = {}

    def same(left: int, right: int) -> bool:
        if (left, right) not in answers:
            if len(answers) > elements.cells_max:
                return False
            answers[left, right] = elements.same(left, right)
        return answers[left, right]

    return same


def _maximum_matching(
    lefts: Sequence[int], rights: Sequence[int], same: Callable[[int, int], bool], seed: Sequence[Couple] = ()
) -> list[Couple]:
    """Kuhn's algorithm from the matching `seed`: augmenting paths, without recursion."""
    owner = {j: i for i, j in seed}
    settled = {i for i, _ in seed}
    for start in lefts:
        if start in settled:
            continue
        came_from: dict[int, int] = {}  # right -> the left from which it was reached
        held: dict[int, int] = {}  # left -> the right it holds now
        queue, free = [start], None
        while queue and free is None:
            i = queue.pop()
            for j in rights:
                if j in came_from or not same(i, j):
                    continue
                came_from[j] = i
                if j not in owner:
                    free = j
                    break
                held[owner[j]] = j
                queue.append(owner[j])
        while free is not None:
            i = came_from[free]
            owner[free] = i
            free = held.get(i)
    return sorted((i, j) for j, i in owner.items())


def same_head(elements: Elements, count: int) -> int:
    """How many of the first `count` elements are the same, position by position, before one is not."""
    head = 0
    while head < count and _alike(elements, head, head):
        head += 1
    return head


def _trim(elements: Elements, left_count: int, right_count: int) -> tuple[int, int]:
    """How many elements at the head and at the tail are the same."""
    shorter = min(left_count, right_count)
    head, tail = same_head(elements, shorter), 0
    while tail < shorter - head and _alike(elements, left_count - 1 - tail, right_count - 1 - tail):
        tail += 1
    return head, tail


def _alike(elements: Elements, left: int, right: int) -> bool:
    key = elements.key(0, left)
    return (key is not None and key == elements.key(1, right)) or elements.same(left, right)


def _least_cost(elements: Elements, lefts: range, rights: range) -> Pairing:
    """Edit distance within a band around the diagonal; by position where even a narrow band is too much work."""
    drift = abs(len(lefts) - len(rights))
    half = elements.cells_max // (2 * len(lefts)) - drift
    if half < BAND_MIN:
        shorter = min(len(lefts), len(rights))
        couples = list(zip(lefts, rights, strict=False))
        return Pairing(couples, list(lefts[shorter:]), list(rights[shorter:]))
    reach = half + drift
    lefts, rights = lefts[::-1], rights[::-1]  # from the end, so that of equal costs the one with later gaps is taken
    infinite = float("inf")
    rows: list[dict[int, tuple[float, str]]] = []  # by row the column's total and the step that led there
    for i in range(len(lefts) + 1):
        row: dict[int, tuple[float, str]] = {}
        above = rows[-1] if rows else {}
        for j in range(max(0, i - reach), min(len(rights), i + reach) + 1):
            if i == 0 and j == 0:
                row[0] = (0.0, "")
                continue
            both = infinite
            if i and j and j - 1 in above:
                both = above[j - 1][0] + elements.cost(lefts[i - 1], rights[j - 1])
            up = above[j][0] + GAP if j in above else infinite
            across = row[j - 1][0] + GAP if j - 1 in row else infinite
            row[j] = min((both, "both"), (up, "left"), (across, "right"), key=lambda option: option[0])
        rows.append(row)
    return _trace(rows, lefts, rights)


def _trace(rows: list[dict[int, tuple[float, str]]], lefts: range, rights: range) -> Pairing:
    pairing = Pairing()
    i, j = len(lefts), len(rights)
    while i or j:
        step = rows[i][j][1]
        if step == "both":
            i, j = i - 1, j - 1
            pairing.couples.append((lefts[i], rights[j]))
        elif step == "left":
            i -= 1
            pairing.left_only.append(lefts[i])
        else:
            j -= 1
            pairing.right_only.append(rights[j])
    return pairing


def _rejoin(elements: Elements, pairing: Pairing) -> None:
    """Elements that stand alone, or beside a stranger, may have their counterpart elsewhere: they have moved."""
    if len(pairing.couples) > COUPLES_MAX:
        return
    strangers = [couple for couple in pairing.couples if elements.cost(*couple) >= STRANGER_MIN]
    lefts = pairing.left_only + [i for i, _ in strangers]
    rights = pairing.right_only + [j for _, j in strangers]
    if len(lefts) * len(rights) > SWAPS_MAX**2:
        return
    usual = sorted(elements.cost(*couple) for couple in pairing.couples if couple not in strangers)
    noise = usual[len(usual) // 2] if usual else 0.0
    cost_max = min(GAP, max(MOVED_MAX, NOISE_FACTOR * noise))
    found: dict[int, int] = {}
    for i in lefts:
        costs = [(elements.cost(i, j), j) for j in rights if j not in found.values()]
        if costs and min(costs)[0] <= cost_max:
            found[i] = min(costs)[1]
    if not found:
        return
    parted = [(i, j) for i, j in strangers if i in found or j in found.values()]
    pairing.moved = True
    pairing.couples = sorted([couple for couple in pairing.couples if couple not in parted] + list(found.items()))
    paired_right = {j for _, j in pairing.couples}
    paired_left = {i for i, _ in pairing.couples}
    pairing.left_only = sorted(i for i in lefts if i not in paired_left)
    pairing.right_only = sorted(j for j in rights if j not in paired_right)


def unswap(elements: Elements, pairing: Pairing, poor: Sequence[Couple]) -> None:
    """Exchange partners of `poor` couples, with little in common, where the two are far more alike the other way round.

    Where couples stay as they are, `moved` does.
    """
    if len(poor) > SWAPS_MAX:
        return
    couples = list(poor)
    for first in range(len(couples)):
        for second in range(first + 1, len(couples)):
            (i, k), (j, m) = couples[first], couples[second]
            now = elements.cost(i, k) + elements.cost(j, m)
            if elements.cost(i, m) + elements.cost(j, k) < now / 2:
                couples[first], couples[second] = (i, m), (j, k)
                pairing.moved = True
    kept = [couple for couple in pairing.couples if couple not in poor]
    pairing.couples = sorted([*kept, *couples])
