"""Groups that wait for their calls, and in which order their time is over. Pure; for `pair`, which owns them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Final

from mirror.core.gathering import Gathering
from mirror.core.model import CallRecord, PairKey, Role

_COMPACT_FROM: Final = 1024
_ROLES: Final = len(Role)


@dataclass(slots=True)
class OpenGroup:
    """The calls of one request that have come. Times are arrivals (seconds); `size` is what it holds in bytes, overhead included."""

    key: PairKey
    first_arrival_s: float
    deadline_s: float
    calls: tuple[CallRecord, ...] = ()  # one of each role: a dictionary would take more than all the rest
    outbound: Gathering | None = None  # None: none came yet
    expect: frozenset[Role] = frozenset()
    ready_s: float = 0.0  # a failed primary may be followed by a retry until then
    size: int = 0
    makes_calls: bool = False  # one of its calls says to have made some
    released: bool = False

    def due_s(self) -> float:
        """From when on nothing more is taken in, whether somebody looked in time or not.

        Without a time to wait for a retry it was released as soon as all was there.
        """
        return self.ready_s if self.ready_s and self.all_there() else self.deadline_s

    def all_calls(self) -> bool:
        """Whether the primary and all that it expects are there."""
        n = len(self.calls)
        if n <= len(self.expect):
            return False  # the primary, or one that is expected
        if n == _ROLES:
            return True  # for there is one of each
        here = [call.role for call in self.calls]
        return Role.PRIMARY in here and all(role in here for role in self.expect)

    def all_there(self) -> bool:
        """The same with the calls that they say to have made."""
        if not self.all_calls():
            return False
        if self.outbound is None:
            return not self.makes_calls or all(not call.outbound_calls for call in self.calls)
        return self.outbound.has_all(self.calls)

    def held(self, role: Role) -> CallRecord | None:
        """The call of a role."""
        for call in self.calls:
            if call.role is role:
                return call
        return None

    def hold(self, record: CallRecord, instead: CallRecord | None) -> None:
        """Take a call in, in place of the one of its role (`instead`) if there is one."""
        self.calls = (
            (*(call for call in self.calls if call is not instead), record) if instead else (*self.calls, record)
        )
        if record.outbound_calls:
            self.makes_calls = True

    def await_roles(self, expect: frozenset[Role]) -> None:
        """Wait for these too."""
        if not expect <= self.expect:
            self.expect = self.expect | expect if self.expect else expect


class Agenda:
    """Open groups by a time. Released ones stay until popped or until they outnumber the open ones."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, OpenGroup]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, at_s: float, group: OpenGroup, *, open_groups: int) -> None:
        """Put a group in; `open_groups`: how many there are."""
        self._serial += 1
        heappush(self._heap, (at_s, self._serial, group))
        if len(self._heap) > 2 * open_groups + _COMPACT_FROM:
            self._heap = [entry for entry in self._heap if not entry[2].released]
            heapify(self._heap)

    def first(self) -> tuple[float, OpenGroup] | None:
        """Whose time comes next, and when."""
        while self._heap and self._heap[0][2].released:
            heappop(self._heap)
        return (self._heap[0][0], self._heap[0][2]) if self._heap else None

    def due(self, now_s: float) -> Iterator[OpenGroup]:
        """Pop the groups whose time has come, oldest first."""
        while (entry := self.first()) and entry[0] <= now_s:
            heappop(self._heap)
            yield entry[1]


class Line:
    """Open groups by their deadlines. Released ones stay as in Agenda.

    They begin nearly always in the order of their deadlines, and stand in a line; those that do not, since a clock was set back
    or several clocks stamp, are on an agenda.
    """

    def __init__(self) -> None:
        self._line: deque[OpenGroup] = deque()
        self._others = Agenda()

    def __len__(self) -> int:
        return len(self._line) + len(self._others)

    def push(self, group: OpenGroup, *, open_groups: int) -> None:
        """Put a group in; `open_groups`: how many there are."""
        line = self._line
        if line and group.deadline_s < line[-1].deadline_s:
            self._others.push(group.deadline_s, group, open_groups=open_groups)
            return
        line.append(group)
        if len(line) > 2 * open_groups + _COMPACT_FROM:
            self._line = deque(one for one in line if not one.released)

    def first(self) -> tuple[float, OpenGroup] | None:
        """Whose time comes next, and when."""
        line = self._line
        while line and line[0].released:
            line.popleft()
        other = self._others.first()
        if line and (other is None or line[0].deadline_s <= other[0]):
            return line[0].deadline_s, line[0]
        return other

    def due(self, now_s: float) -> Iterator[OpenGroup]:
        """The groups whose time has come, oldest first; whoever asks releases each before the next."""
        while (entry := self.first()) and entry[0] <= now_s:
            yield entry[1]
