"""Fields that the schema does not know, by number and wire type; their order across numbers means nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from google.protobuf.unknown_fields import UnknownFieldSet

from mirror.core.compare.walk import Walk
from mirror.core.model import Kind
from mirror.core.path import Field, Index, Path
from mirror.core.rules import Ignore, Place

_Slot: TypeAlias = tuple[int, int, int]  # number, place of the wire type, index among these
# Of one number, MessageDifferencer reports varints first, then 32 bits, 64 bits, bytes and groups.
_ORDER: Final = {0: 0, 5: 1, 1: 2, 2: 3, 3: 4}


def compare_unknown(  # noqa: PLR0913, PLR0917 - two sets and where they stand
    place: Place, walk: Walk, left: Any, right: Any, path: Path, depth: int = 0
) -> None:
    """Two UnknownFieldSets. Path `240[0]`: the number, and the index among those of one number and wire type."""
    if depth >= walk.options.depth_max:
        walk.add(path, Kind.VALUE, note=f"too complex: nested deeper than {walk.options.depth_max} groups")
        return
    ours, theirs = dict(_slots(left)), dict(_slots(right))
    walk.spend(len(ours) + len(theirs), path)
    for slot in sorted(ours.keys() | theirs.keys()):
        steps = Field(str(slot[0])), Index(slot[2])
        at = (*path, *steps)
        field = place.step(steps[0])
        element = field.step(steps[1])
        one, other = ours.get(slot), theirs.get(slot)
        if one is None and walk.options.partial:
            continue
        ignore = field.find(Ignore) or element.find(Ignore)
        if _same_unknown(one, other):
            continue
        if ignore is None and _is_group(one) and _is_group(other):
            compare_unknown(element, walk, one, other, at, depth + 1)
            continue
        kind = Kind.ADDED if one is None else Kind.MISSING if other is None else Kind.VALUE
        rule = ignore.id if ignore else ""
        walk.add(at, kind, _shown(one), _shown(other), rule, "a field that the schema does not know")


def _slots(fields: Any) -> Iterator[tuple[_Slot, Any]]:
    seen: dict[tuple[int, int], int] = {}
    for field in fields:
        name = field.field_number, _ORDER.get(field.wire_type, 5)
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
