"""What people decide of a path that differs: accepted for a while, or rejected. Pure records and their checks.

An acceptance takes one hypothesis of one epoch out of the verdict until its day has passed: it neither fails the run nor
holds its pass, and the bound leaves out what differs there. A rejection says that the difference is a defect: the run fails.
What shall hold for later builds too is a rule, not an acceptance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from mirror.core.model import Hypothesis

OWNER_MAX: Final = 200  # characters
REASON_MAX: Final = 1000


class Ruling(StrEnum):
    """What was decided; of several decisions on one path the newest holds."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision on one hypothesis of an epoch, by `owner`. `expires`: the last day (UTC) of an acceptance."""

    hypothesis: Hypothesis
    what: Ruling
    owner: str
    reason: str
    expires: date | None
    at_s: float

    def in_force(self, today: date) -> bool:
        """Whether it holds on `today`."""
        return self.what is not Ruling.WITHDRAWN and (self.expires is None or today <= self.expires)

    @property
    def words(self) -> str:
        """`accepted by ada until 2027-01-31: rounding`."""
        until = f" until {self.expires.isoformat()}" if self.expires else ""
        return f"{self.what} by {self.owner}{until}: {self.reason}"


def problems(decision: Decision, today: date) -> list[str]:
    """What keeps a decision from being taken, each with what to do; none: it can be."""
    found = []
    for name, text, most in (("owner", decision.owner, OWNER_MAX), ("reason", decision.reason, REASON_MAX)):
        if not text.strip():
            found.append(f"{name} is missing: say who decides and why")
        elif len(text) > most:
            found.append(f"{name} has {len(text):,} characters; at most {most:,} are kept")
        elif not text.isprintable():
            found.append(f"{name} holds control characters")
    if decision.what is Ruling.ACCEPTED and decision.expires is None:
        found.append("expires is missing: the last day on which the acceptance holds, as 2027-01-31")
    elif decision.what is not Ruling.ACCEPTED and decision.expires is not None:
        found.append(f"expires belongs to an acceptance; what is {decision.what} stays until it is withdrawn")
    elif decision.expires is not None and decision.expires < today:
        found.append(f"expires: {decision.expires.isoformat()} has passed")
    return found
