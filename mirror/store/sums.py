"""Sums that must hold in a store, whatever happened to the collector: each commit writes all of them or none. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from mirror.store.tables import COUNTS, epochs, hypotheses, hypothesis_minutes, method_minutes, methods

SHOWN_MAX: Final = 10  # methods of each kind of finding
_VERDICTS: Final = ("matched", "mismatched", "ignored", "incomplete", "incomparable")
_EVIDENCE: Final = ("b", "c", "d", "pairs")


def sum_findings(connection: Connection) -> Iterator[str]:
    """What does not add up, by run and method; of each kind at most SHOWN_MAX."""
    minute = method_minutes.c
    of_verdicts = sum((minute[name] for name in _VERDICTS[1:]), minute[_VERDICTS[0]])
    wrong: tuple[tuple[ColumnElement[bool], str], ...] = (
        (minute.pairs != of_verdicts, f"pairs are not {' + '.join(_VERDICTS)}"),
        (minute.triples > minute.pairs, "there are more triples than pairs"),
        (minute.secondary_status > minute.triples, "secondary_status is over the triples"),
        (or_(*(minute[name] < 0 for name in COUNTS)), "a count is below 0"),
    )
    for condition, what in wrong:
        for run, method, n in connection.execute(_minutes(condition)):
            yield f"run {run}, {method}: in {n:,} of its minutes {what}"
    for run, method, kept, counted in connection.execute(_triples()):
        yield f"run {run}, {method}: has {kept:,} triples, its minutes together {counted:,}"
    for run, method, n in connection.execute(_hypotheses()):
        yield f"run {run}, {method}: {n:,} of its hypotheses have other counts than their minutes together"
    for run, method, n in connection.execute(_over_triples()):
        yield f"run {run}, {method}: {n:,} of its hypotheses count more triples than there were"


def _by_method(*columns: Any) -> Select[Any]:
    return select(epochs.c.run, methods.c.name, *columns).select_from(methods.join(epochs))


def _minutes(condition: ColumnElement[bool]) -> Select[Any]:
    query = _by_method(func.count()).join(method_minutes, method_minutes.c.method_id == methods.c.id).where(condition)
    return query.group_by(methods.c.id, epochs.c.run, methods.c.name).order_by(methods.c.id).limit(SHOWN_MAX)


def _triples() -> Select[Any]:
    counted = func.coalesce(func.sum(method_minutes.c.triples), 0)
    query = _by_method(methods.c.triples, counted).outerjoin(method_minutes, method_minutes.c.method_id == methods.c.id)
    grouped = query.group_by(methods.c.id, epochs.c.run, methods.c.name, methods.c.triples)
    return grouped.having(methods.c.triples != counted).order_by(methods.c.id).limit(SHOWN_MAX)


def _hypotheses() -> Select[Any]:
    one = hypotheses.c
    sums = {name: func.coalesce(func.sum(hypothesis_minutes.c[name]), 0) for name in _EVIDENCE}
    differing = (
        select(one.method_id)
        .select_from(hypotheses.outerjoin(hypothesis_minutes))
        .group_by(one.id, one.method_id, *(one[name] for name in _EVIDENCE))
        .having(or_(*(one[name] != counted for name, counted in sums.items())))
        .subquery()
    )
    return _count_by_method(differing.c.method_id)


def _over_triples() -> Select[Any]:
    one = hypotheses.c
    over = select(one.method_id).join(methods).where(one.b + one.c + one.d > methods.c.triples).subquery()
    return _count_by_method(over.c.method_id)


def _count_by_method(method_id: ColumnElement[Any]) -> Select[Any]:
    query = _by_method(func.count()).join(method_id.table, method_id == methods.c.id)
    return query.group_by(methods.c.id, epochs.c.run, methods.c.name).order_by(methods.c.id).limit(SHOWN_MAX)
