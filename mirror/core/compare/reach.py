"""Whether any rule that may lead further from a place meets something in the types that stand there. Pure.

Where none does, the place is as good as one without rules, and what is quick there is quick here. In doubt it is yes.
Fields of two schemas meet by number, and a rule may call a field by either name: so both types are looked at together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from mirror.core.compare.reflect import ANY
from mirror.core.compare.values import is_map, is_message, is_repeated, type_of
from mirror.core.path import ANY_ELEMENT, Field
from mirror.core.rules import Place

_Stand: TypeAlias = tuple[Place, Descriptor, Descriptor]  # a place, and the types of the two messages there


def meets_message(place: Place, left: Descriptor, right: Descriptor) -> bool:
    """Whether a rule applies to messages of these types at `place` or to anything in them."""
    return _meets([(place, left, right)])


def meets_field(place: Place, left: FieldDescriptor, right: FieldDescriptor) -> bool:
    """The same of a field, as either side has it; `place` is its own."""
    found = _below(place, left, right)
    return found is None or _meets(found)


def _meets(waiting: list[_Stand]) -> bool:
    seen = set(waiting)
    while waiting:
        place, left, right = waiting.pop()
        if not place.touched:
            continue
        if place.rules or place.names is None or ANY in {left.full_name, right.full_name}:
            return True
        for name in place.names:
            if name.isdigit():  # of an unknown field
                return True
            for one, other in _fields(left, right, name):
                found = _below(place.step(Field(name)), one, other)
                if found is None:
                    return True
                waiting += [stand for stand in found if stand not in seen]
                seen.update(found)
    return False


def _fields(
    left: Descriptor, right: Descriptor, name: str
) -> Iterable[tuple[FieldDescriptor | None, FieldDescriptor | None]]:
    """The fields that either side calls so, each beside that of its number on the other side."""
    named = (side.fields_by_name.get(name) for side in (left, right))
    numbers = {field.number for field in named if field is not None}
    return [(left.fields_by_number.get(number), right.fields_by_number.get(number)) for number in numbers]


def _below(place: Place, left: FieldDescriptor | None, right: FieldDescriptor | None) -> list[_Stand] | None:
    """The messages in a field where rules may lead further; None: a rule applies to the field or its elements."""
    fields = [field for field in (left, right) if field is not None]
    if not place.rules and any(map(is_repeated, fields)):
        place = place.step(ANY_ELEMENT)
    if place.rules:
        return None
    types = [type_of(value) for value in map(_value, fields) if is_message(value)]
    return [(place, types[0], types[-1])] if types and place.touched else []


def _value(field: FieldDescriptor) -> FieldDescriptor:
    return type_of(field).fields_by_number[2] if is_map(field) else field
