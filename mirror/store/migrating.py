"""Bringing a database to the schema of this version: Alembic, run from the package, in one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, func, inspect, select, table, text
from sqlalchemy import column as sql_column

from mirror.store.engine import StoreError, explained, named

HEAD: Final = "0009"  # the newest of migrations/versions; a test holds it
_LOCK: Final = int.from_bytes(b"mirror")  # of PostgreSQL's advisory locks
_VERSION = table("alembic_version", sql_column("version_num"))


def migrate(engine: Engine, *, wait_s: int | None = None) -> str | None:
    """Create or upgrade the tables, in one transaction; returns the revision that they had, None where there were none.

    `wait_s`: how long PostgreSQL may wait for other sessions; else it waits for ever. Raises StoreError for a database that
    a newer version has written.
    """
    with explained(engine, "cannot be opened"), engine.begin() as connection:
        if wait_s is not None and engine.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL lock_timeout = '{int(wait_s)}s'"))
        found = revision_of(connection)
        if found != HEAD and engine.dialect.name == "postgresql":  # workers that start together: one does it
            if wait_s is None:
                connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            found = revision_of(connection)
        if found != HEAD:
            _refuse_foreign(connection, found)
            _upgrade(connection)
        return found


def check(connection: Connection) -> None:
    """For readers: raises StoreError unless the tables are those of this version."""
    found = revision_of(connection)
    if found == HEAD:
        return
    _refuse_foreign(connection, found)
    where = named(connection.engine.url)
    raise StoreError(
        f"store {where}: its tables are of revision {found or 'none'}; start the collector once, or run mirror db upgrade, to bring them to {HEAD}"
    )


def revision_of(connection: Connection) -> str | None:
    """The revision of the tables; None where there are none of mirror's."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(select(_VERSION.c.version_num)).scalar()


def _refuse_foreign(connection: Connection, found: str | None) -> None:
    where = named(connection.engine.url)
    if found is not None and found > HEAD:
        raise StoreError(
            f"store {where}: written by a newer mirror (revision {found}, this one knows {HEAD}); update mirror, or name another store.url"
        )
    tables = set(inspect(connection).get_table_names())
    if found is None and tables & {"epochs", "methods", "hypotheses"}:
        raise StoreError(f"store {where}: holds tables of the same names that are not mirror's; name another store.url")


def _upgrade(connection: Connection) -> None:
    # Imported here: a store that is up to date, the usual case, opens without it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
