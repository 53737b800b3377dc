"""Counting the leaf values of an answer by path pattern: what a share of blind, ignored or unjudged values is a share of. Pure.

A leaf is what a comparison holds against another as one value: a scalar that is set, an element of a list or a map, a time, a
field mask, a private value of which a hash came. An Any that can be opened is what is in it, else one leaf. Only messages
count: status, metadata and outbound calls do not.

Counting walks the whole message, so the collector does it for a sample of the calls; see `Sampler`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Any, Final
from zlib import crc32

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_mirror.v1 import capture_pb2

from mirror.core.answers import RESPONSE, RESPONSES, responses
from mirror.core.compare.reflect import is_any, is_field_mask, is_time, set_fields
from mirror.core.compare.values import is_map, is_repeated
from mirror.core.compare.walk import descriptor_of
from mirror.core.model import EpochKey, Leaf, PairKey
from mirror.core.path import ANY_ELEMENT, Field, PatternStep, Typed, generalise, render
from mirror.core.private import steps_of
from mirror.core.rules import Ignore, MethodRules, Place
from mirror.core.schemas import SchemaBook, SchemaError

LEAVES_MAX: Final = 20_000  # counted of one call; the rest of it is left out
DEPTH_MAX: Final = 100
FIRST_OF_A_METHOD: Final = 32  # calls of each method that are counted without choosing
ONE_IN: Final = 64  # of the others
METHODS_MAX: Final = 10_000
_UNARY: Final = (capture_pb2.CALL_KIND_UNARY, capture_pb2.CALL_KIND_CLIENT_STREAM)


class Sampler:
    """Chooses the calls to count: the first ones of each method, then one in ONE_IN, by their ids. One owner; bounded."""

    def __init__(self) -> None:
        self._taken: OrderedDict[tuple[EpochKey, str], int] = OrderedDict()

    def takes(self, epoch: EpochKey, key: PairKey) -> bool:
        """Whether to count this call; what it answered has no part in it."""
        if not self.wants(epoch, key):
            return False
        place = epoch, key.method
        taken = self._taken.get(place, 0)
        if taken < FIRST_OF_A_METHOD:
            self._taken[place] = taken + 1
            if len(self._taken) > METHODS_MAX:
                self._taken.popitem(last=False)
        return True

    def wants(self, epoch: EpochKey, key: PairKey) -> bool:
        """What `takes` would say now; changes nothing."""
        if self._taken.get((epoch, key.method), 0) < FIRST_OF_A_METHOD:
            return True
        return not crc32(key.mirror_id.encode()) % ONE_IN


def count_leaves(capture: bytes, schemas: SchemaBook, rules: MethodRules) -> Counter[Leaf] | None:
    """The leaves of what one call answered. None: it cannot be read, for want of a schema or of the messages."""
    walk = _Walk()
    try:
        parsed = capture_pb2.Capture.FromString(capture)
        sent = responses(parsed)
        if not parsed.response_type or any(message.omission for message in sent):
            return None
        kind, _ = schemas.own_classes(parsed.schema_fingerprint, parsed.schema_fingerprint, parsed.response_type)
        steps: tuple[PatternStep, ...] = (RESPONSE,) if parsed.kind in _UNARY else (RESPONSES, ANY_ELEMENT)
        place, ignored = _down(rules.start, steps, ignored=False)
        for message in sent:
            walk.message(kind.FromString(message.body), steps, place, ignored=ignored, depth=0)
            for leaf in message.private_leaves:
                below = generalise(steps_of(leaf.path))
                _, hidden = _down(place, below, ignored=ignored)
                known = bool(leaf.hmac) or leaf.empty
                walk.add(Leaf(render((*steps, *below)), hidden, hashed=known, unhashed=not known))
    except _EnoughError:
        pass
    except (DecodeError, SchemaError, RecursionError):
        return None
    return walk.found


class _EnoughError(Exception):
    """As many leaves as are counted of one call."""


class _Walk:
    """One count in the making."""

    def __init__(self) -> None:
        self.found: Counter[Leaf] = Counter()
        self.total = 0

    def add(self, leaf: Leaf) -> None:
        self.found[leaf] += 1
        self.total += 1
        if self.total >= LEAVES_MAX:
            raise _EnoughError

    def message(
        self, message: Message, steps: tuple[PatternStep, ...], place: Place, *, ignored: bool, depth: int
    ) -> None:
        descriptor = descriptor_of(message)
        if is_time(descriptor) or is_field_mask(descriptor) or depth > DEPTH_MAX:
            self.add(Leaf(render(steps), ignored))
            return
        if is_any(descriptor):
            self._any(message, steps, place, ignored=ignored, depth=depth)
            return
        for field, value in set_fields(message):
            step = Typed(field.full_name) if field.is_extension else Field(field.name)
            there, hidden = _down(place, (step,), ignored=ignored)
            self._field(field, value, (*steps, step), there, ignored=hidden, depth=depth)

    def _field(  # noqa: PLR0913 - a field and where it stands
        self,
        field: FieldDescriptor,
        value: Any,
        steps: tuple[PatternStep, ...],
        place: Place,
        *,
        ignored: bool,
        depth: int,
    ) -> None:
        if is_repeated(field):
            steps = (*steps, ANY_ELEMENT)
            place, ignored = _down(place, (ANY_ELEMENT,), ignored=ignored)
        for one in _elements(field, value):
            if isinstance(one, Message):
                self.message(one, steps, place, ignored=ignored, depth=depth + 1)
            else:
                self.add(Leaf(render(steps), ignored))

    def _any(self, message: Any, steps: tuple[PatternStep, ...], place: Place, *, ignored: bool, depth: int) -> None:
        name = message.type_url.rpartition("/")[2]
        try:
            kind = GetMessageClass(descriptor_of(message).file.pool.FindMessageTypeByName(name))
            inner = kind.FromString(message.value)
        except (KeyError, DecodeError, RecursionError):
            self.add(Leaf(render(steps), ignored))
            return
        step = Typed(name)
        there, hidden = _down(place, (step,), ignored=ignored)
        self.message(inner, (*steps, step), there, ignored=hidden, depth=depth + 1)


def _elements(field: FieldDescriptor, value: Any) -> Iterator[Any]:
    if is_map(field):
        yield from value.values()
    elif is_repeated(field):
        yield from value
    else:
        yield value


def _down(place: Place, steps: tuple[PatternStep, ...], *, ignored: bool) -> tuple[Place, bool]:
    """The place these steps further, and whether a rule ignores it, or ignored what is above."""
    for step in steps:
        place = place.step(step)
        ignored = ignored or place.find(Ignore) is not None
    return place, ignored
