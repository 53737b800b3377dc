"""What the API says of kept comparisons: lists of them, and one with all its sides."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from mirror.serve.models import _Model


class PathAndKind(_Model):
    """A path pattern and the kind in which it differs."""

    pattern: str
    kind: str


class ComparisonLine(_Model):
    """One kept comparison, as a list shows it."""

    id: str
    method: str
    mirror_id: str
    trace_id: str
    verdict: str
    reason: str
    compared_at_s: float
    differs: list[PathAndKind]
    ignored: list[PathAndKind] = Field(description="differences under a rule")


class Comparisons(_Model):
    """Kept comparisons, the newest first. `next_before` is the `before` of the next page; null: no more."""

    run: str
    epoch: int | None
    comparisons: list[ComparisonLine]
    next_before: float | None


class Difference(_Model):
    """One difference of a shadow against the primary."""

    path: str
    pattern: str
    kind: str
    left: str = Field(description="the primary's value as text, shortened")
    right: str = Field(description="the shadow's value as text, shortened")
    rule: str = Field(description="the rule that ignores or tolerates it; empty: it counts")
    note: str
    noise: bool = Field(description="the secondary differs here in the same way")
    unjudged: bool = Field(description="calls of the shadow were blocked: this is no evidence")


class Message(_Model):
    """One message of a call: `json` where its schema is known, else `base64`; neither where it was left out."""

    direction: str
    offset_ns: int
    size: int
    json_: Any = Field(None, alias="json")
    base64: str = ""
    omission: str = ""
    note: str = ""
    model_config = ConfigDict(populate_by_name=True)


class Call(_Model):
    """What one replica saw of the call."""

    status: str
    status_message: str
    ending: str
    start_unix_ns: int
    duration_ns: int
    deadline_ns: int
    attempt: int
    request_count: int
    response_count: int
    exception_type: str
    omitted: list[str]
    messages: list[Message]
    initial_metadata: Any = None
    trailing_metadata: Any = None
    request_metadata: Any = None
    status_details: Any = None
    outbound: Any = Field(
        None,
        description="calls that it made meanwhile, by whom they went to: policy, request, response, status of each",
    )


class Side(_Model):
    """One replica: the primary, or a shadow with what came of holding it against the primary."""

    role: str
    version: str
    instance: str
    span_id: str
    verdict: str = Field(description="empty for the primary")
    reason: str
    difference_count: int
    differences: list[Difference]
    unseen: list[str] = Field(description="why some of it could not be judged: blocked, outbound_incomplete, ...")
    call: Call | None = Field(description="null: it never answered")


class Comparison(_Model):
    """One kept comparison with both (or all three) sides."""

    id: str
    run: str
    service: str
    method: str
    mirror_id: str
    trace_id: str
    compared_at_s: float
    verdict: str
    sides: list[Side]
