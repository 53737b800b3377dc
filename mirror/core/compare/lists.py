"""Repeated fields and streams: by position, aligned, in any order or by key; and what is reported of them.

The elements are seen through `Sequences`, one class for scalars and one for messages; streams add one of their own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import compress, count
from operator import ne
from typing import Any, Final, NamedTuple, TypeAlias

from google.protobuf.message import Message

from mirror.core.compare.align import COUPLES_MAX, SWAP_MIN, Pairing, pair_in_any_order, pair_in_order, permuted, unswap
from mirror.core.compare.matching import MATCHED_BY_SAMENESS, matched
from mirror.core.compare.options import Lists
from mirror.core.compare.reflect import set_fields, wire_bytes
from mirror.core.compare.values import Leaf
from mirror.core.compare.walk import Rules, Walk, counted
from mirror.core.model import Kind
from mirror.core.path import Index, Key, Path
from mirror.core.rules import Ignore, KeyedList, Place, UnorderedList

LEAVES_MAX: Final = 256  # counted of one element
CELLS_MAX: Final = 8192  # pairs of elements tried in one alignment
ALIGN_WORK_MAX: Final = 200_000  # leaves looked at in one alignment
ORDER_NOTE: Final = "the same elements in another order"
KeyOf: TypeAlias = Callable[[Any], Hashable]


class By(NamedTuple):
    """How the keys of elements are read on either side.

    `alike`: whether two elements of equal keys are alike in the parts of the key that only a walk can compare.
    """

    left: KeyOf
    right: KeyOf
    alike: Callable[[Walk, Any, Any, Path, Place], bool] | None = None
    first: bool = False  # of several elements with one key: the first with the first, whatever is in them


class Sequences(ABC):
    """The elements of one repeated field on both sides."""

    cells_max = CELLS_MAX
    composite = False  # whether elements are messages
    exact = False  # whether two that are not `==` differ for certain
    keys: tuple[Sequence[Any], Sequence[Any]] | None = None  # of a map's values, where the keys pair nothing

    def __init__(self, walk: Walk, left: Sequence[Any], right: Sequence[Any], path: Path, place: Place) -> None:
        self.walk = walk
        self.left = left
        self.right = right
        self.path = path
        self.place = place

    @abstractmethod
    def differing(self) -> list[int]:
        """Positions, up to the shorter length, at which the two may differ."""

    @abstractmethod
    def key(self, side: int, index: int) -> Hashable:
        """See align.Elements."""

    @abstractmethod
    def cost(self, left: int, right: int) -> float:
        """See align.Elements."""

    @abstractmethod
    def same(self, left: int, right: int) -> bool:
        """See align.Elements."""

    def among(self, left: int, rights: Sequence[int]) -> bool:
        """See align.Elements."""
        return self.left[left] in [self.right[index] for index in rights]

    def poor(self, index: int, differences: int) -> bool:  # noqa: ARG002 - a single value has one at most
        """Whether so many differences in an element mean that it has little in common with the one it is paired with."""
        return differences > 0

    def count(self, left: int, right: int, stop_at: int) -> int:  # noqa: ARG002 - a single value has one at most
        """See matching.Countable."""
        return 0 if self.same(left, right) else 1

    @abstractmethod
    def report(self, left: int, right: int) -> None:
        """Put what differs within one couple of elements into the sink, at the left one's index."""

    def shown(self, side: int, index: int) -> Any:
        """An element as it stands in a Difference."""
        return (self.right if side else self.left)[index]

    def at(self, index: int, side: int = 0) -> Path:
        """The path of an element."""
        return (*self.path, Index(index) if self.keys is None else Key(self.keys[side][index]))

    def lonely(self, kind: Kind, index: int) -> None:
        """Report an element that stands on one side only."""
        side = int(kind is Kind.ADDED)
        value = self.shown(side, index)
        self.walk.lonely(self.at(index, side), self.place.step(Index(index)), kind, value)


class Scalars(Sequences):
    """Elements that are single values. `rules` are those at the field itself: they hold for its elements too."""

    def __init__(  # noqa: PLR0913 - the base's five and what is known of the type
        self,
        walk: Walk,
        left: Sequence[Any],
        right: Sequence[Any],
        path: Path,
        place: Place,
        *,
        leaf: Leaf,
        rules: Rules,
    ) -> None:
        super().__init__(walk, left, right, path, place)
        self._leaf = leaf
        self._rules = rules
        self.exact = not (rules or place.touched or leaf.inexact)

    def differing(self) -> list[int]:
        """Found by Python's `!=`."""
        return list(compress(count(), map(ne, self.left, self.right)))

    def key(self, side: int, index: int) -> Hashable:
        """The value; NaN, unequal to itself, has none."""
        value = (self.right if side else self.left)[index]
        return value if value == value else None  # noqa: PLR0124 - this is how NaN shows

    def same(self, left: int, right: int) -> bool:
        """Equal, or excused by a rule."""
        one, other = self.left[left], self.right[right]
        return self._leaf.same(one, other) or self._leaf.near(one, other) or bool(self._excuse(left, one, other))

    def cost(self, left: int, right: int) -> float:
        """0 or 1."""
        return 0.0 if self.same(left, right) else 1.0

    def report(self, left: int, right: int) -> None:
        """One difference, or none."""
        one, other = self.left[left], self.right[right]
        if not (self._leaf.same(one, other) or self._leaf.near(one, other)):
            rule = self._excuse(left, one, other)
            self.walk.add(self.at(left), Kind.VALUE, *self._leaf.shown(one, other), rule)

    def shown(self, side: int, index: int) -> Any:
        """Enums with their names."""
        return self._leaf.shown(*((None, self.right[index]) if side else (self.left[index], None)))[side]

    def _excuse(self, index: int, one: Any, other: Any) -> str:
        self.walk.spend(1, self.path)
        return self._leaf.excuse((*self.place.step(Index(index)).rules, *self._rules), one, other)


class Messages(Sequences):
    """Elements that are messages. `gated`: two that are `==` are the same."""

    composite = True

    def __init__(  # noqa: PLR0913 - the base's five and what is known of the type
        self,
        walk: Walk,
        left: Sequence[Any],
        right: Sequence[Any],
        path: Path,
        place: Place,
        *,
        gated: bool,
        rules: Rules = (),
        exact: bool = False,
    ) -> None:
        super().__init__(walk, left, right, path, place)
        self._gated = gated
        self._rules = rules
        self.exact = exact
        self._keys: dict[tuple[int, int], Hashable] = {}
        self._leaves: dict[tuple[int, int], int] = {}
        self._costs: dict[tuple[int, int], float] = {}
        self._cells_max = 0

    @property
    def cells_max(self) -> int:  # type: ignore[override]  # worked out where it is asked for
        """Fewer for larger elements."""
        if not self._cells_max:
            some = next((side[0] for side in (self.left, self.right) if side), None)
            size = 1 if some is None else self.size(some)
            self._cells_max = max(1, min(CELLS_MAX, ALIGN_WORK_MAX // max(1, size)))
        return self._cells_max

    def differing(self) -> list[int]:
        """Found by `==` where that decides."""
        if self._gated:
            return list(compress(count(), map(ne, self.left, self.right)))
        return list(range(min(len(self.left), len(self.right))))

    def key(self, side: int, index: int) -> Hashable:
        """The canonical bytes; none across two types, where equal bytes may mean different things."""
        if not self._gated:
            return None
        slot = (side, index)
        if slot not in self._keys:
            self.walk.spend(1, self.path)
            self._keys[slot] = self.canonical((self.right if side else self.left)[index])
        return self._keys[slot]

    def same(self, left: int, right: int) -> bool:
        """Whether a walk finds nothing that counts."""
        return self.count(left, right, 1) == 0

    def poor(self, index: int, differences: int) -> bool:
        """By the share of leaves."""
        enough = math.floor(differences / SWAP_MIN) + 1
        return differences > 0 and differences >= SWAP_MIN * self.size(self.left[index], enough)

    def cost(self, left: int, right: int) -> float:
        """The share of leaves in which the two differ."""
        slot = (left, right)
        if slot not in self._costs:
            size = max(self._leaf_count(0, left), self._leaf_count(1, right), 1)
            self._costs[slot] = min(1.0, self.count(left, right, size) / size)
        return self._costs[slot]

    def report(self, left: int, right: int) -> None:
        """All that differs within."""
        place = self.place.step(Index(left)) if self.place.touched else self.place
        self.look(self.walk, left, right, place)

    def look(self, walk: Walk, left: int, right: int, place: Place) -> None:
        """Hold one element against another, which stands at the left one's index."""
        walk.messages(self.left[left], self.right[right], self.at(left), place, self._rules)

    def canonical(self, element: Any) -> Hashable:
        """What is equal only for equal elements of one type."""
        return canonical(element)

    def size(self, element: Any, enough: int = LEAVES_MAX) -> int:
        """How many leaves it has, at least `enough` if so many."""
        return leaves(element, enough)

    def count(self, left: int, right: int, stop_at: int) -> int:
        """By a probe."""
        self.walk.spend(1, self.path)
        place = self.place.step(Index(left))
        if place.find(Ignore):
            return 0
        return counted(self.walk.probe(stop_at), lambda probing: self.look(probing, left, right, place))

    def _leaf_count(self, side: int, index: int) -> int:
        slot = (side, index)
        if slot not in self._leaves:
            self._leaves[slot] = self.size((self.right if side else self.left)[index])
        return self._leaves[slot]


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
    poor: list[tuple[int, int]] = []
    few = len(differing) <= COUPLES_MAX
    for index in range(len(elements.left)) if walk.setting.told else differing:
        before = walk.count
        _couple(elements, index, index)
        if few and elements.poor(index, walk.count - before):
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


def canonical(message: Message) -> bytes:
    """Bytes that are equal for equal messages of one type (the order of unknown fields apart)."""
    return wire_bytes(message, deterministic=True)


def leaves(message: Message, enough: int = LEAVES_MAX) -> int:
    """How many single values a message holds, counted up to about `enough`."""
    total, waiting = 0, [message]
    while waiting and total < enough:
        for _, value in set_fields(waiting.pop()):
            if isinstance(value, Message):
                waiting.append(value)
            elif isinstance(value, str | bytes) or not isinstance(value, Iterable):
                total += 1
            else:
                total += _held(value, waiting)
    return min(total + len(waiting), LEAVES_MAX)


def _held(container: Any, waiting: list[Message]) -> int:
    if hasattr(container, "items"):
        container = [value for _, value in container.items()]
    some = container[0] if container else None
    if not isinstance(some, Message):
        return len(container)
    waiting.extend(container[:LEAVES_MAX])
    return 0
