"""Is a store sound? Its revision, its file, its tables, sums that must hold, what it holds against the limits. Never writes.

Findings name tables, runs and methods, and say what to do; no payload is looked at. All is read in one transaction, so the
sums belong together while a collector writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Table, exists, func, inspect, select

from mirror.store.columns import metadata
from mirror.store.engine import StoreError, explained, open_engine, reading
from mirror.store.limits import Limits
from mirror.store.migrating import HEAD, revision_of
from mirror.store.sizing import Sizes, file_findings, sizes_of
from mirror.store.sums import sum_findings
from mirror.store.tables_of_examples import comparison_blobs, comparisons

LIMIT_SLACK_S: Final = 120.0  # a collector lets go once a minute
RESTORE: Final = "stop the collectors, keep a copy of the database, and go back to a backup"
_REACH: Final = (
    "see that the database runs, that this user may read it, and that store.url (MIRROR_STORE_URL) names its host, port, user, "
    "password and database"
)
_UPGRADE: Final = "stop older collectors, then run mirror db upgrade"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or (`serious` False) worth knowing; `advice` is what to do."""

    code: str
    text: str
    advice: str
    serious: bool = True


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found. `rows` by table; None where it could not come so far."""

    revision: str | None
    newest: str = HEAD
    findings: tuple[Finding, ...] = ()
    sizes: Sizes | None = None
    rows: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing serious was found."""
        return not any(one.serious for one in self.findings)


def check_store(url: str, limits: Limits, *, now_s: float, quick: bool = False) -> Checked:
    """Look at all of the store at `url`; `quick` leaves out what reads every page and every blob. `now_s`: unix time.

    Raises StoreError where the URL names no store at all; what is wrong in one is a finding.
    """
    engine = reading(open_engine(url, write=False, mode="ro"))
    revision: str | None = None
    findings: list[Finding] = []
    sizes, rows = None, dict[str, int]()
    try:
        with explained(engine, "cannot be reached"):
            engine.connect().close()
    except StoreError as problem:
        engine.dispose()  # nothing is known of the data, so no advice about them
        return Checked(None, HEAD, (Finding("unreachable", str(problem), _REACH),))
    try:
        with explained(engine, "cannot be read"), engine.connect() as connection:
            revision = revision_of(connection)
            findings += _revision(revision)
            findings += (Finding("damaged", text, RESTORE) for text in file_findings(connection, quick=quick))
            sizes = sizes_of(connection)
            if not findings:
                findings += _layout(connection)
            if not findings:
                findings += _contents(connection, limits, now_s, quick=quick)
                rows = {table.name: _rows(connection, table) for table in metadata.sorted_tables}
    except StoreError as problem:
        allowed = "permission denied" not in str(problem)
        findings.append(Finding("unreadable", str(problem), RESTORE if allowed else _REACH))
    finally:
        engine.dispose()
    return Checked(revision, HEAD, tuple(findings), sizes, rows)


def _revision(found: str | None) -> Iterator[Finding]:
    if found is None:
        yield Finding(
            "no_tables", "the database holds no tables of mirror", "start the collector, or run mirror db upgrade"
        )
    elif found > HEAD:
        text = f"its tables are of revision {found}; this version knows {HEAD}"
        yield Finding("newer", text, "update mirror; what else holds cannot be told")
    elif found != HEAD:
        yield Finding("older", f"its tables are of revision {found}, the newest is {HEAD}", _UPGRADE)


def _layout(connection: Connection) -> Iterator[Finding]:
    """Tables, columns and indexes that this revision has and the database lacks."""
    database = inspect(connection)
    there = set(database.get_table_names())
    for table in metadata.sorted_tables:
        if table.name not in there:
            yield Finding("layout", f"the table {table.name} is missing", RESTORE)
            continue
        lacking = {c.name for c in table.columns} - {c["name"] for c in database.get_columns(table.name)}
        indexes = {str(i.name) for i in table.indexes} - {i["name"] for i in database.get_indexes(table.name)}
        for what, names in (("columns", lacking), ("indexes", indexes)):
            if names:
                yield Finding("layout", f"the table {table.name} lacks the {what} {', '.join(sorted(names))}", RESTORE)


def _contents(connection: Connection, limits: Limits, now_s: float, *, quick: bool) -> Iterator[Finding]:
    yield from _orphans(connection)
    yield from _sums(connection)
    yield from _kept(connection, limits, now_s)
    if not quick:
        yield from _blobs(connection)


def _orphans(connection: Connection) -> Iterator[Finding]:
    """Rows whose parent is gone, and comparisons without their blob."""
    for table in metadata.sorted_tables:
        for key in table.foreign_keys:
            gone = ~exists().where(key.column == key.parent)
            n = connection.execute(select(func.count()).select_from(table).where(gone)).scalar_one()
            if n:
                yield Finding(
                    "orphans", f"{n:,} rows of {table.name} belong to no row of {key.column.table.name}", RESTORE
                )
    bare = ~exists().where(comparison_blobs.c.comparison_seq == comparisons.c.seq)
    n = connection.execute(select(func.count()).select_from(comparisons).where(bare)).scalar_one()
    if n:
        yield Finding(
            "orphans", f"{n:,} kept comparisons are without their blob: pages of them cannot be shown", RESTORE
        )


def _sums(connection: Connection) -> Iterator[Finding]:
    advice = "the figures of this run cannot be relied on: begin another run, and report this with the versions that wrote the store"
    yield from (Finding("sums", text, advice) for text in sum_findings(connection))


def _kept(connection: Connection, limits: Limits, now_s: float) -> Iterator[Finding]:
    """Beyond the limits until a collector runs: nothing is wrong with that, but someone may wonder."""
    advice = "a running collector lets them go within a minute; mirror db prune does at once"
    held = connection.execute(select(func.coalesce(func.sum(comparisons.c.size), 0))).scalar_one()
    if held > limits.kept_max_bytes:
        text = f"kept comparisons have {held:,} bytes, over store.payload_max_bytes ({limits.kept_max_bytes:,})"
        yield Finding("over_limit", text, advice, serious=False)
    before_s = now_s - limits.kept_max_age_s - LIMIT_SLACK_S
    old = select(func.count()).select_from(comparisons).where(comparisons.c.compared_at_s < before_s)
    if n := connection.execute(old).scalar_one():
        yield Finding(
            "over_limit", f"{n:,} kept comparisons are older than store.payload_max_age_s", advice, serious=False
        )
    large = select(func.count()).select_from(comparisons).where(comparisons.c.size > limits.comparison_max_bytes)
    if n := connection.execute(large).scalar_one():
        text = f"{n:,} kept comparisons are over {limits.comparison_max_bytes:,} bytes each"
        yield Finding(
            "over_limit", text, "they go with their age; another version may have had another limit", serious=False
        )


def _blobs(connection: Connection) -> Iterator[Finding]:
    other = func.length(comparison_blobs.c.blob) != comparisons.c.size
    n = connection.execute(
        select(func.count()).select_from(comparisons).join(comparison_blobs).where(other)
    ).scalar_one()
    if n:
        yield Finding("orphans", f"{n:,} kept comparisons have another size than is noted of them", RESTORE)


def _rows(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
