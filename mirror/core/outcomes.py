"""What came of a pair, put together from its two parts: what was answered, and what was done meanwhile. Pure.

Where calls of the shadow were blocked it answered as well as it could, so how its answer differs says nothing about the
build: that part is *not seen*, for the reason `blocked`, and the differences are kept as `unjudged`. What it would have
sent is evidence as ever. But if its call came to another end than the primary's, it may have stopped at the blocked call, or
tried again: then only calls that both sides made equally often are held against each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from mirror.core.compare.result import Result
from mirror.core.model import Difference, Kind, Outcome, Part, Role, Timing, Verdict
from mirror.core.path import Field, Key, Path

BLOCKED: Final = "blocked"
NOT_SAMPLED: Final = "not_sampled"
ENDS: Final = frozenset({Kind.STATUS, Kind.NO_ANSWER})  # the kinds that say how a call ended, not what was answered
_CALL_DEPTH: Final = 3  # outbound, whom it called, which of the calls


_NOTHING: Final = Result()


def unanswered(role: Role) -> str:
    """The reason of a shadow that did not answer a call of which nobody looks at the answers."""
    return f"{role}_{NOT_SAMPLED}"


class Compared(NamedTuple):
    """What came of comparing one part. `why`: it could not be compared. `note`: not all of it was."""

    result: Result = _NOTHING
    why: str = ""
    sizes: tuple[int, int] | None = None
    note: str = ""


def alone(answered: Compared, timing: Timing | None = None) -> Outcome:
    """The outcome of a pair in which neither side made a call."""
    result, why, sizes, note = answered
    if why:
        return Outcome(Verdict.INCOMPARABLE, why)
    verdict = Verdict.MISMATCHED if result.count else Verdict.IGNORED if result.ignored_count else Verdict.MATCHED
    return Outcome(verdict, note, result.differences, result.ignored, result.count, sizes=sizes, timing=timing)


def combined(  # noqa: PLR0913 - what is known of a pair
    answered: Compared,
    did: Compared,
    *,
    blocked: bool,
    compared: int,
    paired: frozenset[str],
    timing: Timing | None = None,
) -> Outcome:
    """The outcome of a pair. `blocked`: calls of the shadow were; `compared`, `paired`, `timing`: see Outcome."""
    unjudged: list[Difference] = []
    unseen = {part: one.why for part, one in ((Part.ANSWER, answered), (Part.OUTBOUND, did)) if one.why}
    differences = list(did.result.differences)
    count = did.result.count
    if blocked and answered.result.count:
        unseen = {Part.ANSWER: BLOCKED, **unseen}
        unjudged += answered.result.differences
        if ended_otherwise(unjudged):
            unjudged += (one for one in differences if not within(one, paired))
            differences = [one for one in differences if within(one, paired)]
            count = len(differences)
    else:
        differences = [*answered.result.differences, *differences]
        count += answered.result.count
    ignored = (*answered.result.ignored, *did.result.ignored)
    verdict, reason = Verdict.IGNORED if ignored else Verdict.MATCHED, answered.note
    if count:
        verdict = Verdict.MISMATCHED
    elif unseen:
        verdict, reason = Verdict.INCOMPARABLE, next(iter(unseen.values()))
    return Outcome(
        verdict,
        reason,
        tuple(differences),
        ignored,
        count,
        sizes=answered.sizes,
        unseen=unseen,
        unjudged=tuple(unjudged),
        outbound_compared=compared,
        outbound_paired=paired,
        timing=timing,
    )


def is_outbound(path: Path) -> bool:
    """Whether a path is of a call that the service made."""
    return path[:1] == (Field("outbound"),)


def within(difference: Difference, paired: frozenset[str]) -> bool:
    """Whether it is a difference in a call that both sides made, to one of the methods `paired`."""
    path = difference.path
    called = path[1] if len(path) > _CALL_DEPTH else None
    return is_outbound(path) and isinstance(called, Key) and called.key in paired


def ended_otherwise(differences: Iterable[Difference]) -> bool:
    """Whether the shadow's call came to another end than the primary's: its answer was not compared."""
    return any(difference.kind in ENDS for difference in differences)
