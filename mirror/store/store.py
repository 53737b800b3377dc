"""The writer: one transaction for everything that the pipeline gathered, judged before it is committed.

One Store a process, used by one thread. Several processes may write to one database, one commit after the other: so each judges
and ranks what the others have added. kill -9 at any moment leaves either all of a commit or nothing.
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
from mirror.store.changes import Changes
from mirror.store.checkpoints import Checkpoint, Claim
from mirror.store.counting import add_counts, add_evidence, add_signatures, find_hypotheses, find_methods, unjudged_rows
from mirror.store.deciding import accepted_of, day_of
from mirror.store.engine import StoreError, explained, identity, named, open_engine, reading
from mirror.store.examples import add_examples, prune
from mirror.store.explaining import explained_members
from mirror.store.increments import InForce
from mirror.store.judging import JudgeOptions
from mirror.store.keeping import Keeper
from mirror.store.leaf_values import add_leaves
from mirror.store.limits import Limits
from mirror.store.migrating import migrate
from mirror.store.pruning import deletions, note_deletions
from mirror.store.queries import Reader
from mirror.store.resolving import Ids
from mirror.store.rule_history import changes_by_id
from mirror.store.sampling import Bucket, Sampler
from mirror.store.schema_changes import SCHEMA_CHANGES_OVER_LIMIT, add_schema_changes
from mirror.store.sets import SETS_OVER_LIMIT, add_sets, prune_samples
from mirror.store.settling import Settled, Standing, settle, take_over
from mirror.store.speeds import TOO_LATE, add_instances, add_speeds, judge_speeds, prune_speeds
from mirror.store.tables import schemas
from mirror.store.turns import is_done, note_done, ready_turns, take_turn
from mirror.store.value_votes import OVER_LIMIT, add_label_votes
from mirror.store.verdicts import latch_fails
from mirror.store.views import RuleChangeView

PRUNE_EVERY_S: Final = 60.0
EXPLAINED_MAX: Final = 10_000  # (epoch, method)s whose explained patterns are remembered


class Store:
    """Opened by `Store.open`; closed by `close` or as a context manager."""

    def __init__(
        self,
        engine: Engine,
        options: JudgeOptions,
        limits: Limits,
        *,
        shared: bool = False,
        deleted: tuple[int, int],
    ) -> None:
        self.engine = engine
        self.shared = shared
        self.options = options
        self.limits = limits
        self.keeper = Keeper(limits)
        self.sampler = Sampler(limits)
        self._ids = Ids()
        self._file = identity(engine)
        self._pruned_s = 0.0
        self._deletions = deleted  # and acceptances, at the last commit, or when it was opened
        self._now_s = 0.0  # of the last commit
        self._standing = Standing()
        self._explained: OrderedDict[tuple[EpochKey, str], frozenset[tuple[str, Kind]]] = OrderedDict()

    @classmethod
    def open(
        cls, url: str, *, judge: JudgeOptions | None = None, limits: Limits | None = None, shared: bool = False
    ) -> Store:
        """Open the store at `url` (sqlite:///file or postgresql://...), created and brought to this version's tables.

        `shared`: other processes write to it too, each with a part of the calls; else what they say of rules is replaced.

        Raises StoreError, with what to do, where that cannot be.
        """
        engine = open_engine(url, write=True)
        options = judge or JudgeOptions()
        try:
            migrate(engine)
            with explained(engine, "cannot be written"), engine.begin() as connection:
                ready_turns(connection)
                judging.remember(connection, options)
                note_deletions(connection)
                deleted = deletions(connection)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, options, limits or Limits(), shared=shared, deleted=deleted)

    def changes(self, in_force: InForce | None = None, *, takes_over: bool = False) -> Changes:
        """An empty builder that knows what has been kept this minute, for what is judged by the rules `in_force`."""
        return Changes(self.keeper, in_force, takes_over=takes_over, sampler=self.sampler)

    def claim(self, source: str, partition: int, *, owner: str, now_s: float) -> Claim:
        """Make a partition the caller's alone: whoever had it before can write no checkpoint of it any more. Raises StoreError."""
        with explained(self.engine, "cannot be written"), self.engine.begin() as connection:
            return marks.claim(connection, source, partition, owner=owner, now_s=now_s)

    def open_elsewhere(self, source: str) -> dict[str, int]:
        """Other sources of the sort of `source` with spans that were not counted yet, and how many. Raises StoreError."""
        with explained(self.engine, "cannot be read"), reading(self.engine).connect() as connection:
            return marks.open_elsewhere(connection, source)

    def active_elsewhere(self, source: str, *, since_s: float) -> dict[str, float]:
        """Who wrote since then by other sources of the sort of `source`, and when last. Raises StoreError."""
        with explained(self.engine, "cannot be read"), reading(self.engine).connect() as connection:
            return marks.active_elsewhere(connection, source, since_s=since_s)

    def commit(
        self, changes: Changes, now_s: float, checkpoints: Iterable[Checkpoint] = ()
    ) -> tuple[RuleChangeView, ...]:
        """Add `changes` in one transaction and judge what they touched and what has closed since. `now_s`: unix time.

        `checkpoints`: how far what `changes` came from was read, in the same transaction. What was counted under other rules
        than the changes' starts anew before: returns what that was. Raises StoreError, and FencedError where a partition is
        no longer ours; then nothing of it is in the store, and the same changes can be committed again.
        """
        self._require_same_file()
        checkpoints, deleted = tuple(checkpoints), self._deletions
        place = min((f"{one.claim.source} {one.claim.partition}" for one in checkpoints), default="")
        try:
            with explained(self.engine, "cannot be written"), self.engine.begin() as connection:
                take_turn(connection)
                if is_done(connection, place, changes.token):
                    return ()  # the answer to an earlier attempt was lost, not the attempt
                note_done(connection, place, changes.token)
                marks.write_checkpoints(connection, checkpoints, now_s)
                judged_methods, settled, sampled = self._write(connection, changes, now_s)
                history = tuple(changes_by_id(connection, settled.changed))
        except BaseException:
            # Rows that were created with it are gone again, and what was accepted meanwhile is still to be left out of it.
            self._ids.clear()
            self._deletions = deleted
            raise
        self._standing = settled.standing
        self.sampler.learn(sampled)
        self._ids.trim()
        if judged_methods or settled.restarted:
            self._explained.clear()
        if settled.restarted:
            self.sampler.clear()
        return history

    def explained(self, epoch: EpochKey, method: str) -> frozenset[tuple[str, Kind]]:
        """The (pattern, kind)s of a method that stay out of signatures now: explained by at least 10 triples, or accepted."""
        found = self._explained.get((epoch, method))
        if found is None:
            with explained(self.engine, "cannot be read"), reading(self.engine).connect() as connection:
                found = explained_members(connection, epoch, method, at_least=LEFT_OUT_FROM)
                if self._deletions[1]:  # 0: nobody ever accepted a path
                    found |= accepted_of(connection, epoch, method, day_of(self._now_s))
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
            take_turn(connection)
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

    def _forget_deleted(self, connection: Connection) -> bool:
        """Row ids of a run that was pruned are given out again: nothing that is remembered by them may be used.

        Whether a path was accepted since the last commit.
        """
        found = deletions(connection)
        if found != self._deletions:
            self._ids.clear()
            self._explained.clear()
            self.sampler.clear()
            self._standing = Standing(self._standing.taken_over, self._standing.rules)
            was, self._deletions = self._deletions, found
            return was[1] < found[1]
        return False

    def _write(
        self, connection: Connection, changes: Changes, now_s: float
    ) -> tuple[frozenset[int], Settled, dict[Bucket, int]]:
        self._now_s = now_s
        if self._forget_deleted(connection):
            changes = changes.without_any()
        standing, newest = take_over(connection, changes, self._standing)
        rows = find_methods(connection, changes, self._ids, limits=self.limits)
        settled = settle(connection, changes, rows, standing=standing, newest=newest, now_s=now_s)
        self._ids.forget(settled.restarted)
        changes = changes.without(settled.outdated) if settled.outdated else changes
        rows = find_hypotheses(connection, changes, rows, self._ids, limits=self.limits, now_s=now_s)
        add_counts(connection, changes, rows)
        touched = add_evidence(connection, changes, rows)
        values_over = add_label_votes(connection, changes, rows)
        add_leaves(connection, changes, rows, self.limits)
        speeds_late = add_speeds(connection, changes, rows, now_s)
        add_instances(connection, changes, rows, self.limits)
        add_signatures(connection, changes, rows, self.limits)
        trimmed = add_examples(connection, changes, rows, self.limits)
        sampled, sets_over = add_sets(connection, changes, rows, self.limits)
        reports.add_reports(connection, changes, limits=self.limits, now_s=now_s, shared=self.shared)
        over = add_schema_changes(connection, changes, rows, limits=self.limits, now_s=now_s)
        counted = {
            reports.COMPARISONS_WITHOUT_CAPTURES: trimmed,
            SCHEMA_CHANGES_OVER_LIMIT: over,
            SETS_OVER_LIMIT: sets_over,
            OVER_LIMIT: values_over,
            TOO_LATE: speeds_late,
        }
        reports.add_totals(connection, {(name, ""): n for name, n in counted.items()})
        if not 0 <= now_s - self._pruned_s < PRUNE_EVERY_S:
            _prune(connection, now_s, self.limits.kept_max_age_s, self.limits.kept_max_bytes)
            prune_speeds(connection, now_s)
            if prune_samples(connection, older_than_s=now_s - self.limits.kept_max_age_s):
                self.sampler.clear()
            self.sampler.ask_again()
            self._pruned_s = now_s
        judge_speeds(connection, now_s, self.options)
        unjudged = unjudged_rows(changes, rows)
        return judging.judge_touched(connection, touched, now_s, self.options, unjudged=unjudged), settled, sampled


def _prune(connection: Connection, now_s: float, max_age_s: float, max_bytes: int) -> int:
    aged, crowded = prune(connection, older_than_s=now_s - max_age_s, max_bytes=max_bytes)
    reports.add_totals(connection, {(reports.PRUNED_FOR_AGE, ""): aged, (reports.PRUNED_FOR_BYTES, ""): crowded})
    return aged + crowded
