"""What two replicas did while they served one request: the calls that they made, held against each other. Pure.

Of each call its request is compared, at `outbound["pkg.Service/Method"][0].request`: that is what the service did. What it
was told is kept and shown, and not compared: a shadow is told nothing where calls are blocked, and something made up where
they are stubbed. Neither are metadata, status and who answered.

Calls of one method are a list in the order in which they were begun, compared as any list is: a call that only one side
made is *missing* or *added*, the same calls in another order are one difference of kind *order*, which a rule for an
unordered list at `outbound["pkg.Service/Method"]` excuses. The order of calls to different methods means nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from google.protobuf.message import Message
from grpc_mirror.v1 import capture_pb2

from mirror.core.answers import bodies, content_of, types_of
from mirror.core.compare.elements import Messages, canonical
from mirror.core.compare.leaves import LEAVES_MAX, leaves
from mirror.core.compare.lists import compare_sequences
from mirror.core.compare.walk import Walk, unless_ignored
from mirror.core.model import CallRecord
from mirror.core.path import Field, Key, Path
from mirror.core.readable import Held, why_unreadable
from mirror.core.requests import REQUEST, REQUESTS, one_request
from mirror.core.rules import Ignore, MethodRules, Place
from mirror.core.schemas import SchemaBook, SchemaError
from mirror.core.streams import Body, compare_bodies, compare_stream

OUTBOUND: Final = Field("outbound")
Capture: TypeAlias = capture_pb2.Capture
_Calls: TypeAlias = dict[str, list[Capture]]
_Types: TypeAlias = dict[tuple[str, str], type[Message] | None]  # by fingerprint and name


def made_calls(left: CallRecord, right: CallRecord) -> bool:
    """Whether either of two served calls says to have made any, or some came."""
    return bool(left.outbound_calls or right.outbound_calls or left.outbound or right.outbound)


class Effects:
    """The calls of both sides, by method. `why` says why they cannot be compared; empty if they can."""

    def __init__(self, left: CallRecord, right: CallRecord, *, omitted: bool) -> None:
        """`omitted`: one side made more than were captured."""
        self._left, self._right = _calls_of(left), _calls_of(right)
        self.compared = len(left.outbound) + len(right.outbound)
        incomplete = omitted or any(side.outbound_calls != len(side.outbound) for side in (left, right))
        self.why = "outbound_incomplete" if incomplete else self._unreadable()

    @property
    def paired(self) -> frozenset[str]:
        """The methods that both sides called equally often."""
        return frozenset(m for m, calls in self._left.items() if len(calls) == len(self._right.get(m, ())))

    @property
    def differ(self) -> bool:
        """Whether anything is not the same in what was captured."""
        return any(_contents(left) != _contents(right) for _, left, right in self._by_method())

    @property
    def fingerprints(self) -> set[str]:
        """Of the schemas without which the calls cannot be compared."""
        both = ((left, right) for _, left, right in self._by_method() if left and right)
        calls = (call for left, right in both if _contents(left) != _contents(right) for call in (*left, *right))
        return {call.schema_fingerprint for call in calls} - {""}

    def look(self, walk: Walk, schemas: SchemaBook, rules: MethodRules) -> None:
        """Put all that differs into the walk's sink; raises SchemaError where calls differ and have no schema."""
        top = rules.walk((OUTBOUND,))
        for method, ours, theirs in self._by_method():
            if walk.options.nan_equal and _contents(ours) == _contents(theirs):
                continue
            path = OUTBOUND, Key(method)
            place = top if top.find(Ignore) else top.step(Key(method))
            _look(walk, path, place, *_read(schemas, ours, theirs))

    def _by_method(self) -> Iterator[tuple[str, list[Capture], list[Capture]]]:
        for method in sorted({*self._left, *self._right}):
            yield method, self._left.get(method, []), self._right.get(method, [])

    def _unreadable(self) -> str:
        for method in sorted(self._left.keys() & self._right.keys()):
            why = why_unreadable(_held(self._left[method]), _held(self._right[method]))
            if why:
                return f"outbound_{why}"
        return ""


@dataclass(frozen=True, slots=True)
class _Call:
    """One call: its requests, of which there is one unless they are streamed."""

    requests: tuple[Body, ...]
    streamed: bool

    @property
    def shown(self) -> Any:
        if len(self.requests) == 1:
            return self.requests[0].content
        return f"({len(self.requests)} requests)"


class _Elements(Messages):
    """The calls of one method as elements of a list."""

    def look(self, walk: Walk, left: int, right: int, place: Place) -> None:
        one, other, path = self.left[left], self.right[right], self.at(left)

        def look(walk: Walk, place: Place) -> None:
            if one.streamed or other.streamed or not (one.requests and other.requests):
                at = (*path, REQUESTS)
                compare_stream(walk, one.requests, other.requests, at, place.step(REQUESTS))
            else:
                compare_bodies(walk, one.requests[0], other.requests[0], (*path, REQUEST), place.step(REQUEST))

        unless_ignored(walk, path, place, look)

    def canonical(self, element: Any) -> Hashable:
        return tuple(_canonical(body) for body in element.requests)

    def size(self, element: Any, enough: int = LEAVES_MAX) -> int:
        return sum(_size(body, enough) for body in element.requests)

    def shown(self, side: int, index: int) -> Any:
        return (self.right if side else self.left)[index].shown


def _look(walk: Walk, path: Path, place: Place, left: list[_Call], right: list[_Call]) -> None:
    messages = [body.message for call in (*left, *right) for body in call.requests]
    gated = walk.options.nan_equal and len({type(message) for message in messages}) < 2

    def look(walk: Walk, place: Place) -> None:
        compare_sequences(_Elements(walk, left, right, path, place, gated=gated))

    unless_ignored(walk, path, place, look)


def _canonical(body: Body) -> Hashable:
    private = tuple(sorted(body.private.items()))
    return (body.key if body.message is None else canonical(body.message), private)


def _size(body: Body, enough: int) -> int:
    return 1 if body.message is None else leaves(body.message, enough) + len(body.private)


def _calls_of(record: CallRecord) -> _Calls:
    found: _Calls = {}
    for call in record.outbound:
        found.setdefault(call.method, []).append(Capture.FromString(call.capture))
    return found


def _requests(call: Capture) -> list[capture_pb2.CapturedMessage]:
    return [message for message in call.messages if message.direction == capture_pb2.DIRECTION_REQUEST]


def _held(calls: Iterable[Capture]) -> Held:
    calls = list(calls)
    messages = [message for call in calls for message in _requests(call)]
    return Held(messages, (), sum(call.request_count for call in calls))


def _contents(calls: Iterable[Capture]) -> list[tuple[object, ...]]:
    return [(call.schema_fingerprint, call.request_type, *map(content_of, _requests(call))) for call in calls]


def _read(schemas: SchemaBook, ours: Sequence[Capture], theirs: Sequence[Capture]) -> tuple[list[_Call], list[_Call]]:
    """Both sides' calls, decoded under the types under which they meet best, else each by its own. Raises SchemaError."""
    types: _Types = {}
    one, other = (next((call for call in side if call.request_type), None) for side in (ours, theirs))
    if one is not None and other is not None:
        for call, type_ in zip((one, other), types_of(schemas, one, other, "request_type"), strict=True):
            types[call.schema_fingerprint, call.request_type] = type_
    left, right = ([_decoded(schemas, call, types) for call in side] for side in (ours, theirs))
    if any(body.unread for call in (*left, *right) for body in call.requests):
        types = {}  # a wider schema of the other side cannot read what its sender's own can
        left, right = ([_decoded(schemas, call, types) for call in side] for side in (ours, theirs))
    return left, right


def _decoded(schemas: SchemaBook, call: Capture, types: _Types) -> _Call:
    name = (call.schema_fingerprint, call.request_type)
    if name not in types:
        types[name] = _own(schemas, *name) if call.request_type else None
    return _Call(tuple(bodies(_requests(call), types[name])), streamed=not one_request(call))


def _own(schemas: SchemaBook, fingerprint: str, type_name: str) -> type[Message] | None:
    """The sender's class; None where its schema is not known: of a call that one side made alone it is not needed."""
    try:
        return schemas.own_classes(fingerprint, fingerprint, type_name)[0]
    except SchemaError:
        return None
