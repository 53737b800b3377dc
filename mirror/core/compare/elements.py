"""The elements of a repeated field or a stream, as those that pair them see them: one class for scalars, one for messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from itertools import compress, count
from operator import ne
from typing import Any, Final, NamedTuple, TypeAlias

from google.protobuf.message import Message

from mirror.core.compare.align import SWAP_MIN
from mirror.core.compare.leaves import LEAVES_MAX, enough_for, leaves
from mirror.core.compare.reflect import wire_bytes
from mirror.core.compare.values import Leaf
from mirror.core.compare.walk import Plan, Rules, Walk
from mirror.core.model import Kind
from mirror.core.path import Key, Path, nth
from mirror.core.rules import Ignore, Place

CELLS_MAX: Final = 8192  # pairs of elements tried in one alignment
ALIGN_WORK_MAX: Final = 200_000  # leaves looked at in one alignment
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
    known: list[int] | None = None  # what `differing` gives, where it was found before
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
        return (*self.path, nth(index) if self.keys is None else Key(self.keys[side][index]))

    def lonely(self, kind: Kind, index: int) -> None:
        """Report an element that stands on one side only."""
        side = int(kind is Kind.ADDED)
        value = self.shown(side, index)
        self.walk.lonely(self.at(index, side), self.place.step(nth(index)), kind, value)


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
        self._ruled = bool(rules) or place.touched
        self.exact = not (self._ruled or leaf.inexact)

    def differing(self) -> list[int]:
        """Found by Python's `!=`."""
        if self.known is not None:
            return self.known
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
        if not self._ruled:
            return ""
        self.walk.spend(1, self.path)
        rules = (*self.place.step(nth(index)).rules, *self._rules)
        return self._leaf.excuse(rules, one, other, self.walk.spender(self.path))


class Messages(Sequences):
    """Elements that are messages. `gated`: two that are `==` are the same."""

    composite = True
    plan: Plan | None = None  # of every two elements, where these are of one type and no rule tells them apart

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
        if self.known is not None:
            return self.known
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
        if differences == 0:
            return False
        return differences >= SWAP_MIN * self.size(self.left[index], enough_for(differences))

    def cost(self, left: int, right: int) -> float:
        """The share of leaves in which the two differ."""
        slot = (left, right)
        if slot not in self._costs:
            size = max(self._leaf_count(0, left), self._leaf_count(1, right), 1)
            self._costs[slot] = min(1.0, self.count(left, right, size) / size)
        return self._costs[slot]

    def report(self, left: int, right: int) -> None:
        """All that differs within."""
        if left == right and self.plan is not None and self.known is not None:  # these differ
            self.plan.look(self.walk, self.left[left], self.right[right], (*self.path, nth(left)))
            return
        place = self.place.step(nth(left)) if self.place.touched else self.place
        self.look(self.walk, left, right, place)

    def look(self, walk: Walk, left: int, right: int, place: Place) -> None:
        """Hold one element against another, which stands at the left one's index."""
        one, other = self.left[left], self.right[right]
        if self.known is not None and left == right:  # these differ
            walk.plan_for(one, other, place, self._rules).look(walk, one, other, self.at(left))
            return
        walk.messages(one, other, self.at(left), place, self._rules)

    def canonical(self, element: Any) -> Hashable:
        """What is equal only for equal elements of one type."""
        return canonical(element)

    def size(self, element: Any, enough: int = LEAVES_MAX) -> int:
        """How many leaves it has, at least `enough` if so many."""
        return leaves(element, enough)

    def count(self, left: int, right: int, stop_at: int) -> int:
        """By a probe."""
        self.walk.spend(1, self.path)
        place = self.place.step(nth(left))
        if place.find(Ignore):
            return 0
        return self.walk.counted(lambda probing: self.look(probing, left, right, place), stop_at)

    def _leaf_count(self, side: int, index: int) -> int:
        slot = (side, index)
        if slot not in self._leaves:
            self._leaves[slot] = self.size((self.right if side else self.left)[index])
        return self._leaves[slot]


def canonical(message: Message) -> bytes:
    """Bytes that are equal for equal messages of one type (the order of unknown fields apart)."""
    return wire_bytes(message, deterministic=True)
