"""Whether one version of a schema is enough to read what another version wrote. Pure.

The same bytes under another type can be equal by accident (an int32 that became a sint32), so only a schema that has
all of the other's fields, each of the same type, may read both sides; then messages are compared at the speed of `==`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from mirror.core.compare.values import is_repeated

_ANY: Final = "google.protobuf.Any"
TYPES_MAX: Final = 20_000  # looked at; larger closures are compared each side under its own schema


def holds(newer: Descriptor, older: Descriptor) -> bool:
    """Whether `newer` has every field of `older`, unchanged, and so on for all types that the fields lead to.

    Where an Any or an extension may hold a type that no field names, every type of the older one's files is looked at.
    """
    seen: set[tuple[Descriptor, Descriptor]] = set()
    waiting = [(newer, older)]
    open_ended = False
    while waiting:
        ours, theirs = waiting.pop()
        if (ours, theirs) in seen:
            continue
        seen.add((ours, theirs))
        if len(seen) > TYPES_MAX or ours.full_name != theirs.full_name or not _has_fields(ours, theirs):
            return False
        for field in theirs.fields:
            if field.message_type is not None:
                found = ours.fields_by_number[field.number].message_type
                if found is None:
                    return False
                waiting.append((found, field.message_type))
        if (theirs.full_name == _ANY or theirs.is_extendable) and not open_ended:
            open_ended = True
            more = _all_types(newer, older)
            if more is None:
                return False
            waiting.extend(more)
    return True


def _has_fields(ours: Descriptor, theirs: Descriptor) -> bool:
    for field in theirs.fields:
        found = ours.fields_by_number.get(field.number)
        if found is None or not _same_shape(found, field):
            return False
    return True


def _same_shape(ours: FieldDescriptor, theirs: FieldDescriptor) -> bool:
    same = (
        ours.name == theirs.name
        and ours.type == theirs.type
        and is_repeated(ours) == is_repeated(theirs)
        and ours.has_presence == theirs.has_presence
        and _oneof(ours) == _oneof(theirs)
    )
    if same and ours.enum_type is not None and theirs.enum_type is not None:
        return _same_enum(ours.enum_type, theirs.enum_type)
    return same


def _same_enum(ours: EnumDescriptor, theirs: EnumDescriptor) -> bool:
    """A closed enum keeps numbers that it does not know among the unknown fields, an open one as values."""
    return (
        ours.full_name == theirs.full_name
        and getattr(ours, "is_closed", None) == getattr(theirs, "is_closed", None)
        and all(value.number in ours.values_by_number for value in theirs.values)
    )


def _oneof(field: FieldDescriptor) -> str:
    """Fields of one oneof exclude each other on parsing."""
    return field.containing_oneof.name if field.containing_oneof is not None else ""


def _all_types(newer: Descriptor, older: Descriptor) -> list[tuple[Descriptor, Descriptor]] | None:
    """All message types of the older one's files beside those of the newer's pool; None where one is missing."""
    pool: Any = newer.file.pool
    found: list[tuple[Descriptor, Descriptor]] = []
    files, waiting = {older.file.name}, [older.file]
    while waiting:
        file = waiting.pop()
        extensions = list(file.extensions_by_name.values())
        types = list(file.message_types_by_name.values())
        while types:
            theirs = types.pop()
            types.extend(theirs.nested_types)
            extensions.extend(theirs.extensions)
            ours = _found(pool.FindMessageTypeByName, theirs.full_name)
            if ours is None or len(found) > TYPES_MAX:
                return None
            found.append((ours, theirs))
        for extension in extensions:
            same = _found(pool.FindExtensionByName, extension.full_name)
            if same is None or same.number != extension.number or not _same_shape(same, extension):
                return None
            if extension.message_type is not None:
                found.append((same.message_type, extension.message_type))
        for each in file.dependencies:
            if each.name not in files:
                files.add(each.name)
                waiting.append(each)
    return found


def _found(find: Callable[[str], Any], name: str) -> Any:
    try:
        return find(name)
    except KeyError:
        return None
