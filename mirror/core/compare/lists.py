"""Repeated fields and streams: by position, aligned, in any order or by key; and what is reported of them.

The elements are seen through `elements.Sequences`; streams add one of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Final

from mirror.core.compare.align import COUPLES_MAX, Pairing, pair_in_any_order, pair_in_order, permuted, unswap
from mirror.core.compare.elements import By, Sequences
from mirror.core.compare.matching import MATCHED_BY_SAMENESS, matched
from mirror.core.compare.options import Lists
from mirror.core.compare.walk import Walk
from mirror.core.model import Kind
from mirror.core.path import Index, Path
from mirror.core.rules import KeyedList, Place, UnorderedList

ELEMENTS_MAX: Final = 400_000  # of a list, both sides together, unless they pair by position
ORDER_NOTE: Final = "the same elements in another order"


def compare_sequences(
    elements: Sequences,
    lists: Lists = Lists.ALIGNED,
    *,
    by: By | None = None,
    keyed: str = "",
    ordered: bool = False,
) -> None:
    """Compare the elements as the rules at their place say; where none does, as `lists` does.

    `by` gives the elements' keys, under the rule `keyed` if one says so. `ordered`: a stream, always aligned.
    """
    walk, place = elements.walk, elements.place
    sizes = len(elements.left), len(elements.right)
    if sum(sizes) > ELEMENTS_MAX and (sizes[0] != sizes[1] or by is not None or place.find(UnorderedList)):
        note = (
            f"too complex: lists of {sizes[0]} and {sizes[1]} elements, which no position pairs; they were not compared"
        )
        walk.add(elements.path, Kind.VALUE, note=note)
        return
    unordered = place.find(UnorderedList)
    if by is not None:
        _report(elements, _pair_by_key(elements, by), rule=keyed, sets=lists is not Lists.ALIGNED, subset=True)
    elif unordered is not None:
        pairing = pair_in_any_order(elements, range(sizes[0]), range(sizes[1]))
        if pairing is None:
            note = f"too complex: {sizes[0]} and {sizes[1]} elements in any order, too many of them differ"
            walk.add(elements.path, Kind.VALUE, note=note)
        else:
            _report(elements, pairing, rule=unordered.id)
    elif lists in MATCHED_BY_SAMENESS:
        _compare_matched(elements, lists)
    elif lists is Lists.LIST and not ordered:
        _report(elements, _by_position(elements, *sizes))
    elif sizes[0] == sizes[1] and not ordered:
        _compare_in_place(elements)
    else:
        _report(elements, _with_the_same(elements, pair_in_order(elements, *sizes)))


def _with_the_same(elements: Sequences, pairing: Pairing) -> Pairing:
    """With the couples that are the same and were left out, where there is something to be told of them too."""
    if elements.walk.setting.told:
        known = {i for i, _ in pairing.couples}.union(pairing.left_only)
        known_too = {j for _, j in pairing.couples}.union(pairing.right_only)
        lefts = [i for i in range(len(elements.left)) if i not in known]
        rights = [j for j in range(len(elements.right)) if j not in known_too]
        pairing.couples = sorted([*pairing.couples, *zip(lefts, rights, strict=False)])
    return pairing


def _compare_matched(elements: Sequences, lists: Lists) -> None:
    """As MessageDifferencer pairs the elements of sets and smart lists."""
    pairing = matched(elements, lists, len(elements.left), len(elements.right))
    if pairing is None:
        note = f"too complex: {len(elements.left)} and {len(elements.right)} elements, too many of them differ"
        elements.walk.add(elements.path, Kind.VALUE, note=note)
    elif lists is Lists.SMART_LIST:
        _report_interleaved(elements, pairing)
    else:
        _report(elements, pairing, sets=True, subset=lists is Lists.SET)


def _compare_in_place(elements: Sequences) -> None:
    """Two lists of one length: by position, unless the same elements stand in another order."""
    differing = elements.differing()
    elements.walk.spend(len(differing), elements.path)
    pairing = permuted(elements, differing)
    if pairing is not None:
        _report(elements, _with_the_same(elements, pairing))
    else:
        _report_in_place(elements, differing)


def _report_in_place(elements: Sequences, differing: list[int]) -> None:
    """By position; only where that shows couples with little in common is it asked whether two of them changed places."""
    walk, mark = elements.walk, elements.walk.mark()
    counts: list[tuple[int, int]] = []  # of the couples that may be poor: index, differences
    few, remarks = len(differing) <= COUPLES_MAX, walk.setting.remarks
    for index in range(len(elements.left)) if walk.setting.told else differing:
        before = walk.count
        if remarks:
            _couple(elements, index, index)
        else:
            elements.report(index, index)
        if few and walk.count > before:
            counts.append((index, walk.count - before))
    poor: list[tuple[int, int]] = []
    for left, (index, found) in enumerate(counts, 1 - len(counts)):
        if (poor or left < 0) and elements.poor(index, found):  # of the last one it matters only if there are others
            poor.append((index, index))
    if len(poor) > 1:
        pairing = Pairing([(index, index) for index in differing])
        unswap(elements, pairing, poor)
        if pairing.moved:
            walk.back_to(mark)
            _report(elements, _with_the_same(elements, pairing))


def _report(elements: Sequences, pairing: Pairing, *, rule: str = "", sets: bool = False, subset: bool = False) -> None:
    """Couples in left order, then what was added, then what is missing, as MessageDifferencer does.

    `sets`: order means nothing, moves are remarks. `subset`: compared partially, the right may have more.
    """
    if pairing.moved and not sets:
        elements.walk.add(elements.path, Kind.ORDER, None, None, rule, ORDER_NOTE)
    for left, right in pairing.couples:
        _couple(elements, left, right)
    if not (subset and elements.walk.options.partial):
        for index in pairing.right_only:
            elements.lonely(Kind.ADDED, index)
    for index in pairing.left_only:
        elements.lonely(Kind.MISSING, index)


def _report_interleaved(elements: Sequences, pairing: Pairing) -> None:
    """What stands alone is told where it stands: missing ones at once, added ones before the couple that follows them."""
    partner = dict(pairing.couples)
    added = deque(pairing.right_only)
    for left in range(len(elements.left)):
        right = partner.get(left)
        if right is None:
            elements.lonely(Kind.MISSING, left)
            continue
        while added and added[0] < right:
            elements.lonely(Kind.ADDED, added.popleft())
        _couple(elements, left, right)
    for index in added:
        elements.lonely(Kind.ADDED, index)


def _couple(elements: Sequences, left: int, right: int) -> None:
    """What differs within two elements that belong together; and the remarks that the options ask for."""
    walk = elements.walk
    if left == right and not walk.setting.remarks:
        elements.report(left, right)
        return
    path, one, other = elements.at(left), elements.left[left], elements.right[right]
    before, options, shifts = walk.count, walk.options, walk.shifts
    elsewhere = left != right and elements.keys is None
    if elsewhere:
        walk.shift((*shifts, (len(elements.path), right)))
    elements.report(left, right)
    if walk.count > before:
        if options.aggregates and elements.composite:
            walk.add(path, Kind.VALUE, one, other)
    elif elsewhere and options.moves:
        walk.remark(path, Kind.MOVED, one, other)
    elif options.matches:
        walk.remark(path, Kind.MATCHED, one, other)
    if elsewhere:
        walk.shift(shifts)


def _by_position(elements: Sequences, left_count: int, right_count: int) -> Pairing:
    shorter = min(left_count, right_count)
    couples = [(index, index) for index in elements.differing()]
    return _with_the_same(
        elements, Pairing(couples, list(range(shorter, left_count)), list(range(shorter, right_count)))
    )


def _pair_by_key(elements: Sequences, by: By) -> Pairing:
    """Elements of one key belong together; of several with the same key the equal ones first, the rest in order."""
    groups: dict[Hashable, tuple[list[int], list[int]]] = {}
    for side, (sequence, read) in enumerate(((elements.left, by.left), (elements.right, by.right))):
        elements.walk.spend(len(sequence), elements.path)
        for index, element in enumerate(sequence):
            groups.setdefault(read(element), ([], []))[side].append(index)
    pairing = Pairing()
    for lefts, rights in groups.values():
        if by.alike is not None:
            _pair_alike(elements, by.alike, (lefts, rights), pairing)
            continue
        if len(lefts) == len(rights) == 1:
            pairing.couples.append((lefts[0], rights[0]))
            continue
        found = None if by.first else pair_in_any_order(elements, lefts, rights)
        found = found or Pairing([], lefts, rights)
        shorter = min(len(found.left_only), len(found.right_only))
        rest = list(zip(found.left_only, found.right_only, strict=False))
        pairing.couples += found.couples + rest
        pairing.left_only += found.left_only[shorter:]
        pairing.right_only += found.right_only[shorter:]
    pairing.couples.sort()
    pairing.left_only.sort()
    pairing.right_only.sort()
    order = [right for _, right in pairing.couples]
    pairing.moved = order != sorted(order)
    return pairing


def _pair_alike(
    elements: Sequences,
    alike: Callable[[Walk, Any, Any, Path, Place], bool],
    group: tuple[list[int], list[int]],
    pairing: Pairing,
) -> None:
    """Each left one takes the first right one that is alike; each question is work."""
    lefts, rights = group
    for i in lefts:
        path, place = elements.at(i), elements.place.step(Index(i))
        for j in rights:
            elements.walk.spend(1, elements.path)
            if alike(elements.walk, elements.left[i], elements.right[j], path, place):
                pairing.couples.append((i, j))
                rights.remove(j)
                break
        else:
            pairing.left_only.append(i)
    pairing.right_only += rights


def key_rule(place: Place) -> KeyedList | None:
    """The keyed list rule that decides at this place: none where a narrower one says unordered."""
    for rule in place.rules:
        if isinstance(rule, UnorderedList):
            return None
        if isinstance(rule, KeyedList):
            return rule
    return None
