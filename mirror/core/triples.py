"""From a released group to evidence: what came of each shadow, and in what candidate and secondary differ. Pure.

A *triple* is one request for which both shadows were expected and whose primary was captured. What leaves a triple out
never depends on which of the two shadows it befell, so that candidate and secondary stay exchangeable; a shadow that
never answered is an outcome, not a gap. But where one shadow ended otherwise than the primary, nobody saw what it would
have answered: such a triple is evidence about the ends alone, and about outbound calls that all three made. Else a failing
secondary would make every path that always differs look raw-only. A part (answer or outbound calls) that was not seen of
one shadow is no evidence of the other either.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError
from grpc_mirror.v1 import capture_pb2

from mirror.core.model import (
    CallRecord,
    Difference,
    EpochKey,
    Group,
    Judged,
    Kind,
    Leaf,
    Outcome,
    Part,
    Release,
    Resource,
    Role,
    Triple,
    Verdict,
)
from mirror.core.outcomes import ENDS, NOT_SAMPLED, ended_otherwise, is_outbound, unanswered, within
from mirror.core.path import Field

Member = tuple[str, Kind]  # (path pattern, kind)

ANY: Final[Member] = ("(any)", Kind.ANY)  # per method: some path that noise does not explain
NO_ANSWER: Final = Difference((Field("status"), Field("no_answer")), Kind.NO_ANSWER, note="the shadow never answered")

_FLAG: Final = b"\x90\x02\x01"  # Capture.not_sampled, as protobuf writes it
NOTHING_DIFFERS: Final = Triple()


class Looking(NamedTuple):
    """A group as far as it was judged, for whoever looks further."""

    group: Group
    epoch: EpochKey
    minute: int
    outcomes: dict[Role, Outcome]
    triple: Triple | None


class Looked(NamedTuple):
    """What is known of a group beside how its answers differ; as in Judged."""

    values: Mapping[str, Mapping[tuple[str, str], int]]
    speeds: tuple[Any, ...] = ()
    leaves: Mapping[Leaf, int] | None = None


NO_VALUES: Final[Mapping[str, Mapping[tuple[str, str], int]]] = MappingProxyType({})
NOTHING_FOUND: Final = Looked(NO_VALUES)
_SHADOWS: Final[tuple[Role, Role]] = (Role.CANDIDATE, Role.SECONDARY)
_BOTH: Final = frozenset(_SHADOWS)
# Then the pairer did not wait: what is missing may still have been on its way.
_CUT_SHORT: Final = {Release.EVICTED: "evicted", Release.DRAIN: "drain"}


def judge_group(  # noqa: PLR0913 - what a group is judged by comes from four owners
    group: Group,
    compare: Callable[[CallRecord, CallRecord], Outcome],
    *,
    explained: Callable[[str], frozenset[Member]],
    candidate_version_last_seen: str,
    now_s: float,
    primary_last_seen: Resource | None = None,
    look: Callable[[Looking], Looked] | None = None,
    takes: Callable[[Role], bool] = lambda _role: True,
) -> Judged:
    """Judge one released group.

    `compare(primary, shadow)` gives what came of one pair. `explained(method)` are the (pattern, kind)s that noise
    explained by at least 10 triples: they stay out of the signature. A group without candidate goes to the epoch of the
    candidate version last seen, one without primary to the service and version of `primary_last_seen`. `now_s` is unix
    time. `takes(role)`: whether a role that did not answer would have captured the call with its messages, see `shares`. `look` finds what is looked for beside the differences. The reasons in `no_triple`: no_primary, not_mirrored, candidate_not_expected, secondary_not_expected,
    secondary_version, incomparable_<reason>, evicted, drain.
    """
    outcomes = {role: _outcome(group, role, compare, takes) for role in _SHADOWS if role in group.expect}
    no_triple = _why_no_triple(group, outcomes)
    triple = None
    if not no_triple:
        differs = outcomes[Role.CANDIDATE].differences or outcomes[Role.SECONDARY].differences
        triple = _triple(outcomes, explained(group.key.method)) if differs else NOTHING_DIFFERS
    epoch, minute = _epoch(group, candidate_version_last_seen, primary_last_seen), int(group.first_arrival_s // 60)
    looked = look(Looking(group, epoch, minute, outcomes, triple)) if look else NOTHING_FOUND
    return Judged(group, epoch, minute, outcomes, triple, no_triple, now_s, *looked)


def _outcome(
    group: Group, role: Role, compare: Callable[[CallRecord, CallRecord], Outcome], takes: Callable[[Role], bool]
) -> Outcome:
    primary, shadow = group.calls.get(Role.PRIMARY), group.calls.get(role)
    if primary is None:
        return Outcome(Verdict.INCOMPLETE, Role.PRIMARY.value)
    if shadow is not None:
        return compare(primary, shadow)
    if group.release in _CUT_SHORT:
        return Outcome(Verdict.INCOMPLETE, _CUT_SHORT[group.release])
    if not_sampled(primary) or not takes(role):
        # Of the calls that were answered here none is judged, so of those that were not none is either: else they weigh too much.
        return Outcome(Verdict.INCOMPLETE, unanswered(role))
    return Outcome(Verdict.INCOMPLETE, role.value, differences=(NO_ANSWER,), difference_count=1)


def not_sampled(call: CallRecord) -> bool:
    """Whether it is not in the share of its method's calls that are judged: see `grpc_mirror.sampling`."""
    if _FLAG not in call.capture:  # in nearly all: they are not parsed for it
        return False
    try:
        return capture_pb2.Capture.FromString(call.capture).not_sampled
    except DecodeError:
        return False


def _why_no_triple(group: Group, outcomes: dict[Role, Outcome]) -> str:
    """The reason why this group is no evidence; empty if it is."""
    primary, secondary = group.calls.get(Role.PRIMARY), group.calls.get(Role.SECONDARY)
    if primary is None:
        return "no_primary"
    if not group.expect >= _BOTH:
        unexpected = [role for role in _SHADOWS if role not in group.expect]
        return "not_mirrored" if len(unexpected) == len(_SHADOWS) else f"{unexpected[0]}_not_expected"
    if secondary is not None and secondary.resource.version != primary.resource.version:
        return "secondary_version"
    unseen = [outcome for outcome in outcomes.values() if not outcome.sees(Part.ANSWER)]
    if unseen and not _outbound_seen(outcomes.values()):
        return f"incomparable_{unseen[0].reasons[0]}"
    if any(outcome.reason == unanswered(role) for role, outcome in outcomes.items()):
        return f"incomparable_{NOT_SAMPLED}"
    return _CUT_SHORT.get(group.release, "") if len(group.calls) < len(Role) else ""


def _outbound_seen(outcomes: Collection[Outcome]) -> bool:
    """Whether there were outbound calls, and of both shadows it is known how they differ."""
    return all(one.sees(Part.OUTBOUND) for one in outcomes) and any(one.outbound_compared for one in outcomes)


def _triple(outcomes: dict[Role, Outcome], explained: frozenset[Member]) -> Triple:
    candidate, secondary = (outcomes[role].hypotheses for role in _SHADOWS)
    is_evidence = evidence_of(outcomes.values())
    raw, noise = (
        frozenset((d.pattern, d.kind) for d in outcomes[role].differences if is_evidence(d)) for role in _SHADOWS
    )
    raw_only, noise_only, both = raw - noise, noise - raw, raw & noise
    # The hypothesis `any` asks of each side alike: did it differ, where the other did not, on a path not explained?
    raw_any, noise_any = bool(raw_only - explained), bool(noise_only - explained)
    extra = frozenset({ANY})
    # The bound counts also what no secondary could have shown: it may only err upwards.
    unshared = candidate - secondary
    return Triple(
        raw_only=raw_only | extra if raw_any and not noise_any else raw_only,
        noise_only=noise_only | extra if noise_any and not raw_any else noise_only,
        both=both | extra if raw_any and noise_any else both,
        signature=unshared - explained,
        left_out=unshared & explained,
    )


def evidence_of(outcomes: Collection[Outcome]) -> Callable[[Difference], bool]:
    """Which differences are evidence: those that would have been seen of either shadow."""
    seen = {part: all(one.sees(part) for one in outcomes) for part in Part}
    paired = frozenset.intersection(*(one.outbound_paired for one in outcomes))
    # Under a rule or not, counted or not.
    ended = any(ended_otherwise((*one.differences, *one.ignored, *one.unjudged)) for one in outcomes)

    def is_evidence(difference: Difference) -> bool:
        if is_outbound(difference.path):
            return seen[Part.OUTBOUND] and (not ended or within(difference, paired))
        return seen[Part.ANSWER] and (not ended or difference.kind in ENDS)

    return is_evidence


def _epoch(group: Group, candidate_version_last_seen: str, primary_last_seen: Resource | None) -> EpochKey:
    calls = group.calls
    primary, candidate = _resource(calls.get(Role.PRIMARY)), _resource(calls.get(Role.CANDIDATE))
    # The secondary is the primary's build; of a candidate alone only the service is known to be the same.
    primary = primary or primary_last_seen or _resource(calls.get(Role.SECONDARY))
    service = primary or candidate
    return EpochKey(
        group.key.run,
        service.service if service else "",
        primary.version if primary else "",
        candidate.version if candidate else candidate_version_last_seen,
    )


def _resource(call: CallRecord | None) -> Resource | None:
    return call.resource if call is not None else None
