"""Latency of one method, minute by minute, through the real cells, votes and bounds: how much slower is it found to be?

Log-normal latencies; each shadow has slow spells of its own, in which all its calls take longer, as a busy instance has. The
candidate is `ratio` times slower, or has a share of calls ten times slower. Seeds are arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import exp
from random import Random
from typing import Final

from mirror.core.model import EpochKey, Outcome, Role, Timing, Verdict
from mirror.core.speed.evidence import AtLeast, Hour, at_least
from mirror.core.speed.minute import MinuteSpeed
from mirror.core.speed.votes import NO_VOTES, TAILS, Speed, add_votes
from mirror.core.speed.watch import SpeedWatch

EPOCH: Final = EpochKey("run", "service", "1", "2")
USUAL_NS: Final = 5_000_000
SPREAD: Final = 0.3  # of the logarithm of one call's latency


@dataclass(frozen=True, slots=True)
class Spells:
    """Slow or fast spells of one instance: the deviation of the logarithm, and how many minutes one lasts."""

    deviation: float = 0.1
    minutes: float = 1.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """How the candidate's latency differs: `ratio` times in all calls, ten times in the share `rare` of them."""

    ratio: float = 1.0
    rare: float = 0.0


def bounds(  # noqa: PLR0913 - what makes a run
    seed: int,
    candidate: Candidate,
    *,
    minutes: int = 120,
    calls_a_minute: int = 60,
    spells: Spells = Spells(),
    rank: int = 1,
    alpha: float = 0.05,
    by_call: bool = False,
) -> Iterator[tuple[int, AtLeast]]:
    """The bounds after each minute; they never fall."""
    hours: list[Hour] = []
    known = AtLeast()
    for minute, speeds in enumerate(_by_minute(Random(seed), candidate, minutes, calls_a_minute, spells)):
        if not minute % 60:
            hours.append(Hour(NO_VOTES, tuple(NO_VOTES for _ in TAILS)))
        counted = MinuteSpeed()
        for speed in speeds:
            counted.add(speed)
        votes = counted.votes(by_call=by_call)
        tails = zip(hours[-1].tails, votes.tails, strict=True)
        hours[-1] = Hour(add_votes(hours[-1].median, votes.median), tuple(add_votes(*both) for both in tails))
        known = known.or_more(at_least(hours, rank, alpha=alpha))
        yield minute + 1, known


def minutes_until(seed: int, candidate: Candidate, ratio: float, **run: object) -> int | None:
    """After how many minutes the median's bound reaches `ratio`; None: never."""
    return next((n for n, found in bounds(seed, candidate, **run) if found.median >= ratio), None)  # type: ignore[arg-type]


def _by_minute(chance: Random, candidate: Candidate, minutes: int, calls: int, spells: Spells) -> Iterator[list[Speed]]:
    watch = SpeedWatch()
    slow = dict.fromkeys(Role, 0.0)
    left = Counter[Role]()
    for minute in range(minutes):
        found: list[Speed] = []
        for _ in range(calls):
            for role in Role:
                left[role] -= 1
                if left[role] <= 0:
                    slow[role] = chance.gauss(0, spells.deviation)
                    left[role] = max(1, int(chance.expovariate(1 / (spells.minutes * calls))))
            took = {role: _took(chance, slow[role]) for role in Role}
            ours = took[Role.CANDIDATE] * candidate.ratio * (10 if chance.random() < candidate.rare else 1)
            took[Role.CANDIDATE] = int(ours)
            outcomes = {
                role: Outcome(Verdict.MATCHED, timing=Timing(0, took[Role.PRIMARY], took[role]))
                for role in (Role.CANDIDATE, Role.SECONDARY)
            }
            found += watch.look(EPOCH, "s/M", minute, outcomes)
        yield found


def _took(chance: Random, slow: float) -> int:
    return int(USUAL_NS * exp(chance.gauss(slow, SPREAD)))
