"""Kept comparisons compared again, under other rules: from a Comparison back to the calls that it was made of.

Reads schemas from the store; else pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import DecodeError
from grpc_mirror.v1.capture_pb2 import OUTBOUND_POLICY_SENT, Capture
from grpc_mirror.v1.comparison_pb2 import Comparison

from mirror.core.calls import CallComparer
from mirror.core.compare.options import CompareOptions
from mirror.core.model import CallRecord, OutboundRecord, Outcome, PairKey, Resource, Role
from mirror.core.rules import RuleSet
from mirror.core.schemas import SchemaBook, SchemaError
from mirror.core.status import status_name
from mirror.store.queries import Reader


class Recomparer:
    """Holds the schemas that the calls need, and one comparer for each set of rules that it is asked to use."""

    def __init__(self, reader: Reader, options: CompareOptions) -> None:
        self._reader = reader
        self._options = options
        self._book = SchemaBook()
        self._missing: set[str] = set()

    def under(self, rules: RuleSet) -> CallComparer:
        """A comparer under these rules."""
        return CallComparer(self._book, rules, self._options)

    def outcome(self, comparer: CallComparer, calls: dict[Role, CallRecord], role: Role) -> Outcome | None:
        """What comes of the primary's call against this shadow's; None where one of them is not there."""
        primary, shadow = calls.get(Role.PRIMARY), calls.get(role)
        if primary is None or shadow is None:
            return None
        for fingerprint in comparer.missing_schemas(primary, shadow):
            self._learn(fingerprint)
        return comparer.compare(primary, shadow)

    def _learn(self, fingerprint: str) -> None:
        if fingerprint in self._missing:
            return
        stored = self._reader.schema(fingerprint)
        try:
            if stored is not None and self._book.add(stored) == fingerprint:
                return
        except SchemaError:
            pass
        self._missing.add(fingerprint)


def calls_of(comparison: Comparison) -> dict[Role, CallRecord]:
    """The calls of a kept comparison by role; those whose captures are not kept, or cannot be read, are not there."""
    key = PairKey(comparison.run, comparison.method, comparison.mirror_id)
    expect = frozenset(Role(side.role) for side in comparison.sides if side.role in set(Role))
    found = [
        _call(key, Role.PRIMARY, expect, comparison.primary_capture, list(comparison.primary_outbound)),
        *(
            _call(key, Role(s.role), expect, s.capture, list(s.outbound))
            for s in comparison.sides
            if s.role in set(Role)
        ),
    ]
    return {call.role: call for call in found if call is not None}


def _call(key: PairKey, role: Role, expect: frozenset[Role], data: bytes, outbound: list[bytes]) -> CallRecord | None:
    try:
        capture = Capture.FromString(data) if data else None
        made = tuple(_outbound(key, role, expect, outbound))
    except DecodeError:
        return None
    if capture is None:
        return None
    return CallRecord(
        key=key,
        role=role,
        expect=expect,
        attempt=capture.attempt,
        status=status_name(capture.status_code),
        resource=Resource("", "", ""),
        trace_id=b"",
        span_id=b"",
        capture=data,
        arrived_s=0.0,
        outbound_calls=capture.outbound_calls,
        outbound=made,
    )


def _outbound(key: PairKey, role: Role, expect: frozenset[Role], kept: list[bytes]) -> Iterator[OutboundRecord]:
    for data in kept:
        capture = Capture.FromString(data)
        yield OutboundRecord(
            key=key,
            role=role,
            expect=expect,
            served_span_id=capture.outbound.served_span_id,
            method=capture.method,
            index=capture.outbound.index,
            after_end=False,
            capture=data,
            span_id=b"",
            arrived_s=0.0,
            request_hash=capture.outbound.request_hash,
            ordinal=capture.outbound.ordinal,
            sent=capture.outbound.policy == OUTBOUND_POLICY_SENT,
        )
