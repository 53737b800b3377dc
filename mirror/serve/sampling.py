"""What people are told of calls whose messages are not captured (not sampled): how many were looked at, and whether the replicas agree.

Pure; the same on the page, in the terminal and beside a comparison. It is meant to be so, hence nothing here is worded as a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mirror.core.model import Role
from mirror.core.outcomes import NOT_SAMPLED, unanswered
from mirror.core.sampled import Sampled
from mirror.serve import words

LIMIT: Final = "MIRROR_METHOD_BYTES_PER_S"
READ_ON: Final = 'see "Large messages" in interceptors/README.md'
SAME_LIMIT: Final = f"Set the same {LIMIT} on all replicas; it is of one process, so it has to be more where fewer processes share the calls"
MEANT: Final = (
    "Nothing is wrong with that: which calls are looked at follows from the mirror ID, so they are a fair sample, and all replicas choose alike. "
    f"In the verdict's bounds each method weighs as many calls as it had. To have more looked at, raise {LIMIT} on all replicas ({READ_ON})."
)
MANY: Final = 0.05  # of the calls that are not sampled: so many more captured whole by one replica alone are no chance
_ON_PURPOSE: Final = f"as is meant for a share of the calls of a method whose messages are large and many ({LIMIT})"
_SHADOWS: Final = (Role.CANDIDATE, Role.SECONDARY)


def share(found: Sampled) -> str:
    """Of the calls that were looked at: "15%"; never 100% where some were not."""
    rounded = words.percent(found.share)
    return "over 99%" if rounded == "100%" and found.not_sampled else rounded


def line(found: Sampled) -> str:
    """Of one method: "3,120 of 21,400 calls looked at (15%); ..."; empty where all were."""
    if not found.not_sampled:
        return ""
    of = words.plural(found.looked_at + found.not_sampled, "call")
    return f"{words.count(found.looked_at)} of {of} looked at ({share(found)}); the others' messages are beyond {LIMIT}"


def notes(found: Sampled) -> list[str]:
    """What the counted reasons mean, where one replica has not captured what another has, or the candidate did not answer."""
    told = []
    for role, n in found.one_sided.items():
        if n <= MANY * found.not_sampled:  # each process sets its share once a second
            continue
        (other,) = (one for one in _SHADOWS if one is not role)
        told.append(
            f"{words.plural(n, 'call was', 'calls were')} captured whole by the primary and the {other} and not by the {role}: "
            f"the replicas' limits, or the calls that each process serves, differ. {SAME_LIMIT} ({READ_ON})."
        )
    if found.silent:
        told.append(
            f"The candidate did not answer {words.plural(found.silent, 'call')} that were not sampled. That is not judged, since "
            "of such calls neither is what was answered."
        )
    return told


def is_not_sampled(reason: str) -> bool:
    """Whether a pair has come to nothing for this reason: `not_sampled`, or `candidate_not_sampled` where it never answered."""
    return reason in {NOT_SAMPLED, *(unanswered(role) for role in _SHADOWS)}


def of_pair(role: str, reason: str, whole: Mapping[str, bool]) -> str:
    """Why nothing of one pair was compared, for the shadow `role`; empty where that has another reason.

    `whole`: by role, whether the call was captured with its messages; those that never came are not there.
    """
    if not is_not_sampled(reason):
        return ""
    of_primary = whole.get(Role.PRIMARY, False)
    if role not in whole:
        why = (
            f"by its share of late the {role} would not have captured this call with its messages"
            if of_primary
            else "the primary has not captured this call with its messages"
        )
        return f"Nothing was compared: the {role} did not answer, or its capture never came. That is not judged, since {why} (not sampled), {_ON_PURPOSE}."
    if of_primary == whole[role]:
        return f"Nothing was compared, not even the status: neither side has captured this call with its messages (not sampled), {_ON_PURPOSE}."
    has, lacks = ("primary", role) if of_primary else (role, "primary")
    return (
        f"Nothing was compared, not even the status: the {has} has captured this call with its messages and the {lacks} has not (not sampled). "
        f"Where that is so of many calls, the replicas' limits or the calls that each process serves differ. {SAME_LIMIT}."
    )
