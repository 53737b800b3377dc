"""The parts of a plan that compare known fields: runs of plain scalars, single fields, lists, maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from mirror.core.compare.lists import By, Messages, Scalars, Sequences, compare_sequences
from mirror.core.compare.values import Leaf
from mirror.core.compare.walk import Rules, Walk, unless_ignored
from mirror.core.model import Kind
from mirror.core.path import Field, Key, Path, Typed
from mirror.core.rules import Ignore, Place

_NOTHING: Any = object()


@dataclass(frozen=True, slots=True)
class Access:
    """How one side's field is read. `has`: None where the field has no presence."""

    get: Callable[[Any], Any]
    has: Callable[[Any], bool] | None

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
            return cls(attrgetter(name), None)
        if field.containing_type is not None and "HasField" in field.containing_type.fields_by_name:
            # Then the message's attribute is that field.
            return cls(attrgetter(name), lambda message: bool(type(message).HasField(message, name)))
        return cls(attrgetter(name), lambda message: bool(message.HasField(name)))


@dataclass(frozen=True, slots=True)
class FieldPair:
    """One field as both sides have it, at one place of the rules."""

    step: Field | Typed
    place: Place
    left: Access
    right: Access


class ScalarRun:
    """Neighbouring scalars without presence, of one schema: read and held against each other all at once."""

    __slots__ = ("_fields", "_get")

    def __init__(self, fields: list[tuple[str, Place, Leaf]]) -> None:
        self._fields = [(Field(name), place, leaf) for name, place, leaf in fields]
        names = [name for name, _, _ in fields]
        one = attrgetter(names[0])
        self._get: Callable[[Any], tuple[Any, ...]] = (
            attrgetter(*names) if len(names) > 1 else lambda message: (one(message),)
        )

    def compare(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """By value: without presence, unset and default are one."""
        ours, theirs = self._get(left), self._get(right)
        if ours == theirs:
            return
        for (step, place, leaf), one, other in zip(self._fields, ours, theirs, strict=True):
            if one != other:
                compare_leaf(walk, leaf, one, other, (*path, step), place)


def compare_leaf(  # noqa: PLR0913, PLR0917 - the two values and where they stand
    walk: Walk, leaf: Leaf, left: Any, right: Any, path: Path, place: Place, inherited: Rules = ()
) -> None:
    """Report two single values unless they are the same."""
    if not leaf.same(left, right):
        rule = leaf.excuse((*place.rules, *inherited), left, right)
        walk.sink.add(path, Kind.VALUE, *leaf.shown(left, right), rule=rule)


class SingleScalar:
    """A scalar with presence on at least one side, or of two schemas. `inherited`: rules of a wrapper around it."""

    __slots__ = ("_inherited", "_leaf", "_pair")

    def __init__(self, pair: FieldPair, leaf: Leaf, inherited: Rules = ()) -> None:
        self._pair = pair
        self._leaf = leaf
        self._inherited = inherited

    def compare(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """By presence, then by value. Where one schema has no presence, unset equals default."""
        pair = self._pair
        one = pair.left.get(left) if pair.left.has is None or pair.left.has(left) else _NOTHING
        other = pair.right.get(right) if pair.right.has is None or pair.right.has(right) else _NOTHING
        if one is _NOTHING and other is _NOTHING:
            return
        path = (*path, pair.step)
        if one is not _NOTHING and other is not _NOTHING:
            compare_leaf(walk, self._leaf, one, other, path, pair.place, self._inherited)
        elif pair.left.has is None or pair.right.has is None:
            if pair.left.get(left) != pair.right.get(right):
                self._lonely(walk, one, other, path)
        else:
            self._lonely(walk, one, other, path)

    def _lonely(self, walk: Walk, one: Any, other: Any, path: Path) -> None:
        if other is _NOTHING:
            walk.lonely(path, self._pair.place, Kind.MISSING, self._leaf.shown(one, None)[0])
        else:
            walk.lonely(path, self._pair.place, Kind.ADDED, self._leaf.shown(None, other)[1])


class SingleMessage:
    """A message or group field."""

    __slots__ = ("_pair",)

    def __init__(self, pair: FieldPair) -> None:
        self._pair = pair

    def compare(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """One difference where only one side has it, else what differs within."""
        pair = self._pair
        has_left = pair.left.has is None or pair.left.has(left)
        has_right = pair.right.has is None or pair.right.has(right)
        if has_left and has_right:
            walk.messages(pair.left.get(left), pair.right.get(right), (*path, pair.step), pair.place)
        elif has_left:
            walk.lonely((*path, pair.step), pair.place, Kind.MISSING, pair.left.get(left))
        elif has_right:
            walk.lonely((*path, pair.step), pair.place, Kind.ADDED, pair.right.get(right))


class Repeated:
    """A list of scalars (`leaf`) or messages. A field that is single on one side is a list of at most one."""

    __slots__ = ("_by", "_gated", "_keyed", "_leaf", "_pair", "_rules")

    def __init__(  # noqa: PLR0913 - what the compiler knows of the field
        self, pair: FieldPair, *, leaf: Leaf | None, gated: bool, by: By | None, keyed: str, rules: Rules
    ) -> None:
        self._pair = pair
        self._leaf = leaf
        self._gated = gated
        self._by = by
        self._keyed = keyed
        self._rules = rules  # at the field itself: they hold for its elements

    def compare(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """See lists.compare_sequences."""
        ours, theirs = _elements(self._pair.left, left), _elements(self._pair.right, right)
        if not ours and not theirs:
            return
        path = (*path, self._pair.step)
        unless_ignored(
            walk,
            path,
            self._pair.place,
            lambda walk, place: self._compare(walk, ours, theirs, path, place),
            note=f"{len(ours)} elements against {len(theirs)}",
        )

    def _compare(self, walk: Walk, ours: list[Any], theirs: list[Any], path: Path, place: Place) -> None:
        elements: Sequences
        if self._leaf is not None:
            if walk.options.nan_equal and ours == theirs:
                return
            elements = Scalars(walk, ours, theirs, path, place, leaf=self._leaf, rules=self._rules)
        else:
            elements = Messages(walk, ours, theirs, path, place, gated=self._gated, rules=self._rules)
        compare_sequences(elements, by=None if place is walk.bare else self._by, keyed=self._keyed)


class MapField:
    """A map, by key. `leaf`: of scalar values."""

    __slots__ = ("_gated", "_leaf", "_pair", "_rules")

    def __init__(self, pair: FieldPair, *, leaf: Leaf | None, gated: bool, rules: Rules) -> None:
        self._pair = pair
        self._leaf = leaf
        self._gated = gated
        self._rules = rules

    def compare(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """Entries of one key against each other, in order of key."""
        ours, theirs = dict(self._pair.left.get(left).items()), dict(self._pair.right.get(right).items())
        if not ours and not theirs:
            return
        path = (*path, self._pair.step)
        unless_ignored(
            walk,
            path,
            self._pair.place,
            lambda walk, place: self._compare(walk, ours, theirs, path, place),
            note=f"{len(ours)} entries against {len(theirs)}",
        )

    def _compare(
        self, walk: Walk, ours: Mapping[Any, Any], theirs: Mapping[Any, Any], path: Path, place: Place
    ) -> None:
        decided = self._leaf is not None or self._gated
        unequal = [
            key
            for key in ours.keys() | theirs.keys()
            if not decided or key not in ours or key not in theirs or ours[key] != theirs[key]
        ]
        walk.budget.spend(len(unequal), path)
        for key in sorted(unequal):
            step = Key(key)
            at, entry = (*path, step), place.step(step)
            if key not in theirs:
                walk.lonely(at, entry, Kind.MISSING, self._shown(ours[key], 0))
            elif key not in ours:
                walk.lonely(at, entry, Kind.ADDED, self._shown(theirs[key], 1))
            elif self._leaf is not None:
                compare_leaf(walk, self._leaf, ours[key], theirs[key], at, entry, self._rules)
            else:
                walk.messages(ours[key], theirs[key], at, entry, self._rules)

    def _shown(self, value: Any, side: int) -> Any:
        if self._leaf is None:
            return value
        return self._leaf.shown(*((None, value) if side else (value, None)))[side]


class OneSided:
    """A field that only one schema has, or that has another type in each: its value cannot be held against any."""

    __slots__ = ("_left", "_note", "_place", "_right", "_step")

    def __init__(
        self, step: Field | Typed, place: Place, *, left: Access | None, right: Access | None, note: str
    ) -> None:
        self._step = step
        self._place = place
        self._left = left
        self._right = right
        self._note = note

    def compare(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """Added, missing, or of a type that makes it another value."""
        one = _value(self._left, left)
        other = _value(self._right, right)
        path = (*path, self._step)
        if one is not _NOTHING and other is not _NOTHING:
            ignore = self._place.find(Ignore)
            walk.sink.add(path, Kind.VALUE, one, other, rule=ignore.id if ignore else "", note=self._note)
        elif one is not _NOTHING:
            walk.lonely(path, self._place, Kind.MISSING, one, note=self._note)
        elif other is not _NOTHING:
            walk.lonely(path, self._place, Kind.ADDED, other, note=self._note)


def _elements(access: Access, message: Message) -> list[Any]:
    if access.has is not None:  # single on this side
        return [access.get(message)] if access.has(message) else []
    value = access.get(message)
    return list(value) if hasattr(value, "__len__") and not isinstance(value, str | bytes) else [value] * bool(value)


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
