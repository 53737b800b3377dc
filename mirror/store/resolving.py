"""From names to row ids: epochs, methods and hypotheses, created where they are new, within the caps.

Works on the writer's connection, inside its transaction. What goes beyond a cap gets the id of "(other)".
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, func, select, update

from mirror.core.model import EpochKey, Kind
from mirror.core.noise import State
from mirror.store.engine import insert_row, upsert
from mirror.store.increments import Seen
from mirror.store.limits import OTHER, Limits
from mirror.store.naming import stored
from mirror.store.tables import epochs, hypotheses, methods

CACHE_MAX: Final = 200_000  # names remembered before all are forgotten
Place = tuple[int, str, Kind]  # method id, pattern, kind


@dataclass(slots=True)
class Ids:
    """Ids known from earlier commits. Hypotheses that start anew are forgotten; all, when a run was pruned."""

    epochs: dict[EpochKey, int] = field(default_factory=dict)
    methods: dict[tuple[int, str], int] = field(default_factory=dict)
    hypotheses: dict[Place, int] = field(default_factory=dict)
    complete: set[int] = field(default_factory=set)  # methods all of whose hypotheses are known

    def clear(self) -> None:
        """Forget all: after a commit that failed, and when they become too many."""
        for known in (self.epochs, self.methods, self.hypotheses, self.complete):
            known.clear()

    def forget(self, method_ids: AbstractSet[int]) -> None:
        """Forget the hypotheses of these methods."""
        self.complete -= method_ids
        for place in [place for place in self.hypotheses if place[0] in method_ids]:
            del self.hypotheses[place]

    def trim(self) -> None:
        """Keep memory bounded."""
        if len(self.hypotheses) + len(self.methods) + len(self.epochs) > CACHE_MAX:
            self.clear()


def resolve_epochs(
    connection: Connection, seen: Mapping[EpochKey, Seen], ids: Ids, limits: Limits
) -> dict[EpochKey, int]:
    """The ids of the epochs of a batch; their first and last seconds are brought forward.

    In order of name, so that two writers cannot wait for each other; the row stays locked until the commit.
    """
    found: dict[EpochKey, int] = {}
    for key in sorted(seen):
        kept = _stored_key(key)
        row_id = ids.epochs.get(kept) or _find_epoch(connection, kept)
        if row_id is None and _epochs_of(connection, kept.run) >= limits.epochs_max:
            kept = EpochKey(kept.run, OTHER, "", "")
            row_id = _find_epoch(connection, kept)
        found[key] = ids.epochs[kept] = _see_epoch(connection, kept, row_id, seen[key])
    return found


def resolve_methods(
    connection: Connection, wanted: Iterable[tuple[int, str]], ids: Ids, limits: Limits
) -> dict[tuple[int, str], int]:
    """The ids of (epoch id, method)s."""
    found: dict[tuple[int, str], int] = {}
    for epoch_id, method in sorted(set(wanted)):
        name = stored(method)
        known = ids.methods.get((epoch_id, name))
        if known is None:
            known = _method(connection, epoch_id, name, limits)
            ids.methods[epoch_id, name] = known
        found[epoch_id, method] = known
    return found


def resolve_hypotheses(
    connection: Connection, wanted: Iterable[Place], ids: Ids, *, limits: Limits, now_s: float
) -> dict[Place, tuple[int, str]]:
    """The ids of (method id, pattern, kind)s and the pattern they are kept under: "(other)" beyond a method's cap."""
    places = {place: (place[0], stored(place[1]), place[2]) for place in wanted}
    _load(connection, {method_id for method_id, _, _ in places.values()} - ids.complete, ids)
    new: defaultdict[int, list[Place]] = defaultdict(list)
    for place in sorted(set(places.values()) - ids.hypotheses.keys()):
        new[place[0]].append(place)
    held = Counter(method_id for method_id, _, _ in ids.hypotheses) if new else Counter[int]()
    for method_id, missing in new.items():
        room = max(0, limits.hypotheses_max - held[method_id])
        others = {(method_id, OTHER, kind) for _, _, kind in missing[room:]} - ids.hypotheses.keys()
        _create(connection, [*missing[:room], *sorted(others)], now_s)
        _load(connection, {method_id}, ids)
    return {
        place: (ids.hypotheses[kept], kept[1])
        if kept in ids.hypotheses
        else (ids.hypotheses[kept[0], OTHER, kept[2]], OTHER)
        for place, kept in places.items()
    }


def _stored_key(key: EpochKey) -> EpochKey:
    return EpochKey(stored(key.run), stored(key.service), stored(key.primary_version), stored(key.candidate_version))


def _find_epoch(connection: Connection, key: EpochKey) -> int | None:
    return connection.execute(
        select(epochs.c.id).where(
            epochs.c.run == key.run,
            epochs.c.service == key.service,
            epochs.c.primary_version == key.primary_version,
            epochs.c.candidate_version == key.candidate_version,
        )
    ).scalar()


def _epochs_of(connection: Connection, run: str) -> int:
    return connection.execute(select(func.count()).select_from(epochs).where(epochs.c.run == run)).scalar_one()


def _see_epoch(connection: Connection, key: EpochKey, row_id: int | None, seen: Seen) -> int:
    if row_id is None:
        row = {
            "run": key.run,
            "service": key.service,
            "primary_version": key.primary_version,
            "candidate_version": key.candidate_version,
            "started_s": seen.started_s,
            "last_s": seen.last_s,
            "start_minute": seen.minute,
            "has_secondary": seen.has_secondary,
        }
        return insert_row(connection, epochs, row)
    was = connection.execute(select(epochs).where(epochs.c.id == row_id).with_for_update()).one()
    connection.execute(
        update(epochs)
        .where(epochs.c.id == row_id)
        .values(
            started_s=min(was.started_s, seen.started_s),
            last_s=max(was.last_s, seen.last_s),
            has_secondary=was.has_secondary or seen.has_secondary,
        )
    )
    return row_id


def _method(connection: Connection, epoch_id: int, name: str, limits: Limits) -> int:
    def find(wanted: str) -> int | None:
        return connection.execute(
            select(methods.c.id).where(methods.c.epoch_id == epoch_id, methods.c.name == wanted)
        ).scalar()

    found = find(name)
    if found is not None:
        return found
    count = connection.execute(
        select(func.count()).select_from(methods).where(methods.c.epoch_id == epoch_id)
    ).scalar_one()
    if count >= limits.methods_max:
        name = OTHER
        found = find(name)
    if found is None:
        found = insert_row(connection, methods, {"epoch_id": epoch_id, "name": name})
    return found


def _load(connection: Connection, method_ids: set[int], ids: Ids) -> None:
    if not method_ids:
        return
    rows = connection.execute(
        select(hypotheses.c.id, hypotheses.c.method_id, hypotheses.c.pattern, hypotheses.c.kind).where(
            hypotheses.c.method_id.in_(method_ids)
        )
    )
    ids.hypotheses.update({(row.method_id, row.pattern, Kind(row.kind)): row.id for row in rows})
    ids.complete |= method_ids


def _create(connection: Connection, places: list[Place], now_s: float) -> None:
    """What came before the last change of a method's rules is no evidence of what is found after it."""
    if not places:
        return
    method_ids = {method_id for method_id, _, _ in places}
    before = dict(
        connection.execute(select(methods.c.id, methods.c.triples_before).where(methods.c.id.in_(method_ids))).all()
    )
    connection.execute(
        upsert(connection, hypotheses, keys=("method_id", "pattern", "kind"), add=()),
        [
            {
                "method_id": method_id,
                "pattern": pattern,
                "kind": kind.value,
                "state": State.UNSEEN.value,
                "since_s": now_s,
                "first_seen_s": now_s,
                "triples_before": before[method_id],
            }
            for method_id, pattern, kind in places
        ],
    )
