"""Whether two texts are the same JSON: order of members, white space and the spelling of numbers and strings apart. Pure.

Strict, since a doubt must not excuse a difference: a text that is no JSON by RFC 8259, has a member twice, or is too
large or too deep, is the same as nothing. Numbers are exact: 1 is 1.0 and 1e0, but not true; 0.1 is no other near it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, DecimalException
from typing import Any, Final, NoReturn, TypeAlias

TEXT_MAX: Final = 262_144  # characters
DEPTH_MAX: Final = 64  # of arrays and objects in each other
# A string is taken whole, its end missing perhaps: so a bracket in it is none, and the scan is linear.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
_ESCAPED: Final = re.compile(r"~(?![01])")
_Nodes: TypeAlias = tuple["_Node", ...]


class PointerError(ValueError):
    """A JSON pointer that cannot be used; the text says why."""


@dataclass(slots=True)
class _Node:
    """A place in a document where pointers lead to, or through."""

    ends: bool = False
    below: dict[str, _Node] = field(default_factory=dict)


class JsonPointers:
    """What does not count: RFC 6901 pointers, in which `*` is any member or element. Raises PointerError."""

    __slots__ = ("start",)

    def __init__(self, pointers: Iterable[str] = ()) -> None:
        root = _Node()
        for pointer in pointers:
            at = root
            for segment in _segments(pointer):
                at = at.below.setdefault(segment, _Node())
            at.ends = True
        self.start: _Nodes = (root,) if root.below else ()


NO_POINTERS: Final = JsonPointers()


def same_json(left: str, right: str, ignored: JsonPointers = NO_POINTERS) -> bool:
    """Whether both are JSON and, apart from what `ignored` names, of one value. Never raises."""
    try:
        ours, theirs = _parsed(left), _parsed(right)
        return _same_but(ours, theirs, ignored.start) if ignored.start else bool(ours == theirs)
    except (ValueError, DecimalException, RecursionError):
        return False


def _same_but(left: Any, right: Any, ignored: _Nodes) -> bool:
    waiting = [(left, right, ignored)]
    while waiting:
        one, other, at = waiting.pop()
        if type(one) is not type(other):
            return False
        if not isinstance(one, dict | list):
            if one != other:
                return False
            continue
        ours, theirs = dict(_members(one, at)), dict(_members(other, at))
        if ours.keys() != theirs.keys():
            return False
        waiting += ((value, theirs[name][0], below) for name, (value, below) in ours.items())
    return True


def _parsed(text: str) -> Any:
    if len(text) > TEXT_MAX:
        raise ValueError("too large")
    depth = 0
    for token in _TOKEN.finditer(text) if text.count("[") + text.count("{") > DEPTH_MAX else ():
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > DEPTH_MAX:
            raise ValueError("too deep")
    return json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_refuse, object_pairs_hook=_object)


def _number(text: str) -> tuple[Decimal]:
    """In a tuple, for as such True is 1."""
    return (Decimal(text),)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a member stands twice")
    return made


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _members(value: Mapping[str, Any] | list[Any], at: _Nodes) -> Iterator[tuple[str, tuple[Any, _Nodes]]]:
    """The members of an object, or the elements by index, that count, each with the pointers that lead further."""
    entries = value.items() if isinstance(value, Mapping) else ((str(n), each) for n, each in enumerate(value))
    for name, each in entries:
        below = tuple(node.below[key] for node in at for key in {name, "*"} & node.below.keys())
        if not any(node.ends for node in below):
            yield name, (each, below)


def _segments(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        raise PointerError('a JSON pointer starts with "/": /meta/request_id, /items/*/at')
    if _ESCAPED.search(pointer):
        raise PointerError('a lone "~" in a JSON pointer; say ~0 for it, and ~1 for "/"')
    return [segment.replace("~1", "/").replace("~0", "~") for segment in pointer[1:].split("/")]
