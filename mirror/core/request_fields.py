"""The fields of one request as plain values by path pattern: what sets calls apart is looked for in them. Pure.

Bounded whatever was sent, so that a sample of calls costs little: some paths, a few values of each, short texts. What
redaction took out is never among them; its paths are named, so that nothing is concluded from its absence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from math import isfinite
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from grpc_mirror.v1 import capture_pb2

from mirror.core.compare.reflect import is_any, is_time, set_fields
from mirror.core.compare.values import is_repeated
from mirror.core.path import ANY_ELEMENT, Index, Key, render
from mirror.core.private import steps_of
from mirror.core.requests import one_request

Value: TypeAlias = bool | int | float | str | None  # None: not set
TypeLookup: TypeAlias = Callable[[str, str], type[Message]]  # by schema fingerprint and full name; may raise ValueError

PATHS_MAX: Final = 80  # of one request
VALUES_MAX: Final = 8  # of one path
ELEMENTS_MAX: Final = 50  # of a list, or messages of a stream, that are looked at
LOOKED_AT_MAX: Final = 500  # fields of one request, set or not
ENTRIES_MAX: Final = 8  # of a map by key; one with more is only counted
DEPTH_MAX: Final = 6
TYPES_MAX: Final = 256  # whose fields are remembered
TEXT_MAX: Final = 64  # characters of one text
BYTES_MAX: Final = 4096  # of one request's fields as JSON; what came first stays
_WRAPPERS: Final = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String")
)


@dataclass(frozen=True, slots=True)
class RequestFields:
    """`values` by path pattern, some of each; `counts` of elements, or bytes; `private`: patterns that were taken out."""

    values: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    private: frozenset[str] = frozenset()

    def to_json(self) -> str:
        """One line, of at most BYTES_MAX and little more."""
        values = {path: list(found) for path, found in self.values.items()}
        return json.dumps({"v": values, "n": dict(self.counts), "p": sorted(self.private)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> RequestFields:
        """What `to_json` made."""
        found = json.loads(text)
        return cls({path: tuple(v) for path, v in found["v"].items()}, found["n"], frozenset(found["p"]))


def request_fields(capture: bytes, types: TypeLookup) -> RequestFields | None:
    """The fields of the request (or of all messages of a streamed one) of a serialised Capture, and its captured metadata.

    None where they cannot be read: no schema, no such type, malformed. Never raises for what came from a call.
    """
    try:
        call = capture_pb2.Capture.FromString(capture)
        sent = [m for m in call.messages if m.direction == capture_pb2.DIRECTION_REQUEST][:ELEMENTS_MAX]
        bodies = [m.body for m in sent if not m.omission]
        kind = types(call.schema_fingerprint, call.request_type) if bodies else None
        messages = [kind.FromString(body) for body in bodies] if kind else []
    except (DecodeError, ValueError, RecursionError):
        return None
    single = one_request(call)
    root = "request" if single else "requests[*]"
    walk = _Walk()
    for entry in call.request_metadata:
        if not entry.key.endswith("-bin"):
            walk.put(f"request_metadata{_key(entry.key)}", entry.value.decode("utf-8", "replace")[:TEXT_MAX])
    if not single:
        walk.count("requests", call.request_count)
    for message in messages:
        walk.message(message, root, DEPTH_MAX)
    private = {_pattern(root, leaf.path) for m in sent for leaf in m.private_leaves}
    private |= {_pattern("", leaf.path) for leaf in call.private_leaves}
    return walk.result(frozenset(private))


class _Walk:
    """Collects values by path, as text, until the limits are reached."""

    def __init__(self) -> None:
        self._values: dict[str, dict[Value, None]] = {}
        self._counts: dict[str, int] = {}
        self._room = LOOKED_AT_MAX

    def result(self, private: frozenset[str]) -> RequestFields:
        values: dict[str, tuple[Value, ...]] = {}
        room = BYTES_MAX
        for path, found in self._values.items():
            kept = _some([*found])
            room -= len(path) + sum(len(str(value)) + 4 for value in kept)
            if room < 0:
                break
            if not is_below_any(path, private):
                values[path] = kept
        counts = {path: n for path, n in self._counts.items() if not is_below_any(path, private)}
        return RequestFields(values, counts, private)

    def put(self, path: str, value: Value) -> None:
        """One value at a path."""
        found = self._values.get(path)
        if found is not None:
            found[value] = None
        elif len(self._values) < PATHS_MAX:
            self._values[path] = {value: None}

    def count(self, path: str, n: int) -> None:
        """How many elements, or bytes, are at a path; of several the most."""
        if path in self._counts or len(self._counts) < PATHS_MAX:
            self._counts[path] = max(n, self._counts.get(path, 0))

    def message(self, message: Message, path: str, depth: int) -> None:
        """All fields of a message, those that are not set too; lists last, since they may take all the room."""
        kind: Any = type(message)
        there = {found.number: value for found, value in set_fields(message)}
        for one, number, name, repeated, absent in _fields_of(kind.DESCRIPTOR):
            self._room -= 1
            if self._room < 0:
                return
            at = f"{path}.{name}"
            if repeated:
                self._repeated(one, there.get(number), at, depth)
            elif number in there:
                self._single(one, there[number], at, depth)
            else:
                self.put(at, absent)

    def _repeated(self, one: FieldDescriptor, value: Any, path: str, depth: int) -> None:
        self.count(path, len(value) if value is not None else 0)
        if value is None:
            return
        if one.message_type is not None and one.message_type.GetOptions().map_entry:
            of_value = one.message_type.fields_by_name["value"]
            if len(value) <= ENTRIES_MAX:
                for key in sorted(value, key=str):
                    self._single(of_value, value[key], f"{path}{_key(key)}", depth)
            return
        for element in islice(value, ELEMENTS_MAX):
            self._single(one, element, f"{path}[*]", depth)

    def _single(self, one: FieldDescriptor, value: Any, path: str, depth: int) -> None:
        self._room -= 1
        inner = one.message_type
        if inner is None:
            if isinstance(value, bytes):
                self.count(path, len(value))
            else:
                self.put(path, _scalar(one, value))
        elif is_time(inner):
            self.put(path, value.seconds + value.nanos / 1e9 if value.nanos else value.seconds)
        elif is_any(inner):
            self.put(path, value.type_url.rpartition("/")[2][:TEXT_MAX])
        elif inner.full_name in _WRAPPERS and len(inner.fields) == 1:
            field_of = inner.fields[0]
            self.put(path, _scalar(field_of, next((v for _, v in set_fields(value)), field_of.default_value)))
        elif depth and self._room > 0:
            self.message(value, path, depth - 1)


@lru_cache(maxsize=TYPES_MAX)
def _fields_of(descriptor: Descriptor) -> tuple[tuple[FieldDescriptor, int, str, bool, Value], ...]:
    """Each field's descriptor, number and name, whether it is repeated, and what it is where it is not set; lists last."""
    return tuple(
        (
            one,
            one.number,
            one.name,
            is_repeated(one),
            None if is_repeated(one) or one.has_presence else _scalar(one, one.default_value),
        )
        for one in sorted(descriptor.fields, key=is_repeated)
    )


def _key(key: str | int | bool) -> str:  # noqa: FBT001 - a map's key may be a bool
    return render((Key(key[:TEXT_MAX] if isinstance(key, str) else key),))


def is_below_any(path: str, private: Iterable[str]) -> bool:
    """Whether a path pattern, as text, is one of these or lies below one."""
    return any(path.startswith(one) and path[len(one) : len(one) + 1] in {"", ".", "["} for one in private)


def _pattern(root: str, path: str) -> str:
    """A private leaf as the walk names it: elements without their place."""
    text = render(tuple(ANY_ELEMENT if isinstance(step, Index) else step for step in steps_of(path)))
    return f"{root}.{text}" if root else text


def _scalar(one: FieldDescriptor, value: Any) -> Value:
    if one.enum_type is not None:
        known = one.enum_type.values_by_number.get(value)
        return str(known.name) if known else int(value)
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, str):
        return value if len(value) <= TEXT_MAX else value[: TEXT_MAX - 1] + "…"
    return value if isinstance(value, bool | int | float) else str(value)


def _some(found: list[Value]) -> tuple[Value, ...]:
    """At most VALUES_MAX: what is empty or 0, the smallest and the largest number, then the first ones."""
    if len(found) <= VALUES_MAX:
        return tuple(found)
    numbers = [v for v in found if isinstance(v, int | float)]
    first = [v for v in found if not v] + ([min(numbers), max(numbers)] if numbers else [])
    return tuple(dict.fromkeys([*first, *found]))[:VALUES_MAX]
