"""Makes judged groups for tests; not a test."""

from __future__ import annotations

from typing import Any

from mirror.collect.slices import Slicer
from mirror.core.model import (
    CallRecord,
    Difference,
    EpochKey,
    Group,
    Judged,
    Kind,
    Outcome,
    PairKey,
    Release,
    Role,
    Verdict,
)
from mirror.core.path import Field, Index
from tests.collect.otlp import METHOD, RUN, call_span, capture, request

PRICE = (Field("response"), Field("items"), Index(2), Field("price"))


def record(
    mirror_id: str = "m1", role: str = "primary", *, version: str = "1.0", body: bytes = b"", **more: Any
) -> CallRecord:
    """One call as the slicer makes it, its span kept."""
    span = call_span(mirror_id, role, data=capture(body), **more)
    batch = Slicer(keep_spans=True).slice(request(span, version=version).SerializeToString(), arrived_s=100.0)
    return batch.calls[0]


def difference(left: Any = 10, right: Any = 20, **more: Any) -> Difference:
    return Difference(PRICE, Kind.VALUE, left, right, **more)


def judged(
    mirror_id: str = "m1", verdict: Verdict = Verdict.MISMATCHED, *differences: Difference, **more: Any
) -> Judged:
    """A pair with a candidate of that verdict."""
    calls = {
        Role.PRIMARY: record(mirror_id, "primary", body=b"the primary's secret"),
        Role.CANDIDATE: record(mirror_id, "candidate", version="2.0", body=b"the candidate's secret"),
    }
    key = PairKey(RUN, METHOD, mirror_id)
    outcome = Outcome(verdict, differences=differences, difference_count=len(differences), **more)
    return Judged(
        group=Group(key, calls, frozenset({Role.CANDIDATE}), Release.COMPLETE, 100.0),
        epoch=EpochKey(RUN, "shop", "1.0", "2.0"),
        minute=1,
        outcomes={Role.CANDIDATE: outcome},
        triple=None,
        compared_at_s=101.0,
    )
