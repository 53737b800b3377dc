"""Figures as people read them: counts, rates, spans of time. Pure; English; the same on the page and in the terminal."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from mirror.core.model import Role
from mirror.core.outcomes import unanswered
from mirror.core.sampled import ONE_SIDED, SILENT

_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400

ANY_PATH: Final = "(any unexplained path)"  # of the hypothesis of a method as a whole

STATE_MEANINGS: Final = {
    "regressed": "the candidate differs more often than noise can explain; certain at the policy's error rate, and it stays",
    "suspect": "the candidate differs here and the secondary has not so far, or the evidence is strong but not yet certain",
    "noisy": "two instances of the same build differ here too",
    "clean": "compared and never different",
    "unseen": "not compared yet",
    "unjudged": "differs, but only where calls of the shadow were blocked: that is not judged",
}
KIND_MEANINGS: Final = {
    "value": "another value",
    "missing": "the primary has it; the candidate has not, or its default",
    "added": "the candidate has it; the primary has not, or its default",
    "order": "the same elements in another order",
    "status": "the call ended with another status",
    "no_answer": "the candidate never answered though others did",
    "any": "some path of this method that noise did not explain",
    "values": "its values are distributed otherwise; asked where the secondary differs too, so that yes or no says little",
}

SCHEMA_CHANGES: Final = {
    "field_added": "added",
    "field_removed": "removed",
    "retyped": "another type",
    "renamed": "renamed",
    "repeated": "became repeated or single",
    "presence": "presence changed",
    "oneof": "moved into or out of a oneof",
    "value_added": "enum value added",
    "value_removed": "enum value removed",
    "value_renumbered": "enum value has another number",
    "type_name": "its type has another name",
}
SCHEMA_CHANGES_MEAN: Final = (
    "A change of the schema is no difference of a call and never changes the verdict: calls differ where their values do. "
    "Where values cannot be compared, calls differ wherever the field is set."
)


_REASONS: Final = {  # those of which the name alone says too little, or another thing
    **{name: f"captured whole by all but the {role} (not sampled)" for role, name in ONE_SIDED.items()},
    SILENT: "incomplete (candidate, of a call that is not sampled)",
    unanswered(Role.CANDIDATE): "candidate, of a call that is not sampled",
}


def count(n: float) -> str:
    """12,345."""
    return f"{n:,.0f}"


def percent(rate: float | None) -> str:
    """A rate from 0 to 1: "0", "0.012%", "4.2%", "38%"; three places only where they say something."""
    if rate is None or math.isnan(rate):
        return "-"
    value = rate * 100
    size = abs(value)
    if size == 0:
        return "0%"
    if size >= 10:
        return f"{value:.0f}%"
    places = 1 if size >= 1 else min(6, 1 - math.floor(math.log10(size)))
    return f"{value:.{places}f}%"


def interval(low: float | None, high: float | None) -> str:
    """[0.8%, 2.1%]; empty where there is none."""
    return "" if low is None or high is None else f"[{percent(low)}, {percent(high)}]"


def span(seconds: float | None) -> str:
    """A length of time in its two largest units: "45 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"."""
    if seconds is None or math.isnan(seconds):
        return "-"
    if math.isinf(seconds):
        return "never at this rate"
    whole = max(0, round(seconds))
    for unit_s, unit, part_s, part in (
        (_DAY_S, "d", _HOUR_S, "h"),
        (_HOUR_S, "h", _MINUTE_S, "min"),
        (_MINUTE_S, "min", 1, "s"),
    ):
        if whole >= unit_s:
            rest = whole % unit_s // part_s
            return f"{whole // unit_s} {unit} {rest} {part}" if rest else f"{whole // unit_s} {unit}"
    return f"{whole} s"


def milliseconds(nanoseconds: float) -> str:
    """A duration: "0.42 ms", "12.3 ms", "1,250 ms"."""
    value = nanoseconds / 1e6
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def measure(metric: str, value: float | None) -> str:
    """A latency in ms or a size in bytes; "-" where there is none."""
    if value is None:
        return "-"
    return milliseconds(value) if metric == "latency" else f"{value:,.0f} B"


def moment(unix_s: float | None) -> str:
    """2026-11-23 14:05:09, in UTC; "-" where there is none."""
    if not unix_s:
        return "-"
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def ago(unix_s: float | None, now_s: float) -> str:
    """How long ago, "just now" below five seconds."""
    if not unix_s:
        return "-"
    gone_s = now_s - unix_s
    if gone_s < 5:
        return "just now"
    return f"{span(gone_s if gone_s < _HOUR_S else gone_s // _MINUTE_S * _MINUTE_S)} ago"


def plural(n: int, one: str, many: str = "") -> str:
    """1 pair; 2 pairs."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def reason(name: str) -> str:
    """A counted reason as words: "incomplete.candidate" becomes "incomplete (candidate)"."""
    if name in _REASONS:
        return _REASONS[name]
    what, _, why = name.replace("_", " ").partition(".")
    return f"{what} ({why})" if why else what


def version(text: str) -> str:
    """A version, or words for one that is missing."""
    return text or "(no version)"


def restarted(bound: str, triples: int, unexplained: int, unexplained_after: int) -> str:
    """What a change of rules did to the bound of one method."""
    of = f"{count(unexplained)} of {plural(triples, 'triple')} unexplained"
    if bound == "restarted":
        return f"starts anew, it was {of}" if triples else "starts anew"
    if bound == "recounted":
        return f"counted anew: {of} became {count(unexplained_after)}"
    return "stays, the change covers nothing that was seen"
