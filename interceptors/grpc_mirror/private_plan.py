"""What is private in a message type, found once for each type and place. Pure: descriptors in, plans out.

Private is a field with `debug_redact` or `(mirror.v1.private)`, and what a path pattern names. A plan says where such
fields are in reach, so that types without any cost nothing, and which of them can only be told from a message itself:
what an Any holds, and extensions, which may come with a module that is loaded later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from grpc_mirror.canonical import ANY, is_map, is_repeated
from grpc_mirror.private_paths import ANY_ELEMENT, KEY, NAME, TYPED, Patterns, States
from grpc_mirror.wire import fields

PLANS_MAX = 8192
# DiscardUnknownFields of protobuf's C implementation leaves what is nested over 62 deep, without a word.
DISCARD_DEPTH = 32
_DEBUG_REDACT = 16  # of google.protobuf.FieldOptions, since protobuf 22
_PRIVATE = 57642  # (mirror.v1.private), see v1/privacy.proto
_TEXTUAL = FieldDescriptor.CPPTYPE_STRING  # string and bytes


class Element:
    """What is to be done with one value: an element of a list or map, or the value of a singular field."""

    __slots__ = ("descriptor", "hashed", "plan", "private")

    def __init__(self, descriptor: FieldDescriptor, plan: Plan | None, *, private: bool, hashed: bool) -> None:
        self.descriptor = descriptor  # of a map the entry's value
        self.plan = plan  # of a message
        self.private = private
        self.hashed = hashed


class FieldPlan:
    """One field: private as a whole, or with something within."""

    __slots__ = ("always", "descriptor", "element", "hashed", "is_map", "is_repeated", "name", "private", "special")

    def __init__(self, descriptor: FieldDescriptor, *, private: bool, hashed: bool) -> None:
        self.descriptor = descriptor
        self.name = f"({descriptor.full_name})" if descriptor.is_extension else descriptor.name
        self.private = private
        self.is_repeated = is_repeated(descriptor)
        self.is_map = is_map(descriptor)
        self.hashed = hashed
        # Of a bool or number without presence, being there at all would tell the value.
        self.always = not (self.is_repeated or descriptor.has_presence or _hashable(descriptor))
        self.element = Element(descriptor, None, private=False, hashed=False)
        self.special: dict[Any, Element] = {}  # by the index or key that a pattern names

    def elements(self) -> Iterator[Element]:
        """All kinds of elements."""
        yield self.element
        yield from self.special.values()

    @property
    def own(self) -> bool:
        """Whether something here is private without looking into messages."""
        return self.private or any(element.private for element in self.elements())


class Plan:
    """One message type at one place.

    Attributes:
        whole: a pattern names the message itself.
        private: a private field is in reach, by the descriptors alone.
        dynamic: an Any or extensions are in reach: a message must be looked into.
        deep: messages may be nested without end, or deeper than protobuf discards unknown fields.
        fields: those that must be walked.
    """

    __slots__ = (
        "deep",
        "descriptor",
        "dynamic",
        "extendable",
        "fields",
        "height",
        "is_any",
        "private",
        "states",
        "whole",
    )

    def __init__(self, descriptor: Descriptor, states: States, *, whole: bool) -> None:
        self.descriptor = descriptor
        self.states = states
        self.whole = whole
        self.is_any = descriptor.full_name == ANY
        self.extendable = bool(descriptor.is_extendable)
        self.private = whole
        self.dynamic = self.is_any or self.extendable
        self.deep = False
        self.height = 1  # levels of messages below and with this one, where they have an end
        self.fields: tuple[FieldPlan, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether no message of this type can hold anything private."""
        return not (self.private or self.dynamic)

    def children(self) -> Iterator[Plan]:
        """The plans of the messages within."""
        for field in self.fields:
            for element in field.elements():
                if element.plan is not None:
                    yield element.plan


class Planner:
    """Makes plans and keeps them, at most PLANS_MAX. One owner."""

    def __init__(self, patterns: Patterns, *, hash_few_values: bool) -> None:
        self.patterns = patterns
        self.matched: set[int] = set()  # patterns, by number, that named something in some type
        self._hash_few_values = hash_few_values
        self._plans: dict[tuple[Descriptor, States], Plan] = {}
        self._extensions: dict[tuple[FieldDescriptor, States], FieldPlan] = {}

    def plan(self, descriptor: Descriptor, states: States) -> Plan:
        """The plan of a message type where the patterns stand so."""
        found = self._plans.get((descriptor, states))
        if found is None:
            if len(self._plans) + len(self._extensions) > PLANS_MAX:
                self._plans.clear()
                self._extensions.clear()
            new: list[Plan] = []
            found = self._new(descriptor, states, new)
            self._complete(new)
        return found

    def extension(self, descriptor: FieldDescriptor, states: States) -> FieldPlan:
        """The plan of an extension of a message where the patterns stand so."""
        found = self._extensions.get((descriptor, states))
        if found is None:
            new: list[Plan] = []
            found = self._field(descriptor, self.patterns.step(states, (TYPED, descriptor.full_name)), new)
            self._complete(new)
            self._extensions[descriptor, states] = found
        return found

    def _accepts(self, states: States) -> bool:
        self.matched |= self.patterns.accepted(states)
        return self.patterns.accepts(states)

    def _complete(self, new: list[Plan]) -> None:
        try:
            self._fill(new)
        except BaseException:
            self._plans.clear()  # a plan that is not complete would let private fields through
            raise

    def _fill(self, new: list[Plan]) -> None:
        done = 0
        while done < len(new):  # grows while it is worked off
            plan = new[done]
            done += 1
            if not plan.is_any:
                plan.fields = tuple(
                    self._field(field, self.patterns.step(plan.states, (NAME, field.name)), new)
                    for field in plan.descriptor.fields
                )
        _conclude(new)
        for plan in new:
            plan.fields = tuple(
                field
                for field in plan.fields
                if field.own or any(e.plan and not (e.plan.idle and not e.plan.deep) for e in field.elements())
            )

    def _new(self, descriptor: Descriptor, states: States, new: list[Plan]) -> Plan:
        found = self._plans.get((descriptor, states))
        if found is None:
            found = self._plans[descriptor, states] = Plan(descriptor, states, whole=self._accepts(states))
            new.append(found)
        return found

    def _field(self, field: FieldDescriptor, states: States, new: list[Plan]) -> FieldPlan:
        private = has_private_option(field) or self._accepts(states)
        found = FieldPlan(field, private=private, hashed=self._hash_few_values or _hashable(field))
        if private:
            return found
        if not found.is_repeated:
            found.element = self._element(field, states, new)
            return found
        entry: Any = field.message_type
        value = entry.fields_by_name["value"] if found.is_map else field
        found.element = self._element(value, self.patterns.step(states, ANY_ELEMENT), new)
        for key in self.patterns.keys(states):
            found.special[key] = self._element(value, self.patterns.step(states, (KEY, key)), new)
        return found

    def _element(self, field: FieldDescriptor, states: States, new: list[Plan]) -> Element:
        private = self._accepts(states)
        kind = field.message_type
        plan = self._new(kind, states, new) if kind is not None and not private else None
        return Element(field, plan, private=private, hashed=self._hash_few_values or _hashable(field))


def has_private_option(field: FieldDescriptor) -> bool:
    """Whether a field has `debug_redact` or our option.

    Read from the serialised options: an option whose .proto the process never imported is an unknown field there.
    Options that cannot be read count as private.
    """
    if not getattr(field, "has_options", True):
        return False
    raw = field.GetOptions().SerializeToString()
    try:
        found = {number: value for number, value in fields(raw) if number in (_DEBUG_REDACT, _PRIVATE)}
    except ValueError:
        return True
    return any(found.values())


def _hashable(field: FieldDescriptor) -> bool:
    """Whether a value of this field can be one of many: a string or bytes is in reach. All else can be guessed."""
    seen: set[str] = set()
    pending = [field]
    while pending:
        one = pending.pop()
        if one.cpp_type == _TEXTUAL:
            return True
        kind = one.message_type
        if kind is not None and kind.full_name not in seen:
            if kind.is_extendable:
                return True
            seen.add(kind.full_name)
            pending += kind.fields
    return False


def _conclude(new: list[Plan]) -> None:
    """Carry what is private, dynamic or deep from each plan to those that hold it."""
    holders: dict[Plan, list[Plan]] = {plan: [] for plan in new}
    for plan in new:
        plan.private = plan.private or any(field.own for field in plan.fields)
        for child in plan.children():
            if child in holders:
                holders[child].append(plan)
            else:  # made before, and final
                plan.private |= child.private
                plan.dynamic |= child.dynamic
                plan.deep |= child.deep
                plan.height = max(plan.height, child.height + 1)
    _measure(new, holders)
    for name in ("private", "dynamic", "deep"):
        reached = [plan for plan in new if getattr(plan, name)]
        while reached:
            for holder in holders[reached.pop()]:
                if not getattr(holder, name):
                    setattr(holder, name, True)
                    reached.append(holder)


def _measure(new: list[Plan], holders: dict[Plan, list[Plan]]) -> None:
    """Find those that are deep, from the leaves up; what cannot be reached so has itself within."""
    unmeasured = {plan: sum(child in holders for child in plan.children()) for plan in new}
    pending = [plan for plan in new if not unmeasured[plan]]
    while pending:
        plan = pending.pop()
        for holder in holders[plan]:
            holder.height = max(holder.height, plan.height + 1)
            unmeasured[holder] -= 1
            if not unmeasured[holder]:
                pending.append(holder)
    for plan in new:
        plan.deep = plan.deep or bool(unmeasured[plan]) or plan.height >= DISCARD_DEPTH
