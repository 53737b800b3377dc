"""Groups that wait for a schema: complete, but what their messages mean has not come yet. Pure; time is passed in."""

from __future__ import annotations

from collections import OrderedDict

from mirror.core.model import Group, PairKey


class WaitingRoom:
    """Holds groups until a schema comes or their deadline passes; at most `max_bytes` of payload, the oldest go first.

    `wait_s` counts from a group's first arrival.
    """

    def __init__(self, wait_s: float, *, max_bytes: int) -> None:
        self._wait_s = wait_s
        self._max_bytes = max_bytes
        self._groups: OrderedDict[PairKey, Group] = OrderedDict()
        self._bytes = 0
        self._floor_s = 0.0
        self.evicted = 0  # groups let go because the room was full

    def __len__(self) -> int:
        return len(self._groups)

    def has_time(self, group: Group, now_s: float) -> bool:
        """Whether the group may still wait."""
        return now_s < max(group.first_arrival_s + self._wait_s, self._floor_s)

    def wait_until(self, at_s: float) -> None:
        """Let nobody's time be over before: while the collector was down no schema could come."""
        self._floor_s = at_s

    def add(self, group: Group) -> list[Group]:
        """Take one in; the groups that had to make room, which are to be judged as they are."""
        out = [self._pop(group.key)] if group.key in self._groups else []
        self._groups[group.key] = group
        self._bytes += _size(group)
        while self._bytes > self._max_bytes and self._groups:
            out.append(self._pop(next(iter(self._groups))))
            self.evicted += 1
        return out

    def take_all(self) -> list[Group]:
        """Everybody: a schema came, or the collector is stopping."""
        return [self._pop(key) for key in list(self._groups)]

    def take_expired(self, now_s: float) -> list[Group]:
        """Those whose time is over. They are nearly in order of arrival, so the first that has time ends the look."""
        out = []
        while self._groups:
            key, group = next(iter(self._groups.items()))
            if self.has_time(group, now_s):
                break
            out.append(self._pop(key))
        return out

    def _pop(self, key: PairKey) -> Group:
        group = self._groups.pop(key)
        self._bytes -= _size(group)
        return group


def _size(group: Group) -> int:
    return sum(call.size for call in group.calls.values())
