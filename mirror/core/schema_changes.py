"""What changed between two versions of a message type and of all that its fields lead to. Pure.

Fields meet by number, enum values by name and then by number: the number is what travels. A change of the schema is no
difference of a call. It says what to expect: where values can still be held against each other a call differs only if
they differ; where they cannot, it differs wherever the field is set.

Not looked at: what an Any may hold, options, defaults, whether an enum is closed. Schemas come from the network, so
everything is bounded: what is looked at, what is listed, and how long its words are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, EnumValueDescriptor, FieldDescriptor

from mirror.core.compare.values import comparable, is_map, is_message, is_repeated, type_of
from mirror.core.model import EpochKey

CHANGES_MAX: Final = 200  # listed
MEMBERS_MAX: Final = 100_000  # fields and enum values looked at
WORDS_MAX: Final = 200  # characters of one side, of a name
PATH_MAX: Final = 400  # characters; deeper places are told by their names alone
_SCALARS: Final = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


class ChangeKind(StrEnum):
    """In what way a schema changed."""

    FIELD_ADDED = "field_added"
    FIELD_REMOVED = "field_removed"
    RETYPED = "retyped"
    RENAMED = "renamed"  # a field or an enum value: the number stayed
    REPEATED = "repeated"  # it became repeated, or single
    PRESENCE = "presence"  # unset became something else than the default, or the other way round
    ONEOF = "oneof"  # it moved into or out of a oneof, or to another
    VALUE_ADDED = "value_added"
    VALUE_REMOVED = "value_removed"
    VALUE_RENUMBERED = "value_renumbered"
    TYPE_NAME = "type_name"  # a message or enum that is called otherwise


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One change. `left` and `right` are the primary's and the candidate's side in words, empty where there is none.

    `path` is the pattern of the first place at which it stands, empty where that is too deep; `name` is the full name, as
    the candidate has it if it does. `comparable`: values of both sides can still be held against each other.
    """

    kind: ChangeKind
    path: str
    name: str
    left: str
    right: str
    comparable: bool


@dataclass(frozen=True, slots=True)
class SchemaChanges:
    """Those that keep values from being compared first, then by path. `count` is true where the list was cut.

    `complete` is False where the schemas are too large to be looked at as a whole: then `count` is at least.
    """

    changes: tuple[SchemaChange, ...] = ()
    count: int = 0
    complete: bool = True


@dataclass(frozen=True, slots=True)
class SchemaPair:
    """The two schemas, by fingerprint, by which one method of an epoch is answered."""

    epoch: EpochKey
    method: str
    primary: str
    candidate: str


def schema_changes(left: Descriptor, right: Descriptor, root: str = "response") -> SchemaChanges:
    """The changes from the primary's response type (`left`) to the candidate's. `root`: the pattern of its place.

    Each type is looked at once, at the first place that leads to it (the shortest path), so types may hold themselves.
    """
    found = _Found(MEMBERS_MAX)
    seen: set[tuple[Any, Any]] = {(left, right)}
    waiting = deque([(left, right, root)])
    while waiting and found.room >= 0:
        one, other, path = waiting.popleft()
        found.room -= 1
        if one is other:
            continue
        if one.full_name != other.full_name:
            found.add(_renamed_type(one, other, path))
        for pair in _field_pairs(one, other):
            found.room -= 1
            if found.room < 0:
                break
            at = _at(path, *pair)
            for change in _of_field(*pair, at):
                found.add(change)
            waiting.extend(_leads_to(*pair, at, seen, found))
    return found.result()


@dataclass(slots=True)
class _Found:
    """The changes so far: the first CHANGES_MAX in order, and how many there are."""

    room: int  # fields and values that may still be looked at
    changes: list[SchemaChange] = field(default_factory=list)
    count: int = 0

    def add(self, change: SchemaChange) -> None:
        self.count += 1
        self.changes.append(change)
        if len(self.changes) >= 4 * CHANGES_MAX:
            self._cut()

    def result(self) -> SchemaChanges:
        self._cut()
        return SchemaChanges(tuple(self.changes), self.count, self.room >= 0)

    def _cut(self) -> None:
        self.changes = ordered(self.changes)[:CHANGES_MAX]


def ordered(changes: Iterable[SchemaChange]) -> list[SchemaChange]:
    """Those that keep values from being compared first, then by path; those without a path last."""
    return sorted(changes, key=lambda c: (c.comparable, not c.path, c.path, c.name, c.kind, c.left, c.right))


def _field_pairs(
    left: Descriptor, right: Descriptor
) -> Iterator[tuple[FieldDescriptor | None, FieldDescriptor | None]]:
    """Fields and extensions of both, by number."""
    ours, theirs = _fields(left), _fields(right)
    for number in sorted(ours.keys() | theirs.keys()):
        yield ours.get(number), theirs.get(number)


def _fields(message: Descriptor) -> dict[int, FieldDescriptor]:
    if not message.is_extendable:
        return dict(message.fields_by_number)
    pool: Any = message.file.pool
    return {each.number: each for each in pool.FindAllExtensions(message)} | dict(message.fields_by_number)


def _at(path: str, left: FieldDescriptor | None, right: FieldDescriptor | None) -> str:
    """The pattern of a field at `path`; of a list or map that of its elements is made where it is gone down."""
    newer = right or left
    if newer is None or not path:
        return ""
    at = f"{path}.({newer.full_name})" if newer.is_extension else f"{path}.{newer.name}"
    return at if len(at) <= PATH_MAX else ""


def _of_field(left: FieldDescriptor | None, right: FieldDescriptor | None, path: str) -> Iterator[SchemaChange]:
    if left is None or right is None:
        one = right or left
        if one is not None:
            kind = ChangeKind.FIELD_ADDED if left is None else ChangeKind.FIELD_REMOVED
            yield SchemaChange(kind, path, _cut(one.full_name), _words(left), _words(right), comparable=False)
        return
    kinds = list(_kinds(left, right))
    if kinds:
        can = _comparable(left, right)
        ours, theirs = _words(left), _words(right)
        for kind in kinds:
            yield SchemaChange(kind, path, _cut(right.full_name), ours, theirs, comparable=can)


def _kinds(left: FieldDescriptor, right: FieldDescriptor) -> Iterator[ChangeKind]:
    if left.name != right.name:
        yield ChangeKind.RENAMED
    if _retyped(left, right):
        yield ChangeKind.RETYPED
    single = not is_repeated(left) and not is_repeated(right)
    if is_repeated(left) != is_repeated(right):
        yield ChangeKind.REPEATED
    elif _oneof(left) != _oneof(right):
        yield ChangeKind.ONEOF
    elif single and left.has_presence != right.has_presence and is_message(left) == is_message(right):
        yield ChangeKind.PRESENCE


def _retyped(left: FieldDescriptor, right: FieldDescriptor) -> bool:
    """Whether a value is of another type; a message or enum that only has another name is not."""
    if is_map(left) and is_map(right):
        return any(_retyped(*_entry(left, right, number)) for number in (1, 2))
    return left.type != right.type or is_map(left) != is_map(right)


def _comparable(left: FieldDescriptor, right: FieldDescriptor) -> bool:
    """As the comparison of calls has it."""
    if is_map(left) and is_map(right):
        return all(comparable(*_entry(left, right, number)) for number in (1, 2))
    return not is_map(left) and not is_map(right) and comparable(left, right)


def _leads_to(
    left: FieldDescriptor | None, right: FieldDescriptor | None, path: str, seen: set[tuple[Any, Any]], found: _Found
) -> Iterator[tuple[Descriptor, Descriptor, str]]:
    """The types of a field that both have, where they were not looked at yet. Enums are looked at here."""
    if left is None or right is None or is_map(left) != is_map(right):
        return
    inside = f"{path}[*]" if path and is_repeated(right) else path
    if is_map(left):
        left, right = _entry(left, right, 2)
    pair: tuple[Any, Any] = (left.message_type, right.message_type)
    enum, other = left.enum_type, right.enum_type
    if is_message(left) and is_message(right) and pair not in seen:
        seen.add(pair)
        yield *pair, inside
    elif enum is not None and other is not None and (enum, other) not in seen:
        seen.add((enum, other))
        for change in _of_enum(enum, other, inside, found):
            found.add(change)


def _of_enum(left: EnumDescriptor, right: EnumDescriptor, path: str, found: _Found) -> Iterator[SchemaChange]:
    """By name; one that is gone while another has its number now was renamed."""
    if left is right:
        return
    if left.full_name != right.full_name:
        yield _renamed_type(left, right, path)
    ours, theirs = dict(left.values_by_name), dict(right.values_by_name)
    found.room -= len(ours) + len(theirs)
    if found.room < 0:
        return
    gone = {value.number: value for name, value in ours.items() if name not in theirs}
    for name, value in theirs.items():
        before = ours.get(name)
        if before is None:
            before = gone.pop(value.number, None)
            kind = ChangeKind.VALUE_ADDED if before is None else ChangeKind.RENAMED
        elif before.number != value.number:
            kind = ChangeKind.VALUE_RENUMBERED
        else:
            continue
        yield _of_value(kind, path, right, before, value)
    for value in gone.values():
        yield _of_value(ChangeKind.VALUE_REMOVED, path, left, value, None)


def _of_value(
    kind: ChangeKind,
    path: str,
    enum: EnumDescriptor,
    left: EnumValueDescriptor | None,
    right: EnumValueDescriptor | None,
) -> SchemaChange:
    ours, theirs = (_cut(f"{value.name} = {value.number}") if value is not None else "" for value in (left, right))
    newer = right or left
    name = _cut(f"{enum.full_name}.{newer.name if newer is not None else ''}")
    return SchemaChange(kind, path, name, ours, theirs, comparable=True)


def _renamed_type(left: Any, right: Any, path: str) -> SchemaChange:
    name = _cut(right.full_name)
    return SchemaChange(ChangeKind.TYPE_NAME, path, name, _cut(left.full_name), name, comparable=True)


def _entry(left: FieldDescriptor, right: FieldDescriptor, number: int) -> tuple[FieldDescriptor, FieldDescriptor]:
    """Key (1) or value (2) of two maps."""
    return type_of(left).fields_by_number[number], type_of(right).fields_by_number[number]


def _words(one: FieldDescriptor | None) -> str:
    """A field as a .proto declares it, its oneof before it."""
    if one is None:
        return ""
    oneof = _oneof(one)
    label = f"oneof {oneof}: " if oneof else _label(one)
    return _cut(f"{label}{_type_name(one)} {one.name} = {one.number}")


def _label(one: FieldDescriptor) -> str:
    if is_repeated(one):
        return "" if is_map(one) else "repeated "
    return "optional " if one.has_presence and not is_message(one) else ""


def _type_name(one: FieldDescriptor) -> str:
    if is_map(one):
        key, value = (type_of(one).fields_by_number[number] for number in (1, 2))
        return f"map<{_type_name(key)}, {_type_name(value)}>"
    named = one.enum_type if one.enum_type is not None else one.message_type
    if named is None:
        return _SCALARS.get(one.type, str(one.type))
    prefix = "group " if one.type == FieldDescriptor.TYPE_GROUP else ""
    return f"{prefix}{_cut(named.full_name)}"


def _oneof(one: FieldDescriptor) -> str:
    """The oneof it is declared in; protoc makes one of its own, `_name`, for each optional field of proto3."""
    oneof = one.containing_oneof
    if oneof is None or (len(oneof.fields) == 1 and oneof.name.lstrip("X") == f"_{one.name}"):
        return ""
    return _cut(oneof.name)


def _cut(words: str) -> str:
    return words if len(words) <= WORDS_MAX else f"{words[: WORDS_MAX - 1]}…"
