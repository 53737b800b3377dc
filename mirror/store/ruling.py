"""What is known of rules: how often each applied, whether its paths exist, and how often it was asked.

Rules come from the configuration, so their number is bounded.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select

from mirror.store.changes import Changes
from mirror.store.engine import upsert
from mirror.store.naming import stored
from mirror.store.tables import rule_hits, rule_statuses, rule_uses
from mirror.store.views import RuleStatus, RuleView


def add_rules(connection: Connection, changes: Changes, now_s: float, *, shared: bool = False) -> None:
    """Within a commit: add the hits and uses of the batch; replace the statuses where it has new ones.

    `shared`: other writers have seen other methods, whose statuses stay.
    """
    if changes.rule_hits:
        connection.execute(
            upsert(connection, rule_hits, keys=("run", "rule"), add=("n",), put=("last_s",)),
            [
                {"run": stored(run), "rule": stored(rule), "n": n, "last_s": now_s}
                for (run, rule), n in changes.rule_hits.items()
            ],
        )
    _add_uses(connection, changes)
    if changes.rule_statuses is None:
        return
    statuses = changes.rule_statuses
    if shared:
        statuses = _beside_others(connection, statuses)
    else:
        connection.execute(delete(rule_statuses))
    if statuses:
        connection.execute(
            insert(rule_statuses),
            [
                {"rule": s.rule, "run": s.run, "method": s.method, "status": s.status, "text": s.text}
                for s in sorted(statuses)
            ],
        )


def _beside_others(connection: Connection, statuses: frozenset[RuleStatus]) -> frozenset[RuleStatus]:
    """Delete what these statuses replace, and rules that are no more; the ones to insert.

    That no method has told about a rule is only worth saying while none has told another writer.
    """
    kept = [RuleStatus(*row) for row in connection.execute(select(rule_statuses))]
    rules = {status.rule for status in statuses if status.status != "expired"}
    told = {(one.rule, one.run, one.method) for one in statuses if one.run}
    stay = [one for one in kept if one.run and one.rule in rules and (one.rule, one.run, one.method) not in told]
    known = {one.rule for one in stay} | {rule for rule, _, _ in told}
    connection.execute(delete(rule_statuses))
    return frozenset(stay) | {one for one in statuses if one.run or one.rule not in known or one.status == "expired"}


def rule_views(connection: Connection) -> list[RuleView]:
    """All rules of which anything is known, by id."""
    column = rule_hits.c
    by_rule = select(column.rule, func.sum(column.n), func.max(column.last_s)).group_by(column.rule)
    hits = {rule: (int(n), last_s) for rule, n, last_s in connection.execute(by_rule)}
    statuses: dict[str, list[RuleStatus]] = {}
    for row in connection.execute(select(rule_statuses)):
        statuses.setdefault(row.rule, []).append(RuleStatus(*row))
    uses: dict[str, dict[str, tuple[int, int]]] = {}
    used = rule_uses.c
    by_meaning = select(used.rule, used.meaning, func.sum(used.compared), func.sum(used.applied))
    for rule, meaning, compared, applied in connection.execute(by_meaning.group_by(used.rule, used.meaning)):
        uses.setdefault(rule, {})[meaning] = int(compared), int(applied)
    return [
        RuleView(name, *hits.get(name, (0, None)), tuple(sorted(statuses.get(name, ()))), uses.get(name, {}))
        for name in sorted({*hits, *statuses, *uses})
    ]


def _add_uses(connection: Connection, changes: Changes) -> None:
    """A rule that means something else than before starts anew."""
    if changes.rule_uses:
        connection.execute(
            upsert(connection, rule_uses, keys=("run", "rule"), add=("compared", "applied"), same="meaning"),
            [
                {
                    "run": stored(run),
                    "rule": stored(rule),
                    "meaning": use.meaning,
                    "compared": use.compared,
                    "applied": use.applied,
                }
                for (run, rule), use in changes.rule_uses.items()
            ],
        )
