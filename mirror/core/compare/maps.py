"""The part of a plan that compares a map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import compress
from operator import itemgetter, ne
from typing import Any, Final

from google.protobuf.message import Message

from mirror.core.compare.access import FieldPair, ignore_id, rules_of
from mirror.core.compare.elements import Messages, Scalars, Sequences
from mirror.core.compare.fields import remark_message
from mirror.core.compare.generated import Code
from mirror.core.compare.lists import compare_sequences
from mirror.core.compare.options import CompareOptions, Lists
from mirror.core.compare.scalars import compare_leaf
from mirror.core.compare.values import Leaf
from mirror.core.compare.walk import Plan, Rules, Walk, unless_ignored
from mirror.core.model import Kind
from mirror.core.path import Key, Path
from mirror.core.rules import Place

ENTRIES_MAX: Final = 200_000  # of a map, both sides together: copies of more would not fit


class MapField:
    """A map, by key. `leaf`: of scalar values.

    `quick`: of one schema, and two equal values are the same. `keyed`: whether keys count; else entries pair by their values. `valued`: whether values do.
    """

    __slots__ = ("_gated", "_keyed", "_leaf", "_options", "_pair", "_plan", "_quick", "_rules", "_valued")

    def __init__(  # noqa: PLR0913 - what the compiler knows of the field
        self,
        pair: FieldPair,
        options: CompareOptions,
        *,
        leaf: Leaf | None,
        gated: bool,
        quick: bool,
        rules: Rules,
        keyed: bool,
        valued: bool,
    ) -> None:
        self._pair = pair
        self._options = options
        self._leaf = leaf
        self._gated = gated
        self._rules = rules
        self._keyed = keyed
        self._valued = valued
        self._quick = quick
        self._plan: Plan | None = None  # of values without rules; found at the first use, for types recur

    def write(self, code: Code) -> None:
        """Empty maps are told; anything else by a call."""
        left, right = code.read(self._pair.left.name)
        if self._quick and self._pair.left.name == self._pair.right.name:
            within = code.bind(self.within)
            code.add(f"one = {left}", f"other = {right}", f"if one or other: {within}(walk, one, other, path)")
        else:
            code.add(f"{code.bind(self)}(walk, left, right, path)")

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """Entries of one key against each other, in order of key."""
        self.within(walk, self._pair.left.get(left), self._pair.right.get(right), path)

    def within(self, walk: Walk, mine: Any, others: Any, path: Path) -> None:
        """What differs in the two maps; `path` is of the message around."""
        if not mine and (not others or self._options.partial):
            return
        path = (*path, self._pair.step)
        if self._quick and len(mine) == len(others) <= ENTRIES_MAX and self._same_keys(walk, mine, others, path):
            return
        if len(mine) + len(others) > ENTRIES_MAX:
            if not (self._gated and mine == others):
                note = f"too complex: maps of {len(mine)} and {len(others)} entries; they were not compared"
                walk.add(path, Kind.VALUE, None, None, ignore_id(self._pair.place), note)
            return
        ours, theirs = {key: mine[key] for key in mine}, {key: others[key] for key in others}  # faster than items()
        if not self._pair.place.rules:
            self._compare(walk, ours, theirs, path, self._pair.place)
            return
        unless_ignored(
            walk,
            path,
            self._pair.place,
            lambda walk, place: self._compare(walk, ours, theirs, path, place),
            note=f"{len(ours)} entries against {len(theirs)}",
        )

    def _same_keys(self, walk: Walk, mine: Any, others: Any, path: Path) -> bool:
        """Compare two maps of one size, unless their keys differ or rules are at them; whether that was done."""
        keys = list(mine)
        values, other_values = _values(mine, others, keys)
        if values == other_values:
            return True
        if not self._keyed or self._pair.place.rules or None in other_values:
            return False
        unlike = sorted(compress(keys, map(ne, values, other_values)))
        walk.spend(len(unlike), path)
        for key in unlike if self._valued else ():
            step = Key(key)
            self._entry(walk, mine[key], others[key], (*path, step), self._pair.place.step(step))
        return True

    def _compare(
        self, walk: Walk, ours: Mapping[Any, Any], theirs: Mapping[Any, Any], path: Path, place: Place
    ) -> None:
        if not self._keyed:
            self._by_value(walk, ours, theirs, path, place)
            return
        common = ours.keys() & theirs.keys()
        unequal = sorted(k for k in common if ours[k] != theirs[k]) if self._gated else sorted(common)
        added = [] if walk.options.partial else sorted(theirs.keys() - common)
        missing = sorted(ours.keys() - common)
        walk.spend(len(unequal) + len(added) + len(missing), path)
        for key in unequal if self._valued else ():
            step = Key(key)
            self._entry(walk, ours[key], theirs[key], (*path, step), place.step(step))
        for key in added:
            step = Key(key)
            walk.lonely((*path, step), place.step(step), Kind.ADDED, self._shown(theirs[key], 1))
        for key in missing:
            step = Key(key)
            walk.lonely((*path, step), place.step(step), Kind.MISSING, self._shown(ours[key], 0))

    def _by_value(
        self, walk: Walk, ours: Mapping[Any, Any], theirs: Mapping[Any, Any], path: Path, place: Place
    ) -> None:
        keys = sorted(ours), sorted(theirs)
        left, right = [ours[key] for key in keys[0]], [theirs[key] for key in keys[1]]
        values: Sequences
        rules = rules_of(walk, place, self._rules)
        if self._leaf is None:
            values = Messages(walk, left, right, path, place, gated=self._gated, rules=rules)
        else:
            values = Scalars(walk, left, right, path, place, leaf=self._leaf, rules=rules)
        values.keys = keys
        compare_sequences(values, Lists.SET)

    def _entry(self, walk: Walk, one: Any, other: Any, path: Path, place: Place) -> None:
        before = walk.count
        rules = rules_of(walk, place, self._rules)
        if self._leaf is None:
            if not self._gated:
                walk.messages(one, other, path, place, rules)
            elif place.touched or rules:  # the two are known to differ
                walk.plan_for(one, other, place, rules).look(walk, one, other, path)
            else:
                plan = self._plan = self._plan or walk.plan_for(one, other, place)
                plan.look(walk, one, other, path)
            if walk.setting.remarks:
                remark_message(walk, self._options, before, path, one, other)
            return
        same = compare_leaf(walk, self._leaf, one, other, path, (*place.rules, *rules))
        if same and self._options.matches:
            walk.remark(path, Kind.MATCHED, one, other)

    def _shown(self, value: Any, side: int) -> Any:
        if self._leaf is None:
            return value
        return self._leaf.shown(*((None, value) if side else (value, None)))[side]


def _values(mine: Any, others: Any, keys: list[Any]) -> tuple[Iterable[Any], Iterable[Any]]:
    """Of `mine`, whose keys are given, and of `others`, None for those that it has not; faster than dictionaries."""
    if len(keys) > 1:
        get = itemgetter(*keys)  # where both have the same keys they mostly stand in the same order
        return get(mine), get(others) if list(others) == keys else tuple(map(others.get, keys))
    return list(map(mine.get, keys)), list(map(others.get, keys))
