"""Reading a store through from end to end, a page at a time: what `mirror db export` hands on. Reads only.

Each page is a transaction of its own, so a long export holds back neither SQLite's log nor PostgreSQL's vacuum. What comes
while it runs may be in it or not; what was pruned meanwhile is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, select, tuple_

from mirror.core.model import EpochKey
from mirror.store.queries import Reader
from mirror.store.tables import COUNTS, epochs, method_minutes, method_reasons, methods
from mirror.store.tables_of_examples import comparison_paths, comparisons

PAGE_ROWS: Final = 500
_EPOCH: Final = (epochs.c.run, epochs.c.service, epochs.c.primary_version, epochs.c.candidate_version)


@dataclass(frozen=True, slots=True)
class Filters:
    """What is wanted; None: all. `pattern`: a path pattern. `since_s`: unix time of the comparison or the minute."""

    run: str | None = None
    method: str | None = None
    pattern: str | None = None
    since_s: float | None = None


@dataclass(frozen=True, slots=True)
class CountsRow:
    """The counts of one method of an epoch in one minute (unix minutes)."""

    epoch_id: int
    epoch: EpochKey
    method: str
    minute: int
    counts: dict[str, int]
    reasons: dict[str, int] = field(default_factory=dict)


def kept_ids(reader: Reader, filters: Filters) -> Iterator[tuple[int, str]]:
    """Epoch id and id of every kept comparison that is wanted, in the order of keeping. Raises StoreError."""
    query = _narrowed(select(comparisons.c.seq, comparisons.c.id, methods.c.epoch_id), comparisons, filters)
    if filters.since_s is not None:
        query = query.where(comparisons.c.compared_at_s >= filters.since_s)
    if filters.pattern is not None:
        found = select(comparison_paths.c.comparison_seq).where(comparison_paths.c.pattern == filters.pattern)
        query = query.where(comparisons.c.seq.in_(found))
    query = query.order_by(comparisons.c.seq).limit(PAGE_ROWS)
    last = 0
    while True:
        with reader.connect() as connection:
            page = connection.execute(query.where(comparisons.c.seq > last)).all()
        if not page:
            return
        yield from ((row.epoch_id, row.id) for row in page)
        last = page[-1].seq


def counts_rows(reader: Reader, filters: Filters) -> Iterator[CountsRow]:
    """The counts that are wanted, by method and minute; a pattern does not narrow them. Raises StoreError."""
    place = tuple_(method_minutes.c.method_id, method_minutes.c.minute)
    query = _narrowed(select(method_minutes, methods.c.epoch_id, methods.c.name, *_EPOCH), method_minutes, filters)
    if filters.since_s is not None:
        query = query.where(method_minutes.c.minute >= int(filters.since_s // 60))
    query = query.order_by(method_minutes.c.method_id, method_minutes.c.minute).limit(PAGE_ROWS)
    last = (0, 0)
    while True:
        with reader.connect() as connection:
            page = connection.execute(query.where(place > last)).all()
            reasons = _reasons(connection, page)
        if not page:
            return
        yield from (_counts_row(row, reasons.get((row.method_id, row.minute), {})) for row in page)
        last = (page[-1].method_id, page[-1].minute)


def _narrowed(query: Any, table: Table, filters: Filters) -> Any:
    """`query` over the rows of `table`, a child of `methods`, of the run and the method that are wanted."""
    query = query.select_from(table.join(methods).join(epochs))
    if filters.run is not None:
        query = query.where(epochs.c.run == filters.run)
    return query if filters.method is None else query.where(methods.c.name == filters.method)


def _reasons(connection: Connection, page: Any) -> dict[tuple[int, int], dict[str, int]]:
    """Those of the minutes of a page, by method id and minute."""
    if not page:
        return {}
    place = tuple_(method_reasons.c.method_id, method_reasons.c.minute)
    first, last = ((row.method_id, row.minute) for row in (page[0], page[-1]))
    found: dict[tuple[int, int], dict[str, int]] = {}
    for row in connection.execute(select(method_reasons).where(place >= first, place <= last)):
        found.setdefault((row.method_id, row.minute), {})[row.reason] = row.n
    return found


def _counts_row(row: Row[Any], reasons: dict[str, int]) -> CountsRow:
    key = EpochKey(row.run, row.service, row.primary_version, row.candidate_version)
    counts = {name: getattr(row, name) for name in COUNTS}
    return CountsRow(row.epoch_id, key, row.name, row.minute, counts, reasons)
