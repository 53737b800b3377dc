"""The shapes of /api/v1, as Pydantic models: a contract with pipelines. Fields are added, never renamed or removed.

Times are unix seconds and end in `_s`; rates and intervals are between -1 and 1; counts are of pairs or triples.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class Counts(_Model):
    """Pairs by verdict, and what else is counted of them."""

    pairs: int
    matched: int
    mismatched: int
    ignored: int
    incomplete: int
    incomparable: int
    triples: int = Field(description="requests with evidence about noise")
    primary_errors: int = Field(description="calls whose primary status was not OK")
    secondary_status: int = Field(description="triples in which the secondary's status differed from the primary's")
    reasons: dict[str, int] = Field(description="why pairs are incomplete, incomparable, compared in part or no triple")


class CallAccount(_Model):
    """Calls that came: `received` = `grouped` + all of `dropped` + `waiting`."""

    received: int
    grouped: int = Field(description="released with their group, and judged")
    dropped: dict[str, int] = Field(description="in no group, by reason: duplicate, late_candidate, not_mirrored, ...")
    waiting: int = Field(description="not decided yet; also lost with a collector that was killed without a journal")


class Account(_Model):
    """What became of every call of a run, over all epochs. `pairs` = `compared` + all of `incomplete` + all of `incomparable`."""

    run: str
    calls: CallAccount
    outbound: CallAccount
    requests: dict[str, int] = Field(description="groups of calls, by why they were released")
    pairs: int
    compared: int
    incomplete: dict[str, int] = Field(description="by the side that is missing")
    incomparable: dict[str, int] = Field(description="by reason")
    duplicates: int
    evicted: int
    refused: int = Field(
        description="calls of the run that a process refused, its `runs` not having it; not in `calls`"
    )
    source_captured: int = Field(description="captures of all runs, by the processes' own reports")
    source_dropped: dict[str, int] = Field(description="of these dropped there, by reason")


class Epoch(_Model):
    """One service, primary version and candidate version of a run. Counters of two epochs never mix."""

    id: int
    run: str
    service: str
    primary_version: str
    candidate_version: str
    started_s: float
    last_s: float
    counts: Counts


class Reason(_Model):
    """One reason in words, with a code for programs and its figures."""

    code: str
    text: str
    figures: dict[str, Any]


class ServiceVerdict(_Model):
    """The verdict of one service that takes part in the run."""

    service: str
    epoch: int
    candidate_version: str
    verdict: str


class MethodSampled(_Model):
    """A method of which a share of the calls is looked at, since its messages are large and many."""

    method: str
    looked_at: int = Field(description="pairs of those that may be looked at: all but `not_sampled`")
    not_sampled: int = Field(description="pairs whose messages are beyond the services' MIRROR_METHOD_BYTES_PER_S")


class RunVerdict(_Model):
    """The verdict of a run: that of its deciding epoch, the worst of its services."""

    verdict: str = Field(description="pass, fail or inconclusive")
    reasons: list[Reason]
    missing: list[Reason] = Field(description="what a pass still needs")
    blind_spots: list[str] = Field(description="what this verdict could not see")
    eta_s: float | None = Field(description="when what is missing will be there at this rate; null: unknown")
    bound: float | None = Field(description="upper bound of the rate of unexplained pairs")
    unexplained: int = Field(description="triples with an unexplained difference")
    triples: int
    run: str
    service: str
    epoch: int | None = Field(description="null: nothing was seen yet")
    primary_version: str
    candidate_version: str
    services: list[ServiceVerdict] = Field(description="all services of the run, the deciding one first")
    last_s: float | None = Field(description="when its last pair came; null: none yet")
    page: str = Field(description="where a person reads on, relative to this server")
    sampled: list[MethodSampled] = Field(
        default_factory=list,
        description="methods of the epoch of which a share of the calls is looked at; of others all",
    )


class ServiceWarmup(_Model):
    """One service of an A/A run: whether the setup can judge a new build of it."""

    service: str
    epoch: int
    primary_version: str
    candidate_version: str
    outcome: str = Field(description="sound, faulty or inconclusive")
    triples: int
    faults: list[Reason] = Field(description="of the setup: more calls do not mend them")
    missing: list[Reason] = Field(description="what more calls bring")
    eta_s: float | None = Field(description="when nothing will be missing at this rate; null: unknown, or nothing is")


class Warmup(_Model):
    """An A/A run: the worst of its services, each by its newest epoch."""

    run: str
    outcome: str = Field(description="sound, faulty or inconclusive")
    services: list[ServiceWarmup]


class Run(_Model):
    """One line of the list of runs: the newest epoch of each service."""

    name: str
    verdict: str = Field(description="pass, fail or inconclusive")
    epochs: list[Epoch]


class Runs(_Model):
    """All runs, those with the newest pairs first."""

    runs: list[Run]


class Method(_Model):
    """One method of an epoch; `state` is the worst of its paths."""

    method: str
    state: str
    counts: Counts
    looked_at: int = Field(description="pairs of those that may be looked at: all but `not_sampled`")
    not_sampled: int = Field(
        description="pairs whose messages are beyond the services' MIRROR_METHOD_BYTES_PER_S: nobody looks at them, as is meant"
    )


class RunDetail(_Model):
    """One run: an epoch with its methods, and all epochs that the run had."""

    name: str
    epoch: Epoch | None
    methods: list[Method]
    epochs: list[Epoch]


class LabelVotes(_Model):
    """Of a path of the kind values: one label, and the votes of those for whom more values have it."""

    family: str = Field(description="class, length, magnitude, time, repeated, quantile or distance")
    label: str
    text: str = Field(description="in words, behind 'the value': is empty")
    candidate: int = Field(description="votes")
    secondary: int = Field(description="votes")
    log_e_star: float = Field(description="natural logarithm of this label's evidence")


class PathDecision(_Model):
    """What someone decided of a path: accepted until a day (UTC), or rejected."""

    what: str
    owner: str
    reason: str
    expires: date | None
    at_s: float


class Path(_Model):
    """One hypothesis: how often a path pattern differs in one way, and what that means."""

    id: int
    method: str
    pattern: str
    kind: str
    state: str
    explained: bool = Field(description="noisy, and no more often than noise explains")
    blind: bool = Field(description="so noisy that a yes or no cannot judge it")
    control_worse: bool = Field(description="the secondary differs more than the candidate")
    since_s: float
    first_seen_s: float
    regressed_at_s: float | None
    raw_only: int = Field(description="triples in which only the candidate differs")
    noise_only: int = Field(description="triples in which only the secondary differs")
    both: int
    triples: int
    pairs: int = Field(description="all pairs that differ here, also those without a secondary")
    minutes: int = Field(description="minutes that gave a vote")
    rank: int
    log_e_star: float = Field(description="natural logarithm of the evidence; facts in docs/verdict.md")
    noise_rate: float
    excess: float = Field(description="raw-only rate less noise-only rate")
    excess_low: float
    excess_high: float
    evidence: str = Field(description="the evidence in words")
    examples: int
    labels: list[LabelVotes] = Field(
        default_factory=list,
        description="of the kind values, the strongest first; there `both` counts triples with a vote",
    )
    decision: PathDecision | None = Field(None, description="what someone decided of it; it may have expired")


class Paths(_Model):
    """Hypotheses of one epoch, the worst first."""

    run: str
    epoch: int | None
    paths: list[Path]


class SchemaChange(_Model):
    """One change from the primary's response type to the candidate's. It is no difference of a call."""

    kind: str
    path: str = Field(description="the pattern of the first place where it stands; empty where that is too deep")
    name: str = Field(description="the full name of the field, enum value or type")
    left: str = Field(description="the primary's side in words; empty: it has none")
    right: str = Field(description="the candidate's side in words; empty: it has none")
    comparable: bool = Field(description="values can still be compared; else calls differ wherever the field is set")


class MethodSchemaChanges(_Model):
    """What the candidate's schema changed in the response of one method."""

    method: str
    first_s: float
    count: int = Field(description="all changes; the list has at most 200")
    complete: bool = Field(description="false: the schemas are too large to be looked at as a whole")
    changes: list[SchemaChange]


class SchemaChanges(_Model):
    """Schema changes of one epoch, by method; methods whose schemas say the same are not there."""

    run: str
    epoch: int | None
    methods: list[MethodSchemaChanges]


class RuleStatus(_Model):
    """Whether the schemas of a method know the rule's path: valid, pending or unknown."""

    run: str
    method: str
    status: str
    text: str


class Rule(_Model):
    """One rule in force, or one that expired."""

    id: str
    type: str
    path: str
    parameters: str = Field(description="of its type, in words: `absolute=0.01 relative=0.0`")
    methods: list[str]
    runs: list[str]
    reason: str
    owner: str
    expires: str | None
    link: str
    expired: bool
    hits: int
    last_hit_s: float | None
    statuses: list[RuleStatus]
    compared: int = Field(description="comparisons in its scope since it says what it says")
    never_matched: bool = Field(description="no difference was under it in 1,000 such comparisons or more")
    trouble: str = Field(description="what its owner should know, in words; empty: nothing is wrong with it")


class Rules(_Model):
    """All rules of the configuration."""

    rules: list[Rule]


class Counter(_Model):
    """One counter of the collector."""

    name: str
    value: float
    labels: dict[str, str] = Field(default_factory=dict)


class NamedCount(_Model):
    """How often something named happened."""

    name: str
    n: int
    first_s: float
    last_s: float


class Counters(_Model):
    """`process`: since this collector started; `stored`: kept in the store; `unknown_runs`: runs nobody allowed."""

    process: list[Counter]
    stored: dict[str, int]
    unknown_runs: list[NamedCount]


class Source(_Model):
    """One process with the interceptor: counts since its start."""

    source_id: str
    service: str
    version: str
    instance: str
    first_s: float
    last_s: float
    captured: int
    dropped: dict[str, int]
    conditions: dict[str, int]


class Sources(_Model):
    """All processes that reported of themselves."""

    sources: list[Source]


class Problem(_Model):
    """What every error answers: `code` for programs, `message` with what is wrong and what to do."""

    code: str
    message: str


class ErrorBody(_Model):
    """The body of every answer that is not 2xx."""

    error: Problem
