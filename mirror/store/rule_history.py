"""The history of changes of rules: written with what they restarted, read back by epoch. On the caller's connection.

Bounded: of an epoch the newest HISTORY_MAX changes are kept, and of one change so many rules.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, delete, select

from mirror.core.rules import RuleChange, RuleMark, parameters_of
from mirror.store.engine import insert_row
from mirror.store.tables import epochs, rule_changes
from mirror.store.views import ChangedRule, RestartedPath, RestartView, RuleChangeView

HISTORY_MAX: Final = 500  # changes of one epoch
RULES_LISTED: Final = 200  # of one change, on each side


def add_change(
    connection: Connection, epoch_id: int, done: Sequence[tuple[RuleChange, RestartView]], now_s: float
) -> int:
    """Write one change of an epoch's rules, of several methods together; returns its id."""
    today = datetime.fromtimestamp(now_s, tz=UTC).date()
    values = {
        "epoch_id": epoch_id,
        "at_s": now_s,
        "added": _rules((mark for change, _ in done for mark in change.added), today),
        "removed": _rules((mark for change, _ in done for mark in change.removed), today),
        "restarts": json.dumps([asdict(view) for _, view in done]),
    }
    row_id = insert_row(connection, rule_changes, values)
    mine = rule_changes.c.epoch_id == epoch_id
    newest = select(rule_changes.c.id).where(mine).order_by(rule_changes.c.id.desc()).limit(1).offset(HISTORY_MAX - 1)
    oldest_kept = connection.execute(newest).scalar()
    if oldest_kept is not None:
        connection.execute(delete(rule_changes).where(mine, rule_changes.c.id < oldest_kept))
    return row_id


def rule_changes_of(connection: Connection, epoch_id: int) -> list[RuleChangeView]:
    """The changes of rules in an epoch, the newest first."""
    return _read(connection, rule_changes.c.epoch_id == epoch_id)


def changes_by_id(connection: Connection, ids: Collection[int]) -> list[RuleChangeView]:
    """The changes with these ids."""
    return _read(connection, rule_changes.c.id.in_(ids)) if ids else []


def _read(connection: Connection, which: ColumnElement[bool]) -> list[RuleChangeView]:
    rows = connection.execute(
        select(rule_changes, epochs.c.run, epochs.c.service)
        .join(epochs, epochs.c.id == rule_changes.c.epoch_id)
        .where(which)
        .order_by(rule_changes.c.id.desc())
    )
    return [_view(row) for row in rows]


def _rules(marks: Iterable[RuleMark], today: date) -> str:
    """JSON of these rules, each once; one that went on its day is said to have expired."""
    found = sorted(set(marks))[:RULES_LISTED]
    gone = today.isoformat()
    return json.dumps([asdict(mark) | {"expired": bool(mark.expires) and mark.expires < gone} for mark in found])


def _view(row: Row[Any]) -> RuleChangeView:
    rules = [_rule(kept, "added") for kept in json.loads(row.added)]
    rules += [_rule(kept, "expired" if kept["expired"] else "removed") for kept in json.loads(row.removed)]
    restarts = tuple(
        RestartView(**(one | {"paths": tuple(RestartedPath(**path) for path in one["paths"])}))
        for one in json.loads(row.restarts)
    )
    return RuleChangeView(row.run, row.service, row.at_s, tuple(sorted(rules, key=lambda r: (r.id, r.what))), restarts)


def _rule(kept: dict[str, Any], what: str) -> ChangedRule:
    named = RuleMark(kept["meaning"], kept["id"]).named
    papers = {name: kept[name] for name in ("id", "reason", "owner", "link")}
    parameters = parameters_of(kept["meaning"])
    return ChangedRule(
        what=what, type=named.type, path=str(named.path), parameters=parameters, methods=named.methods, **papers
    )
