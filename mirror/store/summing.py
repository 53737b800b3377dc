"""Reading counts back: sums of minutes as MethodCounts. Reads only, on the caller's connection."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from mirror.core.model import Kind, MethodCounts
from mirror.store.tables import COUNTS, hypotheses, hypothesis_minutes, method_minutes, method_reasons, methods
from mirror.store.views import MinuteView


def counts_by(connection: Connection, by: ColumnElement[Any], *where: ColumnElement[bool]) -> dict[Any, MethodCounts]:
    """Counts and reasons summed by `by`, a column of `methods` (the minutes of which `where` narrows).

    `where` may name columns of `methods` only.
    """
    sums = connection.execute(
        select(by, *(func.sum(method_minutes.c[name]).label(name) for name in COUNTS))
        .join(methods, methods.c.id == method_minutes.c.method_id)
        .where(*where)
        .group_by(by)
    )
    found = {row[0]: dict(zip(COUNTS, map(int, row[1:]), strict=True)) for row in sums}
    reasons: defaultdict[Any, dict[str, int]] = defaultdict(dict)
    for key, reason, n in connection.execute(
        select(by, method_reasons.c.reason, func.sum(method_reasons.c.n))
        .join(methods, methods.c.id == method_reasons.c.method_id)
        .where(*where)
        .group_by(by, method_reasons.c.reason)
    ):
        reasons[key][reason] = int(n)
    return {key: MethodCounts(**counts, reasons=reasons[key]) for key, counts in found.items()}


def minutes_of(connection: Connection, epoch_id: int, *, method: str | None = None) -> list[MinuteView]:
    """The minutes of an epoch (of one method), in order, with what the hypothesis `any` counted in them. Without reasons."""
    where = [methods.c.epoch_id == epoch_id] + ([] if method is None else [methods.c.name == method])
    sums = connection.execute(
        select(method_minutes.c.minute, *(func.sum(method_minutes.c[name]).label(name) for name in COUNTS))
        .join(methods, methods.c.id == method_minutes.c.method_id)
        .where(*where)
        .group_by(method_minutes.c.minute)
        .order_by(method_minutes.c.minute)
    ).all()
    some = hypothesis_minutes.c
    differing = {
        minute: (int(b), int(c))
        for minute, b, c in connection.execute(
            select(some.minute, func.sum(some.b), func.sum(some.c))
            .join(hypotheses, hypotheses.c.id == some.hypothesis_id)
            .join(methods, methods.c.id == hypotheses.c.method_id)
            .where(*where, hypotheses.c.kind == Kind.ANY.value)
            .group_by(some.minute)
        )
    }
    found = []
    for row in sums:
        counts = MethodCounts(**dict(zip(COUNTS, map(int, row[1:]), strict=True)), reasons={})
        found.append(MinuteView(row.minute, counts, *differing.get(row.minute, (0, 0))))
    return found


def add_up(counts: Iterable[MethodCounts]) -> MethodCounts:
    """The sum of several methods' or minutes' counts."""
    sums, reasons = dict.fromkeys(COUNTS, 0), defaultdict[str, int](int)
    for one in counts:
        for name in COUNTS:
            sums[name] += getattr(one, name)
        for reason, n in one.reasons.items():
            reasons[reason] += n
    return MethodCounts(**sums, reasons=dict(reasons))
