"""From the store to a verdict: the facts of one epoch, read in one transaction, as `mirror.core.verdict` wants them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, func, select

from mirror.core.decisions import Ruling
from mirror.core.model import EpochKey, Kind, Leaf, Role
from mirror.core.noise import Evidence
from mirror.core.run_facts import EVICTED_WITHOUT, LatencyFacts
from mirror.core.unseen import leaf_share
from mirror.core.verdict import HypothesisFacts, MethodFacts, MinuteFacts, Policy, Reason, RunFacts, decide
from mirror.store.deciding import accepted_members, day_of
from mirror.store.engine import StoreError, upsert
from mirror.store.explaining import unexplained_pairs
from mirror.store.hypotheses import hypotheses_of
from mirror.store.judging import options_of
from mirror.store.leaf_values import leaves_of
from mirror.store.losses import candidate_lost, capture_loss
from mirror.store.naming import stored
from mirror.store.queries import Reader
from mirror.store.restarting import before_of
from mirror.store.speed_views import latencies_of
from mirror.store.summing import counts_by
from mirror.store.tables import (
    epoch_fails,
    epochs,
    hypotheses,
    hypothesis_minutes,
    method_minutes,
    method_reasons,
    methods,
    unknown_runs,
)
from mirror.store.verdict_changes import note_change
from mirror.store.views import HypothesisView

RATE_OVER_MINUTES: Final = 10  # the rate "of late"
_LOOK_BACK_S: Final = 3600.0
_ALLOWED_SINCE_S: Final = (
    60.0  # what one process refused before a restart, the next one may have judged from its journal
)


def run_facts(reader: Reader, epoch_id: int, policy: Policy, now_s: float) -> RunFacts:
    """What is known of an epoch at `now_s`. Raises StoreError for an id that does not exist.

    The evidence was judged by the writer, with its own alpha and way of counting votes; `policy` has the same ones.
    """
    with reader.connect() as connection:
        return facts_of(connection, epoch_id, policy, now_s)


def facts_of(connection: Connection, epoch_id: int, _policy: Policy, now_s: float) -> RunFacts:
    """As `run_facts`, on a connection in whose transaction the answer is consistent."""
    epoch = connection.execute(select(epochs).where(epochs.c.id == epoch_id)).one_or_none()
    if epoch is None:
        raise StoreError(f"there is no epoch {epoch_id} in the store")
    found = _methods(connection, epoch_id, now_s)
    return RunFacts(
        epoch=EpochKey(epoch.run, epoch.service, epoch.primary_version, epoch.candidate_version),
        methods=found,
        has_secondary=epoch.has_secondary,
        first_s=epoch.started_s,
        last_s=epoch.last_s,
        rate_per_s=_rate(connection, epoch, now_s),
        capture_loss=capture_loss(connection, epoch),
        candidate_lost=candidate_lost(connection, epoch),
        refused=_refused(connection, epoch),
        failed=_fails(connection, epoch_id),
    )


def latch_fails(connection: Connection, policy: Policy, now_s: float) -> None:
    """Keep the reasons for which epochs fail at this look, and note verdicts that changed; those kept before stay as they were."""
    recent = connection.execute(select(epochs.c.id).where(epochs.c.last_s >= now_s - _LOOK_BACK_S)).scalars().all()
    rows = []
    for epoch_id in recent:
        facts = facts_of(connection, epoch_id, policy, now_s)
        report = decide(facts, policy)
        note_change(connection, epoch_id, facts.epoch, report, now_s)
        rows += [
            _fail_row(epoch_id, reason, now_s)
            for reason in report.reasons
            if report.verdict == "fail" and reason.code != "rejected"
        ]
    if rows:
        connection.execute(upsert(connection, epoch_fails, keys=("epoch_id", "code", "place"), add=()), rows)


def _fail_row(epoch_id: int, reason: Reason, now_s: float) -> dict[str, Any]:
    return {
        "epoch_id": epoch_id,
        "code": reason.code,
        "place": stored(str(reason.figures.get("where", ""))),
        "text": reason.text,
        "figures": json.dumps(dict(reason.figures)),
        "at_s": now_s,
    }


def _methods(connection: Connection, epoch_id: int, now_s: float) -> tuple[MethodFacts, ...]:
    counts = counts_by(connection, methods.c.id, methods.c.epoch_id == epoch_id)
    known = connection.execute(
        select(methods.c.id, methods.c.name, methods.c.before).where(methods.c.epoch_id == epoch_id)
    ).all()
    names = {row.id: row.name for row in known}
    before = {row.id: before_of(row.before) for row in known}
    today = day_of(now_s)
    of_method: defaultdict[str, list[HypothesisFacts]] = defaultdict(list)
    views: defaultdict[str, list[HypothesisView]] = defaultdict(list)
    for view, evidence in hypotheses_of(connection, epoch_id):
        views[view.hypothesis.method].append(view)
        of_method[view.hypothesis.method].append(_fact(view, evidence, today))
    minutes = _minutes(connection, epoch_id, now_s)
    leaves = leaves_of(connection, epoch_id)
    latencies = latencies_of(connection, epoch_id)
    accepted = {
        name: accepted_members((h.decision for h in shown if h.decision), today) for name, shown in views.items()
    }
    found = []
    for row_id in sorted(counts, key=names.__getitem__):
        facts = MethodFacts(
            method=names[row_id],
            counts=counts[row_id],
            before=before[row_id],
            unexplained=unexplained_pairs(
                connection,
                row_id,
                counts[row_id].triples - before[row_id].triples,
                accepted.get(names[row_id], frozenset()),
            ),
            hypotheses=tuple(of_method[names[row_id]]),
            minutes=tuple(minutes.get(row_id, ())),
            latency=latencies.get(row_id, LatencyFacts()),
        )
        found.append(_with_leaves(facts, *leaves.get(row_id, (0, {}))))
    return tuple(found)


def _with_leaves(facts: MethodFacts, calls: int, leaves: Mapping[Leaf, int]) -> MethodFacts:
    """With what the sampled answers say of all its pairs."""
    if not calls:
        return facts
    share, pairs = leaf_share(calls, leaves, facts.hypotheses), facts.counts.pairs
    unseen = {str(why): share.of_all(pairs, n) for why, n in share.unseen.items()}
    return replace(
        facts,
        leaf_values=share.of_all(pairs, share.total),
        blind_values=sum(unseen.values()),
        unseen_values=unseen,
        hashed_values=share.of_all(pairs, share.hashed),
        leaf_calls=calls,
    )


def _fact(view: HypothesisView, evidence: Evidence, today: date) -> HypothesisFacts:
    decision = view.decision
    words = decision.words if decision else ""
    holds = decision is not None and decision.in_force(today)
    what = decision.what if decision else None
    return HypothesisFacts(
        view.hypothesis,
        evidence,
        view.judgement,
        accepted=words if holds and what is Ruling.ACCEPTED else "",
        rejected=words if holds and what is Ruling.REJECTED else "",
        expired=words if not holds else "",
    )


def _minutes(connection: Connection, epoch_id: int, now_s: float) -> dict[int, list[MinuteFacts]]:
    """The closed minutes of each method in order, with what the hypothesis `any` counted in them."""
    closed = int((now_s - options_of(connection).deadline_s) // 60) - 1
    whole, some = method_minutes.c, hypothesis_minutes.c
    found: defaultdict[int, list[MinuteFacts]] = defaultdict(list)
    rows = connection.execute(
        select(
            whole.method_id,
            whole.minute,
            whole.triples,
            func.coalesce(some.b, 0).label("raw_only"),
            func.coalesce(some.c, 0).label("noise_only"),
        )
        .select_from(method_minutes)
        .join(methods, methods.c.id == whole.method_id)
        .outerjoin(hypotheses, and_(hypotheses.c.method_id == whole.method_id, hypotheses.c.kind == Kind.ANY.value))
        .outerjoin(hypothesis_minutes, and_(some.hypothesis_id == hypotheses.c.id, some.minute == whole.minute))
        .where(methods.c.epoch_id == epoch_id, whole.minute <= closed)
        .order_by(whole.method_id, whole.minute)
    )
    evicted = _evicted(connection, epoch_id, closed)
    for row in rows:
        raw, noise = evicted.get((row.method_id, row.minute), (0, 0))
        triples = row.triples + raw + noise
        found[row.method_id].append(MinuteFacts(row.minute, triples, row.raw_only + raw, row.noise_only + noise))
    return found


def _evicted(connection: Connection, epoch_id: int, closed: int) -> dict[tuple[int, int], tuple[int, int]]:
    """By method and minute the groups evicted after a wait in which the candidate, or the secondary, alone was missing."""
    some, of_role = method_reasons.c, EVICTED_WITHOUT
    rows = connection.execute(
        select(some.method_id, some.minute, some.reason, some.n)
        .join(methods, methods.c.id == some.method_id)
        .where(methods.c.epoch_id == epoch_id, some.minute <= closed, some.reason.in_(of_role.values()))
    )
    found: defaultdict[tuple[int, int], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        raw, noise = found[row.method_id, row.minute]
        more = (row.n, 0) if row.reason == of_role[Role.CANDIDATE] else (0, row.n)
        found[row.method_id, row.minute] = raw + more[0], noise + more[1]
    return found


def _rate(connection: Connection, epoch: Row[Any], now_s: float) -> float:
    """Triples (without a secondary pairs) a second over the last minutes; 0 when nothing came of late."""
    first_minute = int(now_s // 60) - RATE_OVER_MINUTES
    counted = method_minutes.c.triples if epoch.has_secondary else method_minutes.c.pairs
    n = connection.execute(
        select(func.coalesce(func.sum(counted), 0))
        .join(methods, methods.c.id == method_minutes.c.method_id)
        .where(methods.c.epoch_id == epoch.id, method_minutes.c.minute >= first_minute)
    ).scalar_one()
    lasted_s = now_s - max(epoch.started_s, first_minute * 60)
    return float(n) / lasted_s if lasted_s > 0 else 0.0


def _refused(connection: Connection, epoch: Row[Any]) -> int:
    """Calls of the run that processes refused as one they do not have; 0 where that ended before this epoch: it was allowed since."""
    refused = connection.execute(select(unknown_runs).where(unknown_runs.c.name == epoch.run)).one_or_none()
    return refused.n if refused is not None and refused.last_s > epoch.started_s + _ALLOWED_SINCE_S else 0


def _fails(connection: Connection, epoch_id: int) -> tuple[Reason, ...]:
    rows = connection.execute(
        select(epoch_fails).where(epoch_fails.c.epoch_id == epoch_id).order_by(epoch_fails.c.at_s, epoch_fails.c.place)
    )
    return tuple(Reason(row.code, row.text, json.loads(row.figures)) for row in rows)
