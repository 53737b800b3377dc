"""People's decisions on paths: taking one, in a transaction beside the writer's, and reading those that stand.

Accepting a path starts the method's sum over all paths (`any`) anew, since what went into it cannot be taken out again, and
lifts the fails that it caused. A collector that runs meanwhile is told as of pruned runs: its next commit forgets what it
remembered, and leaves out the evidence of `any` that it gathered before.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, func, insert, select

from mirror.core.decisions import Decision, Ruling
from mirror.core.model import EpochKey, Hypothesis, Kind
from mirror.store.engine import StoreError, explained
from mirror.store.migrating import check
from mirror.store.naming import stored
from mirror.store.pruning import have_forgotten
from mirror.store.restarting import restart_any
from mirror.store.tables import decisions, epochs, hypotheses, methods

DECISIONS_MAX: Final = 10_000  # of one epoch
_D = decisions.c


def day_of(now_s: float) -> date:
    """The day (UTC) of a unix second."""
    return datetime.fromtimestamp(now_s, tz=UTC).date()


def decide(engine: Engine, epoch_id: int, decision: Decision, now_s: float) -> None:
    """Keep a decision on a hypothesis that the epoch has. Raises StoreError; then nothing was kept."""
    name = decision.hypothesis
    with explained(engine, "cannot be written"), engine.begin() as connection:
        check(connection)
        have_forgotten(
            connection, accepted=True
        )  # first, as every commit does: two that write wait for each other here
        method = connection.execute(
            select(methods)
            .join(hypotheses)
            .where(
                methods.c.epoch_id == epoch_id,
                methods.c.name == name.method,
                hypotheses.c.pattern == name.pattern,
                hypotheses.c.kind == name.kind.value,
            )
        ).one_or_none()
        if method is None:
            raise StoreError(f"epoch {epoch_id} has no path {name.pattern} ({name.kind}) of {name.method}")
        mine = select(func.count()).select_from(decisions).where(_D.epoch_id == epoch_id)
        if connection.execute(mine).scalar_one() >= DECISIONS_MAX:
            raise StoreError(f"epoch {epoch_id} has {DECISIONS_MAX:,} decisions already: write rules instead")
        connection.execute(insert(decisions).values(_row(epoch_id, decision, now_s)))
        if decision.what is Ruling.ACCEPTED and name.kind is not Kind.ANY:
            restart_any(connection, method)


def decisions_of(connection: Connection, epoch_id: int) -> dict[Hypothesis, Decision]:
    """The newest decision on each hypothesis of an epoch, withdrawn ones left out; expired ones are still there."""
    newest: dict[Hypothesis, Decision] = {}
    for row in connection.execute(select(decisions).where(_D.epoch_id == epoch_id).order_by(_D.id)):
        one = _decision(row)
        newest[one.hypothesis] = one
    return {name: one for name, one in newest.items() if one.what is not Ruling.WITHDRAWN}


def history_of(connection: Connection, epoch_id: int) -> list[Decision]:
    """All decisions of an epoch, the newest first."""
    rows = connection.execute(select(decisions).where(_D.epoch_id == epoch_id).order_by(_D.id.desc()))
    return [_decision(row) for row in rows]


def accepted_of(connection: Connection, epoch: EpochKey, method: str, today: date) -> frozenset[tuple[str, Kind]]:
    """The (pattern, kind)s of a method that are accepted on `today`."""
    epoch_id = connection.execute(
        select(epochs.c.id).where(
            epochs.c.run == stored(epoch.run),
            epochs.c.service == stored(epoch.service),
            epochs.c.primary_version == stored(epoch.primary_version),
            epochs.c.candidate_version == stored(epoch.candidate_version),
        )
    ).scalar()
    found = {} if epoch_id is None else decisions_of(connection, epoch_id)
    return accepted_members((one for one in found.values() if one.hypothesis.method == stored(method)), today)


def accepted_members(found: Iterable[Decision], today: date) -> frozenset[tuple[str, Kind]]:
    """The (pattern, kind)s that these decisions accept on `today`; the sum over all paths stands for no path."""
    return frozenset(
        (one.hypothesis.pattern, one.hypothesis.kind)
        for one in found
        if one.what is Ruling.ACCEPTED and one.in_force(today) and one.hypothesis.kind is not Kind.ANY
    )


def _row(epoch_id: int, decision: Decision, now_s: float) -> dict[str, Any]:
    name = decision.hypothesis
    return {
        "epoch_id": epoch_id,
        "method": name.method,
        "pattern": name.pattern,
        "kind": name.kind.value,
        "what": decision.what.value,
        "owner": decision.owner,
        "reason": decision.reason,
        "expires": decision.expires.isoformat() if decision.expires else None,
        "at_s": now_s,
    }


def _decision(row: Row[Any]) -> Decision:
    return Decision(
        Hypothesis(row.method, row.pattern, Kind(row.kind)),
        Ruling(row.what),
        row.owner,
        row.reason,
        date.fromisoformat(row.expires) if row.expires else None,
        row.at_s,
    )
