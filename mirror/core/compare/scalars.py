"""The parts of a plan that compare single values: plain scalars, and those with presence or of two schemas."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import Any

from google.protobuf.message import Message

from mirror.core.compare.access import FieldPair, lonely
from mirror.core.compare.generated import Code
from mirror.core.compare.options import CompareOptions
from mirror.core.compare.values import Leaf
from mirror.core.compare.walk import Rules, Walk
from mirror.core.model import Kind
from mirror.core.path import Field, Path

VALUE, MISSING, ADDED = Kind.VALUE, Kind.MISSING, Kind.ADDED  # looking up a member of an enum costs as much as a field


class PlainScalar:
    """A scalar without presence, of one schema.

    `valued`: unset is the default and nothing else, as in a wrapper; a field at its default is not *missing* then.
    """

    flat = True  # no message is in it
    __slots__ = ("_added", "_asks", "_leaf", "_name", "_read", "_rules", "_steps", "_valued")

    def __init__(self, name: str, rules: Rules, leaf: Leaf, options: CompareOptions, *, valued: bool = False) -> None:
        self._name = name
        self._read = attrgetter(name)
        self._steps = (Field(name),)
        self._rules = rules
        self._leaf = leaf
        self._asks = bool(rules) or leaf.loose  # whether two values that are set and not `==` are to be asked something
        self._valued = valued or options.equivalent
        self._added = not options.partial or (options.force_no_presence and not options.equivalent)

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """By value; one that is at its default on one side is missing or added."""
        one, other = self._read(left), self._read(right)
        if one != other:
            self.differ(walk, one, other, path)

    def write(self, code: Code) -> None:
        """The same."""
        left, right = code.read(self._name)
        differ = f"{code.bind(self.differ)}(walk, one, other, path)"
        code.add(f"one = {left}", f"other = {right}", "if one != other:")
        if self._asks:
            code.add(f"    {differ}")
            return
        values = f"*{code.bind(self._leaf.shown)}(one, other)" if self._leaf.named else "one, other"
        row = f"(path + {code.bind(self._steps)}, {code.bind(VALUE)}, {values}, '', '', ())"
        numbers = " and one == one and other == other" if self._leaf.inexact else ""  # neither is NaN
        code.add(
            "    count = walk.count",
            f"    if one and other and count < walk.quick_max{numbers}:",
            "        walk.count = count + 1",
            f"        walk.rows.append({row})",
            f"    else: {differ}",
        )

    def differ(self, walk: Walk, one: Any, other: Any, path: Path) -> None:
        """Report two values that are not `==`, `path` is the message's, unless they are the same after all."""
        leaf = self._leaf
        if one and other and not self._asks and (one == one or other == other):  # noqa: PLR0124 - not both NaN
            if leaf.named:
                one, other = leaf.shown(one, other)
            walk.add(path + self._steps, VALUE, one, other)
            return
        if (leaf.loose or one != one) and leaf.same(one, other):  # noqa: PLR0124 - this is how NaN shows
            return
        if one and other:
            kind = VALUE
        elif one:
            kind = VALUE if self._valued else MISSING
        elif self._added:
            kind = VALUE if self._valued else ADDED
        else:
            return
        if kind is VALUE and leaf.loose and leaf.near(one, other):
            return
        rule = leaf.excuse(self._rules, one, other, walk.spender(path)) if self._rules else ""
        ours, theirs = leaf.shown(one, other) if leaf.named else (one, other)
        walk.add(path + self._steps, kind, ours, theirs, rule)


def compare_leaf(  # noqa: PLR0913, PLR0917 - the two values and where they stand
    walk: Walk, leaf: Leaf, left: Any, right: Any, path: Path, rules: Rules
) -> bool:
    """Report two single values unless they are the same; whether they are."""
    if leaf.same(left, right) or (leaf.loose and leaf.near(left, right)):
        return True
    rule = leaf.excuse(rules, left, right, walk.spender(path)) if rules else ""
    if leaf.named:
        left, right = leaf.shown(left, right)
    walk.add(path, VALUE, left, right, rule)
    return bool(rule)


class SingleScalar:
    """A scalar with presence on at least one side, or of two schemas."""

    flat = True  # no message is in it
    __slots__ = ("_added", "_default", "_equivalent", "_leaf", "_matches", "_no_presence", "_pair", "_partial")

    def __init__(self, pair: FieldPair, leaf: Leaf, options: CompareOptions, default: Any) -> None:
        self._pair = pair
        self._leaf = leaf
        self._default = default
        self._equivalent = options.equivalent
        self._partial = options.partial
        self._matches = options.matches
        self._no_presence = pair.left.has is None and pair.right.has is None
        self._added = not options.partial or (options.force_no_presence and self._no_presence)

    def _is_set(self, value: Any) -> bool:
        """Of a field without presence; -0.0 is on the wire, and so set."""
        return value != self._default or (value == 0 and isinstance(value, float) and math.copysign(1.0, value) < 0)

    def write(self, code: Code) -> None:
        """Equal values of equal presence are told; anything else by a call."""
        part, has = code.bind(self), self._pair.has(code)
        if has is None or self._matches:
            code.add(f"{part}(walk, left, right, path)")
            return
        left, right = code.read(self._pair.left.name)
        code.add(f"if {left} != {right} or {has[0]} is not {has[1]}: {part}(walk, left, right, path)")

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """By presence, then by value. Where one schema has no presence, unset equals default."""
        pair = self._pair
        one, other = pair.left.get(left), pair.right.get(right)
        has_left = pair.left.has(left) if pair.left.has is not None else self._is_set(one)
        has_right = pair.right.has(right) if pair.right.has is not None else self._is_set(other)
        if not (has_left or has_right) or (self._partial and self._equivalent and not has_left):
            return
        if (has_left and has_right) or self._equivalent:
            same = compare_leaf(walk, self._leaf, one, other, (*path, pair.step), pair.rules)
            if same and self._matches:
                walk.remark((*path, pair.step), Kind.MATCHED, one, other)
        elif (pair.left.has is None) is not (pair.right.has is None) and self._leaf.same(one, other):
            return
        elif has_left or self._added:
            kind = MISSING if has_left else ADDED
            if self._no_presence:
                rule = self._leaf.excuse(pair.rules, one, other, walk.spender(path)) if pair.rules else ""
                walk.add((*path, pair.step), kind, *self._leaf.shown(one, other), rule)
            else:
                ours, theirs = self._leaf.shown(one if has_left else None, None if has_left else other)
                lonely(walk, pair, kind, ours if has_left else theirs, path, self._default)
