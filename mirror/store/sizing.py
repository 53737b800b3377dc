"""How large a store is, and what its database says of its own file: the questions that differ by database. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, inspect, select, text

from mirror.store.tables_of_examples import comparisons

_SAID_MAX: Final = 10  # of what SQLite has to say of a damaged file


@dataclass(frozen=True, slots=True)
class Sizes:
    """In bytes. `free`: within the database and used again (SQLite); `log`: SQLite's write-ahead log beside it."""

    database: int
    free: int
    log: int
    kept: int  # bytes of all kept comparisons
    kept_count: int


def file_findings(connection: Connection, *, quick: bool) -> Iterator[str]:
    """What SQLite says of its file; `quick` leaves out whether indexes and tables agree. PostgreSQL is not asked."""
    if connection.dialect.name != "sqlite":
        return
    check = "quick_check" if quick else "integrity_check"
    for said in connection.execute(text(f"PRAGMA {check}({_SAID_MAX})")).scalars():
        if said != "ok":
            yield f"the file is damaged: {' '.join(str(said).split())}"


def sizes_of(connection: Connection) -> Sizes:
    """The sizes of the database on this connection; nothing is kept where there is no such table."""
    kept = (0, 0)
    if inspect(connection).has_table(comparisons.name):
        row = connection.execute(select(func.count(), func.coalesce(func.sum(comparisons.c.size), 0))).one()
        kept = (int(row[0]), int(row[1]))
    if connection.dialect.name != "sqlite":
        database = int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
        return Sizes(database, 0, 0, kept[1], kept[0])
    pages, page, free = (
        int(connection.execute(text(f"PRAGMA {name}")).scalar_one())
        for name in ("page_count", "page_size", "freelist_count")
    )
    log = Path(f"{connection.engine.url.database}-wal")
    return Sizes(pages * page, free * page, log.stat().st_size if log.exists() else 0, kept[1], kept[0])
