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


def add_rules(connection: Connection, changes: Changes, now_s: float) -> None:
    """Within a commit: add the hits and uses of the batch; replace the statuses where it has new ones."""
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
    connection.execute(delete(rule_statuses))
    if changes.rule_statuses:
        connection.execute(
            insert(rule_statuses),
            [
                {"rule": s.rule, "run": s.run, "method": s.method, "status": s.status, "text": s.text}
                for s in sorted(changes.rule_statuses)
            ],
        )


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
