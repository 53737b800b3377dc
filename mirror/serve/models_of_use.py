"""The shapes of gates and decisions, as `/api/v1` takes and answers them."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mirror.core.decisions import OWNER_MAX, REASON_MAX
from mirror.core.model import Kind
from mirror.serve.models import RunVerdict


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class DecisionAsked(_Model):
    """A decision on one path of a run."""

    model_config = ConfigDict(extra="forbid")

    what: Literal["accepted", "rejected", "withdrawn"]
    pattern: str = Field(min_length=1, max_length=1000)
    method: str | None = Field(None, max_length=1000, description="needed where several methods have such a path")
    kind: Kind | None = Field(None, description="needed where it differs in several ways")
    owner: str = Field(min_length=1, max_length=OWNER_MAX, description="who decides")
    reason: str = Field(min_length=1, max_length=REASON_MAX, description="why")
    expires: date | None = Field(None, description="the last day (UTC) of an acceptance, which needs one")
    epoch: int | None = Field(None, ge=1, description="an epoch's id; the default is the newest of each service")


class Decision(_Model):
    """One decision that was taken."""

    what: str = Field(description="accepted, rejected or withdrawn")
    method: str
    pattern: str
    kind: str
    owner: str
    reason: str
    expires: date | None
    at_s: float


class Decisions(_Model):
    """All decisions of one epoch, the newest first: of several on one path the newest holds."""

    run: str
    epoch: int | None
    decisions: list[Decision]


class Asker(_Model):
    """What Flagger sends to a webhook. `metadata` says which verdict is meant."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field("", max_length=1000, description="of the Canary")
    namespace: str = Field("", max_length=1000)
    phase: str = Field("", max_length=1000)
    metadata: dict[str, str] = Field(
        default_factory=dict, max_length=100, description="`run`, or `service` and `candidate`; like the query"
    )


class GateAnswer(_Model):
    """What a gate answers: open is 200, closed 409."""

    gate: str = Field(description="promote or rollback")
    open: bool
    verdict: RunVerdict
