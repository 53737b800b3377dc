"""Adding what a batch says beside the counts of pairs: totals, schemas, processes' reports, rules, unknown names.

Works on the writer's connection, inside its transaction. Names come from the network: each kind of them has a cap,
beyond which "(other)" is counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from grpc_mirror.v1 import schema_pb2
from sqlalchemy import Connection, Table, func, select

from mirror.core.model import Resource
from mirror.store.changes import SOURCES_OVER_LIMIT, Changes
from mirror.store.engine import upsert
from mirror.store.limits import OTHER, SOURCE_FIGURE_MAX, Limits
from mirror.store.naming import stored
from mirror.store.ruling import add_rules
from mirror.store.tables import schema_problems, schemas, source_minutes, sources, totals, unknown_runs

REPORTED_BEFORE_MINUTES: Final = 10  # before a run's first pair drops may be its own: interceptors try again after 5 s
# Totals that the store itself counts.
SCHEMAS_OVER_LIMIT = "schemas_over_limit"
COMPARISONS_WITHOUT_CAPTURES = "comparisons_without_captures"
PRUNED_FOR_AGE = "comparisons_pruned_for_age"
PRUNED_FOR_BYTES = "comparisons_pruned_for_bytes"
PRUNED_WITH_RUN = "comparisons_pruned_with_run"
RUNS_PRUNED = "runs_pruned"


@dataclass(frozen=True, slots=True)
class _Source:
    """Cumulative figures of one process."""

    sequence: int
    captured: int
    dropped: dict[str, int]
    conditions: dict[str, int]
    build: tuple[str, str] = ("", "")  # service and version, as it said first: a stranger may not make up one a report

    @property
    def lost(self) -> int:
        """Captures dropped for whatever reason."""
        return sum(self.dropped.values())


def add_reports(
    connection: Connection, changes: Changes, *, limits: Limits, now_s: float, shared: bool = False
) -> None:
    """Add everything of the batch but pairs; the increase of each process's report goes to the totals.

    `shared`: other writers know of other methods.
    """
    more = Counter(changes.totals)
    more[SCHEMAS_OVER_LIMIT, ""] += _add_schemas(connection, changes.schemas, limits, now_s)
    more.update(_within_cap(connection, _add_sources(connection, changes.sources, limits, now_s), limits))
    add_totals(connection, more)
    _add_named(connection, unknown_runs, changes.unknown_runs, limits, now_s)
    _add_named(connection, schema_problems, changes.schema_problems, limits, now_s)
    add_rules(connection, changes, now_s, shared=shared)


def add_totals(connection: Connection, more: Mapping[tuple[str, str], int]) -> None:
    """Add to the totals, by name and run."""
    rows = [{"name": stored(name), "run": stored(run), "n": n} for (name, run), n in more.items() if n]
    if rows:
        connection.execute(upsert(connection, totals, keys=("name", "run"), add=("n",)), rows)


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _known(connection: Connection, table: Table, key: str, wanted: Mapping[str, Any]) -> set[str]:
    return set(connection.execute(select(table.c[key]).where(table.c[key].in_(list(wanted)))).scalars())


def _add_schemas(connection: Connection, blobs: Mapping[str, bytes], limits: Limits, now_s: float) -> int:
    if not blobs:
        return 0
    new = sorted(blobs.keys() - _known(connection, schemas, "fingerprint", blobs))
    room = max(0, limits.schemas_max - _count(connection, schemas)) if new else 0
    rows = [{"fingerprint": name, "blob": blobs[name], "first_s": now_s} for name in new[:room]]
    if rows:
        connection.execute(upsert(connection, schemas, keys=("fingerprint",), add=()), rows)
    return len(new) - len(rows)


def _add_named(connection: Connection, table: Table, names: Counter[str], limits: Limits, now_s: float) -> None:
    if not names:
        return
    counts: Counter[str] = Counter()
    for name, n in names.items():
        counts[stored(name)] += n
    new = sorted(counts.keys() - _known(connection, table, "name", counts))
    for name in new[max(0, limits.names_max - _count(connection, table)) :] if new else ():
        counts[OTHER] += counts.pop(name)
    statement = upsert(connection, table, keys=("name",), add=("n",), put=("last_s",))
    connection.execute(
        statement, [{"name": name, "n": n, "first_s": now_s, "last_s": now_s} for name, n in counts.items()]
    )


def _add_sources(
    connection: Connection,
    reports: Mapping[str, tuple[schema_pb2.SourceReport, Resource]],
    limits: Limits,
    now_s: float,
) -> Counter[tuple[str, str]]:
    """Take the reports; returns the increase of each figure since the source's last one."""
    more: Counter[tuple[str, str]] = Counter()
    if not reports:
        return more
    latest = {stored(name): taken for name, taken in reports.items()}
    known = {
        row.source_id: _Source(
            row.sequence,
            row.captured,
            json.loads(row.dropped),
            json.loads(row.conditions),
            (row.service, row.version),
        )
        for row in connection.execute(select(sources).where(sources.c.source_id.in_(list(latest))))
    }
    room = max(0, limits.sources_max - _count(connection, sources))
    rows = []
    by_build: Counter[tuple[tuple[str, str], str]] = Counter()
    for source_id, (report, resource) in sorted(latest.items()):
        before = known.get(source_id)
        if before is None and room == 0:
            more[SOURCES_OVER_LIMIT, ""] += 1
            continue
        room -= before is None
        if before is not None and report.sequence <= before.sequence:
            continue  # it came late, or again
        now = _risen(before, _figures(report, limits), limits)
        more.update(_increase(before, now))
        was = before or _Source(0, 0, {}, {}, (stored(resource.service), stored(resource.version)))
        by_build[was.build, "captured"] += now.captured - was.captured
        by_build[was.build, "dropped"] += now.lost - was.lost
        rows.append(_source_row(source_id, now, resource, now_s))
    put = ("instance", "sequence", "captured", "dropped", "conditions", "last_s")
    if rows:
        connection.execute(upsert(connection, sources, keys=("source_id",), add=(), put=put), rows)
        _add_minutes(connection, by_build, now_s)
    return more


def _add_minutes(connection: Connection, by_build: Mapping[tuple[tuple[str, str], str], int], now_s: float) -> None:
    """Add what the reports of now said beyond those before; it happened since then, so at the latest now."""
    rows = [
        {
            "service": service,
            "version": version,
            "minute": int(now_s // 60),
            "captured": by_build[(service, version), "captured"],
            "dropped": by_build[(service, version), "dropped"],
        }
        for service, version in sorted({build for build, _ in by_build})
    ]
    rows = [row for row in rows if row["captured"] or row["dropped"]]
    if rows:
        keys = ("service", "version", "minute")
        connection.execute(upsert(connection, source_minutes, keys=keys, add=("captured", "dropped")), rows)


def _figures(report: schema_pb2.SourceReport, limits: Limits) -> _Source:
    def bounded(counts: Mapping[str, int]) -> dict[str, int]:
        return {stored(name): _figure(counts[name]) for name in sorted(counts)[: limits.names_max]}

    sequence = min(report.sequence, 2**62)
    return _Source(sequence, _figure(report.captured), bounded(report.dropped), bounded(report.conditions))


def _figure(n: int) -> int:
    """A uint64 of a stranger, such that sums of them stay within the database's int64."""
    return min(n, SOURCE_FIGURE_MAX)


def _risen(before: _Source | None, now: _Source, limits: Limits) -> _Source:
    """Figures are cumulative: one that fell was wrong, and would count again when it rises."""
    if before is None:
        return now

    def highest(was: dict[str, int], counts: dict[str, int]) -> dict[str, int]:
        names = list(was | counts)[: limits.names_max]
        return {name: max(was.get(name, 0), counts.get(name, 0)) for name in names}

    return _Source(
        now.sequence,
        max(before.captured, now.captured),
        highest(before.dropped, now.dropped),
        highest(before.conditions, now.conditions),
    )


def _within_cap(connection: Connection, more: Counter[tuple[str, str]], limits: Limits) -> Counter[tuple[str, str]]:
    """The increases by name; of names that would go over the cap of all totals "(other)" by kind."""
    if not more:
        return more
    held = _count(connection, totals)
    if held + len(more) <= limits.totals_max:
        return more
    known = set(connection.execute(select(totals.c.name)).scalars())
    capped: Counter[tuple[str, str]] = Counter()
    for (name, run), n in sorted(more.items()):
        if stored(name) not in known:
            held += 1
        over = stored(name) not in known and held > limits.totals_max
        capped[f"{name.partition('.')[0]}.{OTHER}" if over else name, run] += n
    return capped


def _increase(before: _Source | None, now: _Source) -> Counter[tuple[str, str]]:
    was = before or _Source(0, 0, {}, {})
    more: Counter[tuple[str, str]] = Counter({("source_captured", ""): max(0, now.captured - was.captured)})
    for kind, counts, earlier in (
        ("source_dropped", now.dropped, was.dropped),
        ("source_condition", now.conditions, was.conditions),
    ):
        for name, n in counts.items():
            more[f"{kind}.{name}", ""] += max(0, n - earlier.get(name, 0))
    return more


def _source_row(source_id: str, now: _Source, resource: Resource, now_s: float) -> dict[str, Any]:
    return {
        "source_id": source_id,
        "service": stored(resource.service),
        "version": stored(resource.version),
        "instance": stored(resource.instance),
        "sequence": now.sequence,
        "captured": now.captured,
        "dropped": json.dumps(now.dropped),
        "conditions": json.dumps(now.conditions),
        "first_s": now_s,
        "last_s": now_s,
    }
