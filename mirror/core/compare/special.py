"""The parts of a plan for what is not a declared field, and for the types that are compared by what they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from mirror.core.compare.floods import RECORDS_MAX, UNKNOWN_MAX_BYTES, many_records
from mirror.core.compare.reflect import set_fields, which_oneof
from mirror.core.compare.values import excuse_time
from mirror.core.compare.walk import Part, Rules, Walk, descriptor_of
from mirror.core.model import Kind
from mirror.core.path import Field, Path, Typed
from mirror.core.rules import Ignore, Place

BYTES_A_STEP: Final = 64  # of an Any that is opened, for one step of work


def compare_ignored(ignore: str, walk: Walk, left: Message, right: Message, path: Path) -> None:
    """Messages that a rule ignores: one difference under it if they have any."""
    if walk.differ(left, right, path):
        walk.add(path, Kind.VALUE, left, right, ignore)


def compare_times(rules: Rules, walk: Walk, left: Message, right: Message, path: Path) -> None:
    """A Timestamp or Duration is one value, not two numbers."""
    one: Any = left
    other: Any = right
    if one.seconds != other.seconds or one.nanos != other.nanos:
        walk.add(path, Kind.VALUE, left, right, excuse_time(rules, left, right))


def compare_masks(rules: Rules, walk: Walk, left: Message, right: Message, path: Path) -> None:
    """A FieldMask is a set of paths: neither their order nor a double one means anything."""
    one: Any = left
    other: Any = right
    if set(one.paths) != set(other.paths):
        ignore = next((rule.id for rule in rules if isinstance(rule, Ignore)), "")
        walk.add(path, Kind.VALUE, left, right, ignore)


def compare_value(  # noqa: PLR0913, PLR0917 - two values and where they stand
    parts: tuple[Part, ...], ignore: str, walk: Walk, left: Message, right: Message, path: Path
) -> None:
    """A google.protobuf.Value: one of another type (text for a number) is one difference, else what differs within."""
    if which_oneof(left, "kind") != which_oneof(right, "kind"):
        walk.add(path, Kind.VALUE, left, right, ignore)
        return
    for part in parts:
        part(walk, left, right, path)


def compare_closed(  # noqa: PLR0913, PLR0917 - two messages and where they stand
    parts: tuple[Part, ...],
    unknown: Callable[[Walk, Any, Any, Path], None] | None,
    walk: Walk,
    left: Message,
    right: Message,
    path: Path,
) -> None:
    """An Any that cannot be opened, as any message."""
    if unknown is not None:
        unknown(walk, UnknownFieldSet(left), UnknownFieldSet(right), path)
    for part in parts:
        part(walk, left, right, path)


class AnyPart:
    """An Any: by the message inside, whatever its bytes look like.

    `bare`: compares the Any's own fields, unknown ones too, where it cannot be opened; `by_meaning`: say then what is
    wrong, and of another type both names.
    """

    __slots__ = ("_bare", "_by_meaning", "_place")

    def __init__(self, place: Place, bare: Part, *, by_meaning: bool) -> None:
        self._place = place
        self._bare = bare
        self._by_meaning = by_meaning

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """One difference for another type; of one type what differs within; type and bytes where that is unknown."""
        one: Any = left
        other: Any = right
        name, other_name = _type_name(one.type_url), _type_name(other.type_url)
        if name != other_name and self._by_meaning:
            walk.add(path, Kind.VALUE, name, other_name, note="holds another type")
            return
        opened = "/" in one.type_url and "/" in other.type_url and name == other_name
        classes = _classes(left, right, name) or (walk.types(name) if walk.types else None) if opened else None
        same_type = self._by_meaning and classes is not None and classes[0] is classes[1]
        if same_type and one.value == other.value and walk.setting.gates:
            return
        if classes is not None and (why := _too_many(classes, (one.value, other.value))):
            walk.add(path, Kind.VALUE, note=why)
            return
        inner = _opened(walk, classes, (one.value, other.value), path)
        if inner:
            step = Typed(name)
            size = len(one.value) + len(other.value)
            walk.messages(*inner, (*path, step), self._place.step(step), size=size)
        elif self._by_meaning:
            why = f"no schema for {name}" if classes is None else f"cannot be decoded as {name}"
            self._explained(walk, left, right, path, why)
        else:
            self._bare(walk, left, right, path)

    def _explained(self, walk: Walk, left: Message, right: Message, path: Path, why: str) -> None:
        for field in ("type_url", "value"):
            one, other = getattr(left, field), getattr(right, field)
            if one != other:
                step = Field(field)
                ignore = self._place.step(step).find(Ignore)
                walk.add((*path, step), Kind.VALUE, one, other, ignore.id if ignore else "", why)


def _opened(
    walk: Walk, classes: tuple[type[Message], type[Message]] | None, values: tuple[bytes, bytes], path: Path
) -> tuple[Message, Message] | None:
    """The messages inside; None where nobody knows their type or the bytes are not such."""
    if classes is None:
        return None
    walk.spend((len(values[0]) + len(values[1])) // BYTES_A_STEP, path)  # each Any around holds a copy of what is in it
    try:
        return classes[0].FromString(values[0]), classes[1].FromString(values[1])
    except (DecodeError, RecursionError):
        return None


def _too_many(classes: tuple[type[Message], type[Message]], values: tuple[bytes, bytes]) -> str:
    for kind, value in zip(classes, values, strict=True):
        anyhow: Any = kind
        if len(value) > UNKNOWN_MAX_BYTES and many_records(value, anyhow.DESCRIPTOR):
            return f"too complex: an Any of over {RECORDS_MAX} records"
    return ""


def _type_name(url: str) -> str:
    return url.rpartition("/")[2]


def _classes(left: Message, right: Message, name: str) -> tuple[type[Message], type[Message]] | None:
    found = [_class(descriptor_of(side).file.pool, name) for side in (left, right)]
    one, other = found
    return (one, other) if one is not None and other is not None else None


def _class(pool: DescriptorPool, name: str) -> type[Message] | None:
    try:
        return GetMessageClass(pool.FindMessageTypeByName(name))
    except (KeyError, RecursionError):  # the latter: its fields lead on through too many types
        return None


class ExtensionsPart:
    """The extensions that are set, each as a field of its own; parts are made as they are met."""

    __slots__ = ("_make", "_parts")

    def __init__(self, make: Callable[[FieldDescriptor | None, FieldDescriptor | None], Part]) -> None:
        self._make = make
        self._parts: dict[tuple[FieldDescriptor | None, FieldDescriptor | None], Part] = {}

    def __call__(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """In order of number."""
        ours, theirs = _extensions(left), _extensions(right)
        for number in sorted(ours.keys() | theirs.keys()):
            one, other = ours.get(number), theirs.get(number)
            if type(left) is type(right):
                one = other = one or other
            part = self._parts.get((one, other))
            if part is None:
                part = self._parts[one, other] = self._make(one, other)
            part(walk, left, right, path)


def _extensions(message: Message) -> dict[int, FieldDescriptor]:
    return {field.number: field for field, _ in set_fields(message) if field.is_extension}
