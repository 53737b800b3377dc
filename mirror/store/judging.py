"""Judging what a commit touched: votes of closed minutes, ranks, states. Works inside the writer's transaction.

A hypothesis is judged again when its counts change and when a minute of its closes. Votes are kept by hour of the
epoch, so that one look costs the hours' rows and not the minutes'. The formulas are `mirror.core.noise`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, bindparam, case, delete, func, or_, select, update

from mirror.core import noise
from mirror.core.model import Kind
from mirror.store.engine import parts, upsert
from mirror.store.tables import epochs, hypotheses, hypothesis_hours, hypothesis_minutes, meta, methods
from mirror.store.tables_of_values import speed_hours, speed_minutes, value_hours
from mirror.store.value_votes import ByHour, count_votes, first_votes, label_votes_by_hour

_MINUTES = hypothesis_minutes.c


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """How votes are counted. `alpha` bounds the chance of any false *regressed* in an epoch.

    vote_by minute: a minute of a hypothesis is one vote, once its deadline (`deadline_s` after its end) has passed; vote_by
    call: each triple is one, for calls that are independent of each other.
    """

    alpha: float = 0.01
    vote_by: Literal["minute", "call"] = "minute"
    deadline_s: float = 37.0

    def last_closed(self, now_s: float) -> int:
        """The last minute (unix minutes) whose votes count at `now_s`; by call every minute's do."""
        return int((now_s - self.deadline_s) // 60) - 1 if self.vote_by == "minute" else int(now_s // 60) + 10**6


def remember(connection: Connection, options: JudgeOptions) -> None:
    """Keep the options for readers; where votes were counted in another way, have all of them counted anew."""
    was = dict(connection.execute(select(meta.c.name, meta.c.value)).all())
    now = {"alpha": repr(options.alpha), "vote_by": options.vote_by, "deadline_s": repr(options.deadline_s)}
    if was.get("vote_by", now["vote_by"]) != now["vote_by"]:
        connection.execute(delete(hypothesis_hours))
        connection.execute(delete(value_hours))
        # Of latency and size what is still there by minute is counted again, and older hours are let go.
        connection.execute(delete(speed_hours))
        connection.execute(update(speed_minutes).values(counted=False))
        connection.execute(update(hypothesis_minutes).values(counted=False))
    if now.items() - was.items():
        rows = [{"name": name, "value": value} for name, value in now.items()]
        connection.execute(upsert(connection, meta, keys=("name",), add=(), put=("value",)), rows)


def options_of(connection: Connection) -> JudgeOptions:
    """The options that the writer last kept."""
    kept = dict(connection.execute(select(meta.c.name, meta.c.value)).all())
    usual = JudgeOptions()
    return JudgeOptions(
        alpha=float(kept.get("alpha", usual.alpha)),
        vote_by="call" if kept.get("vote_by") == "call" else "minute",
        deadline_s=float(kept.get("deadline_s", usual.deadline_s)),
    )


def judge_touched(
    connection: Connection,
    touched: frozenset[int],
    now_s: float,
    options: JudgeOptions,
    *,
    unjudged: frozenset[int] = frozenset(),
) -> frozenset[int]:
    """Count the votes of minutes that have closed, rank and judge; returns the ids of the methods judged.

    `unjudged`: those that differed where calls had been blocked, which is no evidence.
    """
    closed = options.last_closed(now_s)
    due = connection.execute(
        select(_MINUTES.hypothesis_id, func.min(_MINUTES.minute), func.max(_MINUTES.minute))
        .where(~_MINUTES.counted, _MINUTES.minute <= closed)
        .group_by(_MINUTES.hypothesis_id)
    )
    spans = {hypothesis_id: (first, last) for hypothesis_id, first, last in due}
    rows = _rows(connection, touched | spans.keys())
    by_call = options.vote_by == "call"
    due_rows = [row for row in rows if row.id in spans]
    _count_votes(connection, [row for row in due_rows if not _of_values(row)], spans, closed, options)
    count_votes(connection, [row for row in due_rows if _of_values(row)], spans, closed, by_call=by_call)
    connection.execute(
        update(hypothesis_minutes).where(~_MINUTES.counted, _MINUTES.minute <= closed).values(counted=True)
    )
    evidence_by_id = evidence_by_row(connection, rows)
    ranks = _give_ranks(
        connection, [r for r in rows if not r.rank and has_votes(evidence_by_id[r.id])], closed, options
    )
    judged = (
        _judged(
            r, replace(evidence_by_id[r.id], rank=ranks.get(r.id, r.rank)), now_s, options, unjudged=r.id in unjudged
        )
        for r in rows
    )
    changed = [row for row in judged if row]
    if changed:
        names = ("state", "since_s", "regressed_at_s", "log_e_star", "rank")
        connection.execute(
            update(hypotheses)
            .where(hypotheses.c.id == bindparam("row"))
            .values({n: bindparam(f"new_{n}") for n in names}),
            changed,
        )
    return frozenset(row.method_id for row in rows)


def votes_by_hour(connection: Connection, ids: Iterable[int]) -> dict[int, dict[int, tuple[int, int]]]:
    """Of each hypothesis its votes (B, C) by hour of the epoch; hours without votes may lack."""
    found: defaultdict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for part in parts(ids):
        rows = connection.execute(select(hypothesis_hours).where(hypothesis_hours.c.hypothesis_id.in_(part)))
        for row in rows:
            if row.votes_raw or row.votes_noise:
                found[row.hypothesis_id][row.hour] = (row.votes_raw, row.votes_noise)
    return found


def evidence_by_row(connection: Connection, rows: Iterable[Row[Any]]) -> dict[int, noise.Evidence]:
    """The evidence of hypotheses by id: rows of them with their method's triples as n."""
    listed = list(rows)
    hours = votes_by_hour(connection, [row.id for row in listed if not _of_values(row)])
    labels = label_votes_by_hour(connection, [row.id for row in listed if _of_values(row)])
    return {
        row.id: _evidence(row, hours.get(row.id, {}), labels.get(row.id, {}) if _of_values(row) else None)
        for row in listed
    }


def has_votes(evidence: noise.Evidence) -> bool:
    """Whether there is a discordant vote."""
    return bool(evidence.labels or evidence.hours)


def _evidence(row: Row[Any], votes: dict[int, tuple[int, int]], labels: ByHour | None) -> noise.Evidence:
    """The evidence of one hypothesis.

    Hours after the last vote change nothing: their terms telescope to the share of that hour. A path that differed, but
    only where no secondary could have shown it, has no triples: to call it clean would be wrong.
    """
    hours = _in_order(votes)
    return noise.Evidence(
        b=row.b,
        c=row.c,
        d=row.d,
        n=row.n if row.b + row.c + row.d or not row.pairs else 0,
        votes_raw=sum(raw for raw, _ in hours),
        votes_noise=sum(of_noise for _, of_noise in hours),
        hours=hours,
        rank=row.rank,
        labels=None if labels is None else {label: _in_order(of_label) for label, of_label in labels.items()},
    )


def _in_order(votes: Mapping[int, tuple[int, int]]) -> list[tuple[int, int]]:
    return [votes.get(hour, (0, 0)) for hour in range(max(votes, default=-1) + 1)]


def _of_values(row: Row[Any]) -> bool:
    return row.kind == Kind.VALUES.value  # type: ignore[no-any-return]


def _rows(connection: Connection, ids: Iterable[int]) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for part in parts(ids):
        found += connection.execute(
            select(
                hypotheses,
                (methods.c.triples - hypotheses.c.triples_before).label("n"),
                methods.c.name,
                methods.c.epoch_id,
                epochs.c.start_minute,
            )
            .join(methods, methods.c.id == hypotheses.c.method_id)
            .join(epochs, epochs.c.id == methods.c.epoch_id)
            .where(hypotheses.c.id.in_(part))
        ).all()
    return found


def _count_votes(
    connection: Connection,
    rows: Sequence[Row[Any]],
    spans: dict[int, tuple[int, int]],
    closed: int,
    options: JudgeOptions,
) -> None:
    """Count anew the hours in which a minute has closed or changed."""
    starts: defaultdict[int, list[int]] = defaultdict(list)
    for row in rows:
        starts[row.start_minute].append(row.id)
    counted: list[dict[str, int]] = []
    for start, ids in starts.items():
        hour = case((_MINUTES.minute < start, 0), else_=(_MINUTES.minute - start) // 60).label("hour")
        for part in parts(ids):
            first = min(spans[row][0] for row in part)
            whole_hours = _MINUTES.minute >= (start + (first - start) // 60 * 60 if first >= start + 60 else 0)
            raw, of_noise = _votes(options)
            counted += [
                dict(found)
                for found in connection.execute(
                    select(_MINUTES.hypothesis_id, hour, raw.label("votes_raw"), of_noise.label("votes_noise"))
                    .where(_MINUTES.hypothesis_id.in_(part), whole_hours, _voting(closed))
                    .group_by(_MINUTES.hypothesis_id, hour)
                ).mappings()
            ]
    if counted:
        put = ("votes_raw", "votes_noise")
        connection.execute(
            upsert(connection, hypothesis_hours, keys=("hypothesis_id", "hour"), add=(), put=put), counted
        )


def _voting(closed: int) -> ColumnElement[bool]:
    """The minutes that have a vote: closed ones, and those that were before the clock was set back."""
    return or_(_MINUTES.counted, _MINUTES.minute <= closed)


def _votes(options: JudgeOptions) -> tuple[ColumnElement[int], ColumnElement[int]]:
    if options.vote_by == "call":
        return func.sum(_MINUTES.b), func.sum(_MINUTES.c)
    raw, of_noise = case((_MINUTES.b > _MINUTES.c, 1), else_=0), case((_MINUTES.b < _MINUTES.c, 1), else_=0)
    return func.sum(raw), func.sum(of_noise)


def _give_ranks(connection: Connection, rows: Sequence[Row[Any]], closed: int, options: JudgeOptions) -> dict[int, int]:
    """The next ranks of each epoch, in the order of first discordant votes; ties by name, never by direction."""
    if not rows:
        return {}
    discordant = _MINUTES.b != _MINUTES.c if options.vote_by == "minute" else _MINUTES.b + _MINUTES.c > 0
    first: dict[int, int] = {}
    for part in parts(row.id for row in rows):
        first |= dict(
            connection.execute(
                select(_MINUTES.hypothesis_id, func.min(_MINUTES.minute))
                .where(_MINUTES.hypothesis_id.in_(part), _voting(closed), discordant)
                .group_by(_MINUTES.hypothesis_id)
            ).all()
        )
    valued = [row.id for row in rows if _of_values(row)]
    first |= first_votes(connection, valued, closed, by_call=options.vote_by == "call")
    epoch_ids = {row.epoch_id for row in rows}
    last = dict(
        connection.execute(
            select(epochs.c.id, epochs.c.ranks).where(epochs.c.id.in_(epoch_ids)).with_for_update()
        ).all()
    )
    given: dict[int, int] = {}
    for row in sorted(rows, key=lambda r: (first[r.id], r.name, r.pattern, r.kind)):
        last[row.epoch_id] += 1
        given[row.id] = last[row.epoch_id]
    connection.execute(
        update(epochs).where(epochs.c.id == bindparam("row")).values(ranks=bindparam("last")),
        [{"row": epoch_id, "last": rank} for epoch_id, rank in last.items()],
    )
    return given


def _judged(
    row: Row[Any], evidence: noise.Evidence, now_s: float, options: JudgeOptions, *, unjudged: bool
) -> dict[str, Any] | None:
    """The new state of one hypothesis as parameters of the update; None if nothing changed."""
    rank = evidence.rank
    was = noise.State(row.state)
    before = noise.State.UNJUDGED if unjudged and was is noise.State.UNSEEN else was
    judgement = noise.judge(before, evidence, alpha=options.alpha)
    if (judgement.state, judgement.log_e_star, rank) == (was, row.log_e_star, row.rank):
        return None
    regressed_at_s = row.regressed_at_s
    if regressed_at_s is None and judgement.state is noise.State.REGRESSED:
        regressed_at_s = now_s
    return {
        "row": row.id,
        "new_state": judgement.state.value,
        "new_since_s": row.since_s if judgement.state is was else now_s,
        "new_regressed_at_s": regressed_at_s,
        "new_log_e_star": judgement.log_e_star,
        "new_rank": rank,
    }
