"""Compiles plans: what is worked out once for two descriptors at one place of the rules.

Fields of two schemas meet by number. A field that only one of them has, or whose type changed so that no value of one
is a value of the other, gets a part that reports it wherever it is set: equal bytes are no equal values there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from mirror.core.compare.access import Access, FieldPair, ignore_id
from mirror.core.compare.closure import Closures
from mirror.core.compare.fields import IgnoredField, NamedOnce, OneSided, SingleMessage
from mirror.core.compare.generated import plan_of
from mirror.core.compare.keys import keys_of
from mirror.core.compare.lists import key_rule
from mirror.core.compare.maps import MapField
from mirror.core.compare.options import CompareOptions, FieldOptions, Lists
from mirror.core.compare.reach import meets_field, meets_message
from mirror.core.compare.reflect import is_any, is_field_mask, is_time, is_value
from mirror.core.compare.repeated import ListMeaning, Repeated
from mirror.core.compare.scalars import PlainScalar, SingleScalar
from mirror.core.compare.special import (
    AnyPart,
    ExtensionsPart,
    compare_closed,
    compare_ignored,
    compare_masks,
    compare_times,
    compare_value,
)
from mirror.core.compare.unknown import compare_unknown
from mirror.core.compare.values import FLOATS, Leaf, Near, comparable, is_map, is_message, is_repeated, type_of
from mirror.core.compare.walk import Part, Plan, Rules
from mirror.core.model import Kind
from mirror.core.path import AnyName, AnySteps, Field, Typed
from mirror.core.rules import VALUE_RULES, Ignore, Place

WRAPPERS: Final = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
LEAF_RULES: Final = (Ignore, *VALUE_RULES)
PLANS_MAX: Final = 10_000
_NO_OPTIONS: Final = FieldOptions("")
_TYPE_NAMES: Final = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


class Compiler:
    """Plans by (left descriptor, right descriptor, place, inherited rules); kept, up to PLANS_MAX.

    `bare`: the place of no rules. `ruled`: whether any rule ignores something, of which the options may want to be told.
    `equals`: whether plans may ask `==` of messages, where that decides.
    """

    def __init__(self, options: CompareOptions, bare: Place, *, ruled: bool = False, equals: bool = True) -> None:
        self._options = options
        self._equals = equals
        self._bare = bare
        self._fields = {each.name: each for each in options.fields}
        self._closures = Closures()
        told = options.ignores and (ruled or any(each.ignore for each in options.fields))
        self.gates = not (options.matches or told)  # whether `==` may ever cut a comparison short
        self._strict = not (options.equivalent or options.partial or options.approximate or options.fields)
        self._plans: dict[tuple[Descriptor, Descriptor, Place, Rules], Plan] = {}

    def plan(self, left: Descriptor, right: Descriptor, place: Place, inherited: Rules = ()) -> Plan:
        """The plan, compiled at its first use."""
        found = self._plans.get((left, right, place, inherited))
        if found is None:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            found = self._plans[left, right, place, inherited] = self._made(left, right, place, inherited)
        return found

    def root(self, left: Descriptor, right: Descriptor, place: Place) -> Plan:
        """The plan of the outermost messages, of which `options.only` may name the fields to look at."""
        if self._options.only is None or ignore_id(place):
            return self.plan(left, right, place)
        return plan_of(self._only(left, right, place), None, self._options, gated=False)

    def _made(self, left: Descriptor, right: Descriptor, place: Place, inherited: Rules) -> Plan:
        if place.touched and not meets_message(place, left, right):
            return self.plan(left, right, self._bare, inherited)
        gated = self._gated(left, right)
        ignore = ignore_id(place)
        if ignore:
            return Plan(partial(compare_ignored, ignore), gated)
        opened = is_any(left) and is_any(right)  # its own unknown fields are looked at where it stays closed
        unknown = None if self._options.equivalent or opened else partial(compare_unknown, place)
        parts = self._parts(left, right, place, inherited)
        return plan_of(parts, unknown, self._options, gated=gated)

    def _gated(self, left: Descriptor, right: Descriptor) -> bool:
        return self.gates and self._equal_is_same(left, right)

    def _equal_is_same(self, left: Descriptor, right: Descriptor) -> bool:
        # `==` of messages compares bits, so a NaN would be equal to itself.
        return self._equals and left is right and (self._options.nan_equal or not self._closures.of(left).floats)

    def _parts(self, left: Descriptor, right: Descriptor, place: Place, inherited: Rules) -> Iterable[Part]:
        if left.full_name == right.full_name:
            if is_any(left) and is_any(right):
                yield AnyPart(place, self._closed(left, right, place), by_meaning=self._options.by_meaning)
                return
            meant = self._by_meaning(left, right, place, (*place.rules, *inherited))
            if meant is not None:
                yield meant
                return
        wrapper = self._options.by_meaning and left.full_name in WRAPPERS
        rules = (*leaf_rules(place), *inherited) if left.full_name in WRAPPERS else ()
        yield from self._declared(left, right, place, rules, valued=wrapper)
        if left.is_extendable or right.is_extendable:
            make = partial(self._part, parent=place, inherited=(), options=self._options)
            yield ExtensionsPart(make)

    def _closed(self, left: Descriptor, right: Descriptor, place: Place) -> Part:
        """Compares an Any field by field, without opening it."""
        parts = tuple(self._declared(left, right, place, (), valued=False))
        unknown = None if self._options.equivalent else partial(compare_unknown, place)
        return partial(compare_closed, parts, unknown)

    def _by_meaning(self, left: Descriptor, right: Descriptor, place: Place, rules: Rules) -> Part | None:
        """Of the types that are one value; a rule that names what is inside has its way."""
        if not self._options.by_meaning:
            return None
        if is_time(left) and is_time(right) and not _names_parts(place, left):
            return partial(compare_times, rules)
        if is_field_mask(left) and is_field_mask(right) and not _names_parts(place, left):
            return partial(compare_masks, rules)
        if is_value(left) and is_value(right) and left is right:
            parts = tuple(self._declared(left, right, place, (), valued=False))
            return partial(compare_value, parts, ignore_id(place))
        return None

    def _declared(
        self, left: Descriptor, right: Descriptor, place: Place, inherited: Rules, *, valued: bool
    ) -> Iterable[Part]:
        """In order of number."""
        options = replace(self._options, equivalent=True) if valued else self._options
        numbers = sorted({field.number for side in (left, right) for field in side.fields})
        for number in numbers:
            one, other = left.fields_by_number.get(number), right.fields_by_number.get(number)
            if one is not None and one is other and self._is_plain(one):
                rules = (*place.step(Field(one.name)).rules, *inherited)
                yield PlainScalar(one.name, rules, self._leaf(one, one), options)
            else:
                yield self._part(one, other, parent=place, inherited=inherited, options=options)

    def _only(self, left: Descriptor, right: Descriptor, place: Place) -> Iterable[Part]:
        """The named fields, by value; one that is named for one side only is missing or added."""
        ours, theirs = (
            {field.number: field for field in _all_fields(side) if field.full_name in names}
            for side, names in zip((left, right), self._options.only or ((), ()), strict=True)
        )
        by_value = replace(self._options, equivalent=True, partial=False)
        extra = (number for number, field in theirs.items() if not self._options.partial or self._is_forced(field))
        for number in sorted(ours.keys() | set(extra)):
            one, other = ours.get(number), theirs.get(number)
            if self._options.equivalent:
                one, other = one or other, other or one
            if (one is None) is not (other is None) and not self._ignored(ours.get(number) or theirs[number]):
                yield self._named_once(one, other)
                continue
            yield self._part(one, other, parent=place, inherited=(), options=by_value)

    def _is_forced(self, field: FieldDescriptor) -> bool:
        """Whether a field that only the right has counts even in a partial comparison."""
        bare = not (field.has_presence or is_repeated(field))
        return bare and self._options.force_no_presence and not self._options.equivalent

    @staticmethod
    def _named_once(left: FieldDescriptor | None, right: FieldDescriptor | None) -> Part:
        field = left if left is not None else right
        if field is None:
            raise ValueError("a part needs a field")
        step = Typed(field.full_name) if field.is_extension else Field(field.name)
        return NamedOnce(step, Access.of(field), Kind.ADDED if left is None else Kind.MISSING)

    def _is_plain(self, field: FieldDescriptor) -> bool:
        special = field.has_presence or is_repeated(field) or is_message(field) or field.is_extension
        # MessageDifferencer takes -0.0 for set, where the run takes it for the default.
        special = special or (not self._options.by_meaning and field.type in FLOATS)
        return not (special or self._options.matches or self._ignored(field))

    def _ignored(self, field: FieldDescriptor) -> bool:
        return self._fields.get(field.full_name, _NO_OPTIONS).ignore

    def _leaf(self, left: FieldDescriptor, right: FieldDescriptor) -> Leaf:
        options, own = self._options, self._fields.get(left.full_name, _NO_OPTIONS)
        margin, fraction = options.margin, options.fraction
        if own.margin is not None or own.fraction is not None:
            margin, fraction = own.margin, own.fraction
        near = Near(margin, fraction) if options.approximate else None
        return Leaf(left, right, nan_equal=options.nan_equal, near=near)

    def _part(
        self,
        left: FieldDescriptor | None,
        right: FieldDescriptor | None,
        *,
        parent: Place,
        inherited: Rules,
        options: CompareOptions,
    ) -> Part:
        newer = right if right is not None else left
        if newer is None:
            raise ValueError("a part needs a field")
        step = Typed(newer.full_name) if newer.is_extension else Field(newer.name)
        place = parent.step(step)
        ours = None if left is None else Access.of(left)
        theirs = None if right is None else Access.of(right)
        if self._ignored(newer) or (options.ignores and place.find(Ignore)):
            return IgnoredField(step, ours, theirs, remark=options.ignores)
        if left is None or right is None or ours is None or theirs is None:
            side = "primary" if right is None else "shadow"
            note = f"only the {side}'s schema has this field"
            return OneSided(step, place, left=ours, right=theirs, note=note, partial=options.partial)
        if not place.touched and left.name != newer.name:
            place = parent.step(Field(left.name))  # a rule may use either name of a renamed field
        if place.touched and not meets_field(place, left, right):
            place = self._bare
        return self._both(left, right, FieldPair(step, place, ours, theirs, (*place.rules, *inherited)), options)

    def _both(self, left: FieldDescriptor, right: FieldDescriptor, pair: FieldPair, options: CompareOptions) -> Part:
        both_maps = is_map(left) and is_map(right)
        if both_maps and comparable(*_map_field(left, right, 1)) and comparable(*_map_field(left, right, 2)):
            return self._map(left, right, pair, options)
        if is_map(left) or is_map(right) or not comparable(left, right):
            note = f"the type changed from {_type_name(left)} to {_type_name(right)}"
            return OneSided(pair.step, pair.place, left=pair.left, right=pair.right, note=note)
        if is_repeated(left) or is_repeated(right):
            return self._repeated(left, right, pair, options)
        if is_message(left):
            return SingleMessage(pair, options, gated=self._gated(type_of(left), type_of(right)))
        return SingleScalar(pair, self._leaf(left, right), options, left.default_value)

    def _map(self, left: FieldDescriptor, right: FieldDescriptor, pair: FieldPair, options: CompareOptions) -> Part:
        one, other = _map_field(left, right, 2)
        leaf = None if is_message(one) else self._leaf(one, other)
        gated = self.gates if leaf is not None else self._gated(type_of(one), type_of(other))
        return MapField(
            pair,
            options,
            leaf=leaf,
            gated=gated,
            quick=gated and left is right,
            rules=leaf_rules(pair.place),
            keyed=not self._ignored(_map_field(left, right, 1)[0]),
            valued=not self._ignored(one),
        )

    def _repeated(
        self, left: FieldDescriptor, right: FieldDescriptor, pair: FieldPair, options: CompareOptions
    ) -> Part:
        leaf = None if is_message(left) else self._leaf(left, right)
        if leaf is not None:
            gated, exact = True, not leaf.inexact
        else:
            gated = self._equal_is_same(type_of(left), type_of(right))
            exact = gated and self._strict and not self._closures.of(type_of(left)).open_ended
        return Repeated(
            pair,
            self._list_meaning(left, right, pair.place),
            options,
            leaf=leaf,
            gated=gated,
            exact=exact,
            told=not self.gates,
            rules=leaf_rules(pair.place),
        )

    def _list_meaning(self, left: FieldDescriptor, right: FieldDescriptor, place: Place) -> ListMeaning:
        own = self._fields.get(left.full_name, _NO_OPTIONS)
        lists = own.lists or self._options.lists
        keyed = key_rule(place)
        by = own.by or (keyed.by if keyed is not None else ())
        if not by or not is_message(left):
            return ListMeaning(lists)
        if own.by and lists is Lists.ALIGNED:
            lists = Lists.LIST
        found = keys_of(type_of(left), type_of(right), by, self._in_any_order, self._key_part, walked=bool(own.by))
        if found is not None and own.by:
            found = found._replace(first=True)
        return ListMeaning(lists, found, keyed.id if keyed is not None else "")

    def _key_part(self, left: FieldDescriptor, right: FieldDescriptor, place: Place) -> Part:
        """By value, and though the field itself be ignored."""
        by_value = replace(self._options, equivalent=True, partial=False)
        step = Field(right.name)
        pair = FieldPair(step, place.step(step), Access.of(left), Access.of(right), place.step(step).rules)
        return self._both(left, right, pair, by_value)

    def _in_any_order(self, field: FieldDescriptor) -> bool:
        own = self._fields.get(field.full_name, _NO_OPTIONS)
        return is_repeated(field) and (own.lists or self._options.lists) in {Lists.SET, Lists.SMART_SET}


def _all_fields(message: Descriptor) -> list[FieldDescriptor]:
    known: list[FieldDescriptor] = list(message.file.pool.FindAllExtensions(message)) if message.is_extendable else []
    return [*message.fields, *known]


def leaf_rules(place: Place) -> Rules:
    """Those at a list, a map or a wrapper that hold for the values in it."""
    return tuple(rule for rule in place.rules if isinstance(rule, LEAF_RULES))


def _names_parts(place: Place, message: Descriptor) -> bool:
    """Whether a rule means a field of the type by name: `seconds` of a Timestamp."""
    return any(
        not isinstance(rule.scope.path.steps[-1], AnySteps | AnyName)
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
