"""What a verdict is made of: the counts and judgements of one epoch at one look, as the store hands them over. Pure records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mirror.core.model import EpochKey, Hypothesis, MethodCounts, Role, Verdict
from mirror.core.noise import Evidence, Judgement
from mirror.core.outcomes import BLOCKED
from mirror.core.policy import Policy
from mirror.core.sampled import UNLOOKED

PARTLY: Final = "partly"  # before the reason why a part of a pair was not seen, whose other part differs
_BY_SIZE: Final = ("too_large", "not_serializable", "private")
_OUTBOUND: Final = tuple(f"outbound_{reason}" for reason in ("incomplete", *_BY_SIZE))
# Reasons that are not the request's own: something between the calls and us keeps them from being compared.
UNREADABLE: Final = (
    *_BY_SIZE,
    "schema",
    "redaction_key",
    "capture",
    "request_drift",
    *_OUTBOUND,
    "outbound_schema",
    "outbound_redaction_key",
)
# Reasons that may follow from what a shadow answered, or from what it did: answers without a schema are incomparable only
# where they differ, and those of one instance (another key, a broken capture) are no sample of the others.
_BY_ANSWER: Final = (*UNREADABLE, "request_cut_short")
# Groups that were let go by a full memory after a wait in which one shadow alone was missing: it may be one that hangs.
EVICTED_WITHOUT: Final = {Role.CANDIDATE: "evicted_without.candidate", Role.SECONDARY: "evicted_without.secondary"}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason or condition: a stable code, a sentence, and the figures in it."""

    code: str
    text: str
    figures: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MinuteFacts:
    """One closed minute of one method: its triples, and in how many the hypothesis `any` was raw-only, noise-only.

    Groups that were evicted after a wait, one shadow missing, count here too: one that is dead fills the memory.
    """

    minute: int  # unix minutes
    triples: int
    raw_only: int
    noise_only: int


@dataclass(frozen=True, slots=True)
class HypothesisFacts:
    """One hypothesis at this look, and what someone decided of it, in words; empty: nothing."""

    hypothesis: Hypothesis
    evidence: Evidence
    judgement: Judgement
    accepted: str = ""  # takes it out of the verdict
    rejected: str = ""  # fails the run
    expired: str = ""  # an acceptance that holds no longer


@dataclass(frozen=True, slots=True)
class LatencyFacts:
    """Over how many times the secondary's latency the candidate's is at least, of most calls and of the slowest. 0: no sign."""

    median_ratio: float = 0.0
    tail_ratio: float = 0.0
    triples: int = 0


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """What the store knows of one method in this epoch."""

    method: str
    counts: MethodCounts = field(default_factory=MethodCounts)
    unexplained: int = 0  # x of the bound, among the triples: `bound.unexplained`
    hypotheses: tuple[HypothesisFacts, ...] = ()
    minutes: tuple[MinuteFacts, ...] = ()  # closed ones, in order
    leaf_values: int | None = None  # leaf values of all its answers, estimated from some; None: none could be read
    blind_values: int = 0  # of these blind, ignored or unjudged
    unseen_values: Mapping[str, int] = field(default_factory=dict)  # those by reason, see core.unseen
    hashed_values: int = 0  # private ones that are known by a keyed hash only
    leaf_calls: int = 0  # the answers that were looked at
    latency: LatencyFacts = LatencyFacts()
    before: MethodCounts = field(
        default_factory=MethodCounts
    )  # of `counts` those made under other rules: the bound leaves them out

    def judged(self, *, has_secondary: bool) -> int:
        """What its rates are shares of: triples, or without a secondary the pairs that were compared."""
        if has_secondary:
            return self.counts.triples - self.before.triples
        return sum(self._since(name) for name in ("matched", "ignored", "mismatched")) + self._absent()

    def unexplained_of(self, *, has_secondary: bool) -> int:
        """How many of those differ unexplained; without a secondary nothing is explained but by rules."""
        if has_secondary:
            return min(self.unexplained, self.judged(has_secondary=True))
        return self._since("mismatched") + self._absent()

    @property
    def not_sampled(self) -> int:
        """Pairs that nobody looked at, since of their calls the messages are not captured: see `grpc_mirror.sampling`."""
        return self._because(UNLOOKED)

    @property
    def looked_at(self) -> int:
        """All pairs but those."""
        return self.counts.pairs - self.counts.reasons.get(UNLOOKED, 0)

    @property
    def unreadable(self) -> int:
        """Pairs incomparable for a reason of ours, of the way or of their size: whether they differ is not known."""
        return sum(self.not_seen(reason) for reason in UNREADABLE)

    @property
    def blocked(self) -> int:
        """Pairs whose answers differ after calls of the shadow were blocked: nobody can judge that."""
        return self.not_seen(BLOCKED)

    @property
    def control_blocked(self) -> int:
        """In at most how many pairs the secondary answers something else after its calls were blocked."""
        return self.blocked + self._because(f"only_{Role.SECONDARY}.{BLOCKED}")

    def not_seen(self, reason: str) -> int:
        """Pairs of which all, or a part, could not be judged for this reason, those under other rules left out."""
        return sum(self._because(f"{how}.{reason}") for how in (Verdict.INCOMPARABLE, PARTLY))

    def hidden_of(self, *, has_secondary: bool) -> int:
        """Pairs that may well differ, since the candidate alone made them incomparable, or had not answered when memory was full.

        Answers left out for their size, or without a schema, are incomparable only where they differ, and a candidate that
        ends early has seen fewer requests. The secondary says how much of that is noise, by the rule that explains paths. Of what
        differs after calls were blocked it says nothing: its own were blocked too.
        """
        if not has_secondary:
            return self.blocked + self.unreadable
        names = [(f"only_candidate.{r}", f"only_secondary.{r}") for r in _BY_ANSWER]
        names.append((EVICTED_WITHOUT[Role.CANDIDATE], EVICTED_WITHOUT[Role.SECONDARY]))
        sides = [(self._because(ours), self._because(theirs)) for ours, theirs in names]
        return self.blocked + sum(b for b, c in sides if not (c and b <= 3 * c + 3))

    def hidden_within(self, *, has_secondary: bool) -> int:
        """Of those the ones that are among the judged as well: a part of them was compared."""
        reasons = (BLOCKED,) if has_secondary else (BLOCKED, *UNREADABLE)
        partly = sum(self._because(f"{PARTLY}.{reason}") for reason in reasons)
        return min(partly, self.judged(has_secondary=has_secondary), self.hidden_of(has_secondary=has_secondary))

    def _absent(self) -> int:
        """Candidates that never answered: a difference, though no pair was compared."""
        return self._because("incomplete.candidate")

    def _since(self, name: str) -> int:
        """A count without those made under other rules."""
        since: int = getattr(self.counts, name) - getattr(self.before, name)
        return since

    def _because(self, reason: str) -> int:
        """The same, of a reason."""
        return self.counts.reasons.get(reason, 0) - self.before.reasons.get(reason, 0)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the store knows of one epoch of a run. Times are unix seconds."""

    epoch: EpochKey
    methods: tuple[MethodFacts, ...] = ()
    has_secondary: bool = True  # a secondary was expected at least once
    first_s: float = 0.0  # of the first and last group's first arrival; 0: none
    last_s: float = 0.0
    rate_per_s: float = 0.0  # triples (without a secondary: pairs) a second of late; 0: unknown
    capture_loss: float | None = None  # share of captures lost before they reached the collector; None: unknown
    candidate_lost: int = 0  # captures that the candidate's processes say they dropped in this epoch
    refused: int = 0  # calls of the run that a process refused, also of late, since its configuration lacks the run
    failed: tuple[Reason, ...] = ()  # why an earlier look failed: a fail is latched

    @property
    def unit(self) -> str:
        """What is counted, as people read it."""
        return "triples" if self.has_secondary else "pairs"

    @property
    def judged(self) -> int:
        """How many triples or pairs were judged: n of the bound."""
        return sum(m.judged(has_secondary=self.has_secondary) for m in self.methods)

    @property
    def hidden(self) -> int:
        """How many incomparable pairs may differ as well: the bound of a pass counts them, a fail does not."""
        return sum(m.hidden_of(has_secondary=self.has_secondary) for m in self.methods)

    @property
    def hidden_within(self) -> int:
        """How many of those are among the judged as well, since a part of them was compared."""
        return sum(m.hidden_within(has_secondary=self.has_secondary) for m in self.methods)

    @property
    def kept_waiting(self) -> bool:
        """Whether the candidate alone was missing from groups that a full memory let go."""
        return any(EVICTED_WITHOUT[Role.CANDIDATE] in m.counts.reasons for m in self.methods)

    @property
    def blocked(self) -> int:
        """How many of those differ after calls were blocked."""
        return sum(m.blocked for m in self.methods)

    @property
    def unexplained(self) -> int:
        """How many of them differ unexplained: x of the bound."""
        return sum(m.unexplained_of(has_secondary=self.has_secondary) for m in self.methods)

    def required(self, policy: Policy) -> frozenset[str]:
        """The methods that must be covered: those of the policy's list, and those over a share of the mirrored calls."""
        pairs = sum(m.counts.pairs for m in self.methods)
        often = {m.method for m in self.methods if m.counts.pairs > policy.required_share * pairs}
        return frozenset(often | set(policy.required_methods))
