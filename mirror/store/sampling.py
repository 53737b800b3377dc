"""Which compared calls go into which set of what differs, and of which the request's fields are kept. In memory, one owner.

A sample is the calls of the smallest numbers, which are made from their mirror ids: uniform, the same in whatever order they
come, and merged by taking the smallest again. Once the store's sample of a bucket is full, a call costs a look-up and
a hash; its request is read only if its number is small enough.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import xxhash

from mirror.core.model import EpochKey, Judged, Kind, Role, Verdict
from mirror.core.request_fields import RequestFields
from mirror.core.values.labels import shows
from mirror.store.keeping import differing
from mirror.store.limits import Limits

Members: TypeAlias = frozenset[tuple[str, Kind]]
SetKey: TypeAlias = tuple[EpochKey, str, Members, str]  # epoch, method, what differs, the statuses
Bucket: TypeAlias = tuple[EpochKey, str, SetKey | None]  # None: of all calls of the method
REMEMBERED_MAX: Final = 20_000  # buckets
NUMBER_MAX: Final = 2**63
REFUSED: Final = -1  # a bucket that has no room now
NOTHING: Final[Members] = frozenset()
_COMPARED: Final = frozenset({Verdict.MATCHED, Verdict.MISMATCHED, Verdict.IGNORED})


@dataclass(frozen=True, slots=True)
class Sample:
    """One call in a sample. `fields`: JSON of RequestFields."""

    number: int
    set_key: SetKey
    instance: str
    fields: str
    at_s: float


@dataclass(slots=True)
class Held:
    """What a batch holds of one sample: the calls of the smallest numbers, at most `size`; `below` that more are wanted."""

    size: int
    below: int
    samples: dict[int, Sample] = field(default_factory=dict)

    def put(self, sample: Sample) -> None:
        """Take a call in, and let the one of the largest number go where there are too many."""
        self.samples[sample.number] = sample
        if len(self.samples) > self.size:
            del self.samples[max(self.samples)]
        if len(self.samples) == self.size:
            self.below = min(self.below, max(self.samples))


@dataclass(slots=True)
class SetSeen:
    """Increments of one set in a batch, and the seconds of its first and last call. `held`: the samples that its calls may go to."""

    n: int
    first_s: float
    last_s: float
    held: tuple[Held, ...] = ()

    def wants(self, number: int) -> bool:
        """Whether one of the samples would take the call of this number."""
        return any(number < held.below for held in self.held)

    def add(self, n: int, first_s: float, last_s: float) -> None:
        """Count calls, and when the first and the last of them came."""
        self.first_s = min(self.first_s, first_s) if self.n else first_s
        self.last_s = max(self.last_s, last_s) if self.n else last_s
        self.n += n


def set_of(judged: Judged) -> SetKey | None:
    """The set that a call belongs to; None where it was not compared.

    What differs in the candidate alone, less what noise explained when it was judged, and the noisy paths at which its values
    show it (see values.labels.shows); of a call that is no triple all that differs.
    """
    outcome = judged.outcomes.get(Role.CANDIDATE)
    primary = judged.group.calls.get(Role.PRIMARY)
    if outcome is None or primary is None:
        return None
    members = differing(judged) if judged.triple is None else judged.triple.signature
    if judged.values:
        members |= {(pattern, Kind.VALUES) for pattern, votes in judged.values.items() if shows(votes)}
    if outcome.verdict not in _COMPARED and not members:
        return None
    status = ""
    if any(kind is Kind.STATUS for _, kind in members):
        candidate = judged.group.calls.get(Role.CANDIDATE)
        status = f"{primary.status} -> {candidate.status if candidate else '-'}"
    return judged.epoch, judged.group.key.method, members, status


def number_of(mirror_id: str) -> int:
    """The number that decides whether a call is in a sample: uniform in 0 to 2**63 - 1, by its mirror id alone."""
    return xxhash.xxh3_64_intdigest(mirror_id.encode("utf-8", "surrogatepass")) >> 1


class Sampler:
    """What the store's samples would still take: by bucket the number below which a call is wanted. Forgetting is harmless."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._below: OrderedDict[Bucket, int] = OrderedDict()

    def below(self, bucket: Bucket) -> int:
        """Calls of smaller numbers are wanted; NUMBER_MAX where nothing is known."""
        return self._below.get(bucket, NUMBER_MAX)

    def size(self, bucket: Bucket) -> int:
        """How many calls the sample of a bucket has at most."""
        return self.limits.samples_of_method if bucket[2] is None else self.limits.samples_of_set

    def learn(self, found: dict[Bucket, int]) -> None:
        """Take over what a commit that succeeded has found."""
        self._below.update(found)
        while len(self._below) > REMEMBERED_MAX:
            self._below.popitem(last=False)

    def clear(self) -> None:
        """Forget all: samples were deleted."""
        self._below.clear()

    def ask_again(self) -> None:
        """Forget what was refused: there may be room now."""
        for bucket in [bucket for bucket, below in self._below.items() if below == REFUSED]:
            del self._below[bucket]


class SetChanges:
    """The sets and samples of one batch: increments only. One owner."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.seen: dict[SetKey, SetSeen] = {}
        self.held: dict[Bucket, Held] = {}
        self._asked: tuple[Judged, SetSeen, SetKey, int] | None = None  # the last answer, which `add` asks for again

    def wants(self, judged: Judged) -> bool:
        """Whether `add` would keep the fields of this call's request: ask before reading them."""
        key = set_of(judged)
        if key is None:
            return False
        number, seen = number_of(judged.group.key.mirror_id), self._seen(key)
        self._asked = judged, seen, key, number
        return seen.wants(number)

    def of_quiet(self, epoch: EpochKey, method: str) -> SetSeen:
        """The set of calls in which nothing differs: whoever counts by it asks its samples first (see SetSeen.wants)."""
        return self._seen((epoch, method, NOTHING, ""))

    def add(self, judged: Judged, fields: RequestFields | None) -> None:
        """Count one compared call; keep its request's fields where the samples take them."""
        if self._asked is None or self._asked[0] is not judged:
            self._asked = None
            self.wants(judged)
        if self._asked is None:
            return
        _, seen, key, number = self._asked
        at_s = judged.group.first_arrival_s
        seen.add(1, at_s, at_s)
        if fields is None:
            return
        candidate = judged.group.calls.get(Role.CANDIDATE)
        instance = candidate.resource.instance if candidate else ""
        sample = Sample(number, key, instance, fields.to_json(), judged.compared_at_s)
        for held in seen.held:
            if number < held.below:
                held.put(sample)

    def without(self, methods: AbstractSet[tuple[EpochKey, str]]) -> SetChanges:
        """The same less all of these methods."""
        rest = SetChanges(self.sampler)
        rest.seen = {key: seen for key, seen in self.seen.items() if key[:2] not in methods}
        rest.held = {bucket: held for bucket, held in self.held.items() if bucket[:2] not in methods}
        return rest

    def _seen(self, key: SetKey) -> SetSeen:
        seen = self.seen.get(key)
        if seen is None:
            seen = self.seen[key] = SetSeen(0, 0.0, 0.0, tuple(map(self._held, _buckets(key))))
        return seen

    def _held(self, bucket: Bucket) -> Held:
        held = self.held.get(bucket)
        if held is None:
            size = self.sampler.size(bucket)
            held = self.held[bucket] = Held(size, self.sampler.below(bucket) if size else REFUSED)
        return held


def _buckets(key: SetKey) -> tuple[Bucket, ...]:
    epoch, method, members, _ = key
    return ((epoch, method, None), (epoch, method, key)) if members else ((epoch, method, None),)
