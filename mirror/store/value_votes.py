"""Votes of labels: of hypotheses of the kind `values`, what `counting` and `judging` do for the others.

Votes of a minute count once it is closed, which the hypothesis's row in `hypothesis_minutes` says. What has no path of its own,
being beyond the cap, has no votes: labels of several paths in one call are no independent votes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select

from mirror.core.values.labels import Label
from mirror.store.changes import Changes
from mirror.store.counting import Rows
from mirror.store.engine import parts, upsert
from mirror.store.limits import OTHER
from mirror.store.tables import hypothesis_minutes
from mirror.store.tables_of_values import value_hours, value_minutes

OVER_LIMIT: Final = "values_over_limit"  # votes of labels at paths beyond the cap, in `totals`
_VOTES = value_minutes.c
_MINUTES = hypothesis_minutes.c
_FROM: Final = value_minutes.join(
    hypothesis_minutes,
    and_(_MINUTES.hypothesis_id == _VOTES.hypothesis_id, _MINUTES.minute == _VOTES.minute),
)
ByHour: TypeAlias = Mapping[Label, Mapping[int, tuple[int, int]]]  # raw and noise votes by hour of the epoch


def add_label_votes(connection: Connection, changes: Changes, rows: Rows) -> int:
    """Add the votes of labels by minute; returns how many were left out."""
    found: defaultdict[tuple[int, int, str, str], list[int]] = defaultdict(lambda: [0, 0])
    over = 0
    for (epoch, hypothesis, minute), votes in changes.label_votes.items():
        method_id = rows.method(epoch, hypothesis.method)
        place = method_id, hypothesis.pattern, hypothesis.kind
        if rows.pattern(*place) == OTHER:
            over += len(votes)
            continue
        for ((family, label), vote), n in votes.items():
            found[rows.hypothesis(*place), minute, family, label][vote < 0] += n
    if found:
        keys = ("hypothesis_id", "minute", "family", "label")
        connection.execute(
            upsert(connection, value_minutes, keys=keys, add=("b", "c")),
            [dict(zip(keys, place, strict=True)) | {"b": b, "c": c} for place, (b, c) in found.items()],
        )
    return over


def count_votes(
    connection: Connection,
    rows: Sequence[Row[Any]],
    spans: Mapping[int, tuple[int, int]],
    closed: int,
    *,
    by_call: bool,
) -> None:
    """Count anew the hours in which a minute has closed or changed; `spans`: the first and last of them, of each row."""
    starts: defaultdict[int, list[int]] = defaultdict(list)
    for row in rows:
        starts[row.start_minute].append(row.id)
    keys = ("hypothesis_id", "family", "label", "hour")
    counted: list[dict[str, Any]] = []
    for start, ids in starts.items():
        hour = case((_VOTES.minute < start, 0), else_=(_VOTES.minute - start) // 60).label("hour")
        for part in parts(ids):
            first = min(spans[row][0] for row in part)
            whole_hours = _VOTES.minute >= (start + (first - start) // 60 * 60 if first >= start + 60 else 0)
            raw, noise = _votes(by_call=by_call)
            query = (
                select(
                    _VOTES.hypothesis_id,
                    _VOTES.family,
                    _VOTES.label,
                    hour,
                    raw.label("votes_raw"),
                    noise.label("votes_noise"),
                )
                .select_from(_FROM)
                .where(_VOTES.hypothesis_id.in_(part), whole_hours, _voting(closed))
                .group_by(_VOTES.hypothesis_id, _VOTES.family, _VOTES.label, hour)
            )
            counted += [dict(found) for found in connection.execute(query).mappings()]
    if counted:
        connection.execute(
            upsert(connection, value_hours, keys=keys, add=(), put=("votes_raw", "votes_noise")), counted
        )


def label_votes_by_hour(connection: Connection, ids: Iterable[int]) -> dict[int, ByHour]:
    """Of each hypothesis the votes of its labels by hour of the epoch; labels and hours without votes lack."""
    found: defaultdict[int, defaultdict[Label, dict[int, tuple[int, int]]]] = defaultdict(lambda: defaultdict(dict))
    for part in parts(ids):
        for row in connection.execute(select(value_hours).where(value_hours.c.hypothesis_id.in_(part))):
            if row.votes_raw or row.votes_noise:
                found[row.hypothesis_id][row.family, row.label][row.hour] = (row.votes_raw, row.votes_noise)
    return dict(found)


def first_votes(connection: Connection, ids: Iterable[int], closed: int, *, by_call: bool) -> dict[int, int]:
    """Of each hypothesis the minute of its first discordant vote of any label."""
    discordant = _VOTES.b + _VOTES.c > 0 if by_call else _VOTES.b != _VOTES.c
    first: dict[int, int] = {}
    for part in parts(ids):
        query = select(_VOTES.hypothesis_id, func.min(_VOTES.minute)).select_from(_FROM)
        query = query.where(_VOTES.hypothesis_id.in_(part), _voting(closed), discordant)
        first |= dict(connection.execute(query.group_by(_VOTES.hypothesis_id)).all())
    return first


def voting_minutes(connection: Connection, ids: Iterable[int]) -> Counter[int]:
    """In how many closed minutes each hypothesis voted by any label."""
    found: Counter[int] = Counter()
    for part in parts(ids):
        query = select(_VOTES.hypothesis_id, func.count(_VOTES.minute.distinct())).select_from(_FROM)
        query = query.where(_VOTES.hypothesis_id.in_(part), _MINUTES.counted, _VOTES.b != _VOTES.c)
        found.update(dict(connection.execute(query.group_by(_VOTES.hypothesis_id)).all()))
    return found


def _voting(closed: int) -> ColumnElement[bool]:
    return or_(_MINUTES.counted, _MINUTES.minute <= closed)


def _votes(*, by_call: bool) -> tuple[ColumnElement[int], ColumnElement[int]]:
    if by_call:
        return func.sum(_VOTES.b), func.sum(_VOTES.c)
    raw, noise = case((_VOTES.b > _VOTES.c, 1), else_=0), case((_VOTES.b < _VOTES.c, 1), else_=0)
    return func.sum(raw), func.sum(noise)
