"""The reader: what pages, reports and verdicts ask. Any number of them, in any process, while the writer writes.

Each answer is one transaction, so its figures belong together. Nothing here writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from grpc_mirror.v1 import comparison_pb2
from sqlalchemy import Connection, Engine, Select, Table, func, select

from mirror.core import noise
from mirror.core.model import EpochKey, Kind, MethodCounts, Verdict
from mirror.store.accounts import Account, account_of
from mirror.store.clusters import CLUSTERS_SHOWN, clusters_of, newest_of
from mirror.store.engine import explained, open_engine, reading
from mirror.store.hypotheses import hypotheses_of, worst_states
from mirror.store.migrating import check
from mirror.store.rule_history import rule_changes_of
from mirror.store.ruling import rule_views
from mirror.store.schema_changes import schema_changes_of
from mirror.store.speed_views import instances_of, speeds_of
from mirror.store.summing import add_up, counts_by, minutes_of
from mirror.store.tables import epochs, methods, schema_problems, schemas, sources, totals, unknown_runs
from mirror.store.tables_of_examples import comparison_blobs, comparison_paths, comparisons
from mirror.store.views import (
    ClustersView,
    ComparisonView,
    EpochView,
    HypothesisView,
    InstanceView,
    MethodView,
    MinuteView,
    NamedCount,
    RuleChangeView,
    RuleView,
    RunView,
    SchemaChangesView,
    SourceView,
    SpeedView,
)

_LIST_MAX = 1000


class Reader:
    """Answers from the store behind `engine`. Safe for several threads. Every method raises StoreError."""

    def __init__(self, engine: Engine) -> None:
        self.engine = reading(engine)
        self._checked = False

    @classmethod
    def open(cls, url: str) -> Reader:
        """A reader of the store at `url`. Raises StoreError where there is none: nothing is created or migrated."""
        reader = cls(open_engine(url, write=False))
        try:
            with reader.connect():
                return reader
        except BaseException:
            reader.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection in one transaction, for several questions to one state of the store."""
        with explained(self.engine, "cannot be read"), self.engine.connect() as connection:
            if not self._checked:
                check(connection)
                self._checked = True
            yield connection

    @contextmanager
    def moment(self) -> Iterator[Reader]:
        """A reader all of whose answers are of one state of the store, for one thread. It holds one transaction: be quick."""
        with self.connect() as connection:
            yield _OfOneMoment(self.engine, connection)

    def runs(self) -> list[RunView]:
        """All runs that have an epoch, by name."""
        with self.connect() as connection:
            found = _epochs(connection, select(epochs))
        names = sorted({epoch.key.run for epoch in found})
        return [RunView(name, tuple(epoch for epoch in found if epoch.key.run == name)) for name in names]

    def epochs(self, run: str) -> list[EpochView]:
        """The epochs of a run, the newest first; none for a run without pairs."""
        with self.connect() as connection:
            return _epochs(connection, select(epochs).where(epochs.c.run == run))

    def epoch(self, epoch_id: int) -> EpochView | None:
        """One epoch; None where there is none."""
        with self.connect() as connection:
            return next(iter(_epochs(connection, select(epochs).where(epochs.c.id == epoch_id))), None)

    def methods(self, epoch_id: int) -> list[MethodView]:
        """The methods of an epoch by name."""
        with self.connect() as connection:
            counts = counts_by(connection, methods.c.name, methods.c.epoch_id == epoch_id)
            states = worst_states(connection, epoch_id)
        return [MethodView(name, counts[name], _state(states.get(name), counts[name])) for name in sorted(counts)]

    def minutes(self, epoch_id: int, method: str | None = None) -> list[MinuteView]:
        """The minutes of an epoch (of one method) in which anything came, in order. Open ones may still grow."""
        with self.connect() as connection:
            return minutes_of(connection, epoch_id, method=method)

    def hypotheses(self, epoch_id: int, method: str | None = None) -> list[HypothesisView]:
        """The hypotheses of an epoch (of one method), by name, judged with the triples counted so far."""
        with self.connect() as connection:
            return [view for view, _ in hypotheses_of(connection, epoch_id, method=method)]

    def speeds(self, epoch_id: int, method: str | None = None) -> list[SpeedView]:
        """Latency and size of the methods of an epoch (of one), by name."""
        with self.connect() as connection:
            return speeds_of(connection, epoch_id, method=method)

    def instances(self, epoch_id: int) -> list[InstanceView]:
        """The instances that served calls of an epoch, by role and name."""
        with self.connect() as connection:
            return instances_of(connection, epoch_id)

    def comparisons(  # noqa: PLR0913 - each narrows the list
        self,
        epoch_id: int,
        *,
        method: str | None = None,
        pattern: str | None = None,
        kind: str | None = None,
        verdict: str | None = None,
        limit: int = 50,
        before: float | None = None,
    ) -> list[ComparisonView]:
        """Kept comparisons, the newest first, at most `limit` (1,000).

        `before`: older than this; the `compared_at_s` of the last one of the page before. No two have the same.
        """
        query = select(comparisons, methods.c.name).join(methods).where(methods.c.epoch_id == epoch_id)
        if method is not None:
            query = query.where(methods.c.name == method)
        if verdict is not None:
            query = query.where(comparisons.c.verdict == str(verdict))
        if pattern is not None or kind is not None:
            query = query.where(comparisons.c.seq.in_(_with_path(epoch_id, pattern, kind)))
        if before is not None:
            query = query.where(comparisons.c.compared_at_s < before)
        with self.connect() as connection:
            rows = connection.execute(
                query.order_by(comparisons.c.compared_at_s.desc(), comparisons.c.seq.desc()).limit(
                    min(limit, _LIST_MAX)
                )
            ).all()
            paths = _paths(connection, [row.seq for row in rows])
        return [_comparison(row, paths.get(row.seq, [])) for row in rows]

    def comparison(self, comparison_id: str) -> comparison_pb2.Comparison | None:
        """The whole of one kept comparison; None where it was never kept or has been pruned."""
        with self.connect() as connection:
            blob = connection.execute(
                select(comparison_blobs.c.blob).join(comparisons).where(comparisons.c.id == comparison_id)
            ).scalar()
        return None if blob is None else comparison_pb2.Comparison.FromString(blob)

    def clusters(
        self, epoch_id: int, method: str | None = None, *, limit: int = CLUSTERS_SHOWN, examples: int = 5
    ) -> ClustersView:
        """The mismatches of an epoch (of one method) grouped by what differs: the `limit` of the strongest evidence.

        `examples`: at most so many of the newest kept comparisons of each.
        """
        with self.connect() as connection:
            has_secondary = connection.execute(select(epochs.c.has_secondary).where(epochs.c.id == epoch_id)).scalar()
            views = [view for view, _ in hypotheses_of(connection, epoch_id, method=method)]
            found = clusters_of(connection, epoch_id, views, has_secondary=bool(has_secondary), limit=limit)
            newest = newest_of(connection, found, examples)
            lines = _lines(connection, [seq for seqs in newest.values() for seq in seqs])
        clusters = tuple(
            replace(one.view, examples=tuple(lines[seq] for seq in newest[one.view.id] if seq in lines))
            for one in found.clusters
        )
        return ClustersView(clusters, found.count, found.left_over)

    def schema(self, fingerprint: str) -> bytes | None:
        """A serialised mirror.v1.Schema; None where there is none."""
        with self.connect() as connection:
            return connection.execute(select(schemas.c.blob).where(schemas.c.fingerprint == fingerprint)).scalar()

    def schema_changes(self, epoch_id: int, method: str | None = None) -> list[SchemaChangesView]:
        """What the candidate's schema changed, by method; none for methods whose schemas say the same."""
        with self.connect() as connection:
            return schema_changes_of(connection, epoch_id, method=method)

    def rule_changes(self, epoch_id: int) -> list[RuleChangeView]:
        """The changes of rules in an epoch, the newest first, each with what it restarted."""
        with self.connect() as connection:
            return rule_changes_of(connection, epoch_id)

    def counters(self, run: str | None = None) -> dict[str, int]:
        """Totals by name since the store was made: drops and conditions, of all runs together or of one."""
        query = select(totals.c.name, func.sum(totals.c.n)).group_by(totals.c.name).order_by(totals.c.name)
        if run is not None:
            query = query.where(totals.c.run == run)
        with self.connect() as connection:
            return {name: int(n) for name, n in connection.execute(query)}

    def account(self, run: str) -> Account:
        """What became of every call of a run. All figures are of one moment."""
        query = select(totals.c.run, totals.c.name, totals.c.n).where(totals.c.run.in_(("", run)))
        with self.connect() as connection:
            of: dict[str, dict[str, int]] = {"": {}, run: {}}
            for row in connection.execute(query):
                of[row.run][row.name] = row.n
            found = _epochs(connection, select(epochs).where(epochs.c.run == run))
            unknown = select(unknown_runs.c.n).where(unknown_runs.c.name == run)
            refused = connection.execute(unknown).scalar() or 0
        return account_of(run, of[run], of[""], [epoch.counts for epoch in found], refused=refused)

    def rules(self) -> list[RuleView]:
        """The rules of which anything is known, by id: how often each applied, and whether its paths exist."""
        with self.connect() as connection:
            return rule_views(connection)

    def sources(self) -> list[SourceView]:
        """The processes that reported of themselves, the one heard last first."""
        with self.connect() as connection:
            rows = connection.execute(select(sources).order_by(sources.c.last_s.desc(), sources.c.source_id)).all()
        return [
            SourceView(
                row.source_id,
                row.service,
                row.version,
                row.instance,
                row.first_s,
                row.last_s,
                row.captured,
                json.loads(row.dropped),
                json.loads(row.conditions),
            )
            for row in rows
        ]

    def unknown_runs(self) -> list[NamedCount]:
        """Runs that calls named and the configuration does not allow."""
        return self._named(unknown_runs)

    def schema_problems(self) -> list[NamedCount]:
        """What was wrong with schemas that could not be used."""
        return self._named(schema_problems)

    def _named(self, table: Table) -> list[NamedCount]:
        with self.connect() as connection:
            rows = connection.execute(select(table).order_by(table.c.name)).all()
        return [NamedCount(row.name, row.n, row.first_s, row.last_s) for row in rows]


class _OfOneMoment(Reader):
    """Answers on one connection, in its transaction."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        super().__init__(engine)
        self._connection = connection

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """The one connection."""
        with explained(self.engine, "cannot be read"):
            yield self._connection


def _epochs(connection: Connection, query: Select[Any]) -> list[EpochView]:
    rows = connection.execute(query.order_by(epochs.c.last_s.desc(), epochs.c.id.desc())).all()
    counts = counts_by(connection, methods.c.epoch_id, methods.c.epoch_id.in_([row.id for row in rows]))
    return [
        EpochView(
            row.id,
            EpochKey(row.run, row.service, row.primary_version, row.candidate_version),
            row.started_s,
            row.last_s,
            counts.get(row.id, add_up(())),
            row.has_secondary,
        )
        for row in rows
    ]


def _lines(connection: Connection, seqs: list[int]) -> dict[int, ComparisonView]:
    rows = connection.execute(
        select(comparisons, methods.c.name).join(methods).where(comparisons.c.seq.in_(seqs))
    ).all()
    paths = _paths(connection, seqs)
    return {row.seq: _comparison(row, paths.get(row.seq, [])) for row in rows}


def _state(worst: noise.State | None, counts: MethodCounts) -> noise.State:
    if worst is not None:
        return worst
    return noise.State.CLEAN if counts.triples else noise.State.UNSEEN


def _with_path(epoch_id: int, pattern: str | None, kind: str | None) -> Select[tuple[int]]:
    query = select(comparison_paths.c.comparison_seq).join(methods).where(methods.c.epoch_id == epoch_id)
    if pattern is not None:
        query = query.where(comparison_paths.c.pattern == pattern)
    return query if kind is None else query.where(comparison_paths.c.kind == str(kind))


def _paths(connection: Connection, seqs: list[int]) -> dict[int, list[tuple[str, Kind, bool]]]:
    found: dict[int, list[tuple[str, Kind, bool]]] = {}
    path = comparison_paths.c
    query = select(path.comparison_seq, path.pattern, path.kind, path.ignored).where(path.comparison_seq.in_(seqs))
    for seq, pattern, kind, ignored in connection.execute(query.order_by(path.pattern, path.kind)):
        found.setdefault(seq, []).append((pattern, Kind(kind), ignored))
    return found


def _comparison(row: Any, paths: list[tuple[str, Kind, bool]]) -> ComparisonView:
    return ComparisonView(
        id=row.id,
        method=row.name,
        mirror_id=row.mirror_id,
        trace_id=row.trace_id,
        verdict=Verdict(row.verdict),
        reason=row.reason,
        compared_at_s=row.compared_at_s,
        hypotheses=tuple((pattern, kind) for pattern, kind, ignored in paths if not ignored),
        ignored=tuple((pattern, kind) for pattern, kind, ignored in paths if ignored),
    )
