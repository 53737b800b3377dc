"""Which hypotheses noise explains at this look, and what of a method's pairs it does not. Reads only."""

from __future__ import annotations

import json
from collections.abc import Set as AbstractSet
from typing import Final

from sqlalchemy import Connection, and_, select

from mirror.core import bound
from mirror.core.model import EpochKey, Kind
from mirror.core.noise import State
from mirror.store.limits import OTHER
from mirror.store.naming import stored
from mirror.store.tables import epochs, hypotheses, methods
from mirror.store.tables_of_examples import signatures

# Stands in a signature for what went beyond the caps: no noise can explain it.
OVERFLOW: Final = ("(overflow)", Kind.ANY)
_H = hypotheses.c
# noise.judge's `explained` in SQL; never the sums over many paths. A test holds the two together.
_EXPLAINED: Final = and_(
    _H.state == State.NOISY.value, _H.b <= 3 * _H.c + 3, _H.pattern != OTHER, _H.kind != Kind.ANY.value
)


def explained_members(
    connection: Connection, epoch: EpochKey, method: str, *, at_least: int
) -> frozenset[tuple[str, Kind]]:
    """The (pattern, kind)s of a method that are explained, with noise (c + d) in at least so many triples."""
    rows = connection.execute(
        select(_H.pattern, _H.kind)
        .join(methods, methods.c.id == _H.method_id)
        .join(epochs, epochs.c.id == methods.c.epoch_id)
        .where(
            epochs.c.run == stored(epoch.run),
            epochs.c.service == stored(epoch.service),
            epochs.c.primary_version == stored(epoch.primary_version),
            epochs.c.candidate_version == stored(epoch.candidate_version),
            methods.c.name == stored(method),
            _EXPLAINED,
            _H.c + _H.d >= at_least,
        )
    )
    return frozenset((pattern, Kind(kind)) for pattern, kind in rows)


def unexplained_pairs(
    connection: Connection, method_id: int, triples: int, accepted: AbstractSet[tuple[str, Kind]] = frozenset()
) -> int:
    """x: the triples of a method whose raw-only paths noise does not explain now (facts on noise, section 5).

    `accepted`: (pattern, kind)s that someone took out of the verdict: they count as if noise explained them.
    """
    rows = connection.execute(
        select(_H.id, _H.pattern, _H.kind, _H.left_out, _EXPLAINED.label("explained")).where(_H.method_id == method_id)
    ).all()
    names = {row.id: (row.pattern, Kind(row.kind)) for row in rows}
    stored_signatures: dict[frozenset[tuple[str, Kind]], int] = {}
    for text, n in connection.execute(
        select(signatures.c.hypothesis_ids, signatures.c.n).where(signatures.c.method_id == method_id)
    ):
        members = frozenset(names[row_id] for row_id in json.loads(text)) or frozenset({OVERFLOW})
        stored_signatures[members] = stored_signatures.get(members, 0) + n
    x = bound.unexplained(
        stored_signatures,
        {names[row.id] for row in rows if row.explained} | accepted,
        {names[row.id]: row.left_out for row in rows if row.left_out},
    )
    return min(x, triples)  # one pair may have been counted for several paths that were left out
