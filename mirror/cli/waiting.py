"""Waiting for a verdict: ask until it is pass or fail or the time is over, and outlast whoever restarts meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mirror.cli.asking import Asks, UnavailableError
from mirror.cli.errors import UsageError
from mirror.serve import models, shape, words

EVERY_S: Final = 2.0
TELL_EVERY_S: Final = 60.0
MISSING_TOLD: Final = 3  # of what a pass lacks, in a line of progress
START_GRACE_S: Final = (
    60.0  # who has never answered by then is not there: a wrong address must not wait for half an hour
)
QUIET_AFTER_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """How to wait. `clock` gives unix seconds, `pause` waits for some; `tell` prints a line of progress."""

    clock: Callable[[], float]
    pause: Callable[[float], None]
    tell: Callable[[str], None]


def wait(asks: Asks, wait_s: float, waiting: Waiting) -> models.RunVerdict:
    """The first verdict that is pass or fail, else the last one once `wait_s` are over.

    One that could not be asked for at the end is inconclusive and says so. Raises UsageError for whoever never answered,
    and where asking again cannot help.
    """
    began_s = waiting.clock()
    found: models.RunVerdict | None = None
    silent_since_s, problem, told_s = began_s, "", float("-inf")
    while True:
        try:
            found, problem = asks.ask(), ""
        except UnavailableError as error:
            silent_since_s = silent_since_s if problem else waiting.clock()
            problem = str(error)
        now_s = waiting.clock()
        if found is not None and not problem and found.verdict != "inconclusive":
            return found
        left_s = began_s + wait_s - now_s
        if problem and found is None and (now_s - began_s >= START_GRACE_S or left_s <= 0):
            raise UsageError(problem)
        if left_s <= 0:
            break
        if not 0 <= now_s - told_s < TELL_EVERY_S:
            told_s = now_s
            waiting.tell(_progress(found, problem, now_s))
        waiting.pause(min(EVERY_S, left_s))
    return _unanswered(found, problem, waiting.clock() - silent_since_s) if problem else _known(found)


def _known(found: models.RunVerdict | None) -> models.RunVerdict:
    return found or shape.not_seen()


def _unanswered(found: models.RunVerdict | None, problem: str, silent_s: float) -> models.RunVerdict:
    """What was known last, which is no verdict now."""
    last = _known(found)
    text = f"there has been no answer for {words.span(silent_s)}: {problem}"
    reason = models.Reason(code="unavailable", text=text, figures={})
    return last.model_copy(
        update={"verdict": "inconclusive", "reasons": [reason], "missing": [reason, *last.missing], "eta_s": None}
    )


def _progress(found: models.RunVerdict | None, problem: str, now_s: float) -> str:
    if problem:
        return f"waiting, no answer just now: {problem}"
    last = _known(found)
    text = f"waiting: inconclusive, {last.triples:,} judged"
    if last.eta_s is not None:
        text += f", at this rate {words.span(last.eta_s)} to go"
    elif last.missing:
        text += "".join(f"; {reason.text}" for reason in last.missing[:MISSING_TOLD])
        text += f"; and {more} more" if (more := len(last.missing) - MISSING_TOLD) > 0 else ""
    return text + (f". {quiet}" if (quiet := quiet_words(last, now_s)) else "")


def quiet_words(found: models.RunVerdict, now_s: float) -> str:
    """What to look at where nothing has come for a while; empty: something has, or nothing ever did."""
    if found.last_s is None or now_s - found.last_s < QUIET_AFTER_S:
        return ""
    return f"The last pair came {words.span(now_s - found.last_s)} ago: does the collector run, and are calls mirrored?"
