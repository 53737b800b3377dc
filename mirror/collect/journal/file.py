"""The journal's file: SQLite in WAL mode with synchronous=FULL, one row a request. It holds payloads.

One process has it at a time (locking_mode=EXCLUSIVE, which also does without shared memory). Any thread may use it, one at a time.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple
from zlib import crc32

APPLICATION_ID: Final = 0x6D69726A  # "mirj"
FORMAT: Final = 2  # with a checksum beside each body, since SQLite has none
LOCK_TIMEOUT_S: Final = 5.0
PAGE_BYTES: Final = 16384  # bodies are large: half the processor time of 4096
WAL_PAGES: Final = 2000  # after which the log beside the file goes into it: 32 MiB
PROBE_BYTES: Final = 256 << 10
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# `damaged`: what it holds cannot be read; `failing`: it may work again; `setting`: it is the wrong file, or not ours alone.
Kind = Literal["damaged", "failing", "setting"]


class JournalError(Exception):
    """The journal cannot be used. The text says which file, why, and what to do."""

    def __init__(self, text: str, kind: Kind) -> None:
        super().__init__(text)
        self.kind = kind


class Row(NamedTuple):
    """One request. Positions rise and are never given twice. `intact`: it was read as it was written."""

    position: int
    arrived_s: float
    body: bytes
    intact: bool = True


class JournalFile:
    """An open file, created where there is none. Raises JournalError, as all its methods do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        if not path.parent.is_dir():
            raise JournalError(f"journal {path}: the directory {path.parent} does not exist; create it", "setting")
        _create(path)
        with self._explained("cannot be opened"):
            self._connection = sqlite3.connect(
                path, timeout=LOCK_TIMEOUT_S, check_same_thread=False, isolation_level=None
            )
        try:
            with self._explained("cannot be opened"):
                self._set_up()
                (self.id,) = self._one("SELECT value FROM meta WHERE name = 'id'")
            self._files = self._identity()
        except BaseException:
            self._connection.close()
            raise

    @property
    def next_position(self) -> int:
        """The first above all rows. Of those that were deleted the store knows: its checkpoints are above them."""
        with self._explained("cannot be read"), self._lock:
            (last,) = self._one("SELECT coalesce(max(position), -1) FROM requests")
        return int(last) + 1

    @property
    def used_bytes(self) -> int:
        """What rows take up in the file; its size may be more, which is used again."""
        with self._explained("cannot be read"), self._lock:
            (pages,) = self._one("PRAGMA page_count")
            (free,) = self._one("PRAGMA freelist_count")
            (size,) = self._one("PRAGMA page_size")
        return int((pages - free) * size)

    def sizes(self) -> Iterator[tuple[int, float, int]]:
        """Position, arrival (unix seconds) and bytes of every row, in order."""
        with self._explained("cannot be read"), self._lock:
            yield from self._connection.execute(
                "SELECT position, arrived_s, length(body) FROM requests ORDER BY position"
            )

    def require_same_files(self) -> None:
        """SQLite goes on writing to files that were deleted, and all that is in them would be gone with the process."""
        if self._identity() != self._files:
            raise JournalError(
                f"journal {self.path}: the file, or its log beside it, was deleted or replaced while the collector runs; put it "
                "back, or restart the collector to begin a new one",
                "failing",
            )

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows in one transaction; once it returns they survive whatever happens to process and machine."""
        self.require_same_files()
        with self._explained("cannot be written"), self._lock, self._transaction():
            self._connection.executemany(
                "INSERT INTO requests (position, arrived_s, body, crc) VALUES (?, ?, ?, ?)",
                ((row.position, row.arrived_s, row.body, crc32(row.body)) for row in rows),
            )

    def delete(self, below: int) -> None:
        """Let go of the rows below this position."""
        with self._explained("cannot be written"), self._lock, self._transaction():
            self._connection.execute("DELETE FROM requests WHERE position < ?", (below,))

    def read(self, first: int, below: int, at_most: int) -> list[Row]:
        """Up to `at_most` rows from `first` on, in order."""
        query = (
            "SELECT position, arrived_s, body, crc FROM requests WHERE position >= ? AND position < ? "
            "ORDER BY position LIMIT ?"
        )
        with self._explained("cannot be read"), self._lock:
            rows = self._connection.execute(query, (first, below, at_most)).fetchall()
        return [Row(position, arrived_s, body, crc32(body) == crc) for position, arrived_s, body, crc in rows]

    def probe(self) -> None:
        """Write as much as a request may be, and take it back: whether it works again."""
        self.require_same_files()
        with self._explained("cannot be written"), self._lock:
            with self._transaction():
                self._connection.execute("INSERT INTO probes VALUES (zeroblob(?))", (PROBE_BYTES,))
            with self._transaction():
                self._connection.execute("DELETE FROM probes")

    def close(self) -> None:
        """Close it; what is in the log beside it goes into the file where that can be."""
        with self._lock, suppress(sqlite3.Error):
            self._connection.close()

    def _set_up(self) -> None:
        run = self._connection.execute
        (application,) = self._one("PRAGMA application_id")
        (tables,) = self._one("SELECT count(*) FROM sqlite_master")
        (version,) = self._one("PRAGMA user_version")
        if (tables and (application != APPLICATION_ID or version != FORMAT)) or version > FORMAT:
            age = "a newer" if version > FORMAT else "an older"
            what = f"was written by {age} mirror" if application == APPLICATION_ID else "is another database"
            raise JournalError(f"journal {self.path}: the file {what}; name another journal.path", "setting")
        run(f"PRAGMA page_size={PAGE_BYTES}")
        run("PRAGMA locking_mode=EXCLUSIVE")
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        run(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        run(f"PRAGMA journal_size_limit={2 * WAL_PAGES * PAGE_BYTES}")  # it shrinks to it again
        with self._transaction():  # takes the lock, which it keeps
            run(f"PRAGMA application_id={APPLICATION_ID}")
            run(f"PRAGMA user_version={FORMAT}")
            run("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
            run(
                "CREATE TABLE IF NOT EXISTS requests"
                " (position INTEGER PRIMARY KEY, arrived_s REAL NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL)"
            )
            run("CREATE TABLE IF NOT EXISTS probes (body BLOB NOT NULL)")
            run("INSERT OR IGNORE INTO meta VALUES ('id', ?)", (uuid.uuid4().hex,))

    def _identity(self) -> tuple[tuple[int, int] | None, ...]:
        """Which files the paths of the database and of its log name now."""
        return tuple(_file_at(path) for path in (self.path, self.path.with_name(f"{self.path.name}-wal")))

    def _one(self, query: str) -> tuple[int, ...]:
        row: tuple[int, ...] = self._connection.execute(query).fetchone()
        return row

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _journal_error(self.path, doing, error) from error


def _file_at(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _create(path: Path) -> None:
    """It holds payloads: only its owner may read it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise JournalError(
            f"journal {path}: cannot be opened: {error.strerror}; the file and its directory must be writable",
            "failing",
        ) from error


def _journal_error(path: Path, doing: str, error: sqlite3.Error) -> JournalError:
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    kind: Kind = "failing"
    advice = ""
    if code in _DAMAGED:
        kind, advice = (
            "damaged",
            ("; stop the collector and move the file away: what it holds and was not counted yet is lost"),
        )
    elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        kind, advice = "setting", "; another collector uses it: one collector a journal"
    elif code == sqlite3.SQLITE_FULL:
        advice = "; free space on its disk"
    elif code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        advice = "; the file and its directory must be writable"
    elif code == sqlite3.SQLITE_IOERR:
        advice = "; look at its disk: is it full, or broken?"
    return JournalError(f"journal {path}: {doing}: {error}{advice}", kind)
