"""The parts of a plan that compare single fields: runs of plain scalars, scalars, messages, and what is of one side only."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter, methodcaller
from types import MethodDescriptorType
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from mirror.core.compare.generated import Code
from mirror.core.compare.options import CompareOptions
from mirror.core.compare.presence import is_default
from mirror.core.compare.values import Leaf, is_repeated
from mirror.core.compare.walk import Plan, Rules, Walk
from mirror.core.model import Kind
from mirror.core.path import Field, Index, Key, Path, Typed
from mirror.core.rules import Ignore, Place, Presence

_NOTHING: Any = object()
VALUE, MISSING, ADDED = Kind.VALUE, Kind.MISSING, Kind.ADDED  # looking up a member of an enum costs as much as a field


@dataclass(frozen=True, slots=True)
class Access:
    """How one side's field is read. `has`: None where the field has no presence.

    `asked` is what a written function asks instead, with the message and `name`: HasField, where it is surely that.
    """

    get: Callable[[Any], Any]
    has: Callable[[Any], bool] | None
    repeated: bool = False
    name: str = ""
    asked: Any = None

    @classmethod
    def of(cls, field: FieldDescriptor) -> Access:
        """For a field or an extension."""
        if field.is_extension:
            return cls(
                lambda message: message.Extensions[field],
                (lambda message: bool(message.HasExtension(field))) if field.has_presence else None,
            )
        name = field.name
        if not field.has_presence:
            return cls(attrgetter(name), None, is_repeated(field), name)
        if field.containing_type is not None and "HasField" in field.containing_type.fields_by_name:
            # Then the message's attribute is that field.
            return cls(attrgetter(name), lambda message: bool(type(message).HasField(message, name)))
        asked: Any = GetMessageClass(field.containing_type).HasField if field.containing_type is not None else None
        if type(asked) is not MethodDescriptorType:
            return cls(attrgetter(name), methodcaller("HasField", name))
        # A third of the time of a look-up by name.
        return cls(attrgetter(name), lambda message: asked(message, name), name=name, asked=asked)

    def holds(self, message: Message) -> bool:
        """Whether the field is set or, without presence, not empty or default."""
        return self.has(message) if self.has is not None else bool(self.get(message))


@dataclass(frozen=True, slots=True)
class FieldPair:
    """One field as both sides have it, at one place of the rules."""

    step: Field | Typed
    place: Place
    left: Access
    right: Access
    rules: Rules  # those that hold for a value here: of the place, and of a wrapper around it

    def has(self, code: Code) -> tuple[str, str] | None:
        """Two expressions: whether the field is set on either side. None: they are not to be written out."""
        name, asked = self.left.name, self.left.asked
        if asked is None or asked is not self.right.asked or name != self.right.name:
            return None
        bound = code.bind(asked)
        return f"{bound}(left, {name!r})", f"{bound}(right, {name!r})"


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
        if self._asks or self._leaf.inexact or self._leaf.named:
            code.add(f"    {differ}")
            return
        row = f"(path + {code.bind(self._steps)}, {code.bind(VALUE)}, one, other, '', '', ())"
        code.add(
            "    if one and other and walk.count < walk.quick_max:",
            "        walk.count += 1",
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


class SingleMessage:
    """A message or group field. `gated`: two that are `==` are the same."""

    __slots__ = ("_gated", "_options", "_pair", "_plan", "_steps")

    def __init__(self, pair: FieldPair, options: CompareOptions, *, gated: bool) -> None:
        self._pair = pair
        self._options = options
        self._gated = gated
        self._steps = (pair.step,)
        self._plan: Plan | None = None  # of the messages in this field; found at the first use, for types recur

    def write(self, code: Code) -> None:
        """Two that are there and equal are told, and two that are not there; anything else by a call."""
        part, has = code.bind(self), self._pair.has(code)
        if has is None or not self._gated:
            code.add(f"{part}(walk, left, right, path)")
            return
        left, right = code.read(self._pair.left.name)
        code.add(
            f"if {has[0]}:",
            f"    if {has[1]}:",
            f"        one = {left}",
            f"        other = {right}",
            f"        if one != other: {code.bind(self.within)}(walk, one, other, path)",
            f"    else: {part}(walk, left, right, path)",
            f"elif {has[1]}: {part}(walk, left, right, path)",
        )

    def within(self, walk: Walk, one: Message, other: Message, path: Path) -> None:
        """What differs in two messages that are both there; `path` is of the message around."""
        path += self._steps
        before = walk.count
        plan = self._plan = self._plan or walk.plan_for(one, other, self._pair.place)
        plan.look(walk, one, other, path)
        if walk.setting.remarks:
            remark_message(walk, self._options, before, path, one, other)

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """One difference where only one side has it, else what differs within."""
        pair, options = self._pair, self._options
        has_left = pair.left.has is None or pair.left.has(left)
        has_right = pair.right.has is None or pair.right.has(right)
        if (has_left and has_right) or (options.equivalent and (has_left or (has_right and not options.partial))):
            one, other = pair.left.get(left), pair.right.get(right)
            if not (self._gated and one == other):
                self.within(walk, one, other, path)
        elif has_left:
            lonely(walk, pair, MISSING, pair.left.get(left), path)
        elif has_right and not options.partial:
            lonely(walk, pair, ADDED, pair.right.get(right), path)


def remark_message(  # noqa: PLR0913, PLR0917 - the two and where they stand
    walk: Walk, options: CompareOptions, before: int, path: Path, left: Any, right: Any
) -> None:
    """What the options want to be told of a message as a whole, after what is in it. `before`: the count till then."""
    if walk.count > before:
        if options.aggregates:
            walk.add(path, VALUE, left, right)
    elif options.matches:
        walk.remark(path, Kind.MATCHED, left, right)


def lonely(  # noqa: PLR0913, PLR0917 - what there is, and where
    walk: Walk, pair: FieldPair, kind: Kind, value: Any, path: Path, default: Any = None
) -> None:
    """Only one side has the field; a presence rule excuses it where `value` is what an unset one reads as."""
    path = (*path, pair.step)
    presence = pair.place.find(Presence)
    if presence is not None and pair.place.find(Ignore) is None and is_default(value, default):
        left, right = (value, None) if kind is MISSING else (None, value)
        walk.add(path, kind, left, right, presence.id)
    else:
        walk.lonely(path, pair.place, kind, value)


class IgnoredField:
    """A field that the options ignore, or a rule where the options want to be told of it: its values do not matter."""

    __slots__ = ("_left", "_remark", "_right", "_step")

    def __init__(self, step: Field | Typed, left: Access | None, right: Access | None, *, remark: bool) -> None:
        self._step = step
        self._left = left
        self._right = right
        self._remark = remark

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """A remark where either side has it."""
        sides = ((self._left, left), (self._right, right))
        if self._remark and any(access is not None and access.holds(message) for access, message in sides):
            walk.remark((*path, self._step), Kind.IGNORED)


class OneSided:
    """A field that only one schema has, or that has another type in each: its value cannot be held against any."""

    __slots__ = ("_left", "_note", "_pair_place", "_partial", "_right", "_step")

    def __init__(  # noqa: PLR0913 - what there is to know of it
        self,
        step: Field | Typed,
        place: Place,
        *,
        left: Access | None,
        right: Access | None,
        note: str,
        partial: bool = False,
    ) -> None:
        self._step = step
        self._pair_place = place
        self._left = left
        self._right = right
        self._note = note
        self._partial = partial

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """Added, missing, or of a type that makes it another value."""
        one = _value(self._left, left)
        other = _value(self._right, right)
        path = (*path, self._step)
        if one is not _NOTHING and other is not _NOTHING:
            walk.add(path, VALUE, one, other, ignore_id(self._pair_place), self._note)
        elif one is not _NOTHING:
            walk.lonely(path, self._pair_place, MISSING, one, note=self._note)
        elif other is not _NOTHING and not self._partial:
            walk.lonely(path, self._pair_place, ADDED, other, note=self._note)


class NamedOnce:
    """A root field that `options.only` names for one side: it is missing or added, set or not."""

    __slots__ = ("_access", "_kind", "_step")

    def __init__(self, step: Field | Typed, access: Access, kind: Kind) -> None:
        self._step = step
        self._access = access
        self._kind = kind

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """One difference for each element of a list or map, else one."""
        path = (*path, self._step)
        value = self._access.get(left if self._kind is MISSING else right)
        if isinstance(value, str | bytes | Message) or not hasattr(value, "__len__"):
            self._add(walk, path, value)
        elif hasattr(value, "items"):
            for key in sorted(value):
                self._add(walk, (*path, Key(key)), value[key])
        else:
            for at, element in enumerate(value):
                self._add(walk, (*path, Index(at)), element)
        if hasattr(value, "__len__") and not isinstance(value, str | bytes | Message) and not len(value):
            self._add(walk, path, None)

    def _add(self, walk: Walk, path: Path, value: Any) -> None:
        left, right = (value, None) if self._kind is MISSING else (None, value)
        walk.add(path, self._kind, left, right, note="named for one side")


def ignore_id(place: Place) -> str:
    """The id of the rule that ignores this place, or ""."""
    return next((rule.id for rule in place.rules if rule.type == "ignore"), "")


def _value(access: Access | None, message: Message) -> Any:
    """What is set, as a plain value; of lists and maps a tuple of what they hold."""
    if access is None or (access.has is not None and not access.has(message)):
        return _NOTHING
    value = access.get(message)
    if isinstance(value, Message):  # some have methods of containers (Struct)
        return value
    if hasattr(value, "items"):
        value = tuple(value.items())
    elif hasattr(value, "__len__") and not isinstance(value, str | bytes):
        value = tuple(value)
    return value if access.has is not None or value else _NOTHING
