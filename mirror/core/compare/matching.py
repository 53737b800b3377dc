"""How elements of sets and smart lists find each other: MessageDifferencer's ways. Pure, like align.

A set pairs what is the same, wherever it stands. A smart list keeps of these the longest run in order, so that what moved
is gone and come again. A smart set pairs what is left over by the fewest differences.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final, Protocol

from mirror.core.compare.align import Couple, Elements, Pairing, pair_in_any_order, same_head
from mirror.core.compare.options import Lists

MATCHED_BY_SAMENESS: Final = frozenset({Lists.SET, Lists.SMART_SET, Lists.SMART_LIST})


class Countable(Elements, Protocol):
    """Elements whose differences can be counted."""

    composite: bool  # elements that are not messages differ or do not

    def count(self, left: int, right: int, stop_at: int) -> int:
        """How many differences the two have, counted up to `stop_at`."""


def matched(elements: Countable, lists: Lists, left_count: int, right_count: int) -> Pairing | None:
    """The pairing, couples in left order; None: too many elements would have to be tried against each other."""
    head = same_head(elements, min(left_count, right_count)) if lists is Lists.SMART_LIST else 0
    pairing = pair_in_any_order(elements, range(head, left_count), range(head, right_count), alike=False)
    if pairing is None:
        return None
    if lists is Lists.SMART_LIST:
        pairing.couples = [*((index, index) for index in range(head)), *pairing.couples]
        return _in_order(pairing)
    if lists is Lists.SMART_SET and elements.composite:
        if len(pairing.left_only) * len(pairing.right_only) > elements.cells_max:
            return None
        return _with_fewest(elements, pairing)
    return pairing


def _in_order(pairing: Pairing) -> Pairing:
    """Only the longest rising run of couples stays: patience sorting, O(n log n)."""
    tails: list[int] = []  # right index of the best run's end, by its length
    ends: list[int] = []  # the couple that it ends with
    before: list[int] = []  # by couple the one before it in its run, or -1
    for at, (_, right) in enumerate(pairing.couples):
        length = bisect_left(tails, right)
        before.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(right)
            ends.append(at)
        else:
            tails[length], ends[length] = right, at
    kept: list[Couple] = []
    at = ends[-1] if ends else -1
    while at >= 0:
        kept.append(pairing.couples[at])
        at = before[at]
    kept.reverse()
    parted = set(pairing.couples) - set(kept)
    return Pairing(
        kept,
        sorted([*pairing.left_only, *(left for left, _ in parted)]),
        sorted([*pairing.right_only, *(right for _, right in parted)]),
    )


def _with_fewest(elements: Countable, pairing: Pairing) -> Pairing:
    """Each left element that is left over takes the right one from which it differs least, of equal ones the first.

    A right element that is taken goes to a later left one only if that differs from it less; who lost it stays alone.
    """
    fewest: dict[int, tuple[int, int]] = {}  # right -> (differences, left)
    for left in pairing.left_only:
        best: tuple[int, int] | None = None  # (differences, right)
        for right in pairing.right_only:
            limit = min(best[0] if best else _NO_LIMIT, fewest[right][0] if right in fewest else _NO_LIMIT)
            count = elements.count(left, right, limit)
            if count < limit:
                best = count, right
        if best is not None:
            fewest[best[1]] = best[0], left
    couples = [(left, right) for right, (_, left) in fewest.items()]
    lefts, rights = {left for left, _ in couples}, {right for _, right in couples}
    return Pairing(
        sorted([*pairing.couples, *couples]),
        [left for left in pairing.left_only if left not in lefts],
        [right for right in pairing.right_only if right not in rights],
        moved=True,
    )


_NO_LIMIT: Final = 1 << 30
