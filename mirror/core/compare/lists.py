"""Repeated fields and streams: by position, aligned, in any order or by key; and what is reported of them.

The elements are seen through `Sequences`, one class for scalars and one for messages; streams add one of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import compress, count
from operator import ne
from typing import Any, Final, TypeAlias

from google.protobuf.message import Message

from mirror.core.compare.align import Pairing, pair_in_any_order, pair_in_order, pair_in_place
from mirror.core.compare.options import Lists
from mirror.core.compare.reflect import set_fields, wire_bytes
from mirror.core.compare.values import Leaf
from mirror.core.compare.walk import Rules, Walk, counted
from mirror.core.model import Kind
from mirror.core.path import Index, Path
from mirror.core.rules import Ignore, KeyedList, Place, UnorderedList

LEAVES_MAX: Final = 256  # counted of one element
CELLS_MAX: Final = 8192  # pairs of elements tried in one alignment
ALIGN_WORK_MAX: Final = 200_000  # leaves looked at in one alignment
ORDER_NOTE: Final = "the same elements in another order"
KeyOf: TypeAlias = Callable[[Any], Hashable]
By: TypeAlias = tuple[KeyOf, KeyOf]  # of an element on the left, on the right


class Sequences(ABC):
    """The elements of one repeated field on both sides."""

    def __init__(self, walk: Walk, left: Sequence[Any], right: Sequence[Any], path: Path, place: Place) -> None:
        self.walk = walk
        self.left = left
        self.right = right
        self.path = path
        self.place = place
        self.cells_max = CELLS_MAX

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

    @abstractmethod
    def report(self, left: int, right: int) -> None:
        """Put what differs within one couple of elements into the sink, at the left one's index."""

    def shown(self, side: int, index: int) -> Any:
        """An element as it stands in a Difference."""
        return (self.right if side else self.left)[index]

    def at(self, index: int) -> Path:
        """The path of an element."""
        return (*self.path, Index(index))

    def lonely(self, kind: Kind, index: int) -> None:
        """Report an element that stands on one side only."""
        value = self.shown(int(kind is Kind.ADDED), index)
        self.walk.lonely(self.at(index), self.place.step(Index(index)), kind, value)


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
        return self._leaf.same(one, other) or bool(self._excuse(left, one, other))

    def cost(self, left: int, right: int) -> float:
        """0 or 1."""
        return 0.0 if self.same(left, right) else 1.0

    def report(self, left: int, right: int) -> None:
        """One difference, or none."""
        one, other = self.left[left], self.right[right]
        if not self._leaf.same(one, other):
            rule = self._excuse(left, one, other)
            self.walk.sink.add(self.at(left), Kind.VALUE, *self._leaf.shown(one, other), rule=rule)

    def shown(self, side: int, index: int) -> Any:
        """Enums with their names."""
        return self._leaf.shown(*((None, self.right[index]) if side else (self.left[index], None)))[side]

    def _excuse(self, index: int, one: Any, other: Any) -> str:
        self.walk.budget.spend(1, self.path)
        return self._leaf.excuse((*self.place.step(Index(index)).rules, *self._rules), one, other)


class Messages(Sequences):
    """Elements that are messages. `gated`: `==` of two of them decides."""

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
    ) -> None:
        super().__init__(walk, left, right, path, place)
        self._gated = gated
        self._rules = rules
        self._keys: dict[tuple[int, int], Hashable] = {}
        self._leaves: dict[tuple[int, int], int] = {}
        self._costs: dict[tuple[int, int], float] = {}
        some = left[0] if left else right[0] if right else None
        if some is not None:
            self.cells_max = max(1, min(CELLS_MAX, ALIGN_WORK_MAX // max(1, self.size(some))))

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
            self.walk.budget.spend(1, self.path)
            self._keys[slot] = self.canonical((self.right if side else self.left)[index])
        return self._keys[slot]

    def same(self, left: int, right: int) -> bool:
        """Whether a walk finds nothing that counts."""
        return self._count(left, right, 1) == 0

    def cost(self, left: int, right: int) -> float:
        """The share of leaves in which the two differ."""
        slot = (left, right)
        if slot not in self._costs:
            size = max(self._leaf_count(0, left), self._leaf_count(1, right), 1)
            self._costs[slot] = min(1.0, self._count(left, right, size) / size)
        return self._costs[slot]

    def report(self, left: int, right: int) -> None:
        """All that differs within."""
        self.look(self.walk, left, right, self.place.step(Index(left)))

    def look(self, walk: Walk, left: int, right: int, place: Place) -> None:
        """Hold one element against another, which stands at the left one's index."""
        walk.messages(self.left[left], self.right[right], self.at(left), place, self._rules)

    def canonical(self, element: Any) -> Hashable:
        """What is equal only for equal elements of one type."""
        return canonical(element)

    def size(self, element: Any) -> int:
        """How many leaves it has."""
        return leaves(element)

    def _count(self, left: int, right: int, stop_at: int) -> int:
        self.walk.budget.spend(1, self.path)
        place = self.place.step(Index(left))
        if place.find(Ignore):
            return 0
        return counted(self.walk.probe(stop_at), lambda probing: self.look(probing, left, right, place))

    def _leaf_count(self, side: int, index: int) -> int:
        slot = (side, index)
        if slot not in self._leaves:
            self._leaves[slot] = self.size((self.right if side else self.left)[index])
        return self._leaves[slot]


def compare_sequences(elements: Sequences, *, by: By | None = None, keyed: str = "", ordered: bool = False) -> None:
    """Compare the elements as the rules at their place say; by position where none does.

    `by` gives the elements' keys under the rule `keyed`. `ordered`: a stream, always aligned.
    """
    walk, place = elements.walk, elements.place
    sizes = len(elements.left), len(elements.right)
    unordered = place.find(UnorderedList)
    if by is not None:
        _report(elements, _pair_by_key(elements, by), rule=keyed)
    elif unordered is not None:
        pairing = pair_in_any_order(elements, range(sizes[0]), range(sizes[1]))
        if pairing is None:
            note = f"too complex: {sizes[0]} and {sizes[1]} elements in any order, too many of them differ"
            walk.sink.add(elements.path, Kind.VALUE, note=note)
        else:
            _report(elements, pairing, rule=unordered.id)
    elif sizes[0] == sizes[1] and not ordered:
        differing = elements.differing()
        walk.budget.spend(len(differing), elements.path)
        if len(differing) == 1:
            elements.report(differing[0], differing[0])
        elif differing:
            _report(elements, pair_in_place(elements, differing))
    elif ordered or walk.options.lists is Lists.ALIGNED:
        _report(elements, pair_in_order(elements, *sizes))
    else:
        _report(elements, _by_position(elements, *sizes))


def _report(elements: Sequences, pairing: Pairing, *, rule: str = "") -> None:
    """Couples in left order, then what was added, then what is missing, as MessageDifferencer does."""
    if pairing.moved:
        elements.walk.sink.add(elements.path, Kind.ORDER, rule=rule, note=ORDER_NOTE)
    for left, right in pairing.couples:
        elements.report(left, right)
    for index in pairing.right_only:
        elements.lonely(Kind.ADDED, index)
    for index in pairing.left_only:
        elements.lonely(Kind.MISSING, index)


def _by_position(elements: Sequences, left_count: int, right_count: int) -> Pairing:
    shorter = min(left_count, right_count)
    couples = [(index, index) for index in elements.differing()]
    return Pairing(couples, list(range(shorter, left_count)), list(range(shorter, right_count)))


def _pair_by_key(elements: Sequences, by: By) -> Pairing:
    """Elements of one key belong together; of several with the same key the equal ones first, the rest in order."""
    groups: dict[Hashable, tuple[list[int], list[int]]] = {}
    for side, sequence in enumerate((elements.left, elements.right)):
        elements.walk.budget.spend(len(sequence), elements.path)
        for index, element in enumerate(sequence):
            groups.setdefault(by[side](element), ([], []))[side].append(index)
    pairing = Pairing()
    for lefts, rights in groups.values():
        if len(lefts) == len(rights) == 1:
            pairing.couples.append((lefts[0], rights[0]))
            continue
        found = pair_in_any_order(elements, lefts, rights) or Pairing([], lefts, rights)
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


def leaves(message: Message) -> int:
    """How many single values a message holds, counted up to LEAVES_MAX."""
    total, waiting = 0, [message]
    while waiting and total < LEAVES_MAX:
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
