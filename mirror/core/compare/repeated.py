"""The part of a plan that compares a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import compress, count
from operator import ne
from typing import Any

from google.protobuf.message import Message

from mirror.core.compare.access import Access, FieldPair, rules_of
from mirror.core.compare.align import COUPLES_MAX
from mirror.core.compare.elements import By, Messages, Scalars, Sequences
from mirror.core.compare.fields import remark_message
from mirror.core.compare.generated import Code
from mirror.core.compare.leaves import is_poor
from mirror.core.compare.lists import compare_sequences
from mirror.core.compare.options import CompareOptions, Lists
from mirror.core.compare.scalars import compare_leaf
from mirror.core.compare.values import Leaf
from mirror.core.compare.walk import Plan, Rules, Walk, unless_ignored
from mirror.core.model import Kind
from mirror.core.path import ANY_ELEMENT, Path, nth
from mirror.core.rules import Ignore, Place


@dataclass(frozen=True, slots=True)
class ListMeaning:
    """How the elements of one repeated field find each other. `keyed`: the id of the rule that gives `by`."""

    lists: Lists
    by: By | None = None
    keyed: str = ""


class Repeated:
    """A list of scalars (`leaf`) or messages. A field that is single on one side is a list of at most one."""

    __slots__ = (
        "_exact",
        "_gated",
        "_ignored",
        "_leaf",
        "_meaning",
        "_options",
        "_pair",
        "_plain",
        "_plan",
        "_read_left",
        "_read_right",
        "_rules",
    )

    def __init__(  # noqa: PLR0913 - what the compiler knows of the field
        self,
        pair: FieldPair,
        meaning: ListMeaning,
        options: CompareOptions,
        *,
        leaf: Leaf | None,
        gated: bool,
        exact: bool,
        told: bool,
        rules: Rules,
    ) -> None:
        self._pair = pair
        self._read_left, self._read_right = _reader(pair.left), _reader(pair.right)
        self._ignored = pair.place.find(Ignore) is not None
        self._exact = exact
        self._meaning = meaning
        self._options = options
        self._leaf = leaf
        self._gated = gated
        self._rules = rules  # at the field itself: they hold for its elements
        self._plan: Plan | None = None
        # Whether nothing is to be said of elements that are equal, and the list goes by position where lengths agree.
        by_position = meaning.by is None and meaning.lists in {Lists.ALIGNED, Lists.LIST}
        self._plain = gated and by_position and not pair.place.touched and not told

    def write(self, code: Code) -> None:
        """Lists of equal scalars are told, and empty lists of messages; anything else by a call."""
        pair = self._pair
        if not (self._plain and pair.left.repeated and pair.left.name == pair.right.name):
            code.add(f"{code.bind(self)}(walk, left, right, path)")
            return
        left, right = code.read(pair.left.name)
        told = "one or other" if self._leaf is None else "one != other"
        within = code.bind(self.within)
        code.add(f"one = {left}[:]", f"other = {right}[:]", f"if {told}: {within}(walk, one, other, path)")

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """See lists.compare_sequences; quick where one element differs or none does."""
        self.within(walk, self._read_left(left), self._read_right(right), path)

    def within(self, walk: Walk, ours: list[Any], theirs: list[Any], path: Path) -> None:
        """What differs in the two lists; `path` is of the message around."""
        if not ours and (not theirs or self._options.partial):
            return
        if self._plain and len(ours) == len(theirs):
            if self._leaf is not None and ours == theirs:
                return
            differing = list(compress(count(), map(ne, ours, theirs)))
            if len(differing) > 1:
                in_place = self._in_place if self._leaf is None else self._values_in_place
                if self._exact and not walk.setting.remarks and in_place(walk, ours, theirs, path, differing):
                    return
                self._compare(walk, ours, theirs, (*path, self._pair.step), self._pair.place, differing)
            elif differing:
                at = differing[0]
                self._single(walk, ours[at], theirs[at], (*path, self._pair.step, nth(at)))
            return
        path = (*path, self._pair.step)
        if not self._ignored:
            self._compare(walk, ours, theirs, path, self._pair.place)
            return
        unless_ignored(
            walk,
            path,
            self._pair.place,
            lambda walk, place: self._compare(walk, ours, theirs, path, place),
            note=f"{len(ours)} elements against {len(theirs)}",
        )

    def _in_place(self, walk: Walk, ours: list[Any], theirs: list[Any], path: Path, differing: list[int]) -> bool:
        """Messages of a list without rules by position, as lists.compare_in_place does where none has moved; whether that is sure."""
        if self._meaning.lists is not Lists.ALIGNED or ours[differing[0]] in [theirs[at] for at in differing]:
            return False
        walk.spend(len(differing), path)
        mark, path = walk.mark(), (*path, self._pair.step)
        look = (self._plan or self._planned(walk, ours[0], theirs[0])).look
        few, last, poor = len(differing) <= COUPLES_MAX, differing[-1], 0
        for at in differing:
            before = walk.count
            look(walk, ours[at], theirs[at], (*path, nth(at)))
            if few and (poor or at != last) and is_poor(ours[at], walk.count - before):
                poor += 1
        if poor > 1:  # then two of them may have changed places
            walk.back_to(mark)
        return poor <= 1

    def _values_in_place(
        self, walk: Walk, ours: list[Any], theirs: list[Any], path: Path, differing: list[int]
    ) -> bool:
        """The same of single values; it is sure where none of them occurs on the other side."""
        mine, others = [ours[at] for at in differing], [theirs[at] for at in differing]
        if self._meaning.lists is not Lists.ALIGNED or not set(mine).isdisjoint(others):
            return False
        walk.spend(len(differing), path)
        path = (*path, self._pair.step)
        shown: Any = self._leaf
        for at, one, other in zip(differing, mine, others, strict=True):
            walk.add((*path, nth(at)), Kind.VALUE, *shown.shown(one, other))
        return True

    def _single(self, walk: Walk, one: Any, other: Any, path: Path) -> None:
        """The one element that differs of a list without rules."""
        if self._leaf is not None:
            compare_leaf(walk, self._leaf, one, other, path, ())
            return
        before = walk.count
        (self._plan or self._planned(walk, one, other)).look(walk, one, other, path)
        if walk.setting.remarks:
            remark_message(walk, self._options, before, path, one, other)

    def _planned(self, walk: Walk, left: Message, right: Message) -> Plan:
        """Of the elements of a list without rules; found at the first use, for types recur."""
        found = self._plan = walk.plan_for(left, right, self._pair.place)
        return found

    def _compare(  # noqa: PLR0913, PLR0917 - the two, where they stand, and what is known of them
        self,
        walk: Walk,
        ours: list[Any],
        theirs: list[Any],
        path: Path,
        place: Place,
        differing: list[int] | None = None,
    ) -> None:
        elements: Sequences
        rules = rules_of(walk, place, self._rules)
        if self._leaf is not None:
            elements = Scalars(walk, ours, theirs, path, place, leaf=self._leaf, rules=rules)
        else:
            exact = self._exact and not (rules or place.step(ANY_ELEMENT).touched)
            elements = Messages(walk, ours, theirs, path, place, gated=self._gated, rules=rules, exact=exact)
            if differing is not None:
                elements.plan = self._plan or self._planned(walk, ours[0], theirs[0])
        elements.known = differing
        meaning = self._meaning
        by = None if place is walk.bare and meaning.keyed else meaning.by
        compare_sequences(elements, meaning.lists, by=by, keyed=meaning.keyed)


def _reader(access: Access) -> Callable[[Message], list[Any]]:
    """How the elements are read; a field that is single on this side has one or none."""
    get, has = access.get, access.has
    if has is not None:
        return lambda message: [get(message)] if has(message) else []

    if access.repeated:
        return lambda message: get(message)[:]

    def read(message: Message) -> list[Any]:
        value = get(message)
        if isinstance(value, str | bytes) or not hasattr(value, "__len__"):
            return [value] * bool(value)
        found: list[Any] = value[:]
        return found

    return read
