"""The messages of a call's answer: one of a unary call, any number of a streamed one, some of them not readable.

A stream is a list with an order that matters, so it is always aligned: one lost message is one difference, and the same
messages in another order are one difference of kind *order* at the stream's path. Rules for unordered and keyed lists at
`responses` apply. Where messages hold noisy fields that no rule covers, order and losses are recognised as long as a
message is more like its counterpart than like its neighbours; what then still differs is reported beside the order.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from google.protobuf.message import Message

from mirror.core.compare.elements import By, KeyOf, Messages, canonical
from mirror.core.compare.keys import keys_of
from mirror.core.compare.leaves import LEAVES_MAX, leaves
from mirror.core.compare.lists import compare_sequences, key_rule
from mirror.core.compare.walk import Walk, descriptor_of
from mirror.core.model import Kind
from mirror.core.path import Path
from mirror.core.private import compare_private
from mirror.core.rules import Ignore, Place, Rule, UnorderedList
from mirror.core.windows import Stream, windows, within


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
    _align(_Bodies(walk, left, right, path, place, gated=_gated(walk, left, right, place)))


def compare_cut_streams(
    walk: Walk, sides: tuple[Sequence[Body], Sequence[Body]], streams: tuple[Stream, Stream], path: Path, place: Place
) -> None:
    """Compare two streams as far as their captures go, of which at least one holds only the first and last messages.

    A message next to those left out whose counterpart may be among them is no difference. Other counts are one, at the
    stream's path, unless messages that are missing or added show why.
    """
    counts = streams[0].count, streams[1].count
    alone = 0
    for window in windows(*streams):
        left, right = (within(window, side) for side in sides)
        bodies = _Window(walk, left, right, path, place, gated=_gated(walk, left, right, place))
        bodies.start, bodies.at_end = window.start, window.at_end
        _align(bodies)
        alone += bodies.tell_alone(even=counts[0] == counts[1])
    if counts[0] != counts[1] and not alone:
        ignore = place.find(Ignore)
        note = "the number of messages; those in the middle were left out of the captures"
        walk.add(path, Kind.VALUE, *counts, rule=ignore.id if ignore else "", note=note)


def _align(bodies: _Bodies) -> None:
    left, right, place = bodies.left, bodies.right, bodies.place
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

    def size(self, element: Any, enough: int = LEAVES_MAX) -> int:
        return 1 if element.message is None else leaves(element.message, enough) + len(element.private)

    def shown(self, side: int, index: int) -> Any:
        return (self.right if side else self.left)[index].content


class _Window(_Bodies):
    """The messages of a part of a stream; what stands alone is told at the end."""

    start = 0  # the place of the first one in its stream
    at_end = False

    def at(self, index: int, side: int = 0) -> Path:
        return super().at(index + self.start, side)

    def report(self, left: int, right: int) -> None:
        if left != right and self.start and self.walk.shifts:  # told with the place in this window
            *shifts, (depth, _) = self.walk.shifts
            self.walk.shift((*shifts, (depth, right + self.start)))
        super().report(left, right)

    def lonely(self, kind: Kind, index: int) -> None:
        self._alone.setdefault(kind, []).append(index)

    @cached_property
    def _alone(self) -> dict[Kind, list[int]]:
        return {}

    def tell_alone(self, *, even: bool) -> int:
        """Report what stands alone for certain. Returns how many. `even`: the two streams have as many messages."""
        if self.place.find(UnorderedList) or key_rule(self.place):
            return 0  # the counterpart may be any of those left out
        missing, added = (self._alone.get(kind, []) for kind in (Kind.MISSING, Kind.ADDED))
        edges = [
            _run(side, size, at_end=not self.at_end)
            for side, size in ((missing, len(self.left)), (added, len(self.right)))
        ]
        # Streams of one length: as many on each side at the edge are each other's counterparts.
        sure = min(map(len, edges)) if even else 0
        told = 0
        for kind, side, edge in ((Kind.MISSING, missing, edges[0]), (Kind.ADDED, added, edges[1])):
            unsure = set(edge[sure:])
            for index in side:
                if index not in unsure:
                    super().lonely(kind, index)
                    told += 1
        return told


def _run(indices: Sequence[int], size: int, *, at_end: bool) -> list[int]:
    """Those of sorted indices that reach to the end (or start) without a gap, the innermost first."""
    inward = reversed(indices) if at_end else iter(indices)
    run: list[int] = []
    for index in inward:
        if index != (size - 1 - len(run) if at_end else len(run)):
            break
        run.append(index)
    return run[::-1]


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
