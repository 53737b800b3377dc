"""One message on its way through its plan: private values out, leaves beside. Pure.

A leaf is taken as a whole: of a private message, list or map one hash stands for all of it, so that neither its shape nor the
keys of a map show. What is not set leaves nothing; what is set and empty says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from grpc_mirror import canonical
from grpc_mirror.private_paths import ANY_ELEMENT, KEY, NAME, TYPED, Patterns, States
from grpc_mirror.private_plan import DISCARD_DEPTH, Element, FieldPlan, Plan, Planner

LEAVES_MAX = 1000  # of one message, and of what stands outside the messages
LEAF_OVERHEAD_BYTES = 64  # of an encoded leaf beside its path
_MESSAGE = FieldDescriptor.CPPTYPE_MESSAGE
_TYPE_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_USUAL_PREFIXES = ("type.googleapis.com/", "/")


class Leaf(NamedTuple):
    """A private value that was taken out."""

    path: str
    hmac: bytes = b""  # none: too few values, no key, or empty
    empty: bool = False


class TooMuchError(ValueError):
    """More leaves than a capture takes."""


class Walk:
    """One message on its way through its plan."""

    def __init__(
        self, planner: Planner, leaf: Callable[[str, bytes | None], Leaf], *, leaves_max_bytes: int, strict: bool
    ) -> None:
        """`leaf(path, canonical value or None)` makes a leaf. `strict`: unknown fields and unknown types go as well."""
        self._planner = planner
        self._leaf = leaf
        self._strict = strict
        self._room = leaves_max_bytes
        self.noticed: list[str] = []  # names of conditions
        self.leaves: list[Leaf] = []
        self.changed = False  # something was taken out

    def root(self, plan: Plan, message: Any) -> None:
        """Walk a whole message."""
        if self._strict:
            message.DiscardUnknownFields()
        self._message(plan, message, "", 0, strict=self._strict)

    def detail(self, detail: Any, index: int, patterns: Patterns) -> None:
        """Walk one Any of a status's details. `patterns`: the first of the planner's, or all."""
        states = patterns.start((NAME, "status"), (NAME, "details"), ANY_ELEMENT)
        states |= patterns.start((NAME, "status"), (NAME, "details"), (KEY, index))
        path = f"status.details[{index}]"
        if patterns.accepts(states):
            self._hide_any(detail, path, "", usual=False)
        else:
            self._any(states, detail, path, 0, strict=self._strict)

    def _message(self, plan: Plan, message: Any, path: str, depth: int, *, strict: bool) -> None:
        if depth > canonical.DEPTH_MAX:
            raise canonical.TooDeepError
        if strict and depth and depth % DISCARD_DEPTH == 0:
            message.DiscardUnknownFields()
        if plan.is_any:
            self._any(plan.states, message, path, depth, strict=strict)
            return
        for field in plan.fields:
            self._field(field, message, path, depth, strict=strict)
        if plan.extendable:
            for descriptor, value in message.ListFields():
                if descriptor.is_extension:
                    if strict:
                        _discard_in_extension(descriptor, value)
                    extension = self._planner.extension(descriptor, plan.states)
                    self._field(extension, message, path, depth, strict=strict)

    def _field(self, field: FieldPlan, message: Any, path: str, depth: int, *, strict: bool) -> None:
        path = f"{path}.{field.name}" if path else field.name
        if field.private:
            self._take(field, message, path)
            return
        if field.is_repeated:
            values = _value(message, field.descriptor)
            if values:
                self._elements(field, values, path, depth, strict=strict)
        elif field.element.plan is not None and _is_set(message, field.descriptor):
            self._message(field.element.plan, _value(message, field.descriptor), path, depth + 1, strict=strict)

    def _elements(self, field: FieldPlan, values: Any, path: str, depth: int, *, strict: bool) -> None:
        if not field.special and not field.element.private and field.element.plan is None:
            return
        for key in sorted(values) if field.is_map else range(len(values)):
            element = field.special.get(key, field.element)
            if element.private:
                self._take_element(field, element, values, key, _keyed(path, key))
            elif element.plan is not None:
                self._message(element.plan, values[key], _keyed(path, key), depth + 1, strict=strict)

    def _take(self, field: FieldPlan, message: Any, path: str) -> None:
        """Take a whole field out."""
        descriptor = field.descriptor
        if _is_set(message, descriptor):
            value = _value(message, descriptor)
            if not field.hashed:
                self._add(Leaf(path))
            elif _is_empty(descriptor, value):
                self._add(Leaf(path, empty=True))
            else:
                self._add(self._leaf(path, canonical.field_value(descriptor, value)))
            _clear(message, descriptor)
        elif field.always:
            value = canonical.field_value(descriptor, _value(message, descriptor)) if field.hashed else None
            self._add(self._leaf(path, value))
            _clear(message, descriptor)  # -0.0 is there, and false

    def _take_element(self, field: FieldPlan, element: Element, values: Any, key: Any, path: str) -> None:
        """Take one element out: an entry of a map goes, one of a list is emptied, so that the others keep their places."""
        value = values[key]
        if not element.hashed:
            self._add(Leaf(path))
        elif _is_empty(element.descriptor, value):
            self._add(Leaf(path, empty=True))
        else:
            self._add(self._leaf(path, canonical.element_value(element.descriptor, value)))
        if field.is_map:
            del values[key]
        elif element.descriptor.cpp_type == _MESSAGE:
            value.Clear()
        else:
            values[key] = _zero(element.descriptor)

    def _any(self, states: States, message: Any, path: str, depth: int, *, strict: bool) -> None:
        url = message.type_url
        if not url and not message.value:
            return
        prefix, slash, name = url.rpartition("/")
        named = _TYPE_NAME.fullmatch(name) is not None
        typed = self._planner.patterns.step(states, (TYPED, name))
        descriptor = canonical.message_type(message.DESCRIPTOR.file.pool, name) if named else None
        if descriptor is None and not strict and not typed and name.startswith("google.rpc."):
            return  # the usual details of a status, which declare nothing private
        usual = named and prefix + slash in _USUAL_PREFIXES
        if descriptor is None or self._planner.patterns.accepts(typed):
            if descriptor is None:
                self.noticed.append("any_type_unknown")
            self._hide_any(message, path, name, usual=usual)
            return
        plan = self._planner.plan(descriptor, typed)
        if not strict and plan.idle:
            return
        inner: Any = canonical.class_of(descriptor)()
        try:
            inner.MergeFromString(message.value)
        except DecodeError:
            self._hide_any(message, path, name, usual=usual)
            return
        strict = strict or plan.private
        if strict:
            inner.DiscardUnknownFields()
        leaves = len(self.leaves)
        self._message(plan, inner, _typed(path, name), depth + 1, strict=strict)
        if strict or len(self.leaves) > leaves:
            message.value = inner.SerializePartialToString(deterministic=True)
        self.changed = self.changed or (strict and not self._strict)

    def _hide_any(self, message: Any, path: str, name: str, *, usual: bool) -> None:
        """Take the whole value of an Any out; a type's name is kept where it is one and nothing else."""
        path = _typed(path, name) if usual else path
        leaf = self._leaf(path, canonical.message_value(message))
        self._add(Leaf(path, empty=True) if usual and not message.value else leaf)
        message.ClearField("value")
        if not usual:
            message.ClearField("type_url")

    def _add(self, leaf: Leaf) -> None:
        self.changed = True
        self._room -= len(leaf.path) + LEAF_OVERHEAD_BYTES
        if len(self.leaves) >= LEAVES_MAX or self._room < 0:
            raise TooMuchError
        self.leaves.append(leaf)


def _value(message: Any, field: FieldDescriptor) -> Any:
    return message.Extensions[field] if field.is_extension else getattr(message, field.name)


def _is_set(message: Any, field: FieldDescriptor) -> bool:
    if field.is_extension:
        return bool(message.Extensions[field]) if canonical.is_repeated(field) else message.HasExtension(field)
    if field.has_presence and not canonical.is_repeated(field):
        return bool(message.HasField(field.name))
    return bool(getattr(message, field.name))


def _clear(message: Any, field: FieldDescriptor) -> None:
    if field.is_extension:
        message.ClearExtension(field)
    else:
        message.ClearField(field.name)


def _is_empty(field: FieldDescriptor, value: Any) -> bool:
    """Whether a single value is there but holds nothing. Numbers never: that a bool is empty would tell it."""
    if canonical.is_repeated(field) and not isinstance(value, (str, bytes)) and not hasattr(value, "ListFields"):
        return False
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return not value
    return field.cpp_type == _MESSAGE and not value.ListFields()


def _zero(field: FieldDescriptor) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        kind: Any = field.enum_type
        return kind.values[0].number
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return b"" if field.type == FieldDescriptor.TYPE_BYTES else ""
    return 0


def _discard_in_extension(field: FieldDescriptor, value: Any) -> None:
    """DiscardUnknownFields of protobuf 4 and 5 leaves extensions out."""
    if field.cpp_type == _MESSAGE:
        for message in value if canonical.is_repeated(field) else (value,):
            message.DiscardUnknownFields()


def _keyed(path: str, key: Any) -> str:
    return f"{path}[{key if type(key) is int else json.dumps(key, ensure_ascii=False)}]"


def _typed(path: str, name: str) -> str:
    return f"{path}.({name})" if path else f"({name})"
