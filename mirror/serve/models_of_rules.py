"""The shapes of changes of rules, as `/api/v1` answers them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class ChangedRule(_Model):
    """One rule of a change."""

    what: str = Field(description="added, removed or expired; a rule that says something else now is removed and added")
    id: str
    type: str
    path: str
    parameters: str = Field(description="of its type, in words: `absolute=0.01 relative=0.0`")
    methods: list[str]
    reason: str
    owner: str
    link: str


class RestartedPath(_Model):
    """What was known of one path pattern and kind when it started anew."""

    pattern: str
    kind: str
    state: str
    raw_only: int
    noise_only: int
    both: int


class Restart(_Model):
    """What a change of rules did to one method."""

    method: str
    bound: str = Field(
        description="restarted: its triples and unexplained pairs count from then; recounted: what is ignored now was taken "
        "out of the unexplained pairs; kept: it is made of nothing that the change covers"
    )
    triples: int = Field(description="that the bound was made of before")
    unexplained: int = Field(description="of these, before")
    unexplained_after: int
    path_count: int = Field(description="all paths that started anew; the list has at most 100")
    paths: list[RestartedPath]


class RuleChange(_Model):
    """One change of rules, and what it restarted."""

    at_s: float
    rules: list[ChangedRule]
    restarts: list[Restart]


class RuleChanges(_Model):
    """The history of the rules of one epoch, the newest first; changes of which no method was seen are not there."""

    run: str
    epoch: int | None
    changes: list[RuleChange]
