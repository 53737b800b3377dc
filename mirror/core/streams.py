"""The messages of a call's answer: one of a unary call, any number of a streamed one, some of them not readable.

A stream is a list with an order that matters, so it is always aligned: one lost message is one difference, and the same
messages in another order are one difference of kind *order* at the stream's path. Rules for unordered and keyed lists at
`responses` apply. Where messages hold noisy fields that no rule covers, order and losses are recognised as long as a
message is more like its counterpart than like its neighbours; what then still differs is reported beside the order.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from mirror.core.compare.elements import LEAVES_MAX, By, KeyOf, Messages, canonical, leaves
from mirror.core.compare.keys import keys_of
from mirror.core.compare.lists import compare_sequences, key_rule
from mirror.core.compare.walk import Walk, descriptor_of
from mirror.core.model import Kind
from mirror.core.path import Path
from mirror.core.private import compare_private
from mirror.core.rules import Ignore, Place, Rule


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
    size: int = -1  # bytes that the message was parsed from; -1: not known

    @property
    def unread(self) -> bool:
        """Whether its bytes are there and could not be decoded."""
        return self.message is None and isinstance(self.key, bytes)

    @property
    def content(self) -> Any:
        """As it stands in a Difference."""
        return self.shown if self.message is None else self.message


def compare_bodies(walk: Walk, left: Body, right: Body, path: Path, place: Place) -> None:
    """Compare two messages that are both there; what one side cannot read is one difference, unless bytes are equal."""
    if left.message is not None and right.message is not None:
        size = left.size + right.size if left.size >= 0 and right.size >= 0 else -1
        walk.messages(left.message, right.message, path, place, size=size)
        compare_private(walk, left.private, right.private, path, place)
    elif left.key is None or left.key != right.key:
        ignore = place.find(Ignore)
        rule = ignore.id if ignore else ""
        walk.add(path, Kind.VALUE, left.content, right.content, rule=rule, note=left.note or right.note)


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

    def some(self, element: Any) -> int:
        return 0 if element.message is None else super().some(element.message)

    def size(self, element: Any, enough: int = LEAVES_MAX) -> int:
        return 1 if element.message is None else leaves(element.message, enough) + len(element.private)

    def shown(self, side: int, index: int) -> Any:
        return (self.right if side else self.left)[index].content


def _gated(walk: Walk, left: Sequence[Body], right: Sequence[Body], place: Place) -> bool:
    """Whether equal bytes mean equal messages: one class on both sides."""
    ours = next((body.message for body in left if body.message is not None), None)
    theirs = next((body.message for body in right if body.message is not None), None)
    if ours is None or theirs is None:
        return True
    return walk.plan_of(descriptor_of(ours), descriptor_of(theirs), place, ()).gated


def _keys(rule: Rule, left: Sequence[Body], right: Sequence[Body]) -> By | None:
    firsts = (next((body.message for body in side if body.message is not None), None) for side in (left, right))
    descriptors = [descriptor_of(message) for message in firsts if message is not None]
    if not descriptors:
        return None
    found = keys_of(descriptors[0], descriptors[-1], getattr(rule, "by", ()))
    if found is None:
        return None
    return By(lambda body: _key(found.left, body), lambda body: _key(found.right, body))


def _key(of: KeyOf, body: Body) -> Hashable:
    return body.key if body.message is None else of(body.message)
