"""Which calls belong together: collects the calls of one request until they are complete or their time is over.

One owner, no clock, no locks. Every deadline counts from the arrival time in the records, so that reading the same
records again decides the same. Each record that comes in is released in a group, still open, or counted as dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from types import MappingProxyType
from typing import Final

from mirror.core.model import CallRecord, Group, PairKey, Release, Role

# Why a record is in no group. `late_<role>`: its group was released before it came.
DROPS: Final = (
    "duplicate",  # this very span came before
    "lower_attempt",  # another attempt of the same call, the same or a higher one, is there already
    "replaced_attempt",  # a higher attempt came
    "not_mirrored",  # a primary for which no shadow is to come
    "late_primary",
    "late_candidate",
    "late_secondary",
)
EVICTED: Final = "evicted"  # groups let go because the memory cap was reached
RECORD_OVERHEAD_BYTES: Final = 300  # what holding a record costs beside its payload
_COMPACT_FROM: Final = 1024


@dataclass(slots=True)
class _Open:
    key: PairKey
    first_arrival_s: float
    deadline_s: float
    calls: dict[Role, CallRecord] = field(default_factory=dict)
    expect: frozenset[Role] = frozenset()
    ready_s: float = 0.0  # a failed primary may be followed by a retry until then
    size: int = 0
    released: bool = False

    def due_s(self) -> float:
        """From when on nothing more is taken in, whether somebody looked in time or not."""
        return self.ready_s if self.all_there() else self.deadline_s

    def all_there(self) -> bool:
        return Role.PRIMARY in self.calls and self.expect <= self.calls.keys()


class _Agenda:
    """Open groups by a time. Released ones stay until popped or until they outnumber the open ones."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Open]] = []
        self._serial = 0

    def push(self, at_s: float, group: _Open, *, open_groups: int) -> None:
        self._serial += 1
        heappush(self._heap, (at_s, self._serial, group))
        if len(self._heap) > 2 * open_groups + _COMPACT_FROM:
            self._heap = [entry for entry in self._heap if not entry[2].released]
            heapify(self._heap)

    def first(self) -> tuple[float, _Open] | None:
        while self._heap and self._heap[0][2].released:
            heappop(self._heap)
        return (self._heap[0][0], self._heap[0][2]) if self._heap else None

    def due(self, now_s: float) -> Iterator[_Open]:
        """Pop the groups whose time has come, oldest first."""
        while (entry := self.first()) and entry[0] <= now_s:
            heappop(self._heap)
            yield entry[1]


class Pairer:
    """Groups of calls by (run, method, mirror id). O(log n) a record; bounded in bytes and in tombstones.

    `deadline_s`: how long after the first arrival a group waits for the missing calls. `grace_s`: how long a failed
    primary with a known attempt waits for a retry. `open_max_bytes`: payload and overhead of all open groups; beyond it
    the oldest are evicted. `tombstones_max`: released keys remembered, to recognise late and repeated spans.
    """

    def __init__(self, deadline_s: float, grace_s: float, *, open_max_bytes: int, tombstones_max: int) -> None:
        self._deadline_s, self._grace_s = deadline_s, grace_s
        self._open_max_bytes, self._tombstones_max = open_max_bytes, tombstones_max
        self._groups: dict[PairKey, _Open] = {}
        self._deadlines, self._graces = _Agenda(), _Agenda()
        self._tombstones: OrderedDict[PairKey, bytes] = OrderedDict()  # the span IDs of the released calls, joined
        self._open_bytes = 0
        self._counts = dict.fromkeys((*DROPS, EVICTED), 0)

    @property
    def open(self) -> int:
        """Groups that wait."""
        return len(self._groups)

    @property
    def open_bytes(self) -> int:
        """What they hold, overhead included."""
        return self._open_bytes

    @property
    def counts(self) -> Mapping[str, int]:
        """Records dropped, by each name in DROPS, and groups evicted. They only rise."""
        return MappingProxyType(self._counts)

    @property
    def next_deadline_s(self) -> float | None:
        """When `take_expired` has something to do next; None while nothing is open."""
        times = [entry[0] for entry in (self._deadlines.first(), self._graces.first()) if entry]
        return min(times, default=None)

    def add(self, record: CallRecord, now_s: float) -> list[Group]:
        """File one record; the groups that this completed, or that had to make room.

        `now_s`: the arrival time up to which everything has been added (usually the record's own).
        """
        released: list[Group] = []
        group = self._groups.get(record.key)
        if group is not None and group.due_s() <= record.arrived_s:
            released.append(self._release(group, Release.DEADLINE))
            group = None
        if group is None:
            if self._is_late(record):
                return released
            if record.role is Role.PRIMARY and not record.expect:
                self._counts["not_mirrored"] += 1
                self._bury(record.key, record.span_id)
                return released
            group = self._begin(record)
        if self._file(group, record) and group.all_there() and group.ready_s <= now_s:
            released.append(self._release(group, Release.COMPLETE))
        while self._open_bytes > self._open_max_bytes and (oldest := self._deadlines.first()):
            self._counts[EVICTED] += 1
            released.append(self._release(oldest[1], Release.EVICTED))
        return released

    def take_expired(self, now_s: float) -> list[Group]:
        """Release what need not wait any longer.

        `now_s`: the arrival time up to which everything has been added. While records still wait in a queue that is the
        arrival of the last one added, not the clock: else groups expire whose calls have long come.
        """
        released = [
            self._release(group, Release.COMPLETE)
            for group in self._graces.due(now_s)
            if group.ready_s <= now_s and group.all_there()
        ]
        released += [self._release(group, Release.DEADLINE) for group in self._deadlines.due(now_s)]
        return released

    def drain(self) -> list[Group]:
        """Release everything: the collector is stopping."""
        waiting = sorted(self._groups.values(), key=lambda group: group.first_arrival_s)
        return [self._release(group, Release.DRAIN) for group in waiting]

    def _begin(self, record: CallRecord) -> _Open:
        group = _Open(record.key, record.arrived_s, record.arrived_s + self._deadline_s)
        self._groups[record.key] = group
        self._deadlines.push(group.deadline_s, group, open_groups=len(self._groups))
        return group

    def _file(self, group: _Open, record: CallRecord) -> bool:
        """Put the record into the group, unless one that counts more is there."""
        held = group.calls.get(record.role)
        if held is not None:
            if (held.trace_id, held.span_id) == (record.trace_id, record.span_id):
                self._counts["duplicate"] += 1
                return False
            if record.attempt <= held.attempt:
                self._counts["lower_attempt"] += 1
                return False
            self._counts["replaced_attempt"] += 1
            self._grow(group, -_held_bytes(held))
        group.calls[record.role] = record
        group.expect |= record.expect
        self._grow(group, _held_bytes(record))
        if record.role is Role.PRIMARY:
            may_be_retried = record.status != "OK" and record.attempt > 0
            group.ready_s = min(group.deadline_s, record.arrived_s + self._grace_s) if may_be_retried else 0.0
            if may_be_retried:
                self._graces.push(group.ready_s, group, open_groups=len(self._groups))
        return True

    def _grow(self, group: _Open, size: int) -> None:
        group.size += size
        self._open_bytes += size

    def _release(self, group: _Open, why: Release) -> Group:
        group.released = True
        del self._groups[group.key]
        self._open_bytes -= group.size
        self._bury(group.key, b"".join(call.span_id for call in group.calls.values()))
        if why in (Release.DEADLINE, Release.DRAIN) and group.all_there():
            why = Release.COMPLETE  # it only waited for a retry
        return Group(group.key, group.calls, group.expect, why, group.first_arrival_s)

    def _is_late(self, record: CallRecord) -> bool:
        span_ids = self._tombstones.get(record.key)
        if span_ids is None:
            return False
        repeated = record.span_id and record.span_id in span_ids
        self._counts["duplicate" if repeated else f"late_{record.role}"] += 1
        return True

    def _bury(self, key: PairKey, span_ids: bytes) -> None:
        self._tombstones[key] = span_ids
        while len(self._tombstones) > self._tombstones_max:
            self._tombstones.popitem(last=False)


def _held_bytes(record: CallRecord) -> int:
    return record.size + RECORD_OVERHEAD_BYTES
