"""Whether any rule that may lead further from a place meets something in the types that stand there. Pure.

Where none does, the place is as good as one without rules, and what is quick there is quick here. In doubt it is yes.
"""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from mirror.core.compare.reflect import ANY
from mirror.core.compare.values import is_map, is_message, is_repeated, type_of
from mirror.core.path import ANY_ELEMENT, Field
from mirror.core.rules import Place


def meets_message(place: Place, message: Descriptor) -> bool:
    """Whether a rule applies to a message of this type at `place` or to anything in it."""
    if not place.touched:
        return False
    if place.rules or place.names is None or message.full_name == ANY:
        return True
    return any(_meets_name(place, message, name) for name in place.names)


def meets_field(place: Place, field: FieldDescriptor) -> bool:
    """The same of a field, `place` being its own."""
    if is_repeated(field) and not place.rules:
        place = place.step(ANY_ELEMENT)
    if place.rules:
        return True
    value = type_of(field).fields_by_number[2] if is_map(field) else field
    return place.touched and is_message(value) and meets_message(place, type_of(value))


def _meets_name(place: Place, message: Descriptor, name: str) -> bool:
    if name.isdigit():  # of an unknown field
        return True
    field = message.fields_by_name.get(name)
    return field is not None and meets_field(place.step(Field(name)), field)
