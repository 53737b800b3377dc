"""Latency and size by method: counted by minute, judged by hour, in the transaction of everything else.

What a minute holds is counts (cells and sketches) as JSON, since most of them are a handful: it is read, added to and written
back under its row's lock. Minutes are kept for some hours, hours for good: growth is by methods and hours.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from mirror.core.speed.evidence import AtLeast, Hour, at_least, has_votes
from mirror.core.speed.minute import MinuteSpeed
from mirror.core.speed.votes import NO_VOTES, TAILS, add_votes
from mirror.store.changes import Changes
from mirror.store.counting import Rows
from mirror.store.engine import upsert
from mirror.store.judging import JudgeOptions
from mirror.store.limits import OTHER, Limits
from mirror.store.naming import stored
from mirror.store.tables import epochs, methods
from mirror.store.tables_of_values import instances, speed_hours, speed_minutes, speeds

MINUTES_KEPT: Final = 360  # of which the counts are there; of an hour of which some went nothing is counted anew
TOO_LATE: Final = "speeds_too_late"  # triples whose minute has gone, in `totals`
_MINUTE = speed_minutes.c
_KEYS: Final = ("method_id", "metric", "minute")
_Place = tuple[int, str]  # method id, metric


def add_speeds(connection: Connection, changes: Changes, rows: Rows, now_s: float) -> int:
    """Add what was measured in the batch; returns how many triples came too late for their minute."""
    oldest = int(now_s // 60) - MINUTES_KEPT + 60
    found: dict[tuple[int, str, int], MinuteSpeed] = {}
    late = 0
    for (epoch, method, minute), by_metric in changes.speeds.items():
        for metric, speed in by_metric.items():
            if minute < oldest:
                late += speed.n
            else:
                found.setdefault((rows.method(epoch, method), metric, minute), MinuteSpeed()).merge(speed)
    if found:
        empty = [dict(zip(_KEYS, place, strict=True)) | {"counts": "{}", "counted": False} for place in found]
        connection.execute(upsert(connection, speed_minutes, keys=_KEYS, add=(), put=("counted",)), empty)
        for place, speed in found.items():
            here = [_MINUTE[name] == value for name, value in zip(_KEYS, place, strict=True)]
            known = connection.execute(select(_MINUTE.counts).where(*here).with_for_update()).scalar_one()
            speed.merge(MinuteSpeed.of(json.loads(known)))
            connection.execute(update(speed_minutes).where(*here).values(counts=json.dumps(speed.plain())))
    return late


def judge_speeds(connection: Connection, now_s: float, options: JudgeOptions) -> None:
    """Count the votes of minutes that have closed, rank, and raise the bounds."""
    closed = options.last_closed(now_s)
    due = connection.execute(
        select(_MINUTE.method_id, _MINUTE.metric, _MINUTE.minute, epochs.c.start_minute, epochs.c.id.label("epoch_id"))
        .join(methods, methods.c.id == _MINUTE.method_id)
        .join(epochs, epochs.c.id == methods.c.epoch_id)
        .where(~_MINUTE.counted, _MINUTE.minute <= closed)
    ).all()
    if not due:
        return
    by_call = options.vote_by == "call"
    hours = {(row.method_id, row.metric, max(0, row.minute - row.start_minute) // 60): row for row in due}
    for (method_id, metric, hour), row in hours.items():
        # Hour 0 holds also what came before the epoch's first minute.
        first, last = row.start_minute + 60 * hour if hour else 0, min(row.start_minute + 60 * hour + 59, closed)
        _count_hour(connection, (method_id, metric, hour), (first, last), by_call=by_call)
    connection.execute(update(speed_minutes).where(~_MINUTE.counted, _MINUTE.minute <= closed).values(counted=True))
    places = {(row.method_id, row.metric): row.epoch_id for row in due}
    _judge(connection, places, now_s, options)


def prune_speeds(connection: Connection, now_s: float) -> None:
    """Let the counts of old minutes go; their votes and figures stand in their hours."""
    connection.execute(delete(speed_minutes).where(_MINUTE.minute < int(now_s // 60) - MINUTES_KEPT))


def add_instances(connection: Connection, changes: Changes, rows: Rows, limits: Limits) -> None:
    """Add the calls that each instance served; those beyond an epoch's cap are counted together."""
    known: dict[int, set[tuple[str, str]]] = {}
    added: defaultdict[tuple[int, str, str], list[float]] = defaultdict(lambda: [0, float("inf"), 0.0])
    every = (
        (rows.epochs[e], str(role), instance, seen)
        for e, of_epoch in changes.instances.items()
        for (role, instance), seen in of_epoch.items()
    )
    for epoch_id, role, instance, seen in sorted(every, key=lambda one: one[:3]):
        if epoch_id not in known:
            query = select(instances.c.role, instances.c.instance).where(instances.c.epoch_id == epoch_id)
            known[epoch_id] = {(row.role, row.instance) for row in connection.execute(query)}
        name = stored(instance)
        if (role, name) not in known[epoch_id] and len(known[epoch_id]) >= limits.instances_max:
            name = OTHER
        known[epoch_id].add((role, name))
        sums = added[epoch_id, role, name]
        sums[:] = sums[0] + seen.calls, min(sums[1], seen.first_s), max(sums[2], seen.last_s)
    if added:
        connection.execute(
            upsert(connection, instances, keys=("epoch_id", "role", "instance"), add=("calls",), put=("last_s",)),
            [
                {"epoch_id": e, "role": role, "instance": name, "calls": int(n), "first_s": first_s, "last_s": last_s}
                for (e, role, name), (n, first_s, last_s) in added.items()
            ],
        )


def _count_hour(
    connection: Connection, place: tuple[int, str, int], minutes_of: tuple[int, int], *, by_call: bool
) -> None:
    """Count one hour of a method and metric anew from its minutes, the first to the last of them."""
    rows = connection.execute(
        select(_MINUTE.counts).where(
            _MINUTE.method_id == place[0], _MINUTE.metric == place[1], _MINUTE.minute.between(*minutes_of)
        )
    ).scalars()
    whole, median, tails = MinuteSpeed(), NO_VOTES, [NO_VOTES for _ in TAILS]
    minutes = 0
    for text in rows:
        minute = MinuteSpeed.of(json.loads(text))
        votes = minute.votes(by_call=by_call)
        median = add_votes(median, votes.median)
        tails = [add_votes(one, more) for one, more in zip(tails, votes.tails, strict=True)]
        whole.merge(minute)
        minutes += 1
    counted = {"n": whole.n, "minutes": minutes, "sketches": whole.plain()["sketches"]}
    connection.execute(
        upsert(connection, speed_hours, keys=("method_id", "metric", "hour"), add=(), put=("votes", "counts")),
        [
            {
                "method_id": place[0],
                "metric": place[1],
                "hour": place[2],
                "votes": json.dumps({"median": median, "tails": tails}),
                "counts": json.dumps(counted),
            }
        ],
    )


def _judge(connection: Connection, places: Mapping[_Place, int], now_s: float, options: JudgeOptions) -> None:
    known = {(row.method_id, row.metric): row for row in _speed_rows(connection, {place[0] for place in places})}
    hours = hours_of(connection, {place[0] for place in places})
    unranked = [
        place for place in places if has_votes(hours.get(place, ())) and not (place in known and known[place].rank)
    ]
    ranks = _give_ranks(connection, unranked, places)
    changed = []
    for place in places:
        row = known.get(place)
        rank = ranks.get(place) or (row.rank if row else 0)
        was = AtLeast(row.median_ratio, row.tail_ratio) if row else AtLeast()
        now = was.or_more(at_least(hours.get(place, ()), rank, alpha=options.alpha)) if rank else was
        if row is None or (now, rank) != (was, row.rank):
            since_s = row.since_s if row is not None and now == was else now_s
            values = {"rank": rank, "median_ratio": now.median, "tail_ratio": now.tail, "since_s": since_s}
            changed.append({"method_id": place[0], "metric": place[1]} | values)
    if changed:
        put = ("rank", "median_ratio", "tail_ratio", "since_s")
        connection.execute(upsert(connection, speeds, keys=("method_id", "metric"), add=(), put=put), changed)


def hours_of(connection: Connection, method_ids: Iterable[int]) -> dict[_Place, list[Hour]]:
    """The votes of each hour begun, oldest first, by method and metric."""
    found: defaultdict[_Place, dict[int, Hour]] = defaultdict(dict)
    for row in connection.execute(select(speed_hours).where(speed_hours.c.method_id.in_(sorted(method_ids)))):
        votes = json.loads(row.votes)
        found[row.method_id, row.metric][row.hour] = Hour(
            _votes(votes["median"]), tuple(_votes(one) for one in votes["tails"])
        )
    none = Hour(NO_VOTES, tuple(NO_VOTES for _ in TAILS))
    return {place: [hours.get(hour, none) for hour in range(max(hours) + 1)] for place, hours in found.items()}


def _votes(plain: Any) -> tuple[tuple[int, int], ...]:
    return tuple((raw, noise) for raw, noise in plain)


def _speed_rows(connection: Connection, method_ids: Iterable[int]) -> list[Row[Any]]:
    return list(connection.execute(select(speeds).where(speeds.c.method_id.in_(sorted(method_ids)))))


def _give_ranks(connection: Connection, unranked: list[_Place], places: Mapping[_Place, int]) -> dict[_Place, int]:
    """The next ranks among the latencies and sizes of each epoch, by method and metric."""
    if not unranked:
        return {}
    epoch_ids = {places[place] for place in unranked}
    last = dict(
        connection.execute(
            select(epochs.c.id, epochs.c.speed_ranks).where(epochs.c.id.in_(epoch_ids)).with_for_update()
        ).all()
    )
    given = {}
    for place in sorted(unranked):
        last[places[place]] += 1
        given[place] = last[places[place]]
    connection.execute(
        update(epochs).where(epochs.c.id == bindparam("row")).values(speed_ranks=bindparam("last")),
        [{"row": epoch_id, "last": rank} for epoch_id, rank in last.items()],
    )
    return given
