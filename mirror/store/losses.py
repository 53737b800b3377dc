"""What an epoch's processes say they dropped: which of their reports are this epoch's, and what they come to. It only reads."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Row, func, or_, select

from mirror.store.reports import REPORTED_BEFORE_MINUTES
from mirror.store.tables import epochs, source_minutes

_REPORTED_AFTER_MINUTES: Final = 1  # processes report what they dropped every few seconds


def capture_loss(connection: Connection, epoch: Row[Any]) -> float | None:
    """The share of captures that the builds of this epoch report as lost since it began; None where none reported any."""
    captured, dropped = _reported(connection, epoch, epoch.primary_version, epoch.candidate_version)
    return min(1.0, dropped / captured) if captured else None


def candidate_lost(connection: Connection, epoch: Row[Any]) -> int:
    """How many captures the candidate's processes dropped since; 0 where its version cannot be told from the primary's."""
    if epoch.candidate_version == epoch.primary_version:
        return 0
    return _reported(connection, epoch, epoch.candidate_version)[1]


def _reported(connection: Connection, epoch: Row[Any], *versions: str) -> tuple[int, int]:
    """What these builds captured and dropped in this epoch, by their reports.

    A report tells what happened since the one before, of all runs. Those of the minutes before the first pair count too: captures
    of its first calls may have been dropped, and told of, before one came. Where a later epoch took over, its drops are its own.
    """
    some, since = source_minutes.c, int(epoch.started_s // 60) - REPORTED_BEFORE_MINUTES
    told = [some.service == epoch.service, some.version.in_(versions), some.minute >= since]
    taken_over_s = _taken_over(connection, epoch, versions)
    if taken_over_s is not None:
        after_last = int(epoch.last_s // 60) + _REPORTED_AFTER_MINUTES + 1
        told.append(some.minute < max(after_last, int(taken_over_s // 60) - REPORTED_BEFORE_MINUTES))
    query = select(func.coalesce(func.sum(some.captured), 0), func.coalesce(func.sum(some.dropped), 0)).where(*told)
    captured, dropped = connection.execute(query).one()
    return int(captured), int(dropped)


def _taken_over(connection: Connection, epoch: Row[Any], versions: tuple[str, ...]) -> float | None:
    """When another epoch of these builds began after this one's last pair; None: it is this one's still, though it may be silent."""
    other = epochs.c
    query = select(func.min(other.started_s)).where(
        other.service == epoch.service,
        other.started_s > epoch.last_s,
        or_(other.primary_version.in_(versions), other.candidate_version.in_(versions)),
    )
    began: float | None = connection.execute(query).scalar_one()
    return began
