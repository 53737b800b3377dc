"""Letting go on request: kept comparisons by age and bytes, and whole runs that are over.

In transactions of a few hundred comparisons each, so that a collector that writes meanwhile waits for none of them long.
Row ids are given out again, and a collector remembers them: `deletions` counts the runs that went, and every commit looks
at it first, in an order in which neither can wait for the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine, delete, func, select, update

from mirror.store.engine import StoreError, explained, upsert
from mirror.store.examples import PRUNE_AT_ONCE, crowding
from mirror.store.migrating import check
from mirror.store.reports import (
    PRUNED_FOR_AGE,
    PRUNED_FOR_BYTES,
    PRUNED_WITH_RUN,
    REPORTED_BEFORE_MINUTES,
    RUNS_PRUNED,
    add_totals,
)
from mirror.store.tables import (
    epochs,
    meta,
    method_minutes,
    methods,
    rule_hits,
    rule_statuses,
    rule_uses,
    source_minutes,
    totals,
)
from mirror.store.tables_of_examples import comparisons

OVER_AFTER_S: Final = 3600.0  # without a pair a run is over
_DELETIONS: Final = "runs_pruned"  # in `meta`
_ACCEPTANCES: Final = "paths_accepted"
_DOING: Final = "cannot be pruned"
_BY_RUN: Final = (totals, rule_hits, rule_uses, rule_statuses)


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many kept comparisons went, or would go, for their age and for the bytes of all; `size`: theirs, in bytes."""

    aged: int = 0
    crowded: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class RunContents:
    """What goes with a run. `last_s`: unix time of its last pair."""

    run: str
    epochs: int
    methods: int
    pairs: int
    comparisons: int
    size: int  # bytes of its kept comparisons
    last_s: float


def note_deletions(connection: Connection) -> None:
    """Make the rows that `deletions` reads: only those that are there can be locked."""
    rows = [{"name": name, "value": "0"} for name in (_DELETIONS, _ACCEPTANCES)]
    connection.execute(upsert(connection, meta, keys=("name",), add=()), rows)


def deletions(connection: Connection) -> tuple[int, int]:
    """How often rows that a collector remembers were deleted, and how often for an acceptance; stays so until the transaction ends."""
    asked = select(meta.c.name, meta.c.value).where(meta.c.name.in_((_DELETIONS, _ACCEPTANCES)))
    kept = dict(connection.execute(asked.with_for_update(read=True)).all())
    return int(kept.get(_DELETIONS, 0)), int(kept.get(_ACCEPTANCES, 0))


def have_forgotten(connection: Connection, *, accepted: bool = False) -> None:
    """Tell a collector that runs meanwhile to forget the ids that it remembers, from its next commit on.

    `accepted`: and to leave out what it gathered of the sums over all paths.
    """
    note_deletions(connection)
    raised = (_DELETIONS, _ACCEPTANCES) if accepted else (_DELETIONS,)
    for name in raised:
        locked = select(meta.c.value).where(meta.c.name == name).with_for_update()
        number = int(connection.execute(locked).scalar_one())
        connection.execute(update(meta).where(meta.c.name == name).values(value=str(number + 1)))


def would_prune(connection: Connection, *, before_s: float | None, max_bytes: int | None) -> Pruned:
    """What `prune_kept` would delete now. Reads only."""
    size, at_s = comparisons.c.size, comparisons.c.compared_at_s
    aged, aged_size = 0, 0
    rest = select(size).order_by(at_s)
    if before_s is not None:
        counted = select(func.count(), func.coalesce(func.sum(size), 0)).where(at_s < before_s)
        aged, aged_size = map(int, connection.execute(counted).one())
        rest = rest.where(at_s >= before_s)
    if max_bytes is None:
        return Pruned(aged, 0, aged_size)
    held = int(connection.execute(select(func.coalesce(func.sum(size), 0))).scalar_one()) - aged_size
    crowded, crowded_size = 0, 0
    for one in connection.execution_options(yield_per=PRUNE_AT_ONCE).execute(rest).scalars():
        if held - crowded_size <= max_bytes:
            break
        crowded, crowded_size = crowded + 1, crowded_size + one
    return Pruned(aged, crowded, aged_size + crowded_size)


def prune_kept(engine: Engine, *, before_s: float | None, max_bytes: int | None) -> Pruned:
    """Delete kept comparisons of before `before_s` (unix time), then the oldest until `max_bytes` remain; None: no limit.

    Counted as what the collector itself lets go. Raises StoreError; what was deleted by then stays deleted.
    """
    aged, crowded, size = 0, 0, 0
    while before_s is not None and (gone := _step(engine, PRUNED_FOR_AGE, before_s=before_s)):
        aged, size = aged + len(gone), size + sum(n for _, n in gone)
    while max_bytes is not None and (gone := _step(engine, PRUNED_FOR_BYTES, max_bytes=max_bytes)):
        crowded, size = crowded + len(gone), size + sum(n for _, n in gone)
    return Pruned(aged, crowded, size)


def contents(connection: Connection, run: str) -> RunContents | None:
    """What the store holds of a run; None where it does not know it."""
    mine = epochs.c.run == run
    number, last_s = connection.execute(select(func.count(), func.max(epochs.c.last_s)).where(mine)).one()
    if not number:
        return None
    ids = select(methods.c.id).join(epochs).where(mine)
    held = select(func.count(), func.coalesce(func.sum(comparisons.c.size), 0)).where(comparisons.c.method_id.in_(ids))
    pairs = select(func.coalesce(func.sum(method_minutes.c.pairs), 0)).where(method_minutes.c.method_id.in_(ids))
    count, size = connection.execute(held).one()
    named_methods = connection.execute(select(func.count()).select_from(ids.subquery())).scalar_one()
    total = int(connection.execute(pairs).scalar_one())
    return RunContents(run, number, named_methods, total, count, int(size), last_s)


def require_over(found: RunContents, now_s: float) -> None:
    """Raises StoreError for a run whose last pair came within the hour: its collector would begin it anew at once."""
    if now_s - found.last_s < OVER_AFTER_S:
        raise StoreError(
            f"run {found.run} is not over: its last pair came within the hour. Stop mirroring for it, and prune it an hour later"
        )


def prune_run(engine: Engine, run: str, now_s: float) -> RunContents | None:
    """Delete all of a run that is over: comparisons first, then counts, states, history and totals in one transaction.

    Returns what it was; None where the store does not know it. Raises StoreError, also where the run is not over.
    """
    with explained(engine, _DOING), engine.begin() as connection:
        check(connection)
        note_deletions(connection)
        found = contents(connection, run)
        if found is None:
            return None
        require_over(found, now_s)
    while _step(engine, PRUNED_WITH_RUN, run=run):
        pass
    with explained(engine, _DOING), engine.begin() as connection:
        have_forgotten(connection)
        now = contents(connection, run)
        if now is not None:
            require_over(now, now_s)
        connection.execute(delete(epochs).where(epochs.c.run == run))
        for table in _BY_RUN:
            connection.execute(delete(table).where(table.c.run == run))
        _forget_reports(connection)
        add_totals(connection, {(RUNS_PRUNED, ""): 1})
    return found


def _forget_reports(connection: Connection) -> None:
    """Of before the first run that is left: no verdict asks for them."""
    first_s = connection.execute(select(func.min(epochs.c.started_s))).scalar()
    if first_s is not None:
        before = int(first_s // 60) - REPORTED_BEFORE_MINUTES
        connection.execute(delete(source_minutes).where(source_minutes.c.minute < before))


def _step(
    engine: Engine, counted_as: str, *, before_s: float | None = None, max_bytes: int | None = None, run: str = ""
) -> list[tuple[int, int]]:
    """Delete some hundred comparisons in one transaction; returns them, none where nothing is left to delete."""
    with explained(engine, _DOING), engine.begin() as connection:
        check(connection)
        if max_bytes is not None:
            gone = crowding(connection, max_bytes)
        else:
            query = select(comparisons.c.seq, comparisons.c.size).order_by(comparisons.c.compared_at_s)
            if run:
                query = query.where(
                    comparisons.c.method_id.in_(select(methods.c.id).join(epochs).where(epochs.c.run == run))
                )
            else:
                query = query.where(comparisons.c.compared_at_s < before_s)
            gone = [(row.seq, row.size) for row in connection.execute(query.limit(PRUNE_AT_ONCE))]
        _delete(connection, (seq for seq, _ in gone))
        add_totals(connection, {(counted_as, ""): len(gone)})
        return gone


def _delete(connection: Connection, seqs: Iterable[int]) -> None:
    connection.execute(delete(comparisons).where(comparisons.c.seq.in_([*seqs])))
