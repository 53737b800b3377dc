"""Judged groups to commit: real ones, made by the core from what a test says of each side."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from grpc_mirror.v1 import comparison_pb2

from mirror.core.model import (
    CallRecord,
    Difference,
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
    Verdict,
)
from mirror.core.path import PathPattern
from mirror.core.rules import Ignore, Rule, RuleSet, Scope
from mirror.core.triples import judge_group
from mirror.store import Changes, InForce, Store
from mirror.store.views import RuleChangeView

RUN, SERVICE, METHOD = "rewrite", "shop", "shop.v1.Shop/GetOrder"
EPOCH = EpochKey(RUN, SERVICE, "1.0", "2.0")
A = "response.a"
START_S = 1_700_000_040.0  # the start of a minute
MINUTE = int(START_S // 60)
BOTH = frozenset({Role.CANDIDATE, Role.SECONDARY})


def group(
    mirror_id: str,
    at_s: float = START_S,
    *,
    method: str = METHOD,
    run: str = RUN,
    expect: Collection[Role] = BOTH,
    came: Collection[Role] | None = None,
    candidate_version: str = "2.0",
    primary_status: str = "OK",
    release: Release = Release.COMPLETE,
) -> Group:
    key = PairKey(run, method, mirror_id)
    present = {Role.PRIMARY, *expect} if came is None else set(came)
    calls = {
        role: CallRecord(
            key=key,
            role=role,
            expect=frozenset(expect),
            attempt=1,
            status=primary_status if role is Role.PRIMARY else "OK",
            resource=Resource(SERVICE, candidate_version if role is Role.CANDIDATE else "1.0", f"{role}-1"),
            trace_id=b"t" * 16,
            span_id=b"s" * 8,
            capture=b"",
            arrived_s=at_s,
        )
        for role in Role
        if role in present
    }
    return Group(key, calls, frozenset(expect), release, at_s)


def judged(
    mirror_id: str,
    at_s: float = START_S,
    *,
    candidate: Collection[str] = (),
    secondary: Collection[str] = (),
    ignored: Collection[str] = (),
    incomparable: str = "",
    blocked: Collection[str] = (),
    explained: frozenset[tuple[str, Kind]] = frozenset(),
    compared_after_s: float = 1.0,
    **of_group,
) -> Judged:
    """One group in which the candidate and the secondary differ in the paths named; `ignored` under the rule `r1`.

    `blocked`: where the candidate differs after its calls were blocked, beside what it would have sent.
    """
    differing = {Role.CANDIDATE: candidate, Role.SECONDARY: secondary}

    def compare(_primary: CallRecord, shadow: CallRecord) -> Outcome:
        if incomparable and shadow.role is Role.CANDIDATE:
            return Outcome(Verdict.INCOMPARABLE, incomparable)
        found = tuple(_difference(path) for path in differing[shadow.role])
        if blocked and shadow.role is Role.CANDIDATE:
            return Outcome(
                Verdict.MISMATCHED if found else Verdict.INCOMPARABLE,
                "" if found else "blocked",
                found,
                (),
                len(found),
                unseen={Part.ANSWER: "blocked"},
                unjudged=tuple(map(_difference, blocked)),
                outbound_compared=2,
            )
        under_rule = tuple(_difference(path, "r1") for path in ignored) if shadow.role is Role.CANDIDATE else ()
        verdict = Verdict.MISMATCHED if found else Verdict.IGNORED if under_rule else Verdict.MATCHED
        return Outcome(verdict, "", found, under_rule, len(found))

    return judge_group(
        group(mirror_id, at_s, **of_group),
        compare,
        explained=lambda _method: explained,
        candidate_version_last_seen="2.0",
        now_s=at_s + compared_after_s,
    )


def comparison(one: Judged, *, size: int = 0, outbound: int = 0) -> bytes:
    """A comparison as the pipeline would hand it in, with a capture of `size` bytes and outbound ones of `outbound`."""
    made = comparison_pb2.Comparison(
        id=f"id-{one.group.key.mirror_id}",
        mirror_id=one.group.key.mirror_id,
        primary_capture=bytes(size),
        sides=[comparison_pb2.Side(role="candidate", differences=[comparison_pb2.Difference(path="response.x")])],
    )
    if outbound:
        made.primary_outbound.append(bytes(outbound))
        made.sides[0].outbound.append(bytes(outbound))
    return made.SerializeToString()


def commit(store: Store, groups: Collection[Judged], now_s: float = START_S, *, keep: bool = False) -> None:
    """Commit `groups` in one transaction."""
    changes = store.changes()
    for one in groups:
        changes.add(one, comparison(one) if keep else None)
    store.commit(changes, now_s)


def several(n: int, at_s: float = START_S, *, named: str = "", **told) -> list[Judged]:
    """`n` alike groups."""
    return [judged(f"{named}{at_s}-{i}", at_s, **told) for i in range(n)]


def ignore(path: str = A, **where) -> Ignore:
    expires = where.pop("expires", None)
    return Ignore(scope=Scope(PathPattern.parse(path), **where), id=f"ignore {path}", reason="meant", expires=expires)


def under(
    store: Store, *rules: Rule, takes_over: bool = False, groups: Iterable[Judged] = (), now_s: float = START_S
) -> tuple[RuleChangeView, ...]:
    """Commit groups that were judged by these rules."""
    changes = store.changes(InForce(RuleSet(rules), frozenset({RUN})), takes_over=takes_over)
    for one in groups:
        changes.add(one)
    return store.commit(changes, now_s)


def faulty(n: int = 20, *, named: str = "", method: str = METHOD, **told) -> list[Judged]:
    return several(n, named=named, method=method, **({"candidate": [A]} | told))


def _difference(path: str, rule: str = "") -> Difference:
    return Difference(PathPattern.parse(path).steps, Kind.VALUE, rule=rule)


__all__ = [
    "BOTH",
    "EPOCH",
    "METHOD",
    "MINUTE",
    "RUN",
    "START_S",
    "A",
    "Changes",
    "commit",
    "comparison",
    "faulty",
    "group",
    "ignore",
    "judged",
    "several",
    "under",
]
