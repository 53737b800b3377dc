"""Where a worker stands in one partition: how far it has read, when what arrived, and from where it would read again. Pure; one owner."""

from __future__ import annotations

from collections import deque
from typing import Final

from mirror.collect.lane import Lane

MARK_S: Final = 1.0  # of arrivals between two marks
MARKS_MAX: Final = 10_000  # beyond, every other one goes
KEEP_RECORDS: Final = (
    2000  # before the oldest open call: what was repeated after an outage came long before by the clock
)
_NEVER: Final = float("inf")


class Track:
    """`lane` and its position. `wait_s`: see `wait_for_schemas`.

    `keep_s`, `keep_records`: so far before the oldest open call, whichever is further, reading again begins.
    """

    def __init__(
        self, lane: Lane, position: int, *, keep_s: float, wait_s: float, keep_records: int = KEEP_RECORDS
    ) -> None:
        self.lane = lane
        self.position = position  # the next to read
        self.recovering = position < lane.progress.next_position  # until all of it was read again
        self.asked_s = 0.0  # when the broker was last asked whether there is more
        self.read_s = 0.0  # when something was last read
        self._failed = (-1, 0)  # where reading failed last, and how often
        self._keep_s = keep_s
        self._keep_records = keep_records
        self._wait_s = wait_s
        self._marks: deque[tuple[int, float]] = deque()  # (position, arrival)
        self._behind = True
        lane.waiting.wait_until(_NEVER)

    def note(self, position: int, arrived_s: float, now_s: float) -> bool:
        """A message is read at `now_s`. True: with it all that was read before the start has been read again."""
        self.position = position + 1
        self.read_s = now_s
        if not self._marks or arrived_s - self._marks[-1][1] >= MARK_S:
            self._marks.append((position, arrived_s))
            if len(self._marks) > MARKS_MAX:
                self._marks = deque(list(self._marks)[::2])
        return self.recovering and self.position >= self.lane.progress.next_position

    def fails_at(self, position: int) -> int:
        """A record cannot be read; how often that was so of this one."""
        self._failed = (position, self._failed[1] + 1 if self._failed[0] == position else 1)
        return self._failed[1]

    def wait_for_schemas(self, now_s: float, *, behind: bool) -> None:
        """Have groups wait for schemas for ever while the lane is `behind`; then, by the clock, `wait_s` from now at least.

        While it catches up, its time runs faster than the other workers can bring their schemas.
        """
        if behind is not self._behind:
            self._behind = behind
            self.lane.waiting.wait_until(_NEVER if behind else now_s + self._wait_s)

    def hint(self, lowest_open: int) -> int | None:
        """Where to begin to read again for the lowest open position. None: not known."""
        if not self._marks:
            return None
        older = [mark for mark in self._marks if mark[0] <= lowest_open]
        if not older:
            return None
        since_s = older[-1][1] - self._keep_s
        while len(self._marks) > 1 and self._marks[1][0] <= lowest_open and self._marks[1][1] <= since_s:
            self._marks.popleft()
        return max(0, min(self._marks[0][0], lowest_open - self._keep_records))
