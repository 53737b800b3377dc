"""Values at one noisy path, call by call, through the real watch and the real e-value: when is the path regressed?

Each call draws a value for primary, candidate and secondary; the candidate's is then spoilt by a fault. Every call is a vote
(`vote_by: call`), all in one hour. Seeds are arguments; the same seed gives the same run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import log
from random import Random
from typing import Any, Final, TypeAlias
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from mirror.core.evalue import weight
from mirror.core.model import Difference, EpochKey, Kind, Outcome, Role, Timing, Verdict
from mirror.core.path import Field
from mirror.core.rules import MethodRules
from mirror.core.values.evidence import log_e_values
from mirror.core.values.labels import Label
from mirror.core.values.watch import ValueWatch

START_NS: Final = 1_700_000_000 * 10**9
PATH: Final = (Field("response"), Field("x"))
EPOCH: Final = EpochKey("run", "service", "1", "2")
NO_RULES: Final = MethodRules(())
Draw: TypeAlias = Callable[[Random], Any]
Spoil: TypeAlias = Callable[[Random, Any], Any]


def uuid_text(chance: Random) -> str:
    """A random id."""
    return str(UUID(int=chance.getrandbits(128), version=4))


def mixed_text(chance: Random) -> str:
    """A path whose values are of several classes: an id in half of the calls, a number or nothing in the rest."""
    return chance.choice((uuid_text(chance), uuid_text(chance), str(chance.randrange(10**6)), ""))


def uniform(chance: Random) -> float:
    """A random number from 0 to 1."""
    return chance.random()


def normal(chance: Random) -> float:
    """A number of mean 10 and deviation 1."""
    return chance.gauss(10, 1)


def clock(chance: Random) -> Timestamp:
    """The time at which a call was served: up to 50 ms after its start."""
    return _stamp(START_NS + int(chance.random() * 5e7))


def coin(chance: Random) -> str:
    """Which of two caches was asked."""
    return chance.choice(("a", "b"))


def nothing(_chance: Random, value: Any) -> Any:
    """No fault."""
    return value


def in_share(share: float, spoil: Spoil) -> Spoil:
    """The fault in a share of the calls."""
    return lambda chance, value: spoil(chance, value) if chance.random() < share else value


def empty(_chance: Random, _value: Any) -> str:
    """An id that turns empty."""
    return ""


def constant(_chance: Random, _value: Any) -> str:
    """An id that became constant."""
    return "00000000-0000-4000-8000-000000000000"


def lower_half(_chance: Random, value: float) -> float:
    """A random number that lost its upper half."""
    return value / 2


def later(seconds: float) -> Spoil:
    """A clock that runs late."""
    return lambda _chance, value: _stamp(value.seconds * 10**9 + value.nanos + int(seconds * 1e9))


def shifted(by: float) -> Spoil:
    """Numbers that are larger by `by`."""
    return lambda _chance, value: value + by


def wider(_chance: Random, value: float) -> float:
    """Numbers that scatter twice as wide around 10."""
    return 10 + 2 * (value - 10)


@dataclass(frozen=True, slots=True)
class Seen:
    """One run. `regressed_at`: after how many calls, None: never; `most`: the largest E_values at any look (its log)."""

    regressed_at: int | None
    most: float


def run(  # noqa: PLR0913 - what makes a run
    seed: int,
    draw: Draw,
    spoil: Spoil,
    *,
    calls: int,
    look_every: int = 5,
    rank: int = 100,
    alpha: float = 0.05,
) -> Seen:
    """Calls at one path until it is regressed under the weight of `rank`, at most `calls` of them."""
    goal = -log(alpha) - log(weight(rank))
    votes: dict[Label, tuple[int, int]] = {}
    most = 0.0
    for number, of_call in enumerate(votes_by_call(seed, draw, spoil, calls), start=1):
        for label, vote in of_call:
            raw, noise = votes.get(label, (0, 0))
            votes[label] = raw + (vote > 0), noise + (vote < 0)
        if number % look_every:
            continue
        most = max(most, log_e_values({label: [counted] for label, counted in votes.items()}))
        if most >= goal:
            return Seen(number, most)
    return Seen(None, most)


def votes_by_call(seed: int, draw: Draw, spoil: Spoil, calls: int) -> Iterator[Iterable[tuple[Label, int]]]:
    """The votes of one call after the other."""
    chance, watch = Random(seed), ValueWatch()
    for _ in range(calls):
        primary, candidate, secondary = draw(chance), spoil(chance, draw(chance)), draw(chance)
        outcomes = {Role.CANDIDATE: _pair(primary, candidate), Role.SECONDARY: _pair(primary, secondary)}
        yield from (votes.items() for votes in watch.look(EPOCH, "s/M", outcomes, NO_RULES).values() or [{}])


def quantiles(found: Iterable[Seen], *, shares: tuple[float, ...] = (0.5, 0.95)) -> list[float]:
    """Calls until regressed by which these shares of the runs have it; infinite where too few have."""
    calls = sorted(float("inf") if one.regressed_at is None else one.regressed_at for one in found)
    return [calls[min(len(calls) - 1, int(share * len(calls)))] for share in shares]


def label_counts(seed: int, draw: Draw, spoil: Spoil, calls: int) -> Counter[tuple[Label, int]]:
    """How often each label voted in each direction."""
    return Counter(vote for of_call in votes_by_call(seed, draw, spoil, calls) for vote in of_call)


def _pair(primary: Any, shadow: Any) -> Outcome:
    timing = Timing(START_NS, 1, 1)
    if primary == shadow:
        return Outcome(Verdict.MATCHED, timing=timing)
    return Outcome(
        Verdict.MISMATCHED,
        differences=(Difference(PATH, Kind.VALUE, primary, shadow),),
        difference_count=1,
        timing=timing,
    )


def _stamp(nanoseconds: int) -> Timestamp:
    return Timestamp(seconds=nanoseconds // 10**9, nanos=nanoseconds % 10**9)
