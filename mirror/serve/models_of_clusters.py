"""The shapes of clusters and rule suggestions in /api/v1. As in `models`: fields are added, never renamed or removed."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from mirror.serve.models import _Model
from mirror.serve.models_of_comparisons import ComparisonLine


class ClusterPath(_Model):
    """One path of a cluster; `id` is that of /runs/{run}/paths."""

    id: int
    pattern: str
    kind: str
    state: str


class Lead(_Model):
    """A condition that sets the calls of a cluster apart. It was chosen because it fits: a lead, no proof."""

    path: str = Field(description="of the request: request.items[*].sku; or candidate.instance")
    condition: str
    words: str = Field(description='both sides: request.currency = "JPY": 41 of 41 mismatches, 3% of matches')
    mismatches: int = Field(description="calls in the cluster, of those looked at, for which it holds")
    mismatches_of: int
    matches: int = Field(description="calls not in the cluster, of those looked at, for which it holds")
    matches_of: int
    log_evidence: float = Field(description="natural logarithm of how unlikely so good a fit is by chance")


class ClusterInstance(_Model):
    """An instance of the candidate, and how many of the calls looked at it served."""

    instance: str
    calls: int


class Cluster(_Model):
    """Calls of one method that differ alike: in these paths and kinds and, where they ended otherwise, with these statuses."""

    id: str = Field(description="the same at each look, as long as the cluster has these paths")
    method: str
    state: str = Field(description="the worst of its paths")
    paths: list[ClusterPath]
    statuses: list[str] = Field(description="OK -> UNKNOWN")
    calls: int = Field(description="calls that differ so")
    calls_of: int = Field(description="all calls of the method that were compared")
    first_seen_s: float
    last_seen_s: float
    log_e_star: float = Field(description="natural logarithm of the evidence of its strongest path")
    leads: list[Lead] = Field(description="the best first; empty where no field of the request sets its calls apart")
    no_lead: str = Field(description="why there is none, in words; empty where there is one")
    sampled: int = Field(description="calls in it whose request's fields were looked at")
    instances: list[ClusterInstance]
    examples: list[ComparisonLine] = Field(description="kept comparisons, the newest first")


class Clusters(_Model):
    """Mismatches grouped by what differs, those of the strongest evidence first. Noise is in none."""

    run: str
    epoch: int | None
    count: int = Field(description="all clusters; the list has at most 200")
    left_over: int = Field(description="calls that differ and are in none: what went beyond the store's caps")
    clusters: list[Cluster]


class Preview(_Model):
    """What a rule would do to the kept comparisons: compared again with it and without."""

    comparisons: int = Field(description="kept ones of the methods in its scope that were compared again")
    touched: int = Field(description="of these the ones with a difference that would be under the rule")
    hidden: int = Field(description="differences of the candidate that would be under the rule")
    hidden_in_question: int = Field(description="of these at paths that are regressed or suspect")
    then_matching: int = Field(description="comparisons that would no longer differ at all")
    words: str


class Suggestion(_Model):
    """A rule that would explain a path. Never applied by itself."""

    method: str
    pattern: str
    kinds: list[str]
    state: str
    pairs: int = Field(description="all pairs that differ there, kept or not")
    type: str
    rule: dict[str, Any] = Field(description="as mirror.yaml has it under rules")
    yaml: str = Field(description="the same, ready to paste under rules:")
    why: str
    last_resort: bool = Field(description="it takes all that differs there: nothing narrower fits")
    preview: Preview


class Suggestions(_Model):
    """Rules for noisy and harmless-looking paths of one epoch; the configuration stays as it is."""

    run: str
    epoch: int | None
    suggestions: list[Suggestion]
    without: list[str] = Field(description="noisy paths of which no comparison is kept, so that no rule can be tried")
