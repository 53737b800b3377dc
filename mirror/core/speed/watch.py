"""The secondary's tail of the minutes before, by method; makes the figures of triples. Pure state, one owner, bounded.

It lives in the process: after a restart the tail is learnt anew, for a minute at least, and is not tested till then.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from typing import Final

from mirror.core.model import EpochKey, Outcome, Part, Role, Verdict
from mirror.core.outcomes import ended_otherwise
from mirror.core.quiet import Quiet
from mirror.core.speed.minute import MinuteSpeed
from mirror.core.speed.sketch import Sketch, bucket_of, quantiles
from mirror.core.speed.votes import TAILS, Metric, Speed, cell_of, tail_cell_of

PLACES_MAX: Final = 5_000  # (epoch, method)s remembered
MINUTES_MAX: Final = 60  # of which a tail is made
VALUES_MIN: Final = 100  # of the minutes before, under which no tail is known


class SpeedWatch:
    """Remembers, and asks what each minute's tail limits are; they are fixed at its first triple."""

    def __init__(self) -> None:
        self._places: OrderedDict[tuple[EpochKey, str], dict[Metric, _Tail]] = OrderedDict()

    def look(self, epoch: EpochKey, method: str, minute: int, outcomes: Mapping[Role, Outcome]) -> tuple[Speed, ...]:
        """The figures of one triple: none unless both shadows' calls ended as the primary's did and could be compared."""
        candidate, secondary = outcomes[Role.CANDIDATE], outcomes[Role.SECONDARY]
        if not (_answered(candidate) and _answered(secondary)):
            return ()
        tails = self._tails(epoch, method)
        found = []
        if candidate.timing is not None and secondary.timing is not None:
            times = candidate.timing.primary_ns, candidate.timing.shadow_ns, secondary.timing.shadow_ns
            found.append(_speed(Metric.LATENCY, tails[Metric.LATENCY], minute, times))
        if candidate.sizes is not None and secondary.sizes is not None:
            sizes = candidate.sizes[0], candidate.sizes[1], secondary.sizes[1]
            found.append(_speed(Metric.SIZE, tails[Metric.SIZE], minute, sizes))
        return tuple(found)

    def count(
        self,
        metric: Metric,
        quiet: Quiet,
        measured: Iterable[tuple[tuple[float, float, float], int]],
        into: MinuteSpeed,
    ) -> None:
        """Count triples that answered the same: figures of primary, candidate and secondary, and how often they came."""
        tail = self._tails(quiet.epoch, quiet.method)[metric]
        for figures, n in measured:
            into.add(_speed(metric, tail, quiet.minute, figures, n), n)

    def _tails(self, epoch: EpochKey, method: str) -> dict[Metric, _Tail]:
        place = epoch, method
        tails = self._places.get(place)
        if tails is None:
            tails = self._places[place] = {metric: _Tail() for metric in Metric}
            if len(self._places) > PLACES_MAX:
                self._places.popitem(last=False)
        return tails


def _speed(metric: Metric, tail: _Tail, minute: int, measured: tuple[float, float, float], n: int = 1) -> Speed:
    primary, ours, theirs = measured
    limits = tail.limits(minute)
    tail.add(minute, theirs, n)
    tails = tuple(tail_cell_of(ours, theirs, x) for x in limits) if limits else ()
    return Speed(metric, primary, ours, theirs, cell_of(ours, theirs), tails)


class _Tail:
    """The secondary's figures of one method by minute."""

    __slots__ = ("_limits", "_minutes")

    def __init__(self) -> None:
        self._minutes: deque[tuple[int, Sketch]] = deque(maxlen=MINUTES_MAX)
        self._limits: deque[tuple[int, tuple[float, ...]]] = deque(maxlen=3)

    def limits(self, minute: int) -> tuple[float, ...]:
        """The quantiles TAILS of the minutes before this one; empty where too little is known of them."""
        for known, limits in self._limits:
            if known == minute:
                return limits
        before = Sketch()
        for known, sketch in self._minutes:
            if known < minute:
                before.merge(sketch)
        found = tuple(x for x in quantiles(before.counts, TAILS) if x is not None) if before.n >= VALUES_MIN else ()
        self._limits.append((minute, found))
        return found

    def add(self, minute: int, value: float, n: int) -> None:
        """One of the secondary's figures, that came `n` times. What comes late for a minute before the last ones is left out."""
        for known, sketch in reversed(self._minutes):
            if known == minute:
                sketch.add(value, n)
                return
        if not self._minutes or minute > self._minutes[-1][0]:
            self._minutes.append((minute, Sketch({bucket_of(value): n})))


def _answered(outcome: Outcome) -> bool:
    """Whether the shadow's call came to the primary's end, and its answer was seen."""
    if outcome.verdict is Verdict.MATCHED and not outcome.unseen:
        return True
    told = (*outcome.differences, *outcome.ignored, *outcome.unjudged)
    return outcome.sees(Part.ANSWER) and not ended_otherwise(told)
