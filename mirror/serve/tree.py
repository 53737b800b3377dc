"""Protobuf messages as trees that can be read: the one walk behind the JSON of the API and the lines of the page.

Pure. A node knows its field path, so that whoever shows it can say which lines a difference touches. The JSON has
protobuf's field names and these conventions: enums by name, bytes in base64, Timestamp and Duration as in protobuf's
own JSON, NaN and infinities as strings, integers beyond 2^53 as strings, an Any with "@type", unknown fields under
their numbers. Bounded by `DEPTH_MAX` and `NODES_MAX`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from mirror.core.compare.reflect import is_any, is_time, set_fields
from mirror.core.compare.walk import descriptor_of

DEPTH_MAX: Final = 100
NODES_MAX: Final = 20_000
_EXACT_INTEGER_MAX: Final = 2**53
_GROUP: Final = 3  # wire type of a group: its data is an UnknownFieldSet


class Shape(StrEnum):
    """What a node is in JSON."""

    OBJECT = "object"
    ARRAY = "array"
    LEAF = "leaf"


@dataclass(frozen=True, slots=True)
class Node:
    """One value with its field path; `key` is its name in the object around it, empty in an array."""

    path: str
    key: str
    shape: Shape
    value: Any = None  # of a leaf: str, int, float, bool or None
    children: tuple[Node, ...] = ()


def leaf(path: str, key: str, value: Any) -> Node:
    """A node without children; `value` becomes what JSON can say."""
    return Node(path, key, Shape.LEAF, _json_scalar(value))


def group(path: str, key: str, children: Iterable[Node]) -> Node:
    """A node like an object."""
    return Node(path, key, Shape.OBJECT, children=tuple(children))


def array(path: str, key: str, children: Iterable[Node]) -> Node:
    """A node like a list."""
    return Node(path, key, Shape.ARRAY, children=tuple(children))


def of_message(message: Message, path: str, *, key: str = "", pool: DescriptorPool | None = None) -> Node:
    """The tree of `message` at `path`; `pool` resolves the types inside Any. Cut (and marked so) at the limits."""
    walk = _Walk(pool)
    node = walk.message(message, path, key)
    if walk.cut:
        return group(path, key, (*node.children, leaf(path, "(cut)", "the rest is too large to be shown")))
    return node


def quoted(key: str | int | bool) -> str:  # noqa: FBT001 - a map's key may be a bool
    """A map's or metadata's key as it stands in a field path."""
    return json.dumps(key, ensure_ascii=False)


def plain(node: Node) -> Any:
    """The tree as JSON values: dict, list, str, int, float, bool, None."""
    if node.shape is Shape.OBJECT:
        return {child.key: plain(child) for child in node.children}
    if node.shape is Shape.ARRAY:
        return [plain(child) for child in node.children]
    return node.value


class _Walk:
    """One walk over one message, within its budget of nodes and depth."""

    def __init__(self, pool: DescriptorPool | None) -> None:
        self._pool = pool
        self._nodes = 0
        self._depth = 0
        self.cut = False

    def message(self, message: Message, path: str, key: str) -> Node:
        """The node of a message and of all below it."""
        descriptor = descriptor_of(message)
        if is_any(descriptor):
            return self._any(message, path, key)
        if is_time(descriptor):
            try:
                return leaf(path, key, message.ToJsonString())  # type: ignore[attr-defined]
            except ValueError:  # out of range: the fields are shown as they are
                pass
        self._depth += 1
        children: list[Node] = []
        for field, value in set_fields(message):
            if self._spent():
                break
            children.append(self._field(field, value, path))
        children.extend(self._unknown(UnknownFieldSet(message), path))
        self._depth -= 1
        return group(path, key, children)

    def _spent(self) -> bool:
        self._nodes += 1
        if self._nodes > NODES_MAX or self._depth > DEPTH_MAX:
            self.cut = True
        return self.cut

    def _any(self, message: Any, path: str, key: str) -> Node:
        full_name = str(message.type_url).rpartition("/")[2]
        inner_path = f"{path}.({full_name})"
        kind = leaf(path, "@type", str(message.type_url))
        try:
            descriptor = (self._pool or message.DESCRIPTOR.file.pool).FindMessageTypeByName(full_name)
            inner = GetMessageClass(descriptor).FromString(message.value)
        except (KeyError, DecodeError):
            return group(path, key, (kind, leaf(inner_path, "value", bytes(message.value))))
        node = self.message(inner, inner_path, "value")
        return group(path, key, (kind, *(node.children if node.shape is Shape.OBJECT else (node,))))

    def _field(self, descriptor: FieldDescriptor, value: Any, path: str) -> Node:
        name = f"({descriptor.full_name})" if descriptor.is_extension else descriptor.name
        here = f"{path}.{name}"
        if _is_map(descriptor):
            return group(here, name, self._entries(descriptor, value, here))
        if descriptor.is_repeated:
            return array(here, name, self._elements(descriptor, value, here))
        return self._single(descriptor, value, here, name)

    def _entries(self, descriptor: FieldDescriptor, value: Any, path: str) -> Iterator[Node]:
        entry: Any = descriptor.message_type
        for key in sorted(value):
            if self._spent():
                return
            yield self._single(entry.fields_by_name["value"], value[key], f"{path}[{quoted(key)}]", _text(key))

    def _elements(self, descriptor: FieldDescriptor, value: Any, path: str) -> Iterator[Node]:
        for index, element in enumerate(value):
            if self._spent():
                return
            yield self._single(descriptor, element, f"{path}[{index}]", "")

    def _single(self, descriptor: FieldDescriptor, value: Any, path: str, key: str) -> Node:
        if isinstance(value, Message):
            return self.message(value, path, key)
        if descriptor.enum_type is not None:
            known = descriptor.enum_type.values_by_number.get(value)
            return leaf(path, key, known.name if known else value)
        return leaf(path, key, value)

    def _unknown(self, fields: Any, path: str) -> Iterator[Node]:
        by_number: dict[int, list[Any]] = {}
        for one in fields:
            by_number.setdefault(one.field_number, []).append(one)
        for number, values in sorted(by_number.items()):
            if self._spent():
                return
            here = f"{path}.{number}"
            nodes = (self._unknown_value(value, f"{here}[{i}]") for i, value in enumerate(values))
            yield array(here, str(number), nodes)

    def _unknown_value(self, one: Any, path: str) -> Node:
        if one.wire_type != _GROUP:
            return leaf(path, "", one.data)
        self._depth += 1
        node = group(path, "", self._unknown(one.data, path))
        self._depth -= 1
        return node


def _is_map(descriptor: FieldDescriptor) -> bool:
    kind = descriptor.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def _text(key: Any) -> str:
    return json.dumps(key) if isinstance(key, bool) else str(key)


def _json_scalar(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT_INTEGER_MAX:
        return str(value)
    return value
