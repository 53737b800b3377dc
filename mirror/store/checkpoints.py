"""Checkpoints: how far each partition was read, in the very transaction that holds what came of it. So it counts once.

The position lives in the store and nowhere else. A partition's row carries a generation that its owner raises by `claim`;
a checkpoint demands its own, so that a writer which lost the partition to another cannot write any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from mirror.core.ledger import BadProgress, Progress, decode_open, encode_open
from mirror.store.engine import StoreError
from mirror.store.tables import partitions

OPEN_MAX_BYTES: Final = 64 << 20  # of the open positions of one partition: some millions of records


class FencedError(StoreError):
    """Another writer has claimed a partition since: what was read of it is that one's to count. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One partition of one source, as its owner holds it: nobody else may write under this `generation`."""

    source: str  # a journal's id, or "kafka:TOPIC"
    partition: int
    generation: int
    progress: Progress  # as the store knew it when it was claimed


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a claimed partition was read when the changes that it is committed with were complete."""

    claim: Claim
    progress: Progress


def claim(connection: Connection, source: str, partition: int, *, owner: str, now_s: float) -> Claim:
    """Make a partition the caller's by raising its generation. `owner`: who that is, for the one that is fenced.

    Raises StoreError where its open positions cannot be read.
    """
    where = (partitions.c.source == source) & (partitions.c.partition == partition)
    raised = update(partitions).where(where)
    raised = raised.values(generation=partitions.c.generation + 1, owner=owner, changed_s=now_s)
    if not connection.execute(raised).rowcount:
        _insert(connection, source, partition, now_s)
        connection.execute(raised)
    row = connection.execute(select(partitions).where(where)).one()
    return Claim(source, partition, row.generation, _progress(row))


def write_checkpoints(connection: Connection, checkpoints: Iterable[Checkpoint], now_s: float) -> None:
    """Write them; to be called first in the transaction, whose rows they lock. Raises FencedError."""
    for one in sorted(checkpoints, key=lambda one: (one.claim.source, one.claim.partition)):  # one order: no deadlock
        claimed, progress = one.claim, one.progress
        raw = encode_open(progress)
        if len(raw) > OPEN_MAX_BYTES:
            raise StoreError(
                f"partition {claimed.partition} of {claimed.source}: too many open positions", lasting=True
            )
        mine = (partitions.c.source == claimed.source) & (partitions.c.partition == claimed.partition)
        values = {
            "next_position": progress.next_position,
            "lowest_open": progress.lowest_open,
            "open": raw,
            "changed_s": now_s,
        }
        statement = update(partitions).where(mine, partitions.c.generation == claimed.generation).values(values)
        if connection.execute(statement).rowcount != 1:
            _fenced(connection, claimed)


def progress_of(connection: Connection, source: str) -> dict[int, Progress]:
    """The progress of each partition of a source, for those who only look."""
    rows = connection.execute(select(partitions).where(partitions.c.source == source))
    return {row.partition: _progress(row) for row in rows}


def open_elsewhere(connection: Connection, source: str) -> dict[str, int]:
    """Other sources of the same sort ("journal:...") of which spans are open, and how many. Raises StoreError."""
    found: Counter[str] = Counter()
    for row in connection.execute(select(partitions).where(_elsewhere(source))):
        found[row.source] += _progress(row).open_spans
    return {name: n for name, n in found.items() if n}


def active_elsewhere(connection: Connection, source: str, *, since_s: float) -> dict[str, float]:
    """Owners of other sources of the same sort ("journal:...") that wrote since then (unix seconds), and when last."""
    query = select(partitions.c.owner, partitions.c.changed_s).order_by(partitions.c.changed_s)
    late = query.where(_elsewhere(source), partitions.c.changed_s >= since_s)
    return {row.owner: row.changed_s for row in connection.execute(late)}


def _elsewhere(source: str) -> ColumnElement[bool]:
    """Another source of the same sort."""
    sort = source.partition(":")[0]
    return partitions.c.source.startswith(f"{sort}:", autoescape=True) & (partitions.c.source != source)


def _insert(connection: Connection, source: str, partition: int, now_s: float) -> None:
    row = {"source": source, "partition": partition, "owner": "", "open": b"", "changed_s": now_s}
    try:
        with connection.begin_nested():
            connection.execute(insert(partitions).values(row))
    except IntegrityError:
        return  # another claimed it at this very moment; the generations tell the two apart


def _progress(row: Any) -> Progress:
    try:
        return Progress(row.next_position, decode_open(row.open))
    except BadProgress as problem:
        raise StoreError(
            f"partition {row.partition} of {row.source}: {problem}; the store is damaged: go back to a backup"
        ) from None


def _fenced(connection: Connection, lost: Claim) -> None:
    mine = (partitions.c.source == lost.source) & (partitions.c.partition == lost.partition)
    row = connection.execute(select(partitions.c.generation, partitions.c.owner).where(mine)).one_or_none()
    now = "it is no longer in the store" if row is None else f"{row.owner} has it (generation {row.generation})"
    raise FencedError(
        f"partition {lost.partition} of {lost.source} is no longer ours (generation {lost.generation}): {now}; "
        "nothing was written"
    )
