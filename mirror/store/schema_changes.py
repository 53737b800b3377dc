"""What candidates' schemas changed: written once for each pair of schemas of a method, read back by method.

Works on the caller's connection. Names in it come from the network; they were cut where the changes were worked out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, func, select

from mirror.core.schema_changes import CHANGES_MAX, ChangeKind, SchemaChange, ordered
from mirror.store.changes import Changes
from mirror.store.counting import Rows
from mirror.store.engine import upsert
from mirror.store.limits import Limits
from mirror.store.naming import stored
from mirror.store.tables import methods, schema_changes
from mirror.store.views import SchemaChangesView

SCHEMA_CHANGES_OVER_LIMIT: Final = "schema_changes_over_limit"


def add_schema_changes(connection: Connection, changes: Changes, rows: Rows, *, limits: Limits, now_s: float) -> int:
    """Keep those of a batch; what is known already stays. Returns how many pairs of schemas were over the limit."""
    over, key = 0, ("method_id", "primary_fingerprint", "candidate_fingerprint")
    for pair, found in changes.schema_changes.items():
        method_id = rows.methods.get((rows.epochs.get(pair.epoch, 0), pair.method))
        if method_id is None:
            continue  # no group of the method is in the batch: it is told again after a restart
        held = connection.execute(
            select(func.count()).select_from(schema_changes).where(schema_changes.c.method_id == method_id)
        ).scalar_one()
        if held >= limits.schema_pairs_max:
            over += 1
            continue
        values = {
            "method_id": method_id,
            "primary_fingerprint": stored(pair.primary),
            "candidate_fingerprint": stored(pair.candidate),
            "n": found.count,
            "complete": found.complete,
            "changes": json.dumps([asdict(change) for change in found.changes]),
            "first_s": now_s,
        }
        connection.execute(upsert(connection, schema_changes, keys=key, add=()), [values])
    return over


def schema_changes_of(connection: Connection, epoch_id: int, *, method: str | None = None) -> list[SchemaChangesView]:
    """Those of an epoch (of one method), by method; several pairs of schemas of one method are put together."""
    query = select(methods.c.name, schema_changes).join(methods).where(methods.c.epoch_id == epoch_id)
    if method is not None:
        query = query.where(methods.c.name == method)
    rows = connection.execute(query.order_by(methods.c.name, schema_changes.c.first_s)).all()
    return [_view(name, list(some)) for name, some in groupby(rows, key=lambda row: str(row.name))]


def _view(method: str, rows: list[Any]) -> SchemaChangesView:
    found = ordered({change for row in rows for change in _changes(json.loads(row.changes))})
    return SchemaChangesView(
        method,
        tuple(found[:CHANGES_MAX]),
        count=max(len(found), *(int(row.n) for row in rows)),
        complete=all(row.complete for row in rows),
        first_s=min(row.first_s for row in rows),
    )


def _changes(kept: list[dict[str, Any]]) -> Iterable[SchemaChange]:
    for one in kept:
        yield SchemaChange(**(one | {"kind": ChangeKind(one["kind"])}))
