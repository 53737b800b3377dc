"""Noise or change: the state of one hypothesis, from counts alone. Pure.

In order: *regressed* (the e-value under its weight reaches 1/alpha; never left again), *suspect* (something differs and
noise does not explain it yet), *noisy* (the secondary differs too), *clean*, *unseen*. The formulas stand in `evalue`
and `bound`; here stand the states, their hysteresis and the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import floor, log
from typing import Final

from mirror.core.bound import lower, upper
from mirror.core.evalue import log_e, log_e_star, log_e_star_reaches, weight
from mirror.core.values.evidence import LabelVotes, log_e_values, strongest
from mirror.core.values.labels import text_of

__all__ = ["Evidence", "Judgement", "State", "judge", "log_e", "log_e_star", "may_leave_out", "weight"]

SUSPECT_AT_LOG: Final = log(10)  # E* from which a noisy path is suspect
BLIND_OVER: Final = 0.9  # noise rate over which yes or no says nothing
LEFT_OUT_FROM: Final = 10  # c + d from which an explained path stays out of signatures
_EARLIER: Final = "; it was regressed at an earlier look, and that stays"


class State(StrEnum):
    """What is thought of a hypothesis; of a path the worst of its kinds, in this order."""

    REGRESSED = "regressed"
    SUSPECT = "suspect"
    NOISY = "noisy"
    CLEAN = "clean"
    UNSEEN = "unseen"
    UNJUDGED = "unjudged"  # set from outside, until there is evidence: it differed only after calls were blocked


@dataclass(frozen=True, slots=True)
class Evidence:
    """The counts of one hypothesis in one epoch.

    `b`, `c`, `d` count the triples in which it is raw-only, noise-only and both; `n` all triples of its method.
    `votes_raw` and `votes_noise` are its votes; `hours` the votes (B, C) of each hour begun in the epoch, oldest first.
    `rank` counts from 1 in the order of first discordant votes; 0: it has had none. b + c + d <= n, always.
    Of the kind *values*, whose e-value has two sides, `labels` are the votes, and d counts the triples with any.
    """

    b: int = 0
    c: int = 0
    d: int = 0
    n: int = 0
    votes_raw: int = 0
    votes_noise: int = 0
    hours: Sequence[tuple[int, int]] = ()
    rank: int = 0
    labels: LabelVotes | None = None  # None: it is of another kind


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is thought of a hypothesis at one look. Rates are shares of triples, from 0 to 1."""

    state: State
    log_e_star: float  # natural logarithm
    explained: bool  # noise accounts for it: noisy, and b <= 3c + 3
    blind: bool  # noisy in so many triples that yes or no says nothing
    noise_rate: float  # (c + d) / n
    excess: float  # (b - c) / n
    excess_low: float
    excess_high: float
    control_worse: bool  # the secondary differs more than the candidate: the noise estimate is in doubt
    words: str  # the evidence in one sentence, with its figures
    sign: str  # the same in few words, for where the figures stand beside it


def judge(previous: State | None, evidence: Evidence, *, alpha: float) -> Judgement:
    """Judge one hypothesis; `previous` is its state at the look before, None at the first.

    `alpha` bounds the chance that any hypothesis without a cause is ever regressed in an epoch. Source: facts on noise,
    sections 3 to 5 (Ville for each hypothesis; weights by rank sum to 1).
    """
    if evidence.labels is not None:
        return _judge_values(previous, evidence, evidence.labels, alpha=alpha)
    forward = log_e_star(evidence.hours)
    state = _state(previous, evidence, forward, alpha=alpha)
    b, c, n = evidence.b, evidence.c, evidence.n
    noise_rate = (c + evidence.d) / n if n else 0.0
    swapped = [(noise, raw) for raw, noise in evidence.hours]
    control_worse = evidence.rank > 0 and log_e_star_reaches(swapped, _goal(evidence.rank, alpha=alpha))
    return Judgement(
        state=state,
        log_e_star=forward,
        explained=state is State.NOISY and b <= 3 * c + 3,
        blind=state is State.NOISY and noise_rate > BLIND_OVER,
        noise_rate=noise_rate,
        excess=(b - c) / n if n else 0.0,
        excess_low=lower(b, n, alpha / 2) - upper(c, n, alpha / 2),
        excess_high=upper(b, n, alpha / 2) - lower(c, n, alpha / 2),
        control_worse=control_worse,
        words=_words(state, evidence, forward, alpha=alpha, control_worse=control_worse),
        sign=_sign(state, evidence, forward),
    )


def _judge_values(previous: State | None, evidence: Evidence, labels: LabelVotes, *, alpha: float) -> Judgement:
    """As `judge`, of the kind *values*, which has no direction: it hides nothing, so it is never blind."""
    forward = log_e_values(labels)
    state = _state(previous, evidence, forward, alpha=alpha)
    words = _words_of_values(evidence, labels, forward)
    if state is State.REGRESSED and forward < _goal(max(evidence.rank, 1), alpha=alpha):
        words += _EARLIER
    return Judgement(
        state=state,
        log_e_star=forward,
        explained=state is State.NOISY,
        blind=False,
        noise_rate=evidence.d / evidence.n if evidence.n else 0.0,
        excess=0.0,
        excess_low=0.0,
        excess_high=0.0,
        control_worse=False,
        words=words,
        sign=f"were both builds alike, ever in at most {_one_in(forward)} runs"
        if forward >= log(2)
        else "no sign of change",
    )


def _words_of_values(evidence: Evidence, labels: LabelVotes, forward: float) -> str:
    seen = f"values of candidate and secondary are unlike in {evidence.d:,} of {evidence.n:,} triples"
    found = strongest(labels)
    if found is None:
        return f"{seen}: no vote is counted yet"
    label, raw, noise = found
    if forward < log(2):
        return f"{seen}: no sign that they are distributed otherwise"
    return (
        f"{seen}; most of all: the value {text_of(label)}, by {_count(raw, 'vote')} for the candidate and {noise:,} for the "
        f"secondary: if both builds behaved alike, so strong a sign would ever appear here in at most {_one_in(forward)} runs"
    )


def may_leave_out(judgement: Judgement, evidence: Evidence) -> bool:
    """Whether the path stays out of the signatures of pairs judged from now on: explained, by at least 10 triples."""
    return judgement.explained and evidence.c + evidence.d >= LEFT_OUT_FROM


def _state(previous: State | None, evidence: Evidence, forward: float, *, alpha: float) -> State:
    noise_seen = evidence.c + evidence.d >= 1
    if previous is State.REGRESSED or (evidence.rank > 0 and forward >= _goal(evidence.rank, alpha=alpha)):
        return State.REGRESSED
    if forward >= SUSPECT_AT_LOG or (evidence.b >= 1 and not noise_seen):
        return State.SUSPECT
    if previous is State.SUSPECT and not (noise_seen and forward <= 0):
        return State.SUSPECT
    if noise_seen:
        return State.NOISY
    if evidence.n:
        return State.CLEAN
    return State.UNJUDGED if previous is State.UNJUDGED else State.UNSEEN


def _goal(rank: int, *, alpha: float) -> float:
    """The log E* from which w(rank) E* >= 1/alpha."""
    return -log(alpha) - log(weight(rank))


def _words(state: State, evidence: Evidence, forward: float, *, alpha: float, control_worse: bool) -> str:
    sentence = _sentence(state, evidence, forward, alpha=alpha)
    if state is State.REGRESSED and forward < _goal(max(evidence.rank, 1), alpha=alpha):
        sentence += _EARLIER
    if control_worse:
        sentence += "; the secondary differs more than the candidate, so the noise estimate here is in doubt"
    return sentence


def _sentence(state: State, evidence: Evidence, forward: float, *, alpha: float) -> str:
    b, c, d, n = evidence.b, evidence.c, evidence.d, evidence.n
    if state is State.UNSEEN:
        return "no triple in which it could be judged yet"
    if state is State.UNJUDGED:
        return "it differed, but only where calls of the shadow were blocked: that is not judged"
    if state is State.CLEAN:
        return f"nothing differed in {n:,} triples"
    seen = f"raw-only in {b:,}, noise-only in {c:,} and both in {d:,} of {n:,} triples"
    if state is State.SUSPECT and not c + d:
        m = evidence.votes_raw
        chance = f"at most {_one_in(m * log(2))}" if m else "not yet known, no vote being counted"
        return (
            f"{_count(m, 'raw-only vote')} and no noise yet in {n:,} triples: the chance that noise alone would look so "
            f"is {chance}; the rate of noise is at most {upper(0, n, alpha):.2%}"
        )
    if forward >= log(2):
        return f"{seen}: if both builds behaved alike, so strong a sign would ever appear here in at most {_one_in(forward)} runs"
    return f"{seen}: no sign that the candidate differs more often than the secondary"


def _sign(state: State, evidence: Evidence, forward: float) -> str:
    if state is State.UNJUDGED:
        return "not judged: calls were blocked"
    if state is State.SUSPECT and not evidence.c + evidence.d and evidence.votes_raw:
        return f"no noise yet; noise alone would look so with chance at most {_one_in(evidence.votes_raw * log(2))}"
    if forward >= log(2):
        return f"were both builds alike, ever in at most {_one_in(forward)} runs"
    return "no sign of change" if evidence.c + evidence.d else ""


def _one_in(log_value: float) -> str:
    """'1 of 400' for log(400), rounded down so that 'at most' stays true."""
    tens = log_value / log(10)
    return f"1 of {floor(10**tens * (1 + 1e-12)):,}" if tens < 6 else f"1 of 10^{floor(tens)}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
