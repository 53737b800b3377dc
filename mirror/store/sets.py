"""Adding a batch's sets of what differs, their examples and the samples of requests. Works on the writer's connection."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Final, TypeAlias

from grpc_mirror.v1 import comparison_pb2
from sqlalchemy import Connection, bindparam, delete, func, select, update

from mirror.core.clusters import OVERFLOW
from mirror.core.model import Kind
from mirror.core.noise import State
from mirror.store.changes import Changes
from mirror.store.counting import Rows
from mirror.store.engine import upsert
from mirror.store.limits import Limits
from mirror.store.naming import stored
from mirror.store.sampling import NUMBER_MAX, REFUSED, Bucket, Sample, SetKey, SetSeen, set_of
from mirror.store.tables import hypotheses
from mirror.store.tables_of_examples import comparisons, difference_sets, request_samples, set_examples

SETS_OVER_LIMIT: Final = "difference_sets_over_limit"
_IN_LIST_MAX: Final = 5000
_S: Final = difference_sets.c
_Place: TypeAlias = tuple[int, str]  # method id, digest
_Texts: TypeAlias = dict[_Place, tuple[str, str]]  # members and status as they are kept


def add_sets(connection: Connection, changes: Changes, rows: Rows, limits: Limits) -> tuple[dict[Bucket, int], int]:
    """Add the sets of a batch, the examples that were kept of them and the samples.

    Returns below which numbers the samples would take more, by bucket, and how many calls went beyond the cap of sets.
    """
    batch = changes.sets
    places = {key: _place(key, rows) for key, seen in batch.seen.items() if seen.n}
    texts: _Texts = {(method_id, digest): (text, status) for method_id, digest, text, status in places.values()}
    sums: dict[_Place, SetSeen] = {}
    for key, place in places.items():
        _add(sums, place[:2], batch.seen[key])
    known = _rows(connection, sums)
    over = 0
    if sums.keys() - known.keys():
        over = _within_cap(connection, sums, texts, known.keys(), limits)
        _create(connection, sums, texts, known.keys())
        known = _rows(connection, sums)
    ids = _count(connection, sums, known)
    id_of = {key: ids[place[:2]] for key, place in places.items() if place[:2] in ids}
    _add_examples(connection, changes, id_of)
    return _add_samples(connection, changes, rows, id_of, limits), over


def forget_sets(connection: Connection, method_id: int) -> None:
    """Delete the sets of a method that starts anew, with their samples."""
    connection.execute(delete(request_samples).where(request_samples.c.method_id == method_id))
    connection.execute(delete(difference_sets).where(_S.method_id == method_id))


def prune_samples(connection: Connection, *, older_than_s: float) -> int:
    """Delete samples of before `older_than_s`: values of requests are kept as long as comparisons. Returns how many."""
    return connection.execute(delete(request_samples).where(request_samples.c.at_s < older_than_s)).rowcount


def _place(key: SetKey, rows: Rows) -> tuple[int, str, str, str]:
    """Method id and digest of a set, and its members and status as they are kept."""
    epoch, method, members, status = key
    method_id = rows.method(epoch, method)
    named = sorted({(rows.pattern(method_id, pattern, kind), kind.value) for pattern, kind in members})
    text, status = json.dumps(named), stored(status)
    return method_id, _digest(text, status), text, status


def _digest(members: str, status: str) -> str:
    return hashlib.sha256(f"{members}\0{status}".encode()).hexdigest()[:32]


def _add(sums: dict[_Place, SetSeen], place: _Place, seen: SetSeen) -> None:
    held = sums.get(place)
    if held is None:
        sums[place] = SetSeen(seen.n, seen.first_s, seen.last_s)
    else:
        held.n += seen.n
        held.first_s, held.last_s = min(held.first_s, seen.first_s), max(held.last_s, seen.last_s)


def _within_cap(
    connection: Connection, sums: dict[_Place, SetSeen], texts: _Texts, known: AbstractSet[_Place], limits: Limits
) -> int:
    """Merge new sets beyond a method's cap into its overflow; returns the calls in them."""
    new: defaultdict[int, list[_Place]] = defaultdict(list)
    for place in sorted(sums.keys() - known):
        new[place[0]].append(place)
    over = 0
    for method_id, missing in new.items():
        count = connection.execute(
            select(func.count()).select_from(difference_sets).where(_S.method_id == method_id)
        ).scalar_one()
        for place in missing[max(0, limits.sets_max - count) :]:
            text = json.dumps([(OVERFLOW[0], OVERFLOW[1].value)])
            beyond = method_id, _digest(text, "")
            texts[beyond] = (text, "")
            seen = sums.pop(place)
            over += seen.n
            _add(sums, beyond, seen)
    return over


def _rows(connection: Connection, places: Iterable[_Place]) -> dict[_Place, Any]:
    by_method: defaultdict[int, list[str]] = defaultdict(list)
    for method_id, digest in places:
        by_method[method_id].append(digest)
    found = {}
    for method_id, digests in by_method.items():
        for start in range(0, len(digests), _IN_LIST_MAX):
            some = digests[start : start + _IN_LIST_MAX]
            query = select(difference_sets).where(_S.method_id == method_id, _S.digest.in_(some))
            found.update({(method_id, row.digest): row for row in connection.execute(query)})
    return found


def _create(connection: Connection, sums: dict[_Place, SetSeen], texts: _Texts, known: AbstractSet[_Place]) -> None:
    missing = sums.keys() - known  # the overflow may be there all the same
    if missing:
        connection.execute(
            upsert(connection, difference_sets, keys=("method_id", "digest"), add=()),
            [
                {
                    "method_id": place[0],
                    "digest": place[1],
                    "members": texts[place][0],
                    "status": texts[place][1],
                    "first_s": sums[place].first_s,
                    "last_s": sums[place].last_s,
                }
                for place in sorted(missing)
            ],
        )


def _count(connection: Connection, sums: dict[_Place, SetSeen], rows: dict[_Place, Any]) -> dict[_Place, int]:
    """Add the calls; returns the ids."""
    if rows:
        connection.execute(
            update(difference_sets)
            .where(_S.id == bindparam("row"))
            .values(n=_S.n + bindparam("more"), first_s=bindparam("first"), last_s=bindparam("last")),
            [
                {
                    "row": row.id,
                    "more": sums[place].n,
                    "first": min(row.first_s, sums[place].first_s),
                    "last": max(row.last_s, sums[place].last_s),
                }
                for place, row in sorted(rows.items())
            ],
        )
    return {place: row.id for place, row in rows.items()}


def _add_examples(connection: Connection, changes: Changes, id_of: dict[SetKey, int]) -> None:
    of_comparison = {}
    for kept in changes.kept:
        key = set_of(kept.judged)
        if key is not None and key[2] and key in id_of:
            of_comparison[comparison_pb2.Comparison.FromString(kept.blob).id] = id_of[key]
    if not of_comparison:
        return
    found = connection.execute(
        select(comparisons.c.seq, comparisons.c.id).where(comparisons.c.id.in_(list(of_comparison)))
    )
    added = [{"comparison_seq": row.seq, "set_id": of_comparison[row.id]} for row in found]
    if added:
        connection.execute(upsert(connection, set_examples, keys=("comparison_seq",), add=()), added)


def _add_samples(
    connection: Connection, changes: Changes, rows: Rows, id_of: dict[SetKey, int], limits: Limits
) -> dict[Bucket, int]:
    below: dict[Bucket, int] = {}
    crowded = set()
    for bucket, held in changes.sets.held.items():
        if not held.samples:
            continue
        epoch, method, key = bucket
        number = 0 if key is None else id_of.get(key)
        if number is None:
            below[bucket] = REFUSED
            continue
        method_id = rows.method(epoch, method)
        below[bucket] = _merge(connection, method_id, number, held.samples.values(), id_of, held.size)
        crowded.add(method_id)
    for method_id in crowded:
        gone = _crowd(connection, method_id, limits.sampled_sets_max)
        for bucket in below:
            if bucket[2] is not None and id_of.get(bucket[2]) in gone:
                below[bucket] = REFUSED
    return below


def _merge(  # noqa: PLR0913, PLR0917 - a sample and where it goes
    connection: Connection, method_id: int, bucket: int, samples: Iterable[Sample], id_of: dict[SetKey, int], size: int
) -> int:
    """Add to one bucket, keep the smallest; returns the number below which it takes more."""
    one = request_samples.c
    mine = (one.method_id == method_id) & (one.bucket == bucket)
    added = [
        {
            "method_id": method_id,
            "bucket": bucket,
            "number": sample.number,
            "set_id": id_of[sample.set_key],
            "instance": stored(sample.instance),
            "fields": sample.fields.replace("\\u0000", "\\ufffd"),
            "at_s": sample.at_s,
        }
        for sample in samples
        if sample.set_key in id_of
    ]
    if added:
        connection.execute(upsert(connection, request_samples, keys=("method_id", "bucket", "number"), add=()), added)
    numbers = list(connection.execute(select(one.number).where(mine).order_by(one.number)).scalars())
    if len(numbers) < size:
        return NUMBER_MAX
    last: int = numbers[size - 1]
    if len(numbers) > size:
        connection.execute(delete(request_samples).where(mine, one.number > last))
    return last


def _crowd(connection: Connection, method_id: int, sampled_max: int) -> set[int]:
    """Delete the samples of sets beyond the cap: first of those in which nothing is in question, then of the rarest."""
    one = request_samples.c
    mine = (one.method_id == method_id) & (one.bucket > 0)
    sampled = select(one.bucket).where(mine).distinct()
    count = connection.execute(select(func.count()).select_from(sampled.subquery())).scalar_one()
    if count <= sampled_max:
        return set()
    # One that was found just now is not judged yet.
    query = select(hypotheses.c.pattern, hypotheses.c.kind).where(
        hypotheses.c.method_id == method_id, hypotheses.c.state != State.NOISY.value
    )
    asked = {(pattern, Kind(kind)) for pattern, kind in connection.execute(query)}
    found = connection.execute(select(_S.id, _S.n, _S.members).where(_S.id.in_(sampled))).all()
    in_question = {row.id: bool(asked & {(p, Kind(k)) for p, k in json.loads(row.members)}) for row in found}
    order = sorted(found, key=lambda row: (in_question[row.id], row.n, -row.id))
    gone = {row.id for row in order[: count - sampled_max]}
    connection.execute(delete(request_samples).where(one.method_id == method_id, one.bucket.in_(gone)))
    return gone
