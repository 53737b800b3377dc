"""The store and the journal: can they be reached, read and written, and is there room? Changes nothing that stays."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import make_url

from mirror.cli.db.common import human
from mirror.cli.doctor.findings import Finding, note, ok, wrong
from mirror.collect.app import journal_path
from mirror.collect.journal.file import APPLICATION_ID
from mirror.config import Config
from mirror.store.columns import metadata
from mirror.store.engine import StoreError, explained, named, open_engine
from mirror.store.migrating import HEAD, revision_of

LEAST_FREE_BYTES: Final = 256 << 20
_GRANT: Final = 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "{}"'
_REACH: Final = (
    "see that the database runs and store.url names its host, port, user, password (or PGPASSWORD does) and database"
)


def store(config: Config) -> Iterator[Finding]:
    """Reachable, of which revision, writable, and for SQLite how much room its disk has."""
    url = config.store.url
    path = _sqlite_file(url)
    if path is not None and not path.exists():
        yield from _to_be_created("store.url", path)
        yield from _room("store.url", path.parent, config.store.payload_max_bytes)
        return
    try:
        engine = open_engine(url, write=False, mode="ro")
    except StoreError as problem:
        yield wrong("store.url", str(problem), "mend store.url (MIRROR_STORE_URL)")
        return
    try:
        with explained(engine, "cannot be reached"), engine.connect() as connection:
            yield from _database(connection, url)
    except StoreError as problem:
        yield wrong(
            "store.url", str(problem), "restore a backup, or name another store.url" if path else _access(problem, url)
        )
        return
    finally:
        engine.dispose()
    if path is not None:
        yield from _writable_file(url)
        yield from _room("store.url", path.parent, config.store.payload_max_bytes, held=path.stat().st_size)


def journal(config: Config) -> Iterator[Finding]:
    """Whether its file can be written, or made, and how much room its disk has."""
    if not config.journal.enabled:
        yield note("journal", "off: what was acknowledged and not committed is lost when the collector is killed")
        return
    path = journal_path(config)
    if path.exists():
        yield from _journal_file(path)
        held = path.stat().st_size
    else:
        yield from _to_be_created("journal.path", path)
        held = 0
    yield from _room("journal.path", path.parent, config.journal.max_bytes, held=held)


def _access(problem: StoreError, url: str) -> str:
    """What to do about a PostgreSQL that lets us not in, or not read."""
    return _granting(str(make_url(url).username)) if "permission denied" in str(problem) else _REACH


def _sqlite_file(url: str) -> Path | None:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in {None, "", ":memory:"}:
        return None
    return Path(str(parsed.database))


def _database(connection: Connection, url: str) -> Iterator[Finding]:
    if connection.dialect.name == "postgresql" and not _may_read(connection):
        user = connection.execute(text("SELECT current_user")).scalar_one()
        yield wrong("store.url", f"{named(url)}: {user} may not read its tables", _granting(user))
        return
    revision = revision_of(connection)
    shown = named(url)
    if revision is None:
        yield ok("store.url", f"{shown}: reachable, without tables of mirror; the collector makes them")
    elif revision > HEAD:
        text_ = f"{shown}: its tables are of revision {revision}, this version knows {HEAD}"
        yield wrong("store.url", text_, "update mirror, or name another store.url")
    elif revision < HEAD:
        advice = "stop older collectors and keep a backup; the next start brings them there, or mirror db upgrade"
        yield note("store.url", f"{shown}: its tables are of revision {revision}, this version's are {HEAD}", advice)
    else:
        yield ok("store.url", f"{shown}: reachable, revision {revision}")
    if connection.dialect.name == "postgresql":
        yield from _rights(connection, has_tables=revision is not None)


def _may_read(connection: Connection) -> bool:
    """Whether the revision can be read, where there is one."""
    asked = text("SELECT has_table_privilege(to_regclass('alembic_version')::oid, 'SELECT')")
    return connection.execute(asked).scalar() is not False


def _granting(user: str) -> str:
    return _GRANT.format(user)


def _rights(connection: Connection, *, has_tables: bool) -> Iterator[Finding]:
    user = connection.execute(text("SELECT current_user")).scalar_one()
    if connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one():
        yield wrong("store.url", "this server is a standby, which takes no writes", "name the primary server")
        return
    if connection.execute(text("SHOW transaction_read_only")).scalar_one() == "on":
        advice = "ALTER DATABASE ... RESET default_transaction_read_only, or the same of the user or the server"
        yield wrong("store.url", f"sessions of {user} are read-only here", advice)
        return
    asked = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
    if not connection.execute(text(asked)).scalar_one():
        advice = f'GRANT CREATE, USAGE ON SCHEMA public TO "{user}", or let its owner run mirror db upgrade'
        if not has_tables:
            yield wrong("store.url", f"{user} may not make tables", advice)
            return
        yield note("store.url", f"{user} may not make tables, so not upgrade them", advice)
    if not has_tables:
        return
    held = text(
        "SELECT bool_and(has_table_privilege(to_regclass(:name)::oid, p)) FROM unnest(ARRAY['SELECT','INSERT','UPDATE','DELETE']) p"
    )
    lacking = [t.name for t in metadata.sorted_tables if connection.execute(held, {"name": t.name}).scalar() is False]
    if lacking:
        yield wrong("store.url", f"{user} may not write to {', '.join(lacking)}", _granting(user))
    else:
        yield ok("store.url", f"{user} may write")


def _writable_file(url: str) -> Iterator[Finding]:
    """By the lock that a writer takes, given back at once; a collector that commits meanwhile waits a moment."""
    try:
        engine: Engine = open_engine(url, write=True, mode="rw")
    except StoreError as problem:
        yield wrong("store.url", str(problem), "mend store.url (MIRROR_STORE_URL)")
        return
    try:
        with explained(engine, "cannot be written"), engine.connect() as connection:
            connection.begin().rollback()
            yield ok("store.url", "writable")
    except StoreError as problem:
        yield wrong("store.url", str(problem), f"let {_user()} write the file and its folder")
    finally:
        engine.dispose()


def _journal_file(path: Path) -> Iterator[Finding]:
    """By its head alone: a collector has it to itself."""
    try:
        with path.open("r+b") as file:
            head = file.read(72)
    except OSError as error:
        yield wrong("journal.path", f"{path}: {error.strerror}", f"let {_user()} read and write it")
        return
    is_journal = head[:16] == b"SQLite format 3\0" and int.from_bytes(head[68:72], "big") in (APPLICATION_ID, 0)
    if head and not is_journal:
        yield wrong("journal.path", f"{path}: is no journal", "move it away, or name another journal.path")
        return
    yield from _folder("journal.path", path, "there, and writable")


def _to_be_created(about: str, path: Path) -> Iterator[Finding]:
    yield from _folder(about, path, "not there yet; the collector makes it")


def _folder(about: str, path: Path, good: str) -> Iterator[Finding]:
    """Files beside it (SQLite's log) must be made too."""
    folder = path.parent
    if not folder.is_dir():
        yield wrong(about, f"{path}: the folder {folder} does not exist", f"mkdir -p {folder}")
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except OSError as error:
        yield wrong(about, f"{path}: its folder cannot be written: {error.strerror}", f"let {_user()} write {folder}")
        return
    yield ok(about, f"{path}: {good}")


def _room(about: str, folder: Path, wanted: int, held: int = 0) -> Iterator[Finding]:
    """`wanted`: how much may come to be there; `held`: how much of it is already."""
    if not folder.is_dir():
        return
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        yield wrong(about, f"only {human(free)} are free on the disk of {folder}", "free space, or name another disk")
    elif free + held < wanted:
        advice = (
            f"free space, or lower {'journal.max_bytes' if about.startswith('journal') else 'store.payload_max_bytes'}"
        )
        text_ = f"{human(free)} are free on the disk of {folder}, up to {human(wanted)} may be wanted"
        yield note(about, text_, advice)
    else:
        yield ok(about, f"{human(free)} free on its disk")


def _user() -> str:
    return f"the user {os.getuid()}" if hasattr(os, "getuid") else "this user"
