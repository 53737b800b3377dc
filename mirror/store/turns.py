"""Writers of one database take turns: a commit counts, ranks and judges as if it were alone.

Of PostgreSQL it is one row that is locked until the commit's end; SQLite lets only one write anyway. A commit takes
milliseconds twice a second, so that waiting for a turn costs little; ranks must be given by one at a time in any case.

A database that goes away during COMMIT may have committed or not. So each commit leaves its token, and one that is tried again
looks whether it is there: it counts once, whatever the answer to the first attempt would have been.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from mirror.store.engine import upsert
from mirror.store.tables import meta

_ROW: Final = "writers_turn"
_LAST: Final = "last_commit "


def ready_turns(connection: Connection) -> None:
    """Have the row to lock; when a store is opened."""
    connection.execute(upsert(connection, meta, keys=("name",), add=()), [{"name": _ROW, "value": ""}])


def is_done(connection: Connection, place: str, token: str) -> bool:
    """Whether the last commit of this place (a partition, or all that has none) was this one. Within a turn."""
    found = connection.execute(select(meta.c.value).where(meta.c.name == _LAST + place)).scalar()
    return bool(found == token)


def note_done(connection: Connection, place: str, token: str) -> None:
    """Leave the token, in the transaction that it is of."""
    row = {"name": _LAST + place, "value": token}
    connection.execute(upsert(connection, meta, keys=("name",), add=(), put=("value",)), [row])


def take_turn(connection: Connection) -> None:
    """Wait until no other writer is within a commit, and keep them out until this one ends. First in a transaction."""
    connection.execute(select(meta.c.value).where(meta.c.name == _ROW).with_for_update())
