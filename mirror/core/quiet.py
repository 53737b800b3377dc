"""Requests of which there is no more to say than that all replicas answered the same: by far the most. Pure.

Each is counted, and nothing is looked at that would be the same of the next one; so they are gathered by what they have in
common and counted many at once. Whatever else is to be done with a request (a sample takes it, its spans are forwarded) goes the long way,
which counts the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from mirror.core.model import EpochKey, Resource, Role
from mirror.native import Same


class Quiet(NamedTuple):
    """What such requests have in common: the minute (unix) is that of their first arrival."""

    run: str
    method: str
    minute: int
    primary: Resource
    candidate: Resource
    secondary: Resource | None  # None: none was expected, and they are no triples

    @property
    def epoch(self) -> EpochKey:
        """In which they count."""
        return EpochKey(self.run, self.primary.service, self.primary.version, self.candidate.version)

    @property
    def instances(self) -> Iterator[tuple[Role, str]]:
        """Which process of each role answered."""
        yield Role.PRIMARY, self.primary.instance
        yield Role.CANDIDATE, self.candidate.instance
        if self.secondary is not None:
            yield Role.SECONDARY, self.secondary.instance


@dataclass(slots=True)
class Tally:
    """How many there were, and the seconds of the first and last arrival. A mutable builder.

    Of triples how long each took (ns: primary, candidate, secondary), and how often all three answered with so many bytes.
    """

    n: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    _times: list[tuple[int, int, int]] = field(default_factory=list)
    _sizes: Counter[int] = field(default_factory=Counter)

    def add(self, arrival_s: float, ours: Same, theirs: Same | None) -> None:
        """One more. `ours`: what primary and candidate have in common; `theirs`: primary and secondary, if there is one."""
        if not self.n:
            self.first_s = self.last_s = arrival_s
        elif arrival_s > self.last_s:
            self.last_s = arrival_s
        elif arrival_s < self.first_s:
            self.first_s = arrival_s
        self.n += 1
        if theirs is not None:
            self._times.append((ours[1], ours[2], theirs[2]))
            self._sizes[ours[3]] += 1

    @property
    def times(self) -> Iterator[tuple[tuple[int, int, int], int]]:
        """The times, each once."""
        return ((times, 1) for times in self._times)

    @property
    def sizes(self) -> Iterator[tuple[tuple[int, int, int], int]]:
        """The sizes, and how often each."""
        return (((size, size, size), n) for size, n in self._sizes.items())
