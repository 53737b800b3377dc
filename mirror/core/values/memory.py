"""What is remembered of one path: its last values, and what the primary's first ones were like. Bounded; one owner.

It lives in the process and is learnt anew after a restart. That costs the labels of QUANTILE and MAGNITUDE some calls,
and never validity: whatever a label means, it is fixed before the call and the same for both shadows.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.message import Message

from mirror.core.compare.reflect import wire_bytes
from mirror.core.model import Hashed
from mirror.core.values.labels import QUANTILES, exponent_of, number_of

RECENT: Final = 1024  # values, of any role
FIRST: Final = 100  # of the primary's numbers, of which quantiles are made


class PathMemory:
    """Hashes of the last values and, until there are enough, the primary's first numbers. No value is kept beyond that."""

    __slots__ = ("_counts", "_first", "_last", "exponent", "thresholds")

    def __init__(self) -> None:
        self.exponent: int | None = None
        self.thresholds: tuple[float, ...] = ()
        self._last: deque[int] = deque()
        self._counts: Counter[int] = Counter()
        self._first: list[float] = []

    def repeated(self, value: Any) -> bool:
        """Whether the value is among the last RECENT ones."""
        return _known(value) and _key(value) in self._counts

    def learn(self, primary: Any, shadows: Iterable[Any]) -> None:
        """Take one call's values in, after its votes: the primary's and the shadows', None where not set."""
        for value in (primary, *shadows):
            if _known(value):
                self._remember(_key(value))
        number = number_of(primary)
        if number is None:
            return
        if self.exponent is None and number:
            self.exponent = exponent_of(number)
        if not self.thresholds:
            self._first.append(number)
            if len(self._first) == FIRST:
                ordered = sorted(self._first)
                self.thresholds = tuple(ordered[FIRST * q // 100 - 1] for q in QUANTILES)
                self._first = []

    def _remember(self, key: int) -> None:
        self._last.append(key)
        self._counts[key] += 1
        if len(self._last) > RECENT:
            gone = self._last.popleft()
            self._counts[gone] -= 1
            if not self._counts[gone]:
                del self._counts[gone]


def _known(value: Any) -> bool:
    """Whether it can be told from others: it is set and, if it is private, there is a hash of it or it is empty."""
    return value is not None and not (isinstance(value, Hashed) and not value.digest and not value.empty)


def _key(value: Any) -> int:
    """A hash that stands for a value; of two values that happen to share one, both count as the same."""
    if isinstance(value, Message):
        return hash((type(value), wire_bytes(value)))
    try:
        return hash((type(value), value))
    except TypeError:  # a list of values
        return hash(repr(value))
