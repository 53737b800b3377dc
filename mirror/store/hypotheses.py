"""Reading hypotheses back, judged with the counts of this look. Reads only, on the caller's connection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, func, select

from mirror.core import noise
from mirror.core.model import Hypothesis, Kind
from mirror.core.values.evidence import log_e_of
from mirror.core.values.labels import text_of
from mirror.store.deciding import decisions_of
from mirror.store.judging import evidence_by_row, options_of
from mirror.store.tables import hypotheses, hypothesis_minutes, methods
from mirror.store.tables_of_examples import comparison_paths
from mirror.store.value_votes import voting_minutes
from mirror.store.views import HypothesisView, LabelView

SEVERITY = (
    noise.State.REGRESSED,
    noise.State.SUSPECT,
    noise.State.UNJUDGED,
    noise.State.NOISY,
    noise.State.CLEAN,
    noise.State.UNSEEN,
)


def hypotheses_of(
    connection: Connection, epoch_id: int, *, method: str | None = None
) -> list[tuple[HypothesisView, noise.Evidence]]:
    """The hypotheses of an epoch (of one method) by name, each with the evidence that its judgement was made from."""
    query = (
        select(hypotheses, (methods.c.triples - hypotheses.c.triples_before).label("n"), methods.c.name)
        .join(methods, methods.c.id == hypotheses.c.method_id)
        .where(methods.c.epoch_id == epoch_id)
        .order_by(methods.c.name, hypotheses.c.pattern, hypotheses.c.kind)
    )
    if method is not None:
        query = query.where(methods.c.name == method)
    rows = connection.execute(query).all()
    evidence_by_id = evidence_by_row(connection, rows)
    examples = _examples(connection, epoch_id)
    minutes = _minutes(connection, epoch_id)
    minutes |= voting_minutes(connection, [row.id for row in rows if row.kind == Kind.VALUES.value])
    decided = decisions_of(connection, epoch_id)
    alpha = options_of(connection).alpha
    found = []
    for row in rows:
        evidence = evidence_by_id[row.id]
        kept = examples.get((row.method_id, row.pattern, row.kind), 0)
        view = _view(row, evidence, alpha=alpha, minutes=minutes.get(row.id, 0), examples=kept)
        found.append((replace(view, decision=decided.get(view.hypothesis)) if decided else view, evidence))
    return found


def worst_states(connection: Connection, epoch_id: int) -> dict[str, noise.State]:
    """Of each method that has hypotheses the worst of their states."""
    worst: dict[str, noise.State] = {}
    for name, text in connection.execute(
        select(methods.c.name, hypotheses.c.state)
        .join(methods, methods.c.id == hypotheses.c.method_id)
        .where(methods.c.epoch_id == epoch_id)
        .distinct()
    ):
        worst[name] = min(worst.get(name, noise.State.UNSEEN), noise.State(text), key=SEVERITY.index)
    return worst


def _examples(connection: Connection, epoch_id: int) -> dict[tuple[int, str, str], int]:
    path = comparison_paths.c
    rows = connection.execute(
        select(path.method_id, path.pattern, path.kind, func.count())
        .join(methods, methods.c.id == path.method_id)
        .where(methods.c.epoch_id == epoch_id, ~path.ignored)
        .group_by(path.method_id, path.pattern, path.kind)
    )
    return {(method_id, pattern, kind): n for method_id, pattern, kind, n in rows}


def _minutes(connection: Connection, epoch_id: int) -> dict[int, int]:
    minute = hypothesis_minutes.c
    rows = connection.execute(
        select(minute.hypothesis_id, func.count())
        .join(hypotheses, hypotheses.c.id == minute.hypothesis_id)
        .join(methods, methods.c.id == hypotheses.c.method_id)
        .where(methods.c.epoch_id == epoch_id, minute.counted, minute.b != minute.c)
        .group_by(minute.hypothesis_id)
    )
    return dict(rows.all())


def _view(row: Row[Any], evidence: noise.Evidence, *, alpha: float, minutes: int, examples: int) -> HypothesisView:
    # By votes and state the writer has judged; only rates move on with n, and the state is what it stored.
    was = noise.State(row.state)
    return HypothesisView(
        id=row.id,
        hypothesis=Hypothesis(row.name, row.pattern, Kind(row.kind)),
        state=was,
        since_s=row.since_s,
        first_seen_s=row.first_seen_s,
        regressed_at_s=row.regressed_at_s,
        rank=row.rank,
        b=row.b,
        c=row.c,
        d=row.d,
        n=row.n,
        pairs=row.pairs,
        minutes=minutes,
        left_out=row.left_out,
        judgement=noise.judge(was, evidence, alpha=alpha),
        examples=examples,
        labels=tuple(_labels(evidence)),
    )


def _labels(evidence: noise.Evidence) -> list[LabelView]:
    """The labels that voted, the strongest evidence first."""
    found = []
    for (family, name), hours in (evidence.labels or {}).items():
        raw, noise_votes = (sum(votes) for votes in zip(*hours, strict=True))
        strength = log_e_of((family, name), hours)
        found.append(LabelView(family, name, text_of((family, name)), raw, noise_votes, strength))
    return sorted(found, key=lambda one: (-one.log_e_star, one.family, one.label))
