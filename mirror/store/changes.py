"""What the pipeline gathers between two commits: increments only, in memory, with one owner and no I/O.

`Store.commit` reads it and leaves it as it is, so that a commit that failed can be tried again with the same object.
"""

from __future__ import annotations

import copy
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, MutableMapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, TypeVar

from grpc_mirror.v1 import schema_pb2

from mirror.core.model import (
    CallRecord,
    EpochKey,
    Group,
    Hypothesis,
    Judged,
    Kind,
    Leaf,
    OutboundRecord,
    Release,
    Resource,
    Role,
    Triple,
    Verdict,
)
from mirror.core.outcomes import NOT_SAMPLED
from mirror.core.quiet import Quiet, Tally
from mirror.core.request_fields import RequestFields
from mirror.core.rules import RuleSet
from mirror.core.run_facts import EVICTED_WITHOUT, PARTLY
from mirror.core.schema_changes import SchemaChanges, SchemaPair
from mirror.core.speed.minute import MinuteSpeed
from mirror.core.triples import NOTHING_DIFFERS
from mirror.store import accounts
from mirror.store.increments import Evidence, InForce, Kept, RuleUse, Seen, Served
from mirror.store.keeping import Keeper, differing, unjudged
from mirror.store.limits import BATCH_NAMES_MAX, OTHER, Limits
from mirror.store.sampling import Sampler, SetChanges
from mirror.store.views import RuleStatus

Signature = frozenset[tuple[str, Kind]]
MethodMinute = tuple[EpochKey, str, int]
MapT = TypeVar("MapT", bound=MutableMapping[Any, Any])
_UNKNOWN = Resource("", "", "")
SOURCES_OVER_LIMIT = "sources_over_limit"
REPLACED_RULES = "pairs_under_replaced_rules"
_COMPARED: Final = (Verdict.MATCHED.value, Verdict.MISMATCHED.value, Verdict.IGNORED.value)
_ROLES: Final = len(Role)
_SHADOWS: Final = (Role.CANDIDATE, Role.SECONDARY)
EVICTED_WAITED_S: Final = 5.0  # an evicted group that waited so long misses a shadow for another reason than a queue


class Changes:
    """A mutable builder. `Store.changes()` makes one that knows what this minute has kept already.

    All groups of one were judged by the rules `in_force` (None: of tests that have none). `takes_over`: these hold from
    now on, and what they judge otherwise than those before is to start anew.
    """

    def __init__(
        self,
        keeper: Keeper | None = None,
        in_force: InForce | None = None,
        *,
        takes_over: bool = False,
        sampler: Sampler | None = None,
    ) -> None:
        self.token = uuid.uuid4().hex  # tells a commit that is tried again from the next one
        self.keeper = keeper or Keeper(Limits())
        self.sets = SetChanges(sampler or Sampler(self.keeper.limits))
        self.in_force = in_force
        self.takes_over = takes_over
        self.epochs: dict[EpochKey, Seen] = {}
        self.counts: defaultdict[MethodMinute, Counter[str]] = defaultdict(Counter)  # by field of MethodCounts
        self.reasons: defaultdict[MethodMinute, Counter[str]] = defaultdict(Counter)
        self.evidence: defaultdict[tuple[EpochKey, Hypothesis, int], Evidence] = defaultdict(Evidence)
        # Of hypotheses of the kind `values`: how often each label voted 1 (raw) or -1 (noise) in each minute.
        self.label_votes: defaultdict[tuple[EpochKey, Hypothesis, int], Counter[tuple[tuple[str, str], int]]] = (
            defaultdict(Counter)
        )
        self.leaves: defaultdict[tuple[EpochKey, str], Counter[Leaf]] = defaultdict(Counter)
        self.leaf_calls: Counter[tuple[EpochKey, str]] = Counter()
        self.speeds: defaultdict[MethodMinute, defaultdict[str, MinuteSpeed]] = defaultdict(
            lambda: defaultdict(MinuteSpeed)
        )  # by metric
        self.instances: defaultdict[EpochKey, dict[tuple[Role, str], Served]] = defaultdict(
            dict
        )  # by role and instance
        self.unjudged: set[tuple[EpochKey, Hypothesis]] = set()
        self.signatures: Counter[tuple[EpochKey, str, Signature]] = Counter()
        self.kept: list[Kept] = []
        self.kept_bytes = 0
        self.totals: Counter[tuple[str, str]] = Counter()  # by name and run
        self.unknown_runs: Counter[str] = Counter()
        self.schema_problems: Counter[str] = Counter()
        self.rule_hits: Counter[tuple[str, str]] = Counter()  # by run and rule
        self.rule_uses: dict[tuple[str, str], RuleUse] = {}  # by run and rule
        self.rule_statuses: frozenset[RuleStatus] | None = None  # None: as they were
        self.schemas: dict[str, bytes] = {}
        self.schema_changes: dict[SchemaPair, SchemaChanges] = {}
        self.sources: dict[str, tuple[schema_pb2.SourceReport, Resource]] = {}
        self.groups = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to commit (open minutes may still have to be closed by an empty commit)."""
        return self.rule_statuses is None and not (
            self.takes_over
            or self.groups
            or self.totals
            or self.unknown_runs
            or self.schema_problems
            or self.rule_hits
            or self.schemas
            or self.sources
        )

    def without(self, methods: AbstractSet[tuple[EpochKey, str]]) -> Changes:
        """The same less all that was judged of these methods; the pairs that are left out are counted."""
        rest = copy.copy(self)
        rest.counts = _but(self.counts, methods)
        rest.reasons = _but(self.reasons, methods)
        rest.signatures = _but(self.signatures, methods)
        rest.evidence = _but(self.evidence, methods, lambda key: (key[0], key[1].method))
        rest.label_votes = _but(self.label_votes, methods, lambda key: (key[0], key[1].method))
        rest.leaves = _but(self.leaves, methods)
        rest.leaf_calls = _but(self.leaf_calls, methods)
        rest.speeds = _but(self.speeds, methods)
        rest.sets = self.sets.without(methods)
        rest.kept = [one for one in self.kept if (one.judged.epoch, one.judged.group.key.method) not in methods]
        rest.totals = self.totals.copy()
        for (epoch, method, _), counts in self.counts.items():
            if (epoch, method) in methods:
                rest.totals[REPLACED_RULES, epoch.run] += counts["pairs"]
        return rest

    def without_any(self) -> Changes:
        """The same less the evidence of the sums over all paths, which was gathered by what was explained before."""
        rest = copy.copy(self)
        rest.evidence = copy.copy(self.evidence)
        for key in [key for key in rest.evidence if key[1].kind is Kind.ANY]:
            del rest.evidence[key]
        return rest

    def wants(self, judged: Judged) -> bool:
        """Whether `add` would keep a comparison of this group: ask before serialising one."""
        return self.kept_bytes < self.keeper.limits.batch_max_bytes and self.keeper.wants(judged)

    def add(self, judged: Judged, comparison: bytes | None = None, fields: RequestFields | None = None) -> None:
        """Count one judged group; keep `comparison`, a serialised mirror.v1.Comparison, where the caps allow it.

        `fields`: of its request, where `sets.wants` it. Rules' hits are counted here, from the differences that the outcomes ignore.
        """
        self.groups += 1
        group = judged.group
        self._count_group(group)
        arrival_s, method = group.first_arrival_s, group.key.method
        self._see(judged.epoch, judged.minute, arrival_s, arrival_s, secondary=Role.SECONDARY in group.expect)
        for role, call in group.calls.items():
            self._serve(judged.epoch, role, call.resource.instance, 1, arrival_s, arrival_s)
        where = (judged.epoch, method, judged.minute)
        self._count(judged, where)
        self.sets.add(judged, fields)
        for pattern, kind in differing(judged):
            self.evidence[judged.epoch, Hypothesis(method, pattern, kind), judged.minute].pairs += 1
        for pattern, kind in unjudged(judged):
            self.evidence[judged.epoch, Hypothesis(method, pattern, kind), judged.minute].pairs += 1
            self.unjudged.add((judged.epoch, Hypothesis(method, pattern, kind)))
        if judged.triple is not None and judged.triple is not NOTHING_DIFFERS:
            self._count_triple(judged.triple, where)
        self._count_values(judged, where)
        for outcome in judged.outcomes.values():
            for ignored in outcome.ignored:
                self.rule_hits[judged.group.key.run, ignored.rule] += 1
        if comparison is not None and self.kept_bytes < self.keeper.limits.batch_max_bytes and self.keeper.take(judged):
            self.kept.append(Kept(judged, comparison))
            self.kept_bytes += len(comparison)

    def add_quiet(self, quiet: Quiet, tally: Tally) -> None:
        """Count requests that all replicas answered the same, as `add` would, but for their latency and size."""
        n, first_s, last_s = tally.n, tally.first_s, tally.last_s
        epoch, run = quiet.epoch, quiet.run
        self.groups += n
        self.totals[f"{accounts.REQUESTS}.{Release.COMPLETE}", run] += n
        self._see(epoch, quiet.minute, first_s, last_s, secondary=quiet.secondary is not None)
        for role, instance in quiet.instances:
            self.totals[accounts.CALLS_GROUPED, run] += n
            self._serve(epoch, role, instance, n, first_s, last_s)
        where = epoch, quiet.method, quiet.minute
        counts = self.counts[where]
        counts["pairs"] += n
        counts[Verdict.MATCHED] += n
        if quiet.secondary is not None:
            counts["triples"] += n
        else:
            self.reasons[where]["no_triple.secondary_not_expected"] += n
        self.sets.of_quiet(epoch, quiet.method).add(n, first_s, last_s)

    def count(self, name: str, n: int = 1, *, run: str = "") -> None:
        """Add `n` to the total `name` (drops and conditions), of one run or, without, of the collector."""
        self.totals[name, run] += n

    def received(self, calls: Iterable[CallRecord], outbound: Iterable[OutboundRecord]) -> None:
        """Count what came, of accepted runs: each is counted again as it is added with its group, or dropped."""
        for run, n in Counter(call.key.run for call in calls).items():
            self.totals[accounts.CALLS_RECEIVED, run] += n
        for run, n in Counter(one.key.run for one in outbound).items():
            self.totals[accounts.OUTBOUND_RECEIVED, run] += n

    def dropped(self, record: CallRecord | OutboundRecord, reason: str) -> None:
        """Count a record of an accepted run that is in no group that was added."""
        name = accounts.CALLS_DROPPED if isinstance(record, CallRecord) else accounts.OUTBOUND_DROPPED
        self.totals[f"{name}.{reason}", record.key.run] += 1

    def _count_group(self, group: Group) -> None:
        run = group.key.run
        self.totals[f"{accounts.REQUESTS}.{group.release}", run] += 1
        self.totals[accounts.CALLS_GROUPED, run] += len(group.calls)
        outbound = [len(call.outbound) for call in group.calls.values() if call.outbound]
        if outbound:
            self.totals[accounts.OUTBOUND_GROUPED, run] += sum(outbound)

    def schema(self, fingerprint: str, blob: bytes) -> None:
        """Keep a serialised mirror.v1.Schema whose fingerprint was verified. Idempotent."""
        self.schemas[fingerprint] = blob

    def schema_change(self, pair: SchemaPair, found: SchemaChanges) -> None:
        """Keep what the candidate's schema changed in a method of which a group was added. Idempotent."""
        self.schema_changes[pair] = found

    def schema_problem(self, text: str) -> None:
        """Count a schema that could not be used, by the text of what is wrong."""
        self.schema_problems[_within(self.schema_problems, text)] += 1

    def source(self, report: schema_pb2.SourceReport, resource: Resource | None = None) -> None:
        """Take one process's cumulative report; of several the one of the highest sequence counts."""
        known = self.sources.get(report.source_id)
        if known is None and len(self.sources) >= BATCH_NAMES_MAX:
            self.totals[SOURCES_OVER_LIMIT, ""] += 1  # it reports again, all figures from its start
            return
        if known is None or known[0].sequence < report.sequence:
            self.sources[report.source_id] = (report, resource or _UNKNOWN)

    def unknown_run(self, name: str, n: int = 1) -> None:
        """Count calls of a run that the configuration does not allow."""
        self.unknown_runs[_within(self.unknown_runs, name)] += n

    def rules(self, statuses: Iterable[RuleStatus]) -> None:
        """Replace what is known of the rules' paths by `statuses`: all rules now in use."""
        self.rule_statuses = frozenset(statuses)

    def use(self, rules: RuleSet) -> None:
        """Say which rules were in force for all that was added so far; says it anew each time."""
        compared: Counter[tuple[str, str]] = Counter()
        for (epoch, method, _), counts in self.counts.items():
            compared[epoch.run, method] += sum(counts[name] for name in _COMPARED)
        meant: dict[tuple[str, str], str] = {}
        of_rule: Counter[tuple[str, str]] = Counter()
        for (run, method), n in compared.items():
            for rule in rules.for_method(run, method).rules:
                meant[run, rule.id] = rule.digest
                of_rule[run, rule.id] += n
        self.rule_uses = {
            name: RuleUse(meaning, of_rule[name], self.rule_hits[name]) for name, meaning in meant.items()
        }

    def _see(self, epoch: EpochKey, minute: int, first_s: float, last_s: float, *, secondary: bool) -> None:
        seen = self.epochs.get(epoch)
        if seen is None:
            self.epochs[epoch] = Seen(first_s, last_s, minute, secondary)
        else:
            seen.widen(first_s, last_s, minute)
            seen.has_secondary |= secondary

    def _serve(self, epoch: EpochKey, role: Role, instance: str, calls: int, first_s: float, last_s: float) -> None:  # noqa: PLR0913, PLR0917
        instances = self.instances[epoch]
        served = instances.get((role, instance))
        if served is None:
            place = (role, instance) if len(instances) < BATCH_NAMES_MAX else (role, OTHER)
            served = instances.setdefault(place, Served(first_s=first_s, last_s=last_s))
        served.add(calls, first_s, last_s)

    def _count(self, judged: Judged, where: MethodMinute) -> None:
        counts, group = self.counts[where], judged.group
        primary, secondary = group.calls.get(Role.PRIMARY), group.calls.get(Role.SECONDARY)
        if primary is not None and primary.status != "OK":
            counts["primary_errors"] += 1
        if Role.CANDIDATE in group.expect:
            counts["pairs"] += 1
            self._count_one_sided(judged, where)
            outcome = judged.outcomes.get(Role.CANDIDATE)
            verdict = Verdict.INCOMPLETE if outcome is None else outcome.verdict
            counts[verdict] += 1
            if outcome is not None and outcome.reason:
                self.reasons[where][f"{verdict}.{outcome.reason}"] += 1
            for reason in () if outcome is None else outcome.partly:
                self.reasons[where][f"{PARTLY}.{reason}"] += 1
        if judged.triple is not None:
            counts["triples"] += 1
            # A control that never answered is as little a control as one that answers another status.
            if primary is not None and (secondary is None or secondary.status != primary.status):
                counts["secondary_status"] += 1
        elif judged.no_triple:
            self.reasons[where][f"no_triple.{judged.no_triple}"] += 1

    def _count_one_sided(self, judged: Judged, where: MethodMinute) -> None:
        """What befell one shadow and not the other, though it makes no triple: the verdict must not overlook it."""
        group, outcomes = judged.group, judged.outcomes
        if Role.PRIMARY not in group.calls or len(outcomes) < len(_SHADOWS):
            return
        reasons = {role: outcomes[role].reasons for role in _SHADOWS}
        if len(group.calls) == _ROLES and not (reasons[Role.CANDIDATE] or reasons[Role.SECONDARY]):
            return
        waited_s = judged.compared_at_s - group.first_arrival_s
        for role, other in (_SHADOWS, _SHADOWS[::-1]):
            for reason in () if reasons[other] else reasons[role]:
                if reason == NOT_SAMPLED and other not in group.calls:
                    continue  # the primary too may have captured this one without its messages: nothing one-sided
                self.reasons[where][f"only_{role}.{reason}"] += 1
            missing = role not in group.calls and other in group.calls
            if missing and group.release is Release.EVICTED and waited_s >= EVICTED_WAITED_S:
                self.reasons[where][EVICTED_WITHOUT[role]] += 1

    def _count_triple(self, triple: Triple, where: MethodMinute) -> None:
        epoch, method, minute = where
        for pattern, kind in triple.raw_only:
            self.evidence[epoch, Hypothesis(method, pattern, kind), minute].b += 1
        for pattern, kind in triple.noise_only:
            self.evidence[epoch, Hypothesis(method, pattern, kind), minute].c += 1
        for pattern, kind in triple.both:
            self.evidence[epoch, Hypothesis(method, pattern, kind), minute].d += 1
        for pattern, kind in triple.left_out:
            self.evidence[epoch, Hypothesis(method, pattern, kind), minute].left_out += 1
        if triple.signature:
            self.signatures[epoch, method, triple.signature] += 1

    def _count_values(self, judged: Judged, where: MethodMinute) -> None:
        epoch, method, minute = where
        for pattern, votes in judged.values.items():
            place = epoch, Hypothesis(method, pattern, Kind.VALUES), minute
            self.evidence[place].d += 1
            self.label_votes[place].update(votes.items())
        if judged.speeds:
            minute_speeds = self.speeds[where]
            for speed in judged.speeds:
                minute_speeds[speed.metric].add(speed)
        if judged.leaves is not None:
            self.leaves[epoch, method].update(judged.leaves)
            self.leaf_calls[epoch, method] += 1


def _within(names: Counter[str], name: str) -> str:
    """`name`, or where there are many already the one that all others share."""
    return name if name in names or len(names) < BATCH_NAMES_MAX else OTHER


def _but(
    counted: MapT,
    methods: AbstractSet[tuple[EpochKey, str]],
    method_of: Callable[[Any], tuple[EpochKey, str]] = lambda key: (key[0], key[1]),
) -> MapT:
    """A copy without the entries of these methods."""
    rest = copy.copy(counted)
    for key in [key for key in rest if method_of(key) in methods]:
        del rest[key]
    return rest
