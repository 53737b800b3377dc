"""Whether a rule's kind fits what stands at its path: a tolerance needs a number, a key needs a list of messages."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import FieldDescriptor

from mirror.core.path import AnyElement, Field, Index, Key, PathPattern
from mirror.core.rules.records import (
    VALUE_RULES,
    Ignore,
    KeyedList,
    NormalisedText,
    Presence,
    Rule,
    TimeWindow,
    Tolerance,
    UnorderedList,
    ValueClass,
    ValueRule,
)
from mirror.core.rules.walk import TIMES, Leaf, Made, Map, Message, Outbound, Repeated, Schema, Stand, Text

_NUMBERS: Final = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
        FieldDescriptor.CPPTYPE_FLOAT,
        FieldDescriptor.CPPTYPE_DOUBLE,
    }
)
_WORDS: Final = {
    FieldDescriptor.TYPE_STRING: "a string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_BOOL: "a bool",
    FieldDescriptor.TYPE_ENUM: "an enum",
}
# Of each value class the sorts of stand (see _sort) that can be of it.
_CLASS_FITS: Final = {
    "uuid": {"text"},
    "timestamp": {"text", "timestamp", "number"},
    "non_empty": {"text", "number", "timestamp", "duration"},
    "same_length": {"text"},
    "same_sign": {"number"},
}


def misfit(rule: Rule, stand: Stand, schema: Schema) -> str:  # noqa: PLR0911 - one a kind of rule
    """Why this rule can do nothing at this stand and what to do; empty where it fits."""
    if isinstance(rule, VALUE_RULES):
        return _value_misfit(rule, _inside(stand))
    match rule:
        case Ignore():
            return ""
        case _ if isinstance(stand, Text):
            return _only_ignored(stand)
        case UnorderedList():
            return "" if isinstance(stand, Repeated) else f"only a list has an order, but this is {_named(stand)}"
        case KeyedList(by=by):
            if not isinstance(stand, Repeated):
                return f"only a list can be keyed, but this is {_named(stand)}"
            return next(filter(None, (_bad_key(key, stand, schema) for key in by)), "")
        case Presence():
            return _without_presence(stand)


def _value_misfit(rule: ValueRule, stand: Stand) -> str:
    sort = _sort(stand)
    match rule:
        case _ if isinstance(stand, Text):
            return _only_ignored(stand)
        case Tolerance():
            return "" if sort == "number" else f"a tolerance needs a number, but this is {_named(stand)}"
        case TimeWindow():
            fits = sort in {"timestamp", "duration"}
            return "" if fits else f"a time window needs a Timestamp or Duration, but this is {_named(stand)}"
        case ValueClass(name=name):
            return "" if sort in _CLASS_FITS[name] else f"{_named(stand)} cannot be of the class {name}"
        case NormalisedText():
            return "" if sort == "text" else f"a text rule needs a string or bytes, but this is {_named(stand)}"


def _only_ignored(stand: Text) -> str:
    return f"only an ignore rule applies to {stand.name or 'the whole call'}"


def _inside(stand: Stand) -> Stand:
    """A rule about values that names a list, a map or a wrapper is about the values in it."""
    while True:
        match stand:
            case Repeated(inner) | Map(_, inner):
                stand = inner
            case Message(descriptor) if descriptor.file.name == "google/protobuf/wrappers.proto":
                return Leaf(descriptor.fields_by_name["value"])
            case _:
                return stand


def misplaced(rule: Rule) -> str:
    """Why this rule can do nothing at its path whatever the schema; empty where that depends on one."""
    steps = rule.scope.path.steps
    if not isinstance(rule, Presence):
        return ""
    if isinstance(steps[-1], AnyElement | Index | Key):
        return "only a field can be unset, not an element of a list or map: name a field of it"
    return (
        "only a field can be unset, not the whole answer" if len(steps) == 1 and steps[0] == Field("response") else ""
    )


def _without_presence(stand: Stand) -> str:
    if isinstance(stand, Repeated | Map):
        return "a list or map cannot be unset, only empty, and that is one thing"
    if isinstance(stand, Leaf) and not stand.field.has_presence:
        return "this field has no presence: unset equals default there without a rule"
    return ""


def _bad_key(key: str, stand: Repeated, schema: Schema) -> str:
    if isinstance(stand.element, Made):
        return "calls have no key; say unordered"
    if isinstance(stand.element, Text):
        return f"the elements of {stand.element.name.removesuffix('[*]')} have no common field; say unordered"
    if isinstance(stand.element, Leaf):
        return f"its elements are {_named(stand.element)} and have no field to be keyed by; say unordered"
    found = schema.walk(PathPattern.parse(key).steps, stand.element)
    if found.problem:
        return f'the key "{key}": {found.problem}'
    if any(isinstance(place, Repeated | Map) for place in found.stands):
        return f'the key "{key}" is repeated: a key is a single value'
    return ""


def _sort(stand: Stand) -> str:
    match stand:
        case Leaf(field):
            if field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}:
                return "text"
            return "number" if field.cpp_type in _NUMBERS else "other"
        case Message(descriptor) if descriptor.full_name in TIMES:
            return descriptor.name.lower()
        case _:
            return "other"


def _named(stand: Stand) -> str:
    match stand:
        case Map():
            return "a map"
        case Message(descriptor):
            return descriptor.full_name
        case Leaf(field):
            return _WORDS.get(field.type, "a number")
        case Text(name):
            return name or "the whole call"
        case Outbound() | Made():
            return "a call that the service makes"
        case _:
            return "of a type not known yet"
