"""What is counted of one method's latency or size in a minute: cells and sketches. Pure; adds up; to plain data and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

from mirror.core.model import Role
from mirror.core.speed.evidence import Hour
from mirror.core.speed.sketch import Sketch, bucket_of
from mirror.core.speed.votes import TAILS, Speed, median_counts, tail_counts, votes_of_minute


class MinuteSpeed:
    """`n` triples; `median` and each of `tails` their cells; `sketches` the figures of each role. A mutable builder."""

    __slots__ = ("median", "n", "sketches", "tails")

    def __init__(self) -> None:
        self.n = 0
        self.median: Counter[int] = Counter()
        self.tails: tuple[Counter[int], ...] = tuple(Counter() for _ in TAILS)
        self.sketches: dict[Role, Sketch] = {role: Sketch() for role in Role}

    def add(self, speed: Speed, n: int = 1) -> None:
        """`n` triples more, all alike."""
        _, primary, candidate, secondary, cell, tails = speed
        self.n += n
        self.median[cell] += n
        for cells, tail in zip(self.tails, tails, strict=False):
            cells[tail] += n
        sketches, bucket = self.sketches, bucket_of(primary)
        sketches[Role.PRIMARY].counts[bucket] += n
        sketches[Role.CANDIDATE].counts[bucket if candidate == primary else bucket_of(candidate)] += n
        sketches[Role.SECONDARY].counts[bucket if secondary == primary else bucket_of(secondary)] += n

    def merge(self, other: MinuteSpeed) -> None:
        """All of another one's more: of another worker, or another minute where only figures are wanted."""
        self.n += other.n
        self.median.update(other.median)
        for cells, more in zip(self.tails, other.tails, strict=True):
            cells.update(more)
        for role, sketch in other.sketches.items():
            self.sketches[role].merge(sketch)

    def votes(self, *, by_call: bool) -> Hour:
        """Its votes, as those of an hour in which nothing else came."""
        median = votes_of_minute(median_counts(self.median), self.n, by_call=by_call)
        tails = (votes_of_minute(tail_counts(cells), self.n, by_call=by_call) for cells in self.tails)
        return Hour(median, tuple(tails))

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "n": self.n,
            "median": _plain(self.median),
            "tails": [_plain(cells) for cells in self.tails],
            "sketches": {role.value: _plain(sketch.counts) for role, sketch in self.sketches.items()},
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """From `plain`; of an empty one nothing."""
        made = cls()
        made.n = int(plain.get("n", 0))
        made.median = _counted(plain.get("median", {}))
        made.tails = tuple(_counted(cells) for cells in plain.get("tails") or ({} for _ in TAILS))
        for role in Role:
            made.sketches[role] = Sketch(_counted(plain.get("sketches", {}).get(role.value, {})))
        return made


def _plain(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(key): n for key, n in sorted(counts.items())}


def _counted(plain: Mapping[str, int]) -> Counter[int]:
    return Counter({int(key): n for key, n in plain.items()})
