"""How many leaf values the sampled answers of each method have, by path pattern. On the caller's connection."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, update

from mirror.core.model import Leaf
from mirror.store.changes import Changes
from mirror.store.counting import Rows
from mirror.store.engine import upsert
from mirror.store.limits import OTHER, Limits
from mirror.store.naming import stored
from mirror.store.tables import methods
from mirror.store.tables_of_values import leaf_values

_KEYS: Final = ("method_id", "pattern", "ignored", "hashed", "unhashed")


def add_leaves(connection: Connection, changes: Changes, rows: Rows, limits: Limits) -> None:
    """Add the leaves of the calls that were chosen; patterns beyond a method's cap are counted together."""
    counts: defaultdict[int, Counter[Leaf]] = defaultdict(Counter)
    calls: Counter[int] = Counter()
    for (epoch, method), n in changes.leaf_calls.items():
        method_id = rows.method(epoch, method)
        calls[method_id] += n
        for leaf, found in changes.leaves[epoch, method].items():
            counts[method_id][leaf._replace(pattern=stored(leaf.pattern))] += found
    if calls:
        connection.execute(
            update(methods)
            .where(methods.c.id == bindparam("row"))
            .values(leaf_calls=methods.c.leaf_calls + bindparam("more")),
            [{"row": method_id, "more": n} for method_id, n in calls.items()],
        )
    added: Counter[tuple[int, Leaf]] = Counter()
    for method_id, of_leaf in counts.items():
        known = _known(connection, method_id)
        for leaf, n in sorted(of_leaf.items()):
            if leaf.pattern not in known and len(known) >= limits.hypotheses_max:
                leaf = leaf._replace(pattern=OTHER)  # noqa: PLW2901 - under the name of all others
            known.add(leaf.pattern)
            added[method_id, leaf] += n
    if added:
        connection.execute(
            upsert(connection, leaf_values, keys=_KEYS, add=("n",)),
            [{"method_id": method_id, **leaf._asdict(), "n": n} for (method_id, leaf), n in added.items()],
        )


def leaves_of(connection: Connection, epoch_id: int) -> dict[int, tuple[int, Counter[Leaf]]]:
    """Of each method of an epoch that has any: the calls looked at, and their leaves."""
    found: dict[int, tuple[int, Counter[Leaf]]] = {
        row.id: (row.leaf_calls, Counter())
        for row in connection.execute(
            select(methods.c.id, methods.c.leaf_calls).where(methods.c.epoch_id == epoch_id, methods.c.leaf_calls > 0)
        )
    }
    query = select(leaf_values).join(methods).where(methods.c.epoch_id == epoch_id)
    for row in connection.execute(query):
        if row.method_id in found:
            found[row.method_id][1][Leaf(row.pattern, row.ignored, row.hashed, row.unhashed)] += row.n
    return found


def forget_leaves(connection: Connection, method_id: int) -> None:
    """Other rules ignore other leaves: the method's are counted anew."""
    connection.execute(delete(leaf_values).where(leaf_values.c.method_id == method_id))
    connection.execute(update(methods).where(methods.c.id == method_id).values(leaf_calls=0))


def _known(connection: Connection, method_id: int) -> set[str]:
    query = select(leaf_values.c.pattern).where(leaf_values.c.method_id == method_id)
    return set(connection.execute(query.group_by(leaf_values.c.pattern)).scalars())
