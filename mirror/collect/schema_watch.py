"""Watches for two builds that answer by other schemas, and works out once what changed.

Fed with judged groups, it says what is new. A process is looked at once for each method that it serves, a pair of schemas
once for each method of an epoch. It has no I/O; the pipeline hands what it says to the store. One owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from grpc_mirror.v1 import capture_pb2

from mirror.core.model import CallRecord, EpochKey, Judged, Resource, Role
from mirror.core.schema_changes import SchemaChanges, SchemaPair, schema_changes
from mirror.core.schemas import SchemaBook, SchemaError

SIDES_MAX: Final = 10_000  # (method, process)s remembered, and pairs of schemas; beyond, all are looked at anew
_STREAMED: Final = (capture_pb2.CALL_KIND_SERVER_STREAM, capture_pb2.CALL_KIND_BIDI_STREAM)


@dataclass(frozen=True, slots=True)
class _Side:
    """What one build answers under one method."""

    fingerprint: str
    response_type: str
    streamed: bool


class SchemaWatch:
    """Over the schemas of the book, which another part fills."""

    def __init__(self, schemas: SchemaBook) -> None:
        self._schemas = schemas
        self._sides: dict[tuple[str, Resource], _Side | None] = {}
        self._done: set[tuple[EpochKey, str, _Side, _Side]] = set()

    def see(self, judged: Judged) -> tuple[SchemaPair, SchemaChanges] | None:
        """What the candidate's schema changed, the first time that this pair of schemas is seen; None: nothing new.

        A pair of which a schema has not come yet is looked at again with the next group.
        """
        calls = judged.group.calls
        primary, candidate = calls.get(Role.PRIMARY), calls.get(Role.CANDIDATE)
        if primary is None or candidate is None:
            return None
        left, right = self._side(primary), self._side(candidate)
        if left is None or right is None or left == right:
            return None
        method = judged.group.key.method
        key = (judged.epoch, method, left, right)
        if key in self._done or not all(self._schemas.known(side.fingerprint) for side in (left, right)):
            return None
        if len(self._done) >= SIDES_MAX:
            self._done.clear()
        self._done.add(key)
        found = self._look(left, right)
        if found is None or not found.count:
            return None
        return SchemaPair(judged.epoch, method, left.fingerprint, right.fingerprint), found

    def _side(self, call: CallRecord) -> _Side | None:
        key = (call.key.method, call.resource)
        if key not in self._sides:
            if len(self._sides) >= SIDES_MAX:
                self._sides.clear()
            self._sides[key] = _read(call.capture)
        return self._sides[key]

    def _look(self, left: _Side, right: _Side) -> SchemaChanges | None:
        try:
            ours, theirs = (self._schemas.descriptor(side.fingerprint, side.response_type) for side in (left, right))
        except SchemaError:
            return None  # a schema that lacks its own type tells nothing
        return schema_changes(ours, theirs, "responses[*]" if right.streamed else "response")


def _read(capture: bytes) -> _Side | None:
    """None: no protobuf messages, or no capture."""
    try:
        found = capture_pb2.Capture.FromString(capture)
    except DecodeError:
        return None
    if not (found.response_type and found.schema_fingerprint):
        return None
    return _Side(found.schema_fingerprint, found.response_type, found.kind in _STREAMED)
