"""How a field is read on both sides, and what is said of one that only one side has: shared by the parts of a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter, methodcaller
from types import MethodDescriptorType
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from mirror.core.compare.generated import Code
from mirror.core.compare.presence import is_default
from mirror.core.compare.values import is_repeated
from mirror.core.compare.walk import Rules, Walk
from mirror.core.model import Kind
from mirror.core.path import Field, Path, Typed
from mirror.core.rules import Ignore, Place, Presence


@dataclass(frozen=True, slots=True)
class Access:
    """How one side's field is read. `has`: None where the field has no presence.

    `asked` is what a written function asks instead, with the message and `name`: HasField, where it is surely that.
    """

    get: Callable[[Any], Any]
    has: Callable[[Any], bool] | None
    repeated: bool = False
    name: str = ""
    asked: Any = None

    @classmethod
    def of(cls, field: FieldDescriptor) -> Access:
        """For a field or an extension."""
        if field.is_extension:
            return cls(
                lambda message: message.Extensions[field],
                (lambda message: bool(message.HasExtension(field))) if field.has_presence else None,
            )
        name = field.name
        if not field.has_presence:
            return cls(attrgetter(name), None, is_repeated(field), name)
        if field.containing_type is not None and "HasField" in field.containing_type.fields_by_name:
            # Then the message's attribute is that field.
            return cls(attrgetter(name), lambda message: bool(type(message).HasField(message, name)))
        asked: Any = GetMessageClass(field.containing_type).HasField if field.containing_type is not None else None
        if type(asked) is not MethodDescriptorType:
            return cls(attrgetter(name), methodcaller("HasField", name))
        # A third of the time of a look-up by name.
        return cls(attrgetter(name), lambda message: asked(message, name), name=name, asked=asked)

    def holds(self, message: Message) -> bool:
        """Whether the field is set or, without presence, not empty or default."""
        return self.has(message) if self.has is not None else bool(self.get(message))


@dataclass(frozen=True, slots=True)
class FieldPair:
    """One field as both sides have it, at one place of the rules."""

    step: Field | Typed
    place: Place
    left: Access
    right: Access
    rules: Rules  # those that hold for a value here: of the place, and of a wrapper around it

    def has(self, code: Code) -> tuple[str, str] | None:
        """Two expressions: whether the field is set on either side. None: they are not to be written out."""
        name, asked = self.left.name, self.left.asked
        if asked is None or asked is not self.right.asked or name != self.right.name:
            return None
        bound = code.bind(asked)
        return f"{bound}(left, {name!r})", f"{bound}(right, {name!r})"


def ignore_id(place: Place) -> str:
    """The id of the rule that ignores this place, or ""."""
    return next((rule.id for rule in place.rules if rule.type == "ignore"), "")


def lonely(  # noqa: PLR0913, PLR0917 - what there is, and where
    walk: Walk, pair: FieldPair, kind: Kind, value: Any, path: Path, default: Any = None
) -> None:
    """Only one side has the field; a presence rule excuses it where `value` is what an unset one reads as."""
    path = (*path, pair.step)
    presence = pair.place.find(Presence)
    if presence is not None and pair.place.find(Ignore) is None and is_default(value, default):
        left, right = (value, None) if kind is Kind.MISSING else (None, value)
        walk.add(path, kind, left, right, presence.id)
    else:
        walk.lonely(path, pair.place, kind, value)


def rules_of(walk: Walk, place: Place, rules: Rules) -> Rules:
    """Those of the field that hold for its values: none where it is asked, rules apart, whether any differ."""
    return () if place is walk.bare else rules
