"""The writer: one transaction for everything that the pipeline gathered, judged before it is committed.

One Store a database, used by one thread. kill -9 at any moment leaves either all of a commit or nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, Self

from sqlalchemy import Connection, Engine, select

from mirror.core.model import EpochKey, Kind
from mirror.core.noise import LEFT_OUT_FROM
from mirror.core.verdict import Policy
from mirror.store import checkpoints as marks
from mirror.store import judging, reports
from mirror.store.changes import Changes, InForce
from mirror.store.checkpoints import Checkpoint, Claim
from mirror.store.counting import add_counts, add_evidence, add_signatures, find_hypotheses, find_methods, unjudged_rows
from mirror.store.engine import StoreError, explained, identity, named, open_engine, reading
from mirror.store.examples import add_examples, prune
from mirror.store.explaining import explained_members
from mirror.store.judging import JudgeOptions
from mirror.store.keeping import Keeper
from mirror.store.limits import Limits
from mirror.store.migrating import migrate
from mirror.store.pruning import deletions, note_deletions
from mirror.store.queries import Reader
from mirror.store.resolving import Ids
from mirror.store.rule_history import changes_by_id
from mirror.store.schema_changes import SCHEMA_CHANGES_OVER_LIMIT, add_schema_changes
from mirror.store.settling import Settled, Standing, settle, take_over
from mirror.store.tables import schemas
from mirror.store.verdicts import latch_fails
from mirror.store.views import RuleChangeView

PRUNE_EVERY_S: Final = 60.0
EXPLAINED_MAX: Final = 10_000  # (epoch, method)s whose explained patterns are remembered


class Store:
    """Opened by `Store.open`; closed by `close` or as a context manager."""

    def __init__(self, engine: Engine, options: JudgeOptions, limits: Limits) -> None:
        self.engine = engine
        self.options = options
        self.limits = limits
        self.keeper = Keeper(limits)
        self._ids = Ids()
        self._file = identity(engine)
        self._pruned_s = 0.0
        self._deletions = -1
        self._standing = Standing()
        self._explained: OrderedDict[tuple[EpochKey, str], frozenset[tuple[str, Kind]]] = OrderedDict()

    @classmethod
    def open(cls, url: str, *, judge: JudgeOptions | None = None, limits: Limits | None = None) -> Store:
        """Open the store at `url` (sqlite:///file or postgresql://...), created and brought to this version's tables.

        Raises StoreError, with what to do, where that cannot be.
        """
        engine = open_engine(url, write=True)
        options = judge or JudgeOptions()
        try:
            migrate(engine)
            with explained(engine, "cannot be written"), engine.begin() as connection:
                judging.remember(connection, options)
                note_deletions(connection)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, options, limits or Limits())

    def changes(self, in_force: InForce | None = None, *, takes_over: bool = False) -> Changes:
        """An empty builder that knows what has been kept this minute, for what is judged by the rules `in_force`."""
        return Changes(self.keeper, in_force, takes_over=takes_over)

    def claim(self, source: str, partition: int, *, owner: str, now_s: float) -> Claim:
        """Make a partition the caller's alone: whoever had it before can write no checkpoint of it any more. Raises StoreError."""
        with explained(self.engine, "cannot be written"), self.engine.begin() as connection:
            return marks.claim(connection, source, partition, owner=owner, now_s=now_s)

    def commit(
        self, changes: Changes, now_s: float, checkpoints: Iterable[Checkpoint] = ()
    ) -> tuple[RuleChangeView, ...]:
        """Add `changes` in one transaction and judge what they touched and what has closed since. `now_s`: unix time.

        `checkpoints`: how far what `changes` came from was read, in the same transaction. What was counted under other rules
        than the changes' starts anew before: returns what that was. Raises StoreError, and FencedError where a partition is
        no longer ours; then nothing of it is in the store, and the same changes can be committed again.
        """
        self._require_same_file()
        try:
            with explained(self.engine, "cannot be written"), self.engine.begin() as connection:
                marks.write_checkpoints(connection, checkpoints, now_s)
                judged_methods, settled = self._write(connection, changes, now_s)
                history = tuple(changes_by_id(connection, settled.changed))
        except BaseException:
            # Rows that were created with it are gone again.
            self._ids.clear()
            raise
        self._standing = settled.standing
        self._ids.trim()
        if judged_methods or settled.restarted:
            self._explained.clear()
        return history

    def explained(self, epoch: EpochKey, method: str) -> frozenset[tuple[str, Kind]]:
        """The (pattern, kind)s of a method that stay out of signatures now: explained by at least 10 triples."""
        found = self._explained.get((epoch, method))
        if found is None:
            with explained(self.engine, "cannot be read"), reading(self.engine).connect() as connection:
                found = explained_members(connection, epoch, method, at_least=LEFT_OUT_FROM)
            self._explained[epoch, method] = found
            if len(self._explained) > EXPLAINED_MAX:
                self._explained.popitem(last=False)
        return found

    def schema(self, fingerprint: str) -> bytes | None:
        """A stored, serialised mirror.v1.Schema; None where there is none."""
        return self.reader().schema(fingerprint)

    def schemas(self) -> Iterator[tuple[str, bytes]]:
        """All stored schemas by fingerprint, the newest first."""
        with explained(self.engine, "cannot be read"), reading(self.engine).connect() as connection:
            rows = connection.execute(select(schemas.c.fingerprint, schemas.c.blob).order_by(schemas.c.first_s.desc()))
            yield from rows

    def look(self, policy: Policy, now_s: float) -> None:
        """Decide every epoch that got a pair within the last hour and keep why it failed: a fail is for good.

        Regressed paths and broken minutes stay by themselves; a rate over the budget, without a secondary, could sink again.
        """
        with explained(self.engine, "cannot be written"), self.engine.begin() as connection:
            latch_fails(connection, policy, now_s)

    def prune(self, now_s: float, max_age_s: float, payload_max_bytes: int) -> int:
        """Delete kept comparisons that are too old, then the oldest beyond `payload_max_bytes`; returns how many.

        Each commit does so once a minute with the limits; this is for asking at once.
        """
        with explained(self.engine, "cannot be pruned"), self.engine.begin() as connection:
            return _prune(connection, now_s, max_age_s, payload_max_bytes)

    def reader(self) -> Reader:
        """A reader of this store, for other threads too."""
        return Reader(reading(self.engine))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require_same_file(self) -> None:
        """SQLite goes on writing to a file that was deleted, and all of it would be gone at the end."""
        if identity(self.engine) != self._file:
            raise StoreError(
                f"store {named(self.engine.url)}: the file was deleted or replaced while the collector runs; "
                "put it back, or restart the collector to begin a new one"
            )

    def _forget_deleted(self, connection: Connection) -> None:
        """Row ids of a run that was pruned are given out again: nothing that is remembered by them may be used."""
        found = deletions(connection)
        if found != self._deletions:
            self._ids.clear()
            self._explained.clear()
            self._standing = Standing(self._standing.taken_over, self._standing.rules)
            self._deletions = found

    def _write(self, connection: Connection, changes: Changes, now_s: float) -> tuple[frozenset[int], Settled]:
        self._forget_deleted(connection)
        standing, newest = take_over(connection, changes, self._standing)
        rows = find_methods(connection, changes, self._ids, limits=self.limits)
        settled = settle(connection, changes, rows, standing=standing, newest=newest, now_s=now_s)
        self._ids.forget(settled.restarted)
        changes = changes.without(settled.outdated) if settled.outdated else changes
        rows = find_hypotheses(connection, changes, rows, self._ids, limits=self.limits, now_s=now_s)
        add_counts(connection, changes, rows)
        touched = add_evidence(connection, changes, rows)
        add_signatures(connection, changes, rows, self.limits)
        trimmed = add_examples(connection, changes, rows, self.limits)
        reports.add_reports(connection, changes, limits=self.limits, now_s=now_s)
        over = add_schema_changes(connection, changes, rows, limits=self.limits, now_s=now_s)
        reports.add_totals(
            connection, {(reports.COMPARISONS_WITHOUT_CAPTURES, ""): trimmed, (SCHEMA_CHANGES_OVER_LIMIT, ""): over}
        )
        if not 0 <= now_s - self._pruned_s < PRUNE_EVERY_S:
            _prune(connection, now_s, self.limits.kept_max_age_s, self.limits.kept_max_bytes)
            self._pruned_s = now_s
        unjudged = unjudged_rows(changes, rows)
        return judging.judge_touched(connection, touched, now_s, self.options, unjudged=unjudged), settled


def _prune(connection: Connection, now_s: float, max_age_s: float, max_bytes: int) -> int:
    aged, crowded = prune(connection, older_than_s=now_s - max_age_s, max_bytes=max_bytes)
    reports.add_totals(connection, {(reports.PRUNED_FOR_AGE, ""): aged, (reports.PRUNED_FOR_BYTES, ""): crowded})
    return aged + crowded
