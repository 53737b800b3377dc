"""Applies reported differences to the left message: what comes out has to be the right one, or the report is not whole.

Only paths, kinds and right values are read. First what is modified, then what is missing from the last to the first (both
at left paths), then what is added from the first to the last (at right paths): so no index shifts before it is used.

Not to be applied: `order` (it doesn't say which order), other remarks, what is "too complex", and unknown groups
on one side only, of which a difference shows no content.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from mirror.core.model import Difference, Kind
from mirror.core.path import Field, Index, Key, Path, Step, Typed
from tests.core.compare.building import wire_type_of
from tests.core.compare.unknown import records_of, rewrite
from tests.core.compare.zoo import clear, get, put, shape


def apply(left: Message, differences: Iterable[Difference], root: Path) -> Message:
    """A copy of `left` with the differences applied, which are those of `root` and below."""
    made = type(left)()
    made.CopyFrom(left)
    found = {kind: [d for d in differences if d.kind is kind] for kind in (Kind.VALUE, Kind.MISSING, Kind.ADDED)}
    for difference in found[Kind.VALUE]:
        _at(made, difference.path[len(root) :], Kind.VALUE, difference.right)
    for difference in sorted(found[Kind.MISSING], key=_place, reverse=True):
        _at(made, difference.path[len(root) :], Kind.MISSING, None)
    for difference in sorted(found[Kind.ADDED], key=_place):
        _at(made, difference.path[len(root) :], Kind.ADDED, difference.right)
    return type(left).FromString(made.SerializePartialToString())  # an emptied extension would still be listed


def _place(difference: Difference) -> list[tuple[str, int]]:
    """Sorts indices as numbers."""
    return [("", step.index) if isinstance(step, Index) else (str(step), 0) for step in difference.path]


def _at(message: Message, path: Path, kind: Kind, value: Any) -> None:
    """Change what stands at a path below a message."""
    step, rest = path[0], path[1:]
    if message.DESCRIPTOR.full_name == "google.protobuf.Any" and isinstance(step, Typed):
        pool = message.DESCRIPTOR.file.pool
        inner = GetMessageClass(pool.FindMessageTypeByName(step.name)).FromString(message.value)
        _at(inner, rest, kind, value)
        message.value = inner.SerializePartialToString()
        return
    if isinstance(step, Field) and step.name.isdigit():
        _change_unknown(message, int(step.name), rest, kind, value)
        return
    field = _field(message, step)
    if not rest:
        _change(message, field, kind, value)
    elif shape(field) == "map":
        _change_entry(get(message, field), field, rest, kind, value)
    elif shape(field) == "list":
        _change_element(message, field, rest, kind, value)
    else:
        _at(get(message, field), rest, kind, value)


def _field(message: Message, step: Step):
    if isinstance(step, Typed):
        return message.DESCRIPTOR.file.pool.FindExtensionByName(step.name)
    assert isinstance(step, Field)
    return message.DESCRIPTOR.fields_by_name[step.name]


def _change(message: Message, field: Any, kind: Kind, value: Any) -> None:
    """A single field as a whole."""
    assert shape(field) in ("scalar", "message"), f"{field.name}: a list or map is reported by its elements"
    if kind is Kind.MISSING:
        clear(message, field)
    else:
        put(message, field, value)


def _change_entry(entries: Any, field: Any, path: Path, kind: Kind, value: Any) -> None:
    key = path[0]
    assert isinstance(key, Key)
    assert (key.key in entries) == (kind is not Kind.ADDED or len(path) > 1)
    if len(path) > 1:
        _at(entries[key.key], path[1:], kind, value)
    elif kind is Kind.MISSING:
        del entries[key.key]
    elif field.message_type.fields_by_name["value"].message_type is not None:
        entries[key.key].CopyFrom(value)
    else:
        entries[key.key] = value


def _change_element(message: Message, field: Any, path: Path, kind: Kind, value: Any) -> None:
    elements, step = get(message, field), path[0]
    assert isinstance(step, Index)
    if len(path) > 1:
        _at(elements[step.index], path[1:], kind, value)
    elif kind is Kind.MISSING:
        del elements[step.index]
    elif kind is Kind.ADDED:
        assert step.index <= len(elements)
        elements.insert(step.index, value)
    else:
        assert field.message_type is None, "of a message what differs within is reported"
        elements[step.index] = value


def _change_unknown(message: Message, number: int, path: Path, kind: Kind, value: Any) -> None:
    """Index: among those of one number, which in tame messages all have one wire type."""
    (step,) = path
    assert isinstance(step, Index)
    records = records_of(message)
    places = [place for place, record in enumerate(records) if record[0] == number]
    record = (number, wire_type_of(number), value)
    if kind is Kind.ADDED:
        assert step.index == len(places)
        records.append(record)
    elif kind is Kind.MISSING:
        del records[places[step.index]]
    else:
        records[places[step.index]] = record
    rewrite(message, records)
