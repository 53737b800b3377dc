"""The parts of a plan for what is not a declared field, and for the types that are compared by what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from mirror.core.compare.reflect import known_part, set_fields, wire_bytes
from mirror.core.compare.values import excuse_time
from mirror.core.compare.walk import Part, Rules, Walk, descriptor_of
from mirror.core.model import Kind
from mirror.core.path import Field, Index, Path, Typed
from mirror.core.rules import Ignore, Place

UNKNOWN_MAX_BYTES: Final = 262_144  # of unknown fields in one message; decoding them costs a hundred times as much
_Slot: TypeAlias = tuple[int, int, int]  # number, wire type, index among these


class TimePart:
    """A Timestamp or Duration: one value, not two numbers."""

    __slots__ = ("_rules",)

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def compare(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """Equal if seconds and nanos are."""
        one: Any = left
        other: Any = right
        if one.seconds != other.seconds or one.nanos != other.nanos:
            walk.sink.add(path, Kind.VALUE, left, right, rule=excuse_time(self._rules, left, right))


class AnyPart:
    """An Any: by the message inside, whatever its bytes look like."""

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        self._place = place

    def compare(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """One difference for another type; of one type what differs within; type and bytes where that is unknown."""
        one: Any = left
        other: Any = right
        name, other_name = _type_name(one.type_url), _type_name(other.type_url)
        if name != other_name:
            walk.sink.add(path, Kind.VALUE, name, other_name, note="holds another type")
            return
        classes = _classes(left, right, name) or (walk.types(name) if walk.types else None)
        if classes is not None and classes[0] is classes[1] and one.value == other.value and walk.options.nan_equal:
            return
        try:
            inner = classes and (classes[0].FromString(one.value), classes[1].FromString(other.value))
        except (DecodeError, RecursionError):
            inner = None
        if inner:
            step = Typed(name)
            walk.messages(*inner, (*path, step), self._place.step(step))
            return
        for field in ("type_url", "value"):
            if getattr(one, field) != getattr(other, field):
                step_to = Field(field)
                ignore = self._place.step(step_to).find(Ignore)
                rule = ignore.id if ignore else ""
                note = f"no schema for {name}" if classes is None else f"cannot be decoded as {name}"
                walk.sink.add(
                    (*path, step_to), Kind.VALUE, getattr(one, field), getattr(other, field), rule=rule, note=note
                )


def _type_name(url: str) -> str:
    return url.rpartition("/")[2]


def _classes(left: Message, right: Message, name: str) -> tuple[type[Message], type[Message]] | None:
    found = [_class(descriptor_of(side).file.pool, name) for side in (left, right)]
    one, other = found
    return (one, other) if one is not None and other is not None else None


def _class(pool: DescriptorPool, name: str) -> type[Message] | None:
    try:
        return GetMessageClass(pool.FindMessageTypeByName(name))
    except KeyError:
        return None


class ExtensionsPart:
    """The extensions that are set, each as a field of its own; parts are made as they are met."""

    __slots__ = ("_make", "_parts")

    def __init__(self, make: Callable[[FieldDescriptor | None, FieldDescriptor | None], Part]) -> None:
        self._make = make
        self._parts: dict[tuple[FieldDescriptor | None, FieldDescriptor | None], Part] = {}

    def compare(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """In order of number."""
        ours, theirs = _extensions(left), _extensions(right)
        for number in sorted(ours.keys() | theirs.keys()):
            one, other = ours.get(number), theirs.get(number)
            if type(left) is type(right):
                one = other = one or other
            part = self._parts.get((one, other))
            if part is None:
                part = self._parts[one, other] = self._make(one, other)
            part.compare(walk, left, right, path)


def _extensions(message: Message) -> dict[int, FieldDescriptor]:
    return {field.number: field for field, _ in set_fields(message) if field.is_extension}


class UnknownPart:
    """Fields that the schema does not know, by number and wire type; their order across numbers means nothing."""

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        self._place = place

    def compare(self, walk: Walk, left: Message, right: Message, path: Path) -> None:
        """Path `240[0]`: the number, and the index among those of one number and wire type."""
        if walk.depth <= 1:
            walk.large = _size(left) + _size(right) > UNKNOWN_MAX_BYTES
        if walk.large and _unknown_bytes(left) + _unknown_bytes(right) > UNKNOWN_MAX_BYTES:
            walk.sink.add(path, Kind.VALUE, note=f"too complex: over {UNKNOWN_MAX_BYTES} bytes of unknown fields")
            return
        ours, theirs = UnknownFieldSet(left), UnknownFieldSet(right)
        if len(ours) or len(theirs):
            _compare_unknown(walk, ours, theirs, path, self._place, 0)


def _unknown_bytes(message: Message) -> int:
    """Those of the messages below counted too."""
    return _size(message) - _size(known_part(message))


def _size(message: Message) -> int:
    return len(wire_bytes(message))  # ByteSize refuses messages that lack a required field


def _compare_unknown(walk: Walk, left: Any, right: Any, path: Path, place: Place, depth: int) -> None:  # noqa: PLR0913, PLR0917
    if depth >= walk.options.depth_max:
        walk.sink.add(path, Kind.VALUE, note=f"too complex: nested deeper than {walk.options.depth_max} groups")
        return
    ours, theirs = dict(_slots(left)), dict(_slots(right))
    walk.budget.spend(len(ours) + len(theirs), path)
    for slot in sorted(ours.keys() | theirs.keys()):
        steps = Field(str(slot[0])), Index(slot[2])
        at = (*path, *steps)
        field = place.step(steps[0])
        element = field.step(steps[1])
        one, other = ours.get(slot), theirs.get(slot)
        ignore = field.find(Ignore) or element.find(Ignore)
        if _same_unknown(one, other):
            continue
        if ignore is None and _is_group(one) and _is_group(other):
            _compare_unknown(walk, one, other, at, element, depth + 1)
            continue
        kind = Kind.ADDED if one is None else Kind.MISSING if other is None else Kind.VALUE
        rule = ignore.id if ignore else ""
        walk.sink.add(at, kind, _shown(one), _shown(other), rule=rule, note="a field that the schema does not know")


def _slots(fields: Any) -> Iterator[tuple[_Slot, Any]]:
    seen: dict[tuple[int, int], int] = {}
    for field in fields:
        name = field.field_number, field.wire_type
        index = seen[name] = seen.get(name, -1) + 1
        yield (*name, index), field.data


def _is_group(data: Any) -> bool:
    return isinstance(data, UnknownFieldSet)


def _same_unknown(one: Any, other: Any, depth: int = 0) -> bool:
    if not (_is_group(one) and _is_group(other)):
        return bool(one == other)
    if depth > 100:  # the parser allows no more
        return False
    ours, theirs = dict(_slots(one)), dict(_slots(other))
    return ours.keys() == theirs.keys() and all(_same_unknown(ours[slot], theirs[slot], depth + 1) for slot in ours)


def _shown(data: Any) -> Any:
    return "(group)" if _is_group(data) else data
