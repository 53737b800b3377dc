"""Changes of verdicts: noted once, in the writer's look, and read by whoever tells of them, each from a position of its own.

The change and the position are rows of the same store: a restart neither forgets a change nor notes it twice.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select

from mirror.core.model import EpochKey
from mirror.core.verdict import Report
from mirror.store.engine import explained, reading, upsert
from mirror.store.tables import epochs, verdict_changes, webhook_positions

KEPT_MAX: Final = 10_000  # changes of all epochs together; the oldest go
REASONS_TOLD: Final = 20
_C = verdict_changes.c


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """One change. `uid` names it for whoever is told, for good; `id` orders them; `body` is what is told, as JSON values."""

    id: int
    uid: str
    run: str
    verdict: str
    at_s: float
    body: dict[str, Any]


def note_change(connection: Connection, epoch_id: int, epoch: EpochKey, report: Report, now_s: float) -> bool:
    """Note the verdict of an epoch if it is another one than before; an epoch begins as inconclusive."""
    if _last(connection, epoch_id) == report.verdict:
        return False
    # Several writers may look at once: the second one waits here, and finds it noted.
    connection.execute(select(epochs.c.id).where(epochs.c.id == epoch_id).with_for_update(key_share=True))
    before = _last(connection, epoch_id)
    if before == report.verdict:
        return False
    body = {
        "before": before,
        "verdict": report.verdict,
        "at_s": now_s,
        "run": epoch.run,
        "service": epoch.service,
        "primary_version": epoch.primary_version,
        "candidate_version": epoch.candidate_version,
        "epoch": epoch_id,
        "reasons": [{"code": one.code, "text": one.text} for one in report.reasons[:REASONS_TOLD]],
        "reason_count": len(report.reasons),
        "unexplained": report.x,
        "triples": report.n,
    }
    row = {
        "epoch_id": epoch_id,
        "uid": uuid.uuid4().hex,
        "verdict": report.verdict,
        "body": json.dumps(body),
        "at_s": now_s,
    }
    connection.execute(insert(verdict_changes).values(row))
    newest = connection.execute(select(func.max(_C.id))).scalar_one()
    connection.execute(delete(verdict_changes).where(_C.id <= newest - KEPT_MAX))
    return True


def _last(connection: Connection, epoch_id: int) -> str:
    asked = select(_C.verdict).where(_C.epoch_id == epoch_id).order_by(_C.id.desc()).limit(1)
    return connection.execute(asked).scalar() or "inconclusive"


class ChangeQueue:
    """The changes that one listener, by `name`, has not been told yet. For one thread; every method raises StoreError."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def begin(self) -> None:
        """Take a position: behind all that is there, where the name is a new one."""
        with explained(self._engine, "cannot be written"), self._engine.begin() as connection:
            newest = connection.execute(select(func.coalesce(func.max(_C.id), 0))).scalar_one()
            row = {"name": self._name, "change_id": newest}
            connection.execute(upsert(connection, webhook_positions, keys=("name",), add=()), [row])

    def waiting(self, limit: int) -> tuple[list[VerdictChange], int]:
        """The oldest changes that wait, at most `limit`, and how many wait in all."""
        with explained(self._engine, "cannot be read"), reading(self._engine).connect() as connection:
            position = self._position(connection)
            mine = _C.id > position
            count = connection.execute(select(func.count()).select_from(verdict_changes).where(mine)).scalar_one()
            rows = connection.execute(
                select(verdict_changes, epochs.c.run)
                .join(epochs, epochs.c.id == _C.epoch_id)
                .where(mine)
                .order_by(_C.id)
                .limit(limit)
            )
            return [_change(row) for row in rows], count

    def done_to(self, change_id: int) -> None:
        """All up to this one were told, or given up."""
        with explained(self._engine, "cannot be written"), self._engine.begin() as connection:
            row = {"name": self._name, "change_id": change_id}
            connection.execute(upsert(connection, webhook_positions, keys=("name",), add=(), put=("change_id",)), [row])

    def _position(self, connection: Connection) -> int:
        asked = select(webhook_positions.c.change_id).where(webhook_positions.c.name == self._name)
        return int(connection.execute(asked).scalar() or 0)


def _change(row: Row[Any]) -> VerdictChange:
    return VerdictChange(row.id, row.uid, row.run, row.verdict, row.at_s, json.loads(row.body))
