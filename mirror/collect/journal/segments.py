"""What of the journal may go, by pieces of about a MiB. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

SEGMENT_BYTES: Final = 1 << 20


@dataclass(slots=True)
class _Segment:
    last: int  # position
    newest_s: float  # arrival
    size: int


class Segments:
    """Positions, arrivals and sizes of the rows that are there, oldest first."""

    def __init__(self) -> None:
        self._segments: deque[_Segment] = deque()

    def add(self, position: int, arrived_s: float, size: int) -> None:
        """A row was written; its position is above all others."""
        last = self._segments[-1] if self._segments else None
        if last is None or last.size >= SEGMENT_BYTES:
            self._segments.append(_Segment(position, arrived_s, size))
            return
        last.last = position
        last.newest_s = max(last.newest_s, arrived_s)
        last.size += size

    def first_needed(self, lowest_open: int, since_s: float) -> int:
        """The position below which nothing is open and nothing came since `since_s`; 0: all may be needed."""
        first = 0
        for segment in self._segments:
            if segment.last >= lowest_open or segment.newest_s >= since_s:
                break
            first = segment.last + 1
        return first

    def forget(self, below: int) -> None:
        """The rows below were deleted."""
        while self._segments and self._segments[0].last < below:
            self._segments.popleft()
