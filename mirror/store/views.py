"""What the store answers: frozen records for pages, reports and verdicts. No SQL and no logic that needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mirror.core import noise
from mirror.core.model import EpochKey, Hypothesis, Kind, MethodCounts, Verdict
from mirror.core.schema_changes import SchemaChange


@dataclass(frozen=True, slots=True)
class EpochView:
    """One epoch with the counts of all its methods. Times are unix seconds of the first and the last arrival."""

    id: int
    key: EpochKey
    started_s: float
    last_s: float
    counts: MethodCounts
    has_secondary: bool = False  # one was expected at least once


@dataclass(frozen=True, slots=True)
class RunView:
    """A run and its epochs, the newest first."""

    name: str
    epochs: tuple[EpochView, ...]


@dataclass(frozen=True, slots=True)
class MethodView:
    """One method of an epoch; `state` is the worst of its hypotheses."""

    method: str
    counts: MethodCounts
    state: noise.State


@dataclass(frozen=True, slots=True)
class MinuteView:
    """One minute (unix minutes) of an epoch, over one method or all. raw_only and noise_only count triples."""

    minute: int
    counts: MethodCounts
    raw_only: int  # triples in which only the candidate differs in an unexplained path
    noise_only: int  # triples in which only the secondary does


@dataclass(frozen=True, slots=True)
class LabelView:
    """One label of a hypothesis of the kind *values*, and its votes: raw where the candidate's values have it more often."""

    family: str
    label: str
    text: str  # behind "the value": "is empty"
    votes_raw: int
    votes_noise: int
    log_e_star: float  # natural logarithm


@dataclass(frozen=True, slots=True)
class HypothesisView:
    """One hypothesis with its evidence and what follows from it.

    b, c, d count triples: raw-only, noise-only, both; n is the triples of its method. `pairs` counts all pairs in
    which the candidate differed here, also those that were no triple and so are no evidence.
    """

    id: int
    hypothesis: Hypothesis
    state: noise.State
    since_s: float  # when it came into this state
    first_seen_s: float
    regressed_at_s: float | None
    rank: int  # 0: no vote yet
    b: int
    c: int
    d: int
    n: int
    pairs: int
    minutes: int  # minutes in which it voted
    left_out: int  # pairs whose signature was stored without it, since noise explained it then
    judgement: noise.Judgement
    examples: int  # kept comparisons in which it differs
    labels: tuple[LabelView, ...] = ()  # of the kind *values*, the strongest first


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """One kept comparison as a list shows it; `Reader.comparison(id)` has the whole of it."""

    id: str
    method: str
    mirror_id: str
    trace_id: str  # hex
    verdict: Verdict
    reason: str  # of incomplete and incomparable
    compared_at_s: float
    hypotheses: tuple[tuple[str, Kind], ...]  # in which it differs and no rule ignores it
    ignored: tuple[tuple[str, Kind], ...] = ()  # in which it differs under a rule


@dataclass(frozen=True, slots=True)
class SchemaChangesView:
    """What the candidate's schema changed in one method, over all pairs of schemas that were seen of it."""

    method: str
    changes: tuple[SchemaChange, ...]
    count: int  # the true count, where the list was cut
    complete: bool  # False: the schemas are too large to be looked at as a whole
    first_s: float


@dataclass(frozen=True, slots=True)
class RuleView:
    """What is known of one rule in use: how often it applied, and whether its paths exist (`valid`, `pending`, `unknown`).

    `uses`: by Rule.digest in how many comparisons it was asked, and how many differences were under it.
    """

    id: str
    hits: int
    last_hit_s: float | None
    statuses: tuple[RuleStatus, ...] = ()
    uses: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangedRule:
    """One rule of a change. `what`: added, removed, or expired; a rule that says something else now is both."""

    what: str
    id: str
    type: str
    path: str
    parameters: str  # in words: `absolute=0.01 relative=0.0`
    methods: tuple[str, ...]
    reason: str
    owner: str
    link: str


@dataclass(frozen=True, slots=True)
class RestartedPath:
    """What was known of one hypothesis when it started anew. Counts of triples."""

    pattern: str
    kind: str
    state: str
    raw_only: int
    noise_only: int
    both: int


@dataclass(frozen=True, slots=True)
class RestartView:
    """What a change of rules did to one method.

    `bound`: `restarted`, its triples and unexplained pairs count from then; `recounted`, what is ignored now was taken out
    of the unexplained pairs; `kept`, nothing that it was made of is covered. `triples` and `unexplained` are those before.
    """

    method: str
    bound: str
    triples: int
    unexplained: int
    unexplained_after: int
    path_count: int  # the true number, where the list was cut
    paths: tuple[RestartedPath, ...]


@dataclass(frozen=True, slots=True)
class RuleChangeView:
    """One change of rules in the history of an epoch, and what it restarted."""

    run: str
    service: str
    at_s: float
    rules: tuple[ChangedRule, ...]
    restarts: tuple[RestartView, ...]  # one for each method that it covers


@dataclass(frozen=True, slots=True, order=True)
class RuleStatus:
    """Whether the schemas of one method know a rule's path; `text` says what to do ("did you mean")."""

    rule: str
    run: str
    method: str
    status: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class SourceView:
    """One process that reports of itself: cumulative counts since its start."""

    source_id: str
    service: str
    version: str
    instance: str
    first_s: float
    last_s: float
    captured: int
    dropped: dict[str, int] = field(default_factory=dict)
    conditions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NamedCount:
    """How often something named happened, and when first and last: unknown runs, problems of schemas."""

    name: str
    n: int
    first_s: float
    last_s: float
