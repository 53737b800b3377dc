"""Adding a batch's increments to the counts: methods, hypotheses and signatures.

Works on the writer's connection, inside its transaction; every figure is added to, none is replaced.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, update

from mirror.core.model import EpochKey, Kind
from mirror.store.changes import Changes
from mirror.store.engine import upsert
from mirror.store.increments import Evidence
from mirror.store.limits import OTHER, Limits
from mirror.store.naming import stored
from mirror.store.resolving import Ids, Place, resolve_epochs, resolve_hypotheses, resolve_methods
from mirror.store.tables import COUNTS, hypotheses, hypothesis_minutes, method_minutes, method_reasons, methods
from mirror.store.tables_of_examples import signatures

OVERFLOW_DIGEST: Final = ""
OVERFLOW_TEXT: Final = "[]"
_SUMS: Final = ("b", "c", "d", "pairs", "left_out")


@dataclass(frozen=True, slots=True)
class Rows:
    """The row ids of everything that a batch names."""

    epochs: dict[EpochKey, int]
    methods: dict[tuple[int, str], int]
    hypotheses: dict[Place, tuple[int, str]]  # id, and the pattern it is kept under

    def method(self, epoch: EpochKey, method: str) -> int:
        """The id of a method of the batch."""
        return self.methods[self.epochs[epoch], method]

    def hypothesis(self, method_id: int, pattern: str, kind: Kind) -> int:
        """The id of a hypothesis of the batch."""
        return self.hypotheses[method_id, pattern, kind][0]

    def pattern(self, method_id: int, pattern: str, kind: Kind) -> str:
        """The pattern that a hypothesis of the batch is kept under."""
        return self.hypotheses[method_id, pattern, kind][1]


def find_methods(connection: Connection, changes: Changes, ids: Ids, *, limits: Limits) -> Rows:
    """Resolve the epochs and methods of the batch; new ones are created."""
    epoch_ids = resolve_epochs(connection, changes.epochs, ids, limits)
    method_ids = resolve_methods(
        connection, ((epoch_ids[epoch], name) for epoch, name, _ in changes.counts), ids, limits
    )
    return Rows(epoch_ids, method_ids, {})


def find_hypotheses(  # noqa: PLR0913 - as the other steps of a commit
    connection: Connection, changes: Changes, rows: Rows, ids: Ids, *, limits: Limits, now_s: float
) -> Rows:
    """`rows` with the hypotheses of the batch; new ones are created."""
    places = {(rows.method(epoch, h.method), h.pattern, h.kind) for epoch, h, _ in changes.evidence}
    found = resolve_hypotheses(connection, places, ids, limits=limits, now_s=now_s)
    return Rows(rows.epochs, rows.methods, found)


def add_counts(connection: Connection, changes: Changes, rows: Rows) -> None:
    """Add the counts of methods by minute, and their triples."""
    minutes: defaultdict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    for (epoch, method, minute), counts in changes.counts.items():
        minutes[rows.method(epoch, method), minute].update(counts)
    reasons: Counter[tuple[int, int, str]] = Counter()
    for (epoch, method, minute), of_reason in changes.reasons.items():
        for reason, n in of_reason.items():
            reasons[rows.method(epoch, method), minute, stored(reason)] += n
    if minutes:
        connection.execute(
            upsert(connection, method_minutes, keys=("method_id", "minute"), add=COUNTS),
            [
                {"method_id": m, "minute": t} | {name: counts[name] for name in COUNTS}
                for (m, t), counts in minutes.items()
            ],
        )
    if reasons:
        connection.execute(
            upsert(connection, method_reasons, keys=("method_id", "minute", "reason"), add=("n",)),
            [{"method_id": m, "minute": t, "reason": r, "n": n} for (m, t, r), n in reasons.items()],
        )
    triples: Counter[int] = Counter()
    for (method_id, _), counts in minutes.items():
        triples[method_id] += counts["triples"]
    if triples:
        connection.execute(
            update(methods)
            .where(methods.c.id == bindparam("row"))
            .values(triples=methods.c.triples + bindparam("more")),
            [{"row": method_id, "more": n} for method_id, n in triples.items()],
        )


def add_evidence(connection: Connection, changes: Changes, rows: Rows) -> frozenset[int]:
    """Add the evidence of hypotheses by minute and in sum; returns the ids of those touched."""
    minutes = _by_id(changes, rows)
    if not minutes:
        return frozenset()
    connection.execute(
        upsert(
            connection,
            hypothesis_minutes,
            keys=("hypothesis_id", "minute"),
            add=("b", "c", "d", "pairs"),
            put=("counted",),
        ),
        [
            {"hypothesis_id": h, "minute": t, "b": e.b, "c": e.c, "d": e.d, "pairs": e.pairs, "counted": False}
            for (h, t), e in minutes.items()
        ],
    )
    sums: defaultdict[int, Evidence] = defaultdict(Evidence)
    for (hypothesis_id, _), evidence in minutes.items():
        _add(sums[hypothesis_id], evidence)
    column = hypotheses.c
    connection.execute(
        update(hypotheses)
        .where(column.id == bindparam("row"))
        .values({name: column[name] + bindparam(f"more_{name}") for name in _SUMS}),
        [{"row": h} | {f"more_{name}": getattr(e, name) for name in _SUMS} for h, e in sums.items()],
    )
    return frozenset(sums)


def unjudged_rows(changes: Changes, rows: Rows) -> frozenset[int]:
    """The ids of the hypotheses that differed in the batch where calls had been blocked."""
    found = ((rows.method(epoch, h.method), h) for epoch, h in changes.unjudged)
    return frozenset(rows.hypothesis(method_id, h.pattern, h.kind) for method_id, h in found)


def add_signatures(connection: Connection, changes: Changes, rows: Rows, limits: Limits) -> None:
    """Add the counts of signatures; those beyond a method's cap go to its overflow, which counts as unexplained."""
    counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for (epoch, method, signature), n in changes.signatures.items():
        method_id = rows.method(epoch, method)
        members = sorted({rows.hypothesis(method_id, pattern, kind) for pattern, kind in signature})
        counts[method_id][json.dumps(members)] += n
    added = []
    for method_id, of_signature in counts.items():
        by_digest = {signature_digest(text): (text, n) for text, n in of_signature.items()}
        for digest in _beyond_cap(connection, method_id, set(by_digest), limits):
            _, n = by_digest.pop(digest)
            by_digest[OVERFLOW_DIGEST] = (OVERFLOW_TEXT, by_digest.get(OVERFLOW_DIGEST, ("", 0))[1] + n)
        added += [
            {"method_id": method_id, "digest": digest, "hypothesis_ids": text, "n": n}
            for digest, (text, n) in by_digest.items()
        ]
    if added:
        connection.execute(upsert(connection, signatures, keys=("method_id", "digest"), add=("n",)), added)


def signature_digest(text: str) -> str:
    """The key of a signature, given as the JSON list of its hypotheses' ids; of the empty one the overflow's."""
    return OVERFLOW_DIGEST if text == OVERFLOW_TEXT else hashlib.sha256(text.encode()).hexdigest()[:32]


def _by_id(changes: Changes, rows: Rows) -> dict[tuple[int, int], Evidence]:
    minutes: defaultdict[tuple[int, int], Evidence] = defaultdict(Evidence)
    merged: dict[tuple[int, int], int] = {}  # the triples behind minutes of "(other)"
    for (epoch, hypothesis, minute), evidence in changes.evidence.items():
        method_id = rows.method(epoch, hypothesis.method)
        row = rows.hypothesis(method_id, hypothesis.pattern, hypothesis.kind)
        _add(minutes[row, minute], evidence)
        if rows.pattern(method_id, hypothesis.pattern, hypothesis.kind) == OTHER:
            merged[row, minute] = changes.counts[epoch, hypothesis.method, minute]["triples"]
    for where, triples in merged.items():
        minutes[where] = _within(minutes[where], triples)
    return minutes


def _within(evidence: Evidence, triples: int) -> Evidence:
    """Several patterns of one triple may have met in "(other)": scale, favouring no direction, to at most `triples`."""
    total = evidence.b + evidence.c + evidence.d
    if total <= triples:
        return evidence
    b, c, d = (n * triples // total for n in (evidence.b, evidence.c, evidence.d))
    return Evidence(b, c, d, evidence.pairs, evidence.left_out)


def _add(to: Evidence, more: Evidence) -> None:
    to.b += more.b
    to.c += more.c
    to.d += more.d
    to.pairs += more.pairs
    to.left_out += more.left_out


def _beyond_cap(connection: Connection, method_id: int, digests: set[str], limits: Limits) -> list[str]:
    known = set(
        connection.execute(
            select(signatures.c.digest).where(signatures.c.method_id == method_id, signatures.c.digest.in_(digests))
        ).scalars()
    )
    new = sorted(digests - known)
    if not new:
        return []
    count = connection.execute(
        select(func.count()).select_from(signatures).where(signatures.c.method_id == method_id)
    ).scalar_one()
    return new[max(0, limits.signatures_max - count) :]
