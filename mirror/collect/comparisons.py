"""The Comparison that is kept of a judged group as an example: both sides' differences and captures. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from grpc_mirror.v1 import comparison_pb2

from mirror.core.compare import value_text
from mirror.core.model import CallRecord, Difference, Judged, Outcome, PairKey, Role, Verdict
from mirror.core.path import render

PATH_MAX_CHARS: Final = 2000  # keys are data of any size
DIFFERENCES_MAX: Final = 200  # of one side, those under a rule included
OUTBOUND_MAX: Final = 50  # outbound calls kept of one replica
OUTBOUND_MAX_BYTES: Final = 256 << 10
_VERDICTS: Final = {
    Verdict.MATCHED: comparison_pb2.VERDICT_MATCHED,
    Verdict.MISMATCHED: comparison_pb2.VERDICT_MISMATCHED,
    Verdict.IGNORED: comparison_pb2.VERDICT_IGNORED,
    Verdict.INCOMPLETE: comparison_pb2.VERDICT_INCOMPLETE,
    Verdict.INCOMPARABLE: comparison_pb2.VERDICT_INCOMPARABLE,
}


def comparison_id(key: PairKey) -> str:
    """The ID of a pair's comparison: 32 hex digits that follow from the pair key."""
    return hashlib.sha256(f"{key.run}\0{key.method}\0{key.mirror_id}".encode()).hexdigest()[:32]


def comparison_of(judged: Judged) -> comparison_pb2.Comparison:
    """The Comparison of a judged group. Values become short text."""
    key, calls = judged.group.key, judged.group.calls
    primary = calls.get(Role.PRIMARY)
    anchor = primary or next(iter(calls.values()))
    kept = comparison_pb2.Comparison(
        id=comparison_id(key),
        run=key.run,
        service=judged.epoch.service,
        method=key.method,
        mirror_id=key.mirror_id,
        trace_id=anchor.trace_id,
        compared_at_s=judged.compared_at_s,
        primary_version=judged.epoch.primary_version,
        sides=[_side(role, outcome, calls.get(role)) for role, outcome in sorted(judged.outcomes.items())],
    )
    if primary is not None:
        kept.primary_version = primary.resource.version
        kept.primary_instance = primary.resource.instance
        kept.primary_span_id = primary.span_id
        kept.primary_capture = primary.capture
        kept.primary_outbound.extend(_outbound(primary))
        kept.primary_outbound_count = len(primary.outbound)
    return kept


def _side(role: Role, outcome: Outcome, call: CallRecord | None) -> comparison_pb2.Side:
    side = comparison_pb2.Side(
        role=str(role),
        verdict=_VERDICTS[outcome.verdict],
        reason=outcome.reason,
        differences=list(_differences(outcome)),
        difference_count=max(outcome.difference_count, len(outcome.differences), len(outcome.drift)),
        unjudged=map(_difference, outcome.unjudged[:DIFFERENCES_MAX]),
        unseen=outcome.reasons,
    )
    if call is not None:
        side.capture = call.capture
        side.version = call.resource.version
        side.instance = call.resource.instance
        side.span_id = call.span_id
        side.outbound.extend(_outbound(call))
        side.outbound_count = len(call.outbound)
    return side


def _outbound(call: CallRecord) -> Iterator[bytes]:
    """The captures of its outbound calls, as many as are kept."""
    room = OUTBOUND_MAX_BYTES
    for made in call.outbound[:OUTBOUND_MAX]:
        room -= made.size
        if room < 0:
            return
        yield made.capture


def _differences(outcome: Outcome) -> Iterator[comparison_pb2.Difference]:
    for difference in (*outcome.differences, *outcome.ignored, *outcome.drift)[:DIFFERENCES_MAX]:
        yield _difference(difference)


def _difference(difference: Difference) -> comparison_pb2.Difference:
    return comparison_pb2.Difference(
        path=_cut(render(difference.path)),
        pattern=_cut(difference.pattern),
        kind=str(difference.kind),
        left=value_text(difference.left),
        right=value_text(difference.right),
        rule=difference.rule,
        note=difference.note,
    )


def _cut(path: str) -> str:
    return path if len(path) <= PATH_MAX_CHARS else f"{path[: PATH_MAX_CHARS - 1]}…"
