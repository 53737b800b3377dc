"""Kept comparisons: writing them, and letting the oldest go. Works on the writer's connection.

The bytes go in as they came, but for the captures of one that is too large.
"""

from __future__ import annotations

from typing import Final

from grpc_mirror.v1 import comparison_pb2
from sqlalchemy import Connection, delete, func, insert, select

from mirror.core.model import Role, Verdict
from mirror.store.changes import Changes
from mirror.store.counting import Rows
from mirror.store.engine import insert_row, upsert
from mirror.store.increments import Kept
from mirror.store.keeping import differing, unjudged
from mirror.store.limits import Limits
from mirror.store.naming import stored
from mirror.store.tables_of_examples import comparison_blobs, comparison_paths, comparisons

PRUNE_AT_ONCE: Final = 500
_CLOCK_SET_BACK_S: Final = 60.0


def add_examples(connection: Connection, changes: Changes, rows: Rows, limits: Limits) -> int:
    """Insert the comparisons of a batch; returns how many had to go without their captures. One of each pair."""
    named = [(comparison_pb2.Comparison.FromString(kept.blob).id, kept) for kept in changes.kept]
    known = _known(connection, [row_id for row_id, _ in named])
    trimmed = 0
    last_s = connection.execute(select(func.max(comparisons.c.compared_at_s))).scalar() if named else None
    for row_id, kept in named:
        if row_id in known:
            continue
        known.add(row_id)
        last_s = _rising(kept.judged.compared_at_s, last_s)
        key = kept.judged.group.key
        blob = _within(kept.blob, limits)
        trimmed += blob is not kept.blob
        method_id = rows.method(kept.judged.epoch, key.method)
        outcome = kept.judged.outcomes.get(Role.CANDIDATE)
        values = {
            "id": row_id,
            "method_id": method_id,
            "mirror_id": stored(key.mirror_id),
            "trace_id": next((call.trace_id.hex() for call in kept.judged.group.calls.values()), ""),
            "verdict": (Verdict.INCOMPLETE if outcome is None else outcome.verdict).value,
            "reason": "" if outcome is None else stored(outcome.reason),
            "compared_at_s": last_s,
            "minute": kept.judged.minute,
            "size": len(blob),
        }
        seq = insert_row(connection, comparisons, values)
        connection.execute(insert(comparison_blobs).values(comparison_seq=seq, blob=blob))
        _add_paths(connection, kept, rows, method_id=method_id, seq=seq)
    return trimmed


def prune(connection: Connection, *, older_than_s: float, max_bytes: int) -> tuple[int, int]:
    """Delete kept comparisons of before `older_than_s`, then the oldest until `max_bytes` of them remain.

    Returns how many went for their age and how many for their bytes.
    """
    aged = connection.execute(delete(comparisons).where(comparisons.c.compared_at_s < older_than_s)).rowcount
    crowded = 0
    while gone := crowding(connection, max_bytes):
        connection.execute(delete(comparisons).where(comparisons.c.seq.in_([seq for seq, _ in gone])))
        crowded += len(gone)
    return aged, crowded


def crowding(connection: Connection, max_bytes: int) -> list[tuple[int, int]]:
    """The oldest kept comparisons (seq, size) without which the rest has at most `max_bytes`; at most 500 at once."""
    held = connection.execute(select(func.coalesce(func.sum(comparisons.c.size), 0))).scalar_one()
    if held <= max_bytes:
        return []
    oldest = connection.execute(
        select(comparisons.c.seq, comparisons.c.size).order_by(comparisons.c.compared_at_s).limit(PRUNE_AT_ONCE)
    ).all()
    found = []
    for row in oldest:
        if held <= max_bytes:
            break
        found.append((row.seq, row.size))
        held -= row.size
    return found


def _rising(compared_at_s: float, last_s: float | None) -> float:
    """The second by which lists are ordered and paged: no two alike, unless the clock was set back."""
    if last_s is None or not compared_at_s <= last_s < compared_at_s + _CLOCK_SET_BACK_S:
        return compared_at_s
    return last_s + 1e-6


def _known(connection: Connection, wanted: list[str]) -> set[str]:
    if not wanted:
        return set()
    return set(connection.execute(select(comparisons.c.id).where(comparisons.c.id.in_(wanted))).scalars())


def _within(blob: bytes, limits: Limits) -> bytes:
    """The comparison, without its captures where it is over the cap; the differences stay."""
    if len(blob) <= limits.comparison_max_bytes:
        return blob
    comparison = comparison_pb2.Comparison.FromString(blob)
    comparison.ClearField("primary_capture")
    comparison.ClearField("primary_outbound")
    for side in comparison.sides:
        side.ClearField("capture")
        side.ClearField("outbound")
    return comparison.SerializeToString()


def _add_paths(connection: Connection, kept: Kept, rows: Rows, *, method_id: int, seq: int) -> None:
    outcome = kept.judged.outcomes.get(Role.CANDIDATE)
    # As the hypothesis is named, so that examples beyond the cap are found under "(other)".
    found = differing(kept.judged) | unjudged(kept.judged)
    names = {(rows.pattern(method_id, pattern, kind), kind, False) for pattern, kind in found}
    names |= {(stored(d.pattern), d.kind, True) for d in (outcome.ignored if outcome else ())}
    if names:
        connection.execute(
            upsert(connection, comparison_paths, keys=("comparison_seq", "pattern", "kind", "ignored"), add=()),
            [
                {
                    "comparison_seq": seq,
                    "pattern": pattern,
                    "kind": kind.value,
                    "ignored": ignored,
                    "method_id": method_id,
                }
                for pattern, kind, ignored in sorted(names)
            ],
        )
