"""Compiles plans: what is worked out once for two descriptors at one place of the rules.

Fields of two schemas meet by number. A field that only one of them has, or whose type changed so that no value of one
is a value of the other, gets a part that reports it wherever it is set: equal bytes are no equal values there.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from mirror.core.compare.fields import (
    Access,
    FieldPair,
    MapField,
    OneSided,
    Repeated,
    ScalarRun,
    SingleMessage,
    SingleScalar,
)
from mirror.core.compare.lists import By, KeyOf, canonical, key_rule
from mirror.core.compare.reflect import ANY, is_any, is_time
from mirror.core.compare.special import AnyPart, ExtensionsPart, TimePart, UnknownPart
from mirror.core.compare.values import Leaf, comparable, is_map, is_message, is_repeated, type_of
from mirror.core.compare.walk import Part, Plan, Rules
from mirror.core.path import AnySteps, Field, PathPattern, PatternStep, Typed
from mirror.core.rules import Ignore, Place, TimeWindow, Tolerance, ValueClass

WRAPPERS: Final = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
_LEAF_RULES: Final = (Ignore, Tolerance, TimeWindow, ValueClass)
PLANS_MAX: Final = 10_000
_TYPE_NAMES: Final = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


class Compiler:
    """Plans by (left descriptor, right descriptor, place, inherited rules); kept, up to PLANS_MAX."""

    def __init__(self, *, nan_equal: bool) -> None:
        self._nan_equal = nan_equal
        self._plans: dict[tuple[Descriptor, Descriptor, Place, Rules], Plan] = {}
        self._floats: dict[Descriptor, bool] = {}

    def plan(self, left: Descriptor, right: Descriptor, place: Place, inherited: Rules = ()) -> Plan:
        """The plan, compiled at its first use."""
        found = self._plans.get((left, right, place, inherited))
        if found is None:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            found = self._plans[left, right, place, inherited] = self._compile(left, right, place, inherited)
        return found

    def _compile(self, left: Descriptor, right: Descriptor, place: Place, inherited: Rules) -> Plan:
        ignore = place.find(Ignore)
        return Plan(
            tuple(self._parts(left, right, place, inherited)),
            gated=self._gated(left, right),
            ignore=ignore.id if ignore else "",
        )

    def _gated(self, left: Descriptor, right: Descriptor) -> bool:
        return left is right and (self._nan_equal or not self._may_hold_floats(left))

    def _may_hold_floats(self, root: Descriptor) -> bool:
        """Whether a NaN may lie at any depth: `==` of messages compares bits, so it would be equal to itself."""
        if root not in self._floats:
            seen, waiting, found = {root}, [root], False
            while waiting and not found:
                message = waiting.pop()
                found = message.full_name == ANY or message.is_extendable
                for field in message.fields:
                    found = found or field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE)
                    if is_message(field) and type_of(field) not in seen:
                        seen.add(type_of(field))
                        waiting.append(type_of(field))
            self._floats[root] = found
        return self._floats[root]

    def _parts(self, left: Descriptor, right: Descriptor, place: Place, inherited: Rules) -> Iterable[Part]:
        yield UnknownPart(place)
        if left.full_name == right.full_name:
            if is_any(left) and is_any(right):
                yield AnyPart(place)
                return
            if is_time(left) and is_time(right) and not _names_parts(place, left):
                yield TimePart((*place.rules, *inherited))
                return
        rules = (*leaf_rules(place), *inherited) if left.full_name in WRAPPERS else ()
        yield from self._fields(left, right, place, rules)
        if left.is_extendable or right.is_extendable:
            yield ExtensionsPart(lambda one, other: self._part(one, other, place, ()))

    def _fields(self, left: Descriptor, right: Descriptor, place: Place, inherited: Rules) -> Iterable[Part]:
        """In order of number, neighbouring plain scalars in one part."""
        run: list[tuple[str, Place, Leaf]] = []
        numbers = sorted({field.number for side in (left, right) for field in side.fields})
        for number in numbers:
            one, other = left.fields_by_number.get(number), right.fields_by_number.get(number)
            if one is not None and one is other and not inherited and _is_plain(one):
                run.append((one.name, place.step(Field(one.name)), self._leaf(one, one)))
                continue
            if run:
                yield ScalarRun(run)
                run = []
            yield self._part(one, other, place, inherited)
        if run:
            yield ScalarRun(run)

    def _leaf(self, left: FieldDescriptor, right: FieldDescriptor) -> Leaf:
        return Leaf(left, right, nan_equal=self._nan_equal)

    def _part(
        self, left: FieldDescriptor | None, right: FieldDescriptor | None, parent: Place, inherited: Rules
    ) -> Part:
        newer = right if right is not None else left
        if newer is None:
            raise ValueError("a part needs a field")
        step = Typed(newer.full_name) if newer.is_extension else Field(newer.name)
        place = parent.step(step)
        if left is None or right is None:
            side = "primary" if right is None else "shadow"
            return OneSided(
                step,
                place,
                left=None if left is None else Access.of(left),
                right=None if right is None else Access.of(right),
                note=f"only the {side}'s schema has this field",
            )
        if not place.touched and left.name != newer.name:
            place = parent.step(Field(left.name))  # a rule may use either name of a renamed field
        pair = FieldPair(step, place, Access.of(left), Access.of(right))
        both_maps = is_map(left) and is_map(right)
        if both_maps and comparable(*_map_field(left, right, 1)) and comparable(*_map_field(left, right, 2)):
            return self._map(left, right, pair)
        if is_map(left) or is_map(right) or not comparable(left, right):
            note = f"the type changed from {_type_name(left)} to {_type_name(right)}"
            return OneSided(step, place, left=pair.left, right=pair.right, note=note)
        if is_repeated(left) or is_repeated(right):
            return self._repeated(left, right, pair)
        return SingleMessage(pair) if is_message(left) else SingleScalar(pair, self._leaf(left, right), inherited)

    def _map(self, left: FieldDescriptor, right: FieldDescriptor, pair: FieldPair) -> Part:
        one, other = _map_field(left, right, 2)
        leaf = None if is_message(one) else self._leaf(one, other)
        gated = leaf is None and self._gated(type_of(one), type_of(other))
        return MapField(pair, leaf=leaf, gated=gated, rules=leaf_rules(pair.place))

    def _repeated(self, left: FieldDescriptor, right: FieldDescriptor, pair: FieldPair) -> Part:
        leaf = None if is_message(left) else self._leaf(left, right)
        keyed = key_rule(pair.place)
        by = None
        if leaf is None and keyed is not None:
            by = keys_of(type_of(left), type_of(right), keyed.by)
        return Repeated(
            pair,
            leaf=leaf,
            gated=leaf is None and self._gated(type_of(left), type_of(right)),
            by=by,
            keyed=keyed.id if keyed else "",
            rules=leaf_rules(pair.place),
        )


def leaf_rules(place: Place) -> Rules:
    """Those at a list, a map or a wrapper that hold for the values in it."""
    return tuple(rule for rule in place.rules if isinstance(rule, _LEAF_RULES))


def keys_of(left: Descriptor, right: Descriptor, by: tuple[str, ...]) -> By | None:
    """How the keys of list elements are read on either side; None where a key path is in neither type."""
    ours, theirs = _key_of(left, by), _key_of(right, by)
    if ours is None and theirs is None:
        return None
    return ours or _no_key, theirs or _no_key


def _no_key(_element: Any) -> Hashable:
    return None


def _key_of(descriptor: Descriptor, by: tuple[str, ...]) -> KeyOf | None:
    paths = [_fields_of(descriptor, path) for path in by]
    found = [path for path in paths if path is not None]
    if len(found) < len(paths):
        return None
    return lambda element: tuple(_key(element, path) for path in found)


def _fields_of(descriptor: Descriptor, path: str) -> list[Access] | None:
    """How to go down `path` (names and extensions) from a message of this type; None where it leads nowhere."""
    message: Descriptor | None = descriptor
    found: list[Access] = []
    for step in PathPattern.parse(path).steps:
        if message is None:
            return None
        field = message.fields_by_name.get(step.name) if isinstance(step, Field) else _extension(message, step)
        if field is None or (is_repeated(field) and field.message_type is not None):
            return None
        found.append(Access.of(field))
        message = field.message_type
    return found


def _extension(message: Descriptor, step: PatternStep) -> FieldDescriptor | None:
    try:
        return message.file.pool.FindExtensionByName(step.name) if isinstance(step, Typed) else None
    except KeyError:
        return None


def _key(element: Any, path: list[Access]) -> Hashable:
    for access in path:
        element = access.get(element)
    if isinstance(element, Message):
        return canonical(element)
    if isinstance(element, str | bytes) or not hasattr(element, "__len__"):
        return element if element == element else "NaN"  # noqa: PLR0124 - this is how NaN shows
    return repr(list(element))


def _is_plain(field: FieldDescriptor) -> bool:
    return not (field.has_presence or is_repeated(field) or is_message(field) or field.is_extension)


def _names_parts(place: Place, message: Descriptor) -> bool:
    """Whether a rule means `seconds` or `nanos` by name."""
    return any(
        not isinstance(rule.scope.path.steps[-1], AnySteps)
        for field in message.fields
        for rule in place.step(Field(field.name)).rules
    )


def _map_field(left: FieldDescriptor, right: FieldDescriptor, number: int) -> tuple[FieldDescriptor, FieldDescriptor]:
    return type_of(left).fields_by_number[number], type_of(right).fields_by_number[number]


def _type_name(field: FieldDescriptor) -> str:
    if is_map(field):
        return "map"
    name = type_of(field).full_name if is_message(field) else _TYPE_NAMES.get(field.type, str(field.type))
    return f"repeated {name}" if is_repeated(field) else name
