"""What may lie anywhere below a message type. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from mirror.core.compare.reflect import ANY
from mirror.core.compare.values import is_message, type_of

_FLOATS = (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE)


@dataclass(frozen=True, slots=True)
class Closure:
    """`floats`: a float may lie at some depth. `open_ended`: so may types that no field names (Any, extensions)."""

    floats: bool
    open_ended: bool


class Closures:
    """Of each type that was asked for."""

    def __init__(self) -> None:
        self._known: dict[Descriptor, Closure] = {}

    def of(self, root: Descriptor) -> Closure:
        """Worked out at the first use."""
        found = self._known.get(root)
        if found is None:
            found = self._known[root] = _closure(root)
        return found


def _closure(root: Descriptor) -> Closure:
    seen, waiting = {root}, [root]
    floats = open_ended = False
    while waiting:
        message = waiting.pop()
        open_ended = open_ended or message.full_name == ANY or message.is_extendable
        for field in message.fields:
            floats = floats or field.type in _FLOATS
            if is_message(field) and type_of(field) not in seen:
                seen.add(type_of(field))
                waiting.append(type_of(field))
    return Closure(floats or open_ended, open_ended)
