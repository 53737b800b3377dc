"""Judges released groups: which rules are in force, which versions were seen last, what noise explains already.

One owner, the pipeline. Time comes in as an argument; what noise explains is asked of the store's cache.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from mirror.core.calls import CallComparer, matched
from mirror.core.compare.options import CompareOptions
from mirror.core.leaves import Sampler, count_leaves
from mirror.core.model import (
    CallRecord,
    EpochKey,
    Group,
    Judged,
    Kind,
    Outcome,
    PairKey,
    Part,
    Release,
    Resource,
    Role,
)
from mirror.core.quiet import Quiet, Tally
from mirror.core.request_fields import RequestFields, request_fields
from mirror.core.rules import RuleSet
from mirror.core.schemas import SchemaBook
from mirror.core.shares import Shares
from mirror.core.speed.minute import MinuteSpeed
from mirror.core.speed.votes import Metric, Speed
from mirror.core.speed.watch import SpeedWatch
from mirror.core.triples import NO_VALUES, NOTHING_DIFFERS, Looked, Looking, judge_group, not_sampled
from mirror.core.values.watch import ValueWatch
from mirror.native import Same

METHODS_MAX: Final = 10_000  # (run, method) whose versions are remembered
SERVICES_MAX: Final = 1000  # of a run, likewise
_ROLES: Final = tuple(Role)
Explained = Callable[[EpochKey, str], frozenset[tuple[str, Kind]]]


class LastSeen:
    """The resource last seen of each method of a run, and of each service where the method has none yet. Bounded.

    Several services may take part in a run: what one was seen with says nothing of the others.
    """

    def __init__(self) -> None:
        self._by_method: OrderedDict[tuple[str, str], Resource] = OrderedDict()
        self._by_service: defaultdict[str, OrderedDict[str, Resource]] = defaultdict(OrderedDict)  # of each run

    def see(self, call: CallRecord) -> None:
        """Note a call."""
        run, method, _ = call.key
        key, resource = (run, method), call.resource
        if self._by_method.get(key) is resource and self._by_service[run].get(resource.service) is resource:
            return
        self._by_method[key] = resource
        self._note(run, resource)
        if len(self._by_method) > METHODS_MAX:
            self._by_method.popitem(last=False)

    def start_with(self, run: str, resource: Resource) -> None:
        """What an earlier life of the collector saw last."""
        if resource.service not in self._by_service[run]:
            self._note(run, resource)

    def of(self, run: str, method: str, service: str) -> Resource | None:
        """The last one; None where there is none, or only of several other services."""
        found = self._by_method.get((run, method))
        if found is not None:
            return found
        of_run = self._by_service.get(run) or OrderedDict[str, Resource]()
        only = next(iter(of_run.values())) if len(of_run) == 1 else None  # a shadow may go by another name
        return of_run.get(service, only)

    def _note(self, run: str, resource: Resource) -> None:
        of_run = self._by_service[run]
        of_run[resource.service] = resource
        if len(of_run) > SERVICES_MAX:
            of_run.popitem(last=False)


class Judge:
    """`explained(epoch, method)`: the (pattern, kind)s that noise explains and signatures leave out."""

    def __init__(self, schemas: SchemaBook, rules: RuleSet, options: CompareOptions, explained: Explained) -> None:
        self._schemas = schemas
        self._options = options
        self._explained = explained
        self._comparer = CallComparer(schemas, rules, options)
        self._rules = rules
        self._sampler = Sampler()
        self._speeds = SpeedWatch()
        self._twins: tuple[Group | None, dict[Role, Same]] = None, {}
        self.values = ValueWatch()
        self._shares = Shares()
        self.primaries = LastSeen()
        self.candidates = LastSeen()

    def see(self, call: CallRecord) -> None:
        """Note which version served a call."""
        if call.role is Role.PRIMARY:
            self.primaries.see(call)
        elif call.role is Role.CANDIDATE:
            self.candidates.see(call)

    def use(self, rules: RuleSet) -> None:
        """Judge by these rules from now on. What was judged before was judged by others, and is not to be added to the same counts."""
        self._comparer = CallComparer(self._schemas, rules, self._options)
        self._rules = rules
        self._twins = None, {}

    def missing_schemas(self, group: Group) -> frozenset[str]:
        """Fingerprints without which a pair of the group cannot be compared."""
        primary = group.calls.get(Role.PRIMARY)
        if primary is None:
            return frozenset()
        twins = self._twins_of(group)
        found: frozenset[str] = frozenset()
        for role, call in group.calls.items():
            if call is not primary and role not in twins:
                found |= self._comparer.missing_schemas(primary, call)
        return found

    def quiet(self, group: Group) -> tuple[Same, Same | None] | None:
        """What primary and candidate, and primary and secondary, have in common, where there is no more to say of a group.

        That is: the candidate was expected, all that were came and answered OK, and did the same. `judge` would find nothing
        else. The second is None where no secondary was expected.
        """
        calls, expect = group.calls, group.expect
        if len(calls) != len(expect) + 1 or Role.CANDIDATE not in expect or group.release is not Release.COMPLETE:
            return None
        primary, secondary = calls[Role.PRIMARY], calls.get(Role.SECONDARY)
        if not primary.status == calls[Role.CANDIDATE].status == "OK":
            return None
        if secondary is not None and not (
            secondary.status == "OK" and secondary.resource.version == primary.resource.version
        ):
            return None
        twins = self._twins_of(group)
        if len(twins) != len(expect):
            return None
        if self._shares.knows(group.key):
            for role in calls:
                self._shares.learn(group.key, role, sampled=True)  # else they were no twins
        return twins[Role.CANDIDATE], twins.get(Role.SECONDARY)

    def counts_leaves(self, epoch: EpochKey, key: PairKey) -> bool:
        """Whether `judge` would count the leaves of this call's answer, if it answered."""
        return self._sampler.wants(epoch, key)

    def speed(self, quiet: Quiet, tally: Tally, into: Mapping[str, MinuteSpeed]) -> None:
        """Count latency and size of the triples of a tally, by metric."""
        self._speeds.count(Metric.LATENCY, quiet, tally.times, into[Metric.LATENCY])
        self._speeds.count(Metric.SIZE, quiet, tally.sizes, into[Metric.SIZE])

    def _twins_of(self, group: Group) -> dict[Role, Same]:
        """What those shadows that did the same as the primary have in common with it. Remembered for the last group."""
        if self._twins[0] is not group:
            primary, found = group.calls.get(Role.PRIMARY), {}
            if primary is not None:
                for role, call in group.calls.items():
                    if call is not primary and (same := self._comparer.twins(primary, call)):
                        found[role] = same
            self._twins = group, found
        return self._twins[1]

    def request_fields(self, group: Group) -> RequestFields | None:
        """The fields of the request as the primary saw it; None where they cannot be read."""
        primary = group.calls.get(Role.PRIMARY)
        if primary is None:
            return None
        return request_fields(primary.capture, lambda schema, name: self._schemas.own_classes(schema, schema, name)[0])

    def judge(self, group: Group, now_s: float) -> Judged:
        """Judge one group at `now_s` (unix seconds)."""
        run, method = group.key.run, group.key.method
        service = next((group.calls[role].resource.service for role in _ROLES if role in group.calls), "")
        last_candidate = self.candidates.of(run, method, service)
        version = last_candidate.version if last_candidate else ""

        def explained(asked: str) -> frozenset[tuple[str, Kind]]:
            # Only asked for triples, which have a primary: its epoch is plain.
            primary = group.calls[Role.PRIMARY].resource
            candidate = group.calls.get(Role.CANDIDATE)
            candidate_version = candidate.resource.version if candidate else version
            return self._explained(EpochKey(run, primary.service, primary.version, candidate_version), asked)

        self._learn(group)
        twins = self._twins_of(group)

        def compare(primary: CallRecord, shadow: CallRecord) -> Outcome:
            same = twins.get(shadow.role)
            return matched(same) if same else self._comparer.look(primary, shadow)

        return judge_group(
            group,
            compare,
            explained=explained,
            candidate_version_last_seen=version,
            now_s=now_s,
            primary_last_seen=self.primaries.of(run, method, service),
            look=self._look,
            takes=lambda role: self._shares.takes(group.key, role),
        )

    def _learn(self, group: Group) -> None:
        """Which of its calls were captured with their messages: see `shares`."""
        for role, call in group.calls.items():
            self._shares.learn(group.key, role, sampled=not not_sampled(call))

    def _look(self, found: Looking) -> Looked:
        """The votes of its values, its latency and size and, of some calls, the leaves of what the primary answered."""
        group, epoch, minute, outcomes, triple = found
        key = group.key
        values, leaves = NO_VALUES, None
        speeds: tuple[Speed, ...] = ()
        if triple is not None:
            if triple is not NOTHING_DIFFERS:
                values = self.values.look(epoch, key.method, outcomes, self._rules.for_method(key.run, key.method))
            speeds = self._speeds.look(epoch, key.method, minute, outcomes)
        primary, candidate = group.calls.get(Role.PRIMARY), outcomes.get(Role.CANDIDATE)
        seen = primary is not None and candidate is not None and candidate.sees(Part.ANSWER)
        if primary is not None and seen and primary.status == "OK" and self._sampler.takes(epoch, key):
            leaves = count_leaves(primary.capture, self._schemas, self._rules.for_method(key.run, key.method))
        return Looked(values, speeds, leaves)
