"""The short way of groups that are quiet (see `core.quiet`): counted together, at the end of each request that was read. One owner.

A group of which a sample wants something, or that anything else is to be done with, is left to the long way.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, TypeAlias

from mirror.collect.judge import Judge
from mirror.core.model import EpochKey, Group, Release, Resource, Role, Verdict
from mirror.core.quiet import Quiet, Tally
from mirror.store.changes import Changes
from mirror.store.sampling import SetSeen, number_of

Told: TypeAlias = Counter[tuple[str, tuple[tuple[str, str], ...]]]  # by metric and labels
_Key: TypeAlias = tuple[str, str, int, Resource, Resource, Resource | None]
_RELEASED: Final = ("mirror_groups_released_total", (("reason", Release.COMPLETE.value),))
_TRIPLES: Final = ("mirror_triples_total", ())
_MATCHED: Final = {
    role: ("mirror_comparisons_total", (("role", role.value), ("verdict", Verdict.MATCHED.value)))
    for role in (Role.CANDIDATE, Role.SECONDARY)
}


class _Open:
    """A tally, with what is asked for each of its groups."""

    __slots__ = ("epoch", "quiet", "seen", "tally")

    def __init__(self, quiet: Quiet, seen: SetSeen, epoch: EpochKey) -> None:
        self.quiet = quiet
        self.seen = seen
        self.epoch = epoch
        self.tally = Tally()


class Tallies:
    """Those since the last settling, all of one Changes."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._open: dict[_Key, _Open] = {}

    def take(self, group: Group, changes: Changes) -> bool:
        """Whether the group is quiet, and is counted with the next settling."""
        same = self._judge.quiet(group)
        if same is None:
            return False
        calls, (run, method, mirror_id) = group.calls, group.key
        secondary = calls.get(Role.SECONDARY)
        key = (
            run,
            method,
            int(group.first_arrival_s // 60),
            calls[Role.PRIMARY].resource,
            calls[Role.CANDIDATE].resource,
            secondary.resource if secondary is not None else None,
        )
        found = self._open.get(key) or self._begin(key, changes)
        if found.seen.wants(number_of(mirror_id)) or self._judge.counts_leaves(found.epoch, group.key):
            return False
        found.tally.add(group.first_arrival_s, *same)
        return True

    def settle(self, changes: Changes, told: Told) -> None:
        """Count them in `changes`, and for the metrics in `told`."""
        settled, self._open = self._open, {}
        for one in settled.values():
            quiet, tally = one.quiet, one.tally
            if not tally.n:
                continue
            changes.add_quiet(quiet, tally)
            told[_RELEASED] += tally.n
            told[_MATCHED[Role.CANDIDATE]] += tally.n
            if quiet.secondary is not None:
                told[_MATCHED[Role.SECONDARY]] += tally.n
                told[_TRIPLES] += tally.n
                self._judge.speed(quiet, tally, changes.speeds[one.epoch, quiet.method, quiet.minute])

    def _begin(self, key: _Key, changes: Changes) -> _Open:
        quiet = Quiet(*key)
        epoch = quiet.epoch
        made = self._open[key] = _Open(quiet, changes.sets.of_quiet(epoch, quiet.method), epoch)
        return made
