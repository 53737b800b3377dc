"""The messages of a call's answer: one of a unary call, any number of a streamed one, some of them not readable.

A stream is a list with an order that matters, so it is always aligned: one lost message is one difference, and the same
messages in another order are one difference of kind *order* at the stream's path. Rules for unordered and keyed lists at
`responses` apply. Where messages hold noisy fields that no rule covers, order and losses are recognised as long as a
message is more like its counterpart than like its neighbours; what then still differs is reported beside the order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Final

from google.protobuf.message import Message
from grpc_mirror.v1.capture_pb2 import PrivateLeaf

from mirror.core.compare.compiler import keys_of
from mirror.core.compare.lists import KeyOf, Messages, canonical, compare_sequences, key_rule, leaves
from mirror.core.compare.walk import Walk, descriptor_of
from mirror.core.model import Kind
from mirror.core.path import Field, Path, PathPattern, PathSyntaxError, Step
from mirror.core.rules import Ignore, Place, Rule

EMPTY: Final = b"empty"  # in place of the hash (32 bytes) of a private value that was set, and empty
PRIVATE_NOTE: Final = "private: only hashes of it are kept"


@dataclass(frozen=True, slots=True)
class Body:
    """One message as it was captured. What could not be read has a `key`: equal keys mean equal messages."""

    message: Message | None
    key: Hashable = None
    shown: Any = None
    note: str = ""
    private: Mapping[str, bytes] = field(
        default_factory=dict
    )  # path of a leaf that was taken out -> its hash; empty: no hash

    @property
    def content(self) -> Any:
        """As it stands in a Difference."""
        return self.shown if self.message is None else self.message


def compare_bodies(walk: Walk, left: Body, right: Body, path: Path, place: Place) -> None:
    """Compare two messages that are both there; what one side cannot read is one difference, unless bytes are equal."""
    ignore = place.find(Ignore)
    if left.message is not None and right.message is not None:
        walk.messages(left.message, right.message, path, place)
        if ignore is None:
            compare_private(walk, left.private, right.private, path, place)
    elif left.key is None or left.key != right.key:
        rule = ignore.id if ignore else ""
        walk.sink.add(path, Kind.VALUE, left.content, right.content, rule=rule, note=left.note or right.note)


def compare_stream(walk: Walk, left: Sequence[Body], right: Sequence[Body], path: Path, place: Place) -> None:
    """Compare two streams, messages aligned."""
    bodies = _Bodies(walk, left, right, path, place, gated=_gated(walk, left, right, place))
    rule = key_rule(place)
    by = _keys(rule, left, right) if rule is not None else None
    compare_sequences(bodies, by=by, keyed=rule.id if rule else "", ordered=True)


class _Bodies(Messages):
    """The messages of a stream as elements of a list."""

    def look(self, walk: Walk, left: int, right: int, place: Place) -> None:
        compare_bodies(walk, self.left[left], self.right[right], self.at(left), place)

    def canonical(self, element: Any) -> Hashable:
        private = tuple(sorted(element.private.items()))
        return (element.key, private) if element.message is None else (canonical(element.message), private)

    def size(self, element: Any) -> int:
        return 1 if element.message is None else leaves(element.message) + len(element.private)

    def shown(self, side: int, index: int) -> Any:
        return (self.right if side else self.left)[index].content


def _gated(walk: Walk, left: Sequence[Body], right: Sequence[Body], place: Place) -> bool:
    """Whether equal bytes mean equal messages: one class on both sides."""
    ours = next((body.message for body in left if body.message is not None), None)
    theirs = next((body.message for body in right if body.message is not None), None)
    if ours is None or theirs is None:
        return True
    return walk.plan_of(descriptor_of(ours), descriptor_of(theirs), place, ()).gated


def _keys(rule: Rule, left: Sequence[Body], right: Sequence[Body]) -> tuple[KeyOf, KeyOf] | None:
    descriptors = [descriptor_of(body.message) for body in (*left[:1], *right[:1]) if body.message is not None]
    if not descriptors:
        return None
    found = keys_of(descriptors[0], descriptors[-1], getattr(rule, "by", ()))
    if found is None:
        return None
    ours, theirs = found
    return lambda body: _key(ours, body), lambda body: _key(theirs, body)


def _key(of: KeyOf, body: Body) -> Hashable:
    return body.key if body.message is None else of(body.message)


def private_values(leaves: Iterable[PrivateLeaf]) -> dict[str, bytes]:
    """The hashes of private leaves by path: empty where there is none, EMPTY of an empty value."""
    return {leaf.path: EMPTY if leaf.empty else leaf.hmac for leaf in leaves}


def compare_private(
    walk: Walk, left: Mapping[str, bytes], right: Mapping[str, bytes], path: Path, place: Place
) -> None:
    """Leaves that were taken out, by their hashes. One without a hash says only that there was a value."""
    for text in sorted(left.keys() | right.keys()):
        one, other = left.get(text), right.get(text)
        # Without a hash on both sides only that there was a value can be told, and whether it was empty.
        blind = one is not None and other is not None and not (one and other) and EMPTY not in (one, other)
        if one == other or blind:
            continue
        steps = _steps(text)
        leaf = reduce(Place.step, steps, place)
        ignore = leaf.find(Ignore)
        kind = Kind.ADDED if one is None else Kind.MISSING if other is None else Kind.VALUE
        walk.sink.add((*path, *steps), kind, rule=ignore.id if ignore else "", note=PRIVATE_NOTE)


def _steps(text: str) -> tuple[Step, ...]:
    try:
        steps = PathPattern.parse(text).steps
    except PathSyntaxError:
        return (Field(text),)
    return tuple(step for step in steps if isinstance(step, Step))
