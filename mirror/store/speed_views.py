"""Reading latency, size and instances back. Reads only, on the caller's connection."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any, Final

from sqlalchemy import Connection, select

from mirror.core.model import Role
from mirror.core.run_facts import LatencyFacts
from mirror.core.speed.minute import MinuteSpeed
from mirror.core.speed.sketch import quantiles
from mirror.core.speed.votes import Metric
from mirror.store.tables import methods
from mirror.store.tables_of_values import instances, speed_hours, speed_minutes, speeds
from mirror.store.views import InstanceView, SpeedMinuteView, SpeedView

SHARES: Final = (0.5, 0.9, 0.99)
MINUTES_SHOWN: Final = 60  # of each method and metric, the newest


def speeds_of(connection: Connection, epoch_id: int, *, method: str | None = None) -> list[SpeedView]:
    """Latency and size of the methods of an epoch (of one) by name; none before a minute of it was judged."""
    query = select(speeds, methods.c.name).join(methods).where(methods.c.epoch_id == epoch_id)
    if method is not None:
        query = query.where(methods.c.name == method)
    rows = connection.execute(query.order_by(methods.c.name, speeds.c.metric)).all()
    ids = [row.method_id for row in rows]
    totals: defaultdict[tuple[int, str], tuple[MinuteSpeed, list[int]]] = defaultdict(lambda: (MinuteSpeed(), [0]))
    for row in connection.execute(select(speed_hours).where(speed_hours.c.method_id.in_(ids))):
        whole, minutes = totals[row.method_id, row.metric]
        plain = json.loads(row.counts)
        whole.merge(MinuteSpeed.of(plain))
        minutes[0] += plain["minutes"]
    return [_view(connection, row, *totals[row.method_id, row.metric]) for row in rows]


def latencies_of(connection: Connection, epoch_id: int) -> dict[int, LatencyFacts]:
    """What the verdict asks of latency, by method id."""
    query = select(speeds).join(methods).where(methods.c.epoch_id == epoch_id, speeds.c.metric == Metric.LATENCY.value)
    rows = connection.execute(query).all()
    triples: Counter[int] = Counter()
    counted = select(speed_hours).where(
        speed_hours.c.method_id.in_([row.method_id for row in rows]), speed_hours.c.metric == Metric.LATENCY.value
    )
    for row in connection.execute(counted):
        triples[row.method_id] += json.loads(row.counts)["n"]
    return {row.method_id: LatencyFacts(row.median_ratio, row.tail_ratio, triples[row.method_id]) for row in rows}


def instances_of(connection: Connection, epoch_id: int) -> list[InstanceView]:
    """The instances that served calls of an epoch, by role and name."""
    here = instances.c
    rows = connection.execute(select(instances).where(here.epoch_id == epoch_id).order_by(here.role, here.instance))
    return [InstanceView(row.role, row.instance, row.calls, row.first_s, row.last_s) for row in rows]


def _view(connection: Connection, row: Any, whole: MinuteSpeed, minutes: list[int]) -> SpeedView:
    return SpeedView(
        method=row.name,
        metric=row.metric,
        triples=whole.n,
        minutes=minutes[0],
        rank=row.rank,
        median_ratio=row.median_ratio,
        tail_ratio=row.tail_ratio,
        since_s=row.since_s,
        quantiles={role.value: _of(whole, role, SHARES) for role in Role},
        by_minute=tuple(_by_minute(connection, row.method_id, row.metric)),
    )


def _by_minute(connection: Connection, method_id: int, metric: str) -> list[SpeedMinuteView]:
    here = speed_minutes.c
    query = select(here.minute, here.counts).where(here.method_id == method_id, here.metric == metric)
    newest = connection.execute(query.order_by(here.minute.desc()).limit(MINUTES_SHOWN)).all()
    found = []
    for row in reversed(newest):
        minute = MinuteSpeed.of(json.loads(row.counts))
        medians = {role.value: _of(minute, role, (0.5,))[0] for role in Role}
        found.append(SpeedMinuteView(row.minute, minute.n, medians))
    return found


def _of(speed: MinuteSpeed, role: Role, shares: tuple[float, ...]) -> tuple[float | None, ...]:
    return tuple(quantiles(speed.sketches[role].counts, shares))
