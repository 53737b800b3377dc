"""Holding a commit's rules against those that the store's counts were made under, and restarting what differs.

Each method of an epoch has the digest of the rules that its counts stand under. A collector that starts, or whose rules
change, takes over: then the newest epoch of each service in its runs is brought under its rules at once, and any other
when a pair comes for it. A collector that another one took over from may no longer add to methods that stand under other
rules than its own: what it judged of them is left out and counted. Where all digests are alike, a commit asks one row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select, update

from mirror.core.model import EpochKey
from mirror.core.rules import RuleChange, RuleMark, RuleSet
from mirror.store.changes import Changes
from mirror.store.counting import Rows
from mirror.store.engine import upsert
from mirror.store.increments import InForce
from mirror.store.limits import OTHER
from mirror.store.naming import stored
from mirror.store.restarting import restart
from mirror.store.rule_history import add_change
from mirror.store.tables import epochs, meta, methods, rule_sets
from mirror.store.views import RestartView

_TAKEN_OVER: Final = "rules_taken_over"  # how often, in `meta`


@dataclass(frozen=True, slots=True)
class Standing:
    """What this writer knows of the rules in the store: its own take-over, and the methods that stand under its rules."""

    taken_over: int = 0
    rules: RuleSet | None = None
    settled: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of one commit. `outdated`: (epoch, method)s of which nothing may be added."""

    standing: Standing
    outdated: frozenset[tuple[EpochKey, str]] = frozenset()
    restarted: frozenset[int] = frozenset()  # ids of methods
    changed: tuple[int, ...] = ()  # ids of what was written into the history


def take_over(connection: Connection, changes: Changes, standing: Standing) -> tuple[Standing, bool]:
    """Where the changes say so, take over; returns the standing and whether nobody has taken over since.

    Comes first in a commit: two collectors wait for each other here, before they hold anything else.
    """
    if changes.in_force is None:
        return standing, True
    asked = select(meta.c.value).where(meta.c.name == _TAKEN_OVER)
    if changes.takes_over:  # a row that is there can be locked
        connection.execute(upsert(connection, meta, keys=("name",), add=()), [{"name": _TAKEN_OVER, "value": "0"}])
    found = connection.execute(asked.with_for_update(read=not changes.takes_over)).scalar()
    number = int(found or 0)
    if changes.takes_over:
        number += 1
        connection.execute(update(meta).where(meta.c.name == _TAKEN_OVER).values(value=str(number)))
        standing = Standing(number)
    if standing.rules is not changes.in_force.rules:
        standing = Standing(standing.taken_over, changes.in_force.rules)
    return standing, standing.taken_over == number


def settle(  # noqa: PLR0913 - a step of a commit
    connection: Connection, changes: Changes, rows: Rows, *, standing: Standing, newest: bool, now_s: float
) -> Settled:
    """Bring the methods of the batch, and where it takes over all that live, under its rules."""
    in_force = changes.in_force
    if in_force is None:
        return Settled(standing)
    wanted = set(rows.methods.values()) - (standing.settled if newest else set())
    if changes.takes_over:
        wanted |= _living(connection, in_force)
    found = _methods(connection, wanted)
    other = [row for row in found if row.rules not in {None, in_force.rules.digest(row.run, _name(row))}]
    new = [row for row in found if row.rules is None]
    if not newest:
        ids = {row.id for row in other}
        outdated = frozenset((e, m) for e, m, _ in changes.counts if rows.method(e, m) in ids)
        _adopt(connection, new, in_force.rules)
        return Settled(standing, outdated)
    done = _restart(connection, other, in_force.rules, now_s)
    _adopt(connection, found if changes.takes_over else [*new, *other], in_force.rules)
    settled = standing.settled | {row.id for row in found}
    standing = Standing(standing.taken_over, standing.rules, settled)
    return Settled(standing, restarted=frozenset(row.id for row in other), changed=done)


def _living(connection: Connection, in_force: InForce) -> AbstractSet[int]:
    """The methods of the newest epoch of each service in the runs."""
    runs = [stored(run) for run in in_force.runs]
    newest: dict[tuple[str, str], int] = {}
    for row in connection.execute(
        select(epochs.c.id, epochs.c.run, epochs.c.service)
        .where(epochs.c.run.in_(runs))
        .order_by(epochs.c.last_s, epochs.c.id)
    ):
        newest[row.run, row.service] = row.id
    return set(connection.execute(select(methods.c.id).where(methods.c.epoch_id.in_(newest.values()))).scalars())


def _methods(connection: Connection, ids: Iterable[int]) -> list[Row[Any]]:
    wanted, found = sorted(ids), list[Row[Any]]()
    for start in range(0, len(wanted), 5000):
        found += connection.execute(
            select(methods, epochs.c.run)
            .join(epochs, epochs.c.id == methods.c.epoch_id)
            .where(methods.c.id.in_(wanted[start : start + 5000]))
            .order_by(methods.c.id)
        ).all()
    return found


def _name(method: Row[Any]) -> str | None:
    """As RuleSet takes it: behind "(other)" stand several, so all rules of the run concern it."""
    return None if method.name == OTHER else str(method.name)


def _restart(connection: Connection, changed: list[Row[Any]], rules: RuleSet, now_s: float) -> tuple[int, ...]:
    """Restart what the rules cover now or covered before, and write it into the history; returns the ids there."""
    digests = {row.rules for row in changed}
    kept = {
        row.digest: row.rules for row in connection.execute(select(rule_sets).where(rule_sets.c.digest.in_(digests)))
    }
    done: dict[int, list[tuple[RuleChange, RestartView]]] = {}
    known: dict[tuple[str, str], RuleChange] = {}  # methods often have the same rules
    for row in changed:
        after = rules.in_scope(row.run, _name(row))
        between = (row.rules, rules.digest(row.run, _name(row)))
        change = known.get(between)
        if change is None:
            before = [RuleMark(**mark) for mark in json.loads(kept.get(row.rules, "[]"))]
            change = known[between] = RuleChange(before, map(RuleMark.of, after))
        view = restart(connection, row, change)
        if not change.nothing:
            done.setdefault(row.epoch_id, []).append((change, view))
    return tuple(add_change(connection, epoch_id, of_epoch, now_s) for epoch_id, of_epoch in done.items())


def _adopt(connection: Connection, under: list[Row[Any]], rules: RuleSet) -> None:
    """Note that these methods stand under the rules; their papers, which may change alone, are written anew."""
    if not under:
        return
    digests = {row.id: rules.digest(row.run, _name(row)) for row in under}
    sets = {digests[row.id]: rules.in_scope(row.run, _name(row)) for row in under}
    connection.execute(
        upsert(connection, rule_sets, keys=("digest",), add=(), put=("rules",)),
        [
            {"digest": digest, "rules": json.dumps([asdict(RuleMark.of(rule)) for rule in scope])}
            for digest, scope in sorted(sets.items())
        ],
    )
    changed = [{"row": row.id, "digest": digests[row.id]} for row in under if row.rules != digests[row.id]]
    if changed:
        connection.execute(
            update(methods).where(methods.c.id == bindparam("row")).values(rules=bindparam("digest")), changed
        )
