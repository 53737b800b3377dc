"""Starting one method's evidence anew as far as a change of rules covers it. Works inside the writer's transaction.

What goes: the hypotheses that are judged otherwise now, with their minutes and hours, and the fails that they were kept for;
found again, each gets a rank of its own, so that the chance of any false *regressed* stays under alpha. The bound is
counted anew from its signatures where only more is ignored, else it starts anew too. Counts of pairs by minute stay: they
are history. What the bound leaves out of them is noted in `methods.before`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from mirror.core.grounds import ALL_METHODS, name_of
from mirror.core.model import Hypothesis, Kind, MethodCounts
from mirror.core.rules import Covered, RuleChange
from mirror.store.counting import OVERFLOW_TEXT, signature_digest
from mirror.store.explaining import unexplained_pairs
from mirror.store.leaf_values import forget_leaves
from mirror.store.limits import OTHER
from mirror.store.naming import stored
from mirror.store.sets import forget_sets
from mirror.store.summing import counts_by
from mirror.store.tables import epoch_fails, hypotheses, methods
from mirror.store.tables_of_examples import signatures
from mirror.store.views import RestartedPath, RestartView

PATHS_LISTED: Final = 100  # in the history of one method's change; the true number is kept
_IN_LIST_MAX: Final = 5000
_HIDDEN: Final = ("only_", "evicted_without.")  # reasons that the bound counts beside the signatures


@dataclass(frozen=True, slots=True)
class _Found:
    """The hypotheses of a method by what becomes of them."""

    restarted: Sequence[Row[Any]]
    ignored: frozenset[int]  # of these, those that a rule ignores now, all of them
    merged: frozenset[int]  # and those that stand for several patterns, of which some may be
    recountable: bool  # whether every other restarted one is ignored


def restart(connection: Connection, method: Row[Any], change: RuleChange) -> RestartView:
    """Restart what `change` covers of `method` (id, epoch_id, name, triples, before); returns what that was."""
    forget_leaves(connection, method.id)
    found = _covered(connection, method.id, change)
    before = before_of(method.before)
    n = method.triples - before.triples
    x = unexplained_pairs(connection, method.id, n)
    bound = _bound(change, found, n)
    if bound == "restarted":
        connection.execute(delete(signatures).where(signatures.c.method_id == method.id))
        forget_sets(connection, method.id)
        connection.execute(update(hypotheses).where(hypotheses.c.method_id == method.id).values(left_out=0))
    elif bound == "recounted":
        _recount(connection, method.id, found)
    gone: list[Row[Any]] = []
    if bound != "kept":
        gone = _with_any(connection, method.id, found.restarted)
        _lift_fails(connection, method, gone)
        _delete(connection, [row.id for row in gone])
        _count_from_here(connection, method, before, recounted=bound == "recounted")
    after = n if bound != "restarted" else 0
    return RestartView(
        method.name,
        bound,
        triples=n,
        unexplained=x,
        unexplained_after=unexplained_pairs(connection, method.id, after),
        path_count=len(gone),
        paths=tuple(RestartedPath(r.pattern, r.kind, r.state, r.b, r.c, r.d) for r in gone[:PATHS_LISTED]),
    )


def restart_any(connection: Connection, method: Row[Any]) -> None:
    """Start the sum over all paths of `method` (id, epoch_id, name) anew, and lift what it made fail."""
    gone = _with_any(connection, method.id, ())
    _lift_fails(connection, method, gone)
    _delete(connection, [row.id for row in gone])


def _bound(change: RuleChange, found: _Found, n: int) -> str:
    """What becomes of the bound, as RestartView says it."""
    if change.ignores_more and not found.restarted:
        return "kept"
    # Without triples there are no signatures to count.
    return "recounted" if change.ignores_more and found.recountable and n else "restarted"


def before_of(text: str) -> MethodCounts:
    """What a method's bound leaves out of its counts."""
    return MethodCounts(**json.loads(text))


def _covered(connection: Connection, method_id: int, change: RuleChange) -> _Found:
    rows = _hypotheses(connection, method_id, hypotheses.c.kind != Kind.ANY.value)
    restarted, ignored, merged, recountable = [], set(), set(), True
    for row in rows:
        if row.pattern == OTHER:
            if not change.nothing:
                restarted.append(row)
                merged.add(row.id)
            continue
        covered = change.at(row.pattern)
        if covered is not Covered.NOT:
            restarted.append(row)
            recountable &= covered is Covered.IGNORED
        if covered is Covered.IGNORED:
            ignored.add(row.id)
    return _Found(restarted, frozenset(ignored), frozenset(merged), recountable)


def _hypotheses(connection: Connection, method_id: int, *where: Any) -> list[Row[Any]]:
    query = select(hypotheses).where(hypotheses.c.method_id == method_id, *where)
    return list(connection.execute(query.order_by(hypotheses.c.pattern, hypotheses.c.kind)))


def _with_any(connection: Connection, method_id: int, rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    """With the hypothesis that sums up the method: what went into it cannot be taken out again."""
    return [*rows, *_hypotheses(connection, method_id, hypotheses.c.kind == Kind.ANY.value)]


def _recount(connection: Connection, method_id: int, found: _Found) -> None:
    """Take what is ignored out of the signatures; one with "(other)" in it is unexplained, whatever it was."""
    mine = signatures.c.method_id == method_id
    sums: Counter[str] = Counter()
    for text, n in connection.execute(select(signatures.c.hypothesis_ids, signatures.c.n).where(mine)):
        ids = json.loads(text)
        left = [one for one in ids if one not in found.ignored]
        if not ids or found.merged.intersection(ids):
            sums[OVERFLOW_TEXT] += n
        elif left:
            sums[json.dumps(left)] += n
    connection.execute(delete(signatures).where(mine))
    if sums:
        connection.execute(
            insert(signatures),
            [
                {"method_id": method_id, "digest": signature_digest(text), "hypothesis_ids": text, "n": n}
                for text, n in sums.items()
            ],
        )


def _delete(connection: Connection, ids: Sequence[int]) -> None:
    """Their minutes and hours go with them."""
    for start in range(0, len(ids), _IN_LIST_MAX):
        connection.execute(delete(hypotheses).where(hypotheses.c.id.in_(ids[start : start + _IN_LIST_MAX])))


def _lift_fails(connection: Connection, method: Row[Any], gone: Collection[Row[Any]]) -> None:
    """What an epoch failed for, where it is not to be found again in what stays."""
    names = (name_of(Hypothesis(method.name, row.pattern, Kind(row.kind))) for row in gone)
    lifted = [("regressed", stored(name)) for name in names]
    lifted += [("broken", stored(method.name)), ("broken", ALL_METHODS), ("over_budget", "run")]
    fail = epoch_fails.c
    kept = connection.execute(select(fail.code, fail.place).where(fail.epoch_id == method.epoch_id)).all()
    for code, place in {(row.code, row.place) for row in kept} & set(lifted):
        connection.execute(
            delete(epoch_fails).where(fail.epoch_id == method.epoch_id, fail.code == code, fail.place == place)
        )


def _count_from_here(connection: Connection, method: Row[Any], before: MethodCounts, *, recounted: bool) -> None:
    """Note the counts so far. Signatures are of triples: without a secondary nothing can be counted anew."""
    so_far = counts_by(connection, methods.c.id, methods.c.id == method.id).get(method.id, MethodCounts())
    if recounted:
        reasons = {name: n for name, n in so_far.reasons.items() if not name.startswith(_HIDDEN)}
        held = {name: n for name, n in before.reasons.items() if name.startswith(_HIDDEN)}
        so_far = replace(so_far, triples=before.triples, reasons=reasons | held)
    connection.execute(
        update(methods)
        .where(methods.c.id == method.id)
        .values(triples_before=method.triples, before=json.dumps(asdict(so_far)))
    )
