"""Which calls belong together: collects the calls of one request until they are complete or their time is over.

One owner, no clock, no locks. Every deadline counts from the arrival time in the records, so that reading the same
records again decides the same. Each record that comes in is released in a group, still open, or counted as dropped.
Calls wait for the outbound calls that they say to have made as they wait for each other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from mirror.core import gathering
from mirror.core.gathering import Gathering
from mirror.core.model import CallRecord, Group, OutboundRecord, PairKey, Release, Role
from mirror.core.open_groups import Agenda, Line, OpenGroup

# Why a record is in no group. `late_<role>`: its group was released before it came.
DROPS: Final = (
    "duplicate",  # this very span came before
    "lower_attempt",  # another attempt of the same call, the same or a higher one, is there already
    "replaced_attempt",  # a higher attempt came
    "not_mirrored",  # a primary for which no shadow is to come
    "late_primary",
    "late_candidate",
    "late_secondary",
    *gathering.DROPS,
)
EVICTED: Final = "evicted"  # groups let go because the memory cap was reached
RECORD_OVERHEAD_BYTES: Final = 750  # what holding a record costs beside its payload, and a group that holds just one
SPAN_IDS_MAX_BYTES: Final = 512  # of one tombstone


class Dropped(NamedTuple):
    """A record that is in no group, and why: one of DROPS."""

    record: CallRecord | OutboundRecord
    reason: str


class Pairer:
    """Groups of calls by (run, method, mirror id). O(log n) a record; bounded in bytes and in tombstones.

    `deadline_s`: how long after the first arrival a group waits for the missing calls. `grace_s`: how long a failed
    primary with a known attempt waits for a retry. `open_max_bytes`: payload and overhead of all open groups; beyond it
    the oldest are evicted. `tombstones_max`: released keys remembered, to recognise late and repeated spans.
    """

    def __init__(self, deadline_s: float, grace_s: float, *, open_max_bytes: int, tombstones_max: int) -> None:
        self._deadline_s, self._grace_s = deadline_s, grace_s
        self._open_max_bytes, self._tombstones_max = open_max_bytes, tombstones_max
        self._groups: dict[PairKey, OpenGroup] = {}
        self._deadlines, self._graces = Line(), Agenda()
        self._tombstones: OrderedDict[PairKey, bytes] = OrderedDict()  # the span IDs of the released calls, joined
        self._open_bytes = 0
        self._counts = dict.fromkeys((*DROPS, EVICTED), 0)
        self._dropped: list[Dropped] = []
        self._floor_s = 0.0

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

    def take_dropped(self) -> list[Dropped]:
        """The records dropped since this was asked last. Ask after every change, or they stay in memory."""
        dropped, self._dropped = self._dropped, []
        return dropped

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
        group = self._still_open(record, released)
        if group is None:
            if self._is_late(record):
                return released
            if record.role is Role.PRIMARY and not record.expect:
                self._drop(record, "not_mirrored")
                self._bury(record.key, record.span_id)
                return released
            group = self._begin(record)
        self._settle(group, released, now_s, filed=self._file(group, record))
        return released

    def add_outbound(self, record: OutboundRecord, now_s: float) -> list[Group]:
        """File one outbound call; the groups that this completed, or that had to make room. `now_s`: see `add`."""
        released: list[Group] = []
        group = self._still_open(record, released)
        drop = ""
        if record.after_end:
            drop = "outbound_after_end"
        elif group is None and record.key in self._tombstones:
            drop = "late_outbound"
        elif group is None and record.role is Role.PRIMARY and not record.expect:
            drop = "not_mirrored_outbound"
        else:
            group = group or self._begin(record)
            group.outbound = group.outbound or Gathering()
            drop = group.outbound.add(record)
            group.await_roles(record.expect)
        if drop:
            self._drop(record, drop)
        elif group is not None:
            self._grow(group, _held_bytes(record))
            self._settle(group, released, now_s, filed=True)
        return released

    def wait_until(self, at_s: float) -> None:
        """Let nothing that is added from now on expire before: while the collector was down nobody could deliver to it."""
        self._floor_s = at_s

    def reopen(self, key: PairKey) -> None:
        """A record of this request, about to be added again, was open when the collector ended: so it is not late."""
        self._tombstones.pop(key, None)

    def bury(self, record: CallRecord) -> None:
        """Remember one that was counted before the collector ended, unless others of its group are still open."""
        if record.key not in self._groups:
            known = self._tombstones.get(record.key, b"")
            if record.span_id not in known and len(known) < SPAN_IDS_MAX_BYTES:
                self._bury(record.key, known + record.span_id)

    def _still_open(self, record: CallRecord | OutboundRecord, released: list[Group]) -> OpenGroup | None:
        """The record's group; one whose time is over is released first."""
        group = self._groups.get(record.key)
        if group is not None and group.due_s() <= record.arrived_s:
            released += self._release(group, Release.DEADLINE)
            return None
        return group

    def _settle(self, group: OpenGroup, released: list[Group], now_s: float, *, filed: bool) -> None:
        if filed and group.all_there() and group.ready_s <= now_s:
            released += self._release(group, Release.COMPLETE)
        while self._open_bytes > self._open_max_bytes and (oldest := self._deadlines.first()):
            self._counts[EVICTED] += 1
            released += self._release(oldest[1], Release.EVICTED)

    def take_expired(self, now_s: float) -> list[Group]:
        """Release what need not wait any longer.

        `now_s`: the arrival time up to which everything has been added. While records still wait in a queue that is the
        arrival of the last one added, not the clock: else groups expire whose calls have long come.
        """
        released = [
            one
            for group in self._graces.due(now_s)
            if group.ready_s <= now_s and group.all_there()
            for one in self._release(group, Release.COMPLETE)
        ]
        released += [one for group in self._deadlines.due(now_s) for one in self._release(group, Release.DEADLINE)]
        return released

    def drain(self) -> list[Group]:
        """Release everything: the collector is stopping."""
        waiting = sorted(self._groups.values(), key=lambda group: group.first_arrival_s)
        return [one for group in waiting for one in self._release(group, Release.DRAIN)]

    def _begin(self, record: CallRecord | OutboundRecord) -> OpenGroup:
        group = OpenGroup(record.key, record.arrived_s, max(record.arrived_s + self._deadline_s, self._floor_s))
        self._groups[record.key] = group
        self._deadlines.push(group, open_groups=len(self._groups))
        return group

    def _file(self, group: OpenGroup, record: CallRecord) -> bool:
        """Put the record into the group, unless one that counts more is there."""
        held = group.held(record.role)
        if held is not None:
            if (held.trace_id, held.span_id) == (record.trace_id, record.span_id):
                return self._drop(record, "duplicate")
            if record.attempt <= held.attempt:
                return self._drop(record, "lower_attempt")
            self._drop(held, "replaced_attempt")
            self._grow(group, -_held_bytes(held))
        group.hold(record, held)
        group.await_roles(record.expect)
        self._grow(group, _held_bytes(record))
        if record.role is Role.PRIMARY:
            may_be_retried = record.status != "OK" and record.attempt > 0
            grace_s = max(record.arrived_s + self._grace_s, self._floor_s)
            group.ready_s = min(group.deadline_s, grace_s) if may_be_retried else 0.0
            if may_be_retried:
                self._graces.push(group.ready_s, group, open_groups=len(self._groups))
        return True

    def _grow(self, group: OpenGroup, size: int) -> None:
        group.size += size
        self._open_bytes += size

    def _release(self, group: OpenGroup, why: Release) -> list[Group]:
        """Let a group go: none comes of it if no served call did."""
        group.released = True
        del self._groups[group.key]
        self._open_bytes -= group.size
        calls: dict[Role, CallRecord] = {call.role: call for call in group.calls}
        orphans: list[OutboundRecord] = []
        if group.outbound is not None:
            calls, orphans = group.outbound.give(calls)
        for orphan in orphans:
            self._drop(orphan, "orphan_outbound")
        if not calls:
            return []
        self._bury(group.key, b"".join(call.span_id for call in calls.values()))
        if why in (Release.DEADLINE, Release.DRAIN) and group.all_calls():
            why = Release.COMPLETE  # it only waited for a retry, or for outbound calls
        return [Group(group.key, calls, group.expect, why, group.first_arrival_s)]

    def _is_late(self, record: CallRecord) -> bool:
        span_ids = self._tombstones.get(record.key)
        if span_ids is None:
            return False
        repeated = record.span_id and record.span_id in span_ids
        self._drop(record, "duplicate" if repeated else f"late_{record.role}")
        return True

    def _drop(self, record: CallRecord | OutboundRecord, reason: str) -> bool:
        """Count a record that is in no group; False, as what became of it."""
        self._counts[reason] += 1
        self._dropped.append(Dropped(record, reason))
        return False

    def _bury(self, key: PairKey, span_ids: bytes) -> None:
        self._tombstones[key] = span_ids
        while len(self._tombstones) > self._tombstones_max:
            self._tombstones.popitem(last=False)


def _held_bytes(record: CallRecord | OutboundRecord) -> int:
    return record.size + RECORD_OVERHEAD_BYTES
