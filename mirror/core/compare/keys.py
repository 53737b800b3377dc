"""By what the elements of a keyed list know each other."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from mirror.core.compare.access import Access
from mirror.core.compare.elements import By, KeyOf, canonical
from mirror.core.compare.values import FLOATS, is_map, is_message, is_repeated
from mirror.core.compare.walk import Part, Walk
from mirror.core.path import Field, Path, PathPattern, PatternStep, Typed
from mirror.core.rules import Place

PARTS_MAX: Final = 1024  # places of which a part is remembered

_Fields: TypeAlias = list[FieldDescriptor]  # down a path
Unordered: TypeAlias = Callable[[FieldDescriptor], bool]  # whether the order of a repeated key means nothing
MakePart: TypeAlias = Callable[[FieldDescriptor, FieldDescriptor, Place], Part]  # the last: of the message around


def keys_of(  # noqa: PLR0913 - what the compiler knows
    left: Descriptor,
    right: Descriptor,
    by: tuple[str, ...],
    unordered: Unordered = lambda _: False,
    make: MakePart | None = None,
    *,
    walked: bool = False,
) -> By | None:
    """How the keys of list elements are read on either side; None where a key path is in neither type.

    A path that only one side has leads down the fields of the same numbers on the other.

    A key is the tuple of what stands at the paths `by` below the element, by value: only on the way there does presence
    count. Of a repeated field all elements do. Messages are held against each other by the part that `make` gives for
    them, for rules may say what in them differs; without it they count by their canonical bytes. `walked`: so are
    lists, maps and floats.
    """
    paths = [_both(left, right, path) for path in by]
    asked = [path for path in paths if make is not None and _needs_walk(*path, all_=walked)]
    plain = [path for path in paths if path not in asked]
    ours, theirs = (_key_of([path[side] for path in plain], unordered) for side in (0, 1))
    if ours is None and theirs is None:
        return None
    couples = [list(zip(one or [], other or [], strict=False)) for one, other in asked]
    alike = _Alike(couples, make) if make is not None and asked else None
    return By(ours or _no_key, theirs or _no_key, alike)


class _Alike:
    """Whether two elements are alike in the messages that are parts of their keys."""

    def __init__(self, paths: list[list[tuple[FieldDescriptor, FieldDescriptor]]], make: MakePart) -> None:
        self._paths = paths
        self._make = make
        self._parts: dict[tuple[FieldDescriptor, Place], Part] = {}

    def __call__(self, walk: Walk, left: Any, right: Any, path: Path, place: Place) -> bool:
        return all(self._same(fields, walk, (left, right), path, place) for fields in self._paths)

    def _same(
        self,
        fields: list[tuple[FieldDescriptor, FieldDescriptor]],
        walk: Walk,
        sides: tuple[Any, Any],
        path: Path,
        place: Place,
    ) -> bool:
        left, right = sides
        for one, other in fields[:-1]:
            has = Access.of(one).holds(left), Access.of(other).holds(right)
            if not all(has):
                return has[0] == has[1]
            left, right = getattr(left, one.name), getattr(right, other.name)
            path, place = (*path, Field(other.name)), place.step(Field(other.name))
        slot = fields[-1][0], place
        part = self._parts.get(slot) or self._make(*fields[-1], place)
        if len(self._parts) < PARTS_MAX:
            self._parts[slot] = part
        return walk.counted(lambda probing: part(probing, left, right, path)) == 0


def _both(left: Descriptor, right: Descriptor, path: str) -> tuple[_Fields | None, _Fields | None]:
    """The fields down `path` on either side; where one side calls them otherwise, those of the same numbers."""
    ours, theirs = _fields_of(left, path), _fields_of(right, path)
    if ours is None and theirs is not None:
        ours = _of_the_same_numbers(left, theirs)
    elif theirs is None and ours is not None:
        theirs = _of_the_same_numbers(right, ours)
    return ours, theirs


def _of_the_same_numbers(descriptor: Descriptor, path: _Fields) -> _Fields | None:
    message: Descriptor | None = descriptor
    found: _Fields = []
    for wanted in path:
        field = None if message is None else message.fields_by_number.get(wanted.number)
        if field is None or is_repeated(field) != is_repeated(wanted):
            return None
        found.append(field)
        message = field.message_type if is_message(field) else None
    return found


def _needs_walk(left: _Fields | None, right: _Fields | None, *, all_: bool) -> bool:
    ends = [found[-1] for found in (left, right) if found]
    if len(ends) < 2 or any(end.is_extension for end in ends):
        return False
    if all_:
        return any(is_message(end) or is_repeated(end) or end.type in FLOATS for end in ends)
    return all(is_message(end) and not is_map(end) for end in ends)


def _no_key(_element: Any) -> Hashable:
    return None


def _key_of(paths: list[_Fields | None], unordered: Unordered) -> KeyOf | None:
    found = [path for path in paths if path is not None]
    if len(found) < len(paths):
        return None
    readers = [([Access.of(field) for field in path], unordered(path[-1]) or is_map(path[-1])) for path in found]
    return lambda element: tuple(_key(element, path, as_set=as_set) for path, as_set in readers)


def _fields_of(descriptor: Descriptor, path: str) -> list[FieldDescriptor] | None:
    """The fields down `path` (names and extensions) from a message of this type; None where it leads nowhere."""
    message: Descriptor | None = descriptor
    found: list[FieldDescriptor] = []
    for step in PathPattern.parse(path).steps:
        if message is None or (found and is_repeated(found[-1])):
            return None
        field = message.fields_by_name.get(step.name) if isinstance(step, Field) else _extension(message, step)
        if field is None:
            return None
        found.append(field)
        message = field.message_type if is_message(field) else None
    return found


def _extension(message: Descriptor, step: PatternStep) -> FieldDescriptor | None:
    try:
        return message.file.pool.FindExtensionByName(step.name) if isinstance(step, Typed) else None
    except KeyError:
        return None


def _key(element: Any, path: list[Access], *, as_set: bool) -> Hashable:
    for access in path[:-1]:
        if access.has is not None and not access.has(element):
            return None
        element = access.get(element)
    element = path[-1].get(element)
    if isinstance(element, Message) or not hasattr(element, "__len__") or isinstance(element, str | bytes):
        return _single(element)
    if hasattr(element, "items"):
        element = [(_single(key), _single(value)) for key, value in element.items()]
    values = [_single(value) for value in element]
    return tuple(sorted(values, key=repr) if as_set else values)


def _single(value: Any) -> Hashable:
    if isinstance(value, Message):
        return canonical(value)
    return value if isinstance(value, tuple) or value == value else "NaN"  # noqa: PLR0124 - this is how NaN shows
