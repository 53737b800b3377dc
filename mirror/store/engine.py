"""Engines: how a database is opened, for the one writer or for readers, and which errors a user sees.

The only module that knows SQLite's pragmas. It opens databases and touches nothing in them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import Engine, case, create_engine, event, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    IntegrityError,
    NoSuchModuleError,
    NotSupportedError,
    SQLAlchemyError,
)
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.schema import Table

BUSY_TIMEOUT_S: Final = 10.0
# PostgreSQL waits for locks, for a network that is gone and for a client that is frozen in a transaction: for ever, if left to itself.
LOCK_TIMEOUT_S: Final = 10
IDLE_IN_COMMIT_S: Final = 30
_LIBPQ: Final[Mapping[str, int]] = {
    "connect_timeout": 10,  # s
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # ms
}
IN_LIST_MAX: Final = 5000  # ids in one query
_READING: Final = "mirror_reading"
_PSYCOPG: Final = ("postgresql+psycopg", "postgresql+psycopg2")
_LASTING: Final = (DataError, IntegrityError, NotSupportedError)


class StoreError(Exception):
    """The store cannot be opened, read or written. The message says which, why and what to do.

    `lasting`: it is for what was being written, and would be the same at every further attempt.
    """

    def __init__(self, text: str, *, lasting: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting


def open_engine(url: str, *, write: bool, mode: Literal["rwc", "rw", "ro"] | None = None) -> Engine:
    """An engine for `url` (SQLite or PostgreSQL); with `write` a missing SQLite file is created, else it is an error.

    `mode` is how SQLite opens its file, where that shall be otherwise: `rw` never creates one, `ro` leaves every byte of it. Raises StoreError where the URL cannot be used. The database itself is touched at the first connection.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, write=write, mode=mode or ("rwc" if write else "rw"))
    try:
        return _postgresql(parsed, write=write)
    except ImportError as error:
        raise StoreError(f"store {named(parsed)}: {error}; pip install 'grpc-mirror-collector[postgres]'") from error


def reading(engine: Engine) -> Engine:
    """The same engine for reading: each transaction sees one state of the store and never waits for the writer."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine.execution_options(**{_READING: True})


def named(url: URL | str) -> str:
    """The URL as it may stand in a message: without a password, and without the driver that this module put in."""
    return make_url(url).render_as_string(hide_password=True).replace("postgresql+psycopg://", "postgresql://", 1)


@contextmanager
def explained(engine: Engine, doing: str) -> Iterator[None]:
    """Turn errors of the database into a StoreError that says what was being done to which store."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        text = str(cause).strip().split("\n")[0]
        message = f"store {named(engine.url)}: {doing}: {text}{_advice(text, engine.dialect.name)}"
        raise StoreError(message, lasting=isinstance(error, _LASTING) or "too many SQL" in text) from error


def identity(engine: Engine) -> tuple[int, int] | None:
    """Which file an SQLite engine's path names now; None where there is none, or for other databases."""
    if engine.dialect.name != "sqlite":
        return None
    try:
        found = Path(str(engine.url.database)).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def upsert(  # noqa: PLR0913 - a statement's parts
    connection: Connection,
    table: Table,
    *,
    keys: tuple[str, ...],
    add: tuple[str, ...],
    put: tuple[str, ...] = (),
    same: str = "",
) -> Insert:
    """An INSERT which, where a row with `keys` is there, adds to the columns `add` and replaces the columns `put`.

    Where the column `same` is given and differs, the row is replaced as a whole.
    """
    insert: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table)
    values: dict[str, Any] = {name: table.c[name] + statement.excluded[name] for name in add}
    values |= {name: statement.excluded[name] for name in put}
    if same:
        is_same = table.c[same] == statement.excluded[same]
        values = {name: case((is_same, value), else_=statement.excluded[name]) for name, value in values.items()}
        values[same] = statement.excluded[same]
    upserted: Insert = (
        statement.on_conflict_do_update(index_elements=keys, set_=values)
        if values
        else statement.on_conflict_do_nothing(index_elements=keys)
    )
    return upserted


def parts(ids: Iterable[int]) -> Iterator[list[int]]:
    """Row ids in order, as many at once as one query may name; SQLite takes 32,766 parameters."""
    listed = sorted(ids)
    return (listed[start : start + IN_LIST_MAX] for start in range(0, len(listed), IN_LIST_MAX))


def insert_row(connection: Connection, table: Table, values: Mapping[str, Any]) -> int:
    """Insert one row; returns the id that it was given."""
    key = connection.execute(insert(table).values(dict(values))).inserted_primary_key
    if key is None:
        raise StoreError(f"{table.name}: the database gave no id")
    row_id: int = key[0]
    return row_id


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError(
            f"store.url {url!r} is no database URL: write sqlite:///mirror.db or postgresql://host/name"
        ) from error
    if backend == "postgresql" and parsed.drivername in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if backend not in {"sqlite", "postgresql"}:
        raise StoreError(f"store.url: {backend} is not supported: write sqlite:///mirror.db or postgresql://host/name")
    return parsed


def _postgresql(url: URL, *, write: bool) -> Engine:
    """One whose every wait has an end, so that a commit which hangs is told as one that failed, and is tried again.

    A writer that is frozen in a commit holds the turn of all others: the server ends its session. What the URL says wins.
    """
    ours = (
        {name: value for name, value in _LIBPQ.items() if name not in url.query} if url.drivername in _PSYCOPG else {}
    )
    engine = create_engine(url, pool_pre_ping=True, connect_args=ours)
    said = str(url.query.get("options", ""))
    settings = {"lock_timeout": LOCK_TIMEOUT_S} | (
        {"idle_in_transaction_session_timeout": IDLE_IN_COMMIT_S} if write else {}
    )
    statements = [f"SET {name} = '{value}s'" for name, value in settings.items() if name not in said]

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.commit()  # else a rollback would take it back

    return engine


def _sqlite(url: URL, *, write: bool, mode: str) -> Engine:
    if url.database in {None, "", ":memory:"}:
        raise StoreError("store.url: the store must be a file that readers can open too: write sqlite:///mirror.db")
    path = Path(str(url.database))
    if path.is_dir():
        raise StoreError(f"store {path} is a directory; name a file in it, such as sqlite:///{path}/mirror.db")
    if mode == "rwc" and not path.parent.is_dir():
        raise StoreError(f"store {path}: the directory {path.parent} does not exist; create it")
    if mode != "rwc" and not path.exists():
        raise StoreError(f"store {path}: there is no such file; has the collector run, and with this store.url?")
    # A plain path with `mode` needs SQLite's URI form; rwc creates, rw does not.
    target = f"{path.absolute().as_uri()}?mode={mode}"
    return _file_engine(url, target, write=write)


def _file_engine(url: URL, target: str, *, write: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            target, timeout=BUSY_TIMEOUT_S, uri=True, check_same_thread=False, isolation_level=None
        )
        try:
            connection.execute("PRAGMA foreign_keys=ON")
            if write:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
            else:
                connection.execute("PRAGMA query_only=ON")
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine(url, creator=connect)

    # With isolation_level None the driver begins nothing by itself, so that DDL is in the transaction too. The writer
    # takes its lock at once: a deferred one could not be upgraded while another process writes.
    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writing = write and not connection.get_execution_options().get(_READING)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


# By database: parts of an error's text, any of which means the advice. The first that fits.
_ADVICE: Final = {
    "sqlite": (
        (
            ("not a database", "malformed"),
            "the file is damaged or no store: move it away and start the collector again",
        ),
        (("locked",), "another process is writing: one collector a store"),
        (("readonly", "unable to open", "permission"), "the file and its directory must be writable"),
        (("full",), "free space on the disk"),
    ),
    "postgresql": (
        (
            ("lock timeout",),
            "another session holds its tables: stop the collectors on this store, or end what pg_stat_activity shows, then try again",
        ),
        (
            ("permission denied",),
            "grant its user what it lacks (mirror doctor says what), or name another user in store.url",
        ),
        (
            ("read-only transaction",),
            "the database, its user or this session is set to default_transaction_read_only, or the server is a standby",
        ),
    ),
}


def _advice(text: str, dialect: str) -> str:
    lower = text.lower()
    fitting = (advice for parts, advice in _ADVICE.get(dialect, ()) if any(part in lower for part in parts))
    return next((f"; {advice}" for advice in fitting), "")
