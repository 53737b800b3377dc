"""From a finished call to its Capture and its span. Pure: records in, bytes and frozen records out.

Runs in the sender's thread. Here it is decided which bodies fit the limits; of the others only size and hash are kept:
equal hashes are equal messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from grpc_mirror.call import DETAILS_KEY, CallRecord, Message, pairs
from grpc_mirror.outbound_span import outbound_of
from grpc_mirror.private_walk import Leaf
from grpc_mirror.propagation import ID_MAX_CHARS, Labels, Placement, place, read_labels, role_of
from grpc_mirror.redact import CallRedaction, Redactor
from grpc_mirror.schemas import Types
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.otlp import Link, SpanData
from grpc_mirror.v1 import attributes, capture_pb2

METADATA_MAX_BYTES = 16 * 1024  # of each kind of metadata
_REQUEST, _RESPONSE = capture_pb2.DIRECTION_REQUEST, capture_pb2.DIRECTION_RESPONSE
_TOO_LARGE = capture_pb2.OMISSION_MESSAGE_TOO_LARGE
_FULL = capture_pb2.OMISSION_CAPTURE_FULL
# Names of google.rpc.Code by number.
STATUS_NAMES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
# Those of a server span that the RPC conventions call errors; the others are the client's own doing.
_SERVER_ERRORS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})


class Described(NamedTuple):
    """What the headers of a call say of it, under the deployment's settings."""

    labels: Labels
    role: str
    placement: Placement
    condition: str  # to be counted; empty: nothing odd


def describe(record: CallRecord, settings: Settings) -> Described | None:
    """Labels, role and place in the trace; None where `x-mirror-id` makes no sense."""
    labels = read_labels(record.metadata)
    if not labels.mirror_id or len(labels.mirror_id) > ID_MAX_CHARS:
        return None
    role, condition = role_of(settings.role, labels.role)
    return Described(labels, role, place(labels, record.current), condition)


def capture_of(
    record: CallRecord, attempt: int, types: Types, settings: Settings, redactor: Redactor
) -> capture_pb2.Capture:
    """The Capture of one call, redacted and within the limits of the settings."""
    trailing, details = _split_details(record.trailing_metadata)
    outcome = record.outcome
    redaction = redactor.call(types.request, types.response)
    messages = _messages(record, settings, redaction, redactor.key_id)
    request_metadata, initial_metadata = (
        _allowed(metadata, settings) for metadata in (record.metadata, record.initial_metadata)
    )
    outside = redaction.outside(outcome.message, details, request_metadata, initial_metadata, trailing)
    capture = capture_pb2.Capture(
        method=record.method,
        kind=record.kind,
        request_type=types.request_type,
        response_type=types.response_type,
        schema_fingerprint=types.fingerprint,
        messages=messages,
        initial_metadata_unobserved=record.initial_metadata is None,
        status_code=outcome.code,
        status_message=outside.status_message,
        status_details=outside.status_details,
        ending=outcome.ending,
        deadline_ns=record.deadline_ns,
        attempt=attempt,
        start_unix_ns=record.start_unix_ns,
        duration_ns=record.duration_ns,
        request_count=record.request_count,
        response_count=record.response_count,
        exception_type=outcome.exception_type,
        blocked_calls=record.blocked_calls,
        metadata_truncated=not outside.complete,
    )
    if record.outbound is not None:  # by what is left: what is private must not be told from a hash of the whole
        capture.outbound.CopyFrom(outbound_of(record.outbound, capture.messages))
    _add_leaves(capture.private_leaves, outside.leaves, redactor.key_id)
    for direction, count, size in record.omitted:
        reason = capture_pb2.OMISSION_TOO_MANY_MESSAGES
        capture.omitted.add(reason=reason, direction=direction, messages=count, bytes=size)
    for kept, metadata in (
        (capture.request_metadata, outside.request_metadata),
        (capture.initial_metadata, outside.initial_metadata),
        (capture.trailing_metadata, outside.trailing_metadata),
    ):
        if _fill(kept, metadata):
            capture.metadata_truncated = True
    return capture


def span_of(record: CallRecord, described: Described, span_id: bytes, capture: bytes, server_address: str) -> SpanData:
    """The span of one call, which carries its serialised Capture."""
    labels, placement = described.labels, described.placement
    status = STATUS_NAMES[record.outcome.code]
    found: list[tuple[str, Any]] = [
        (attributes.ID, labels.mirror_id),
        (attributes.RUN, labels.run),
        (attributes.ROLE, described.role),
        (attributes.EXPECT, ",".join(labels.expect)),
        (attributes.RPC_SYSTEM, "grpc"),
        (attributes.RPC_METHOD, record.method),
        (attributes.RPC_STATUS, status),
        (attributes.SERVER_ADDRESS, server_address),
        (attributes.CAPTURE, capture),
    ]
    if labels.attempt:
        found.append((attributes.ATTEMPT, labels.attempt))
    link = placement.link
    return SpanData(
        trace_id=placement.trace_id,
        span_id=span_id,
        parent_span_id=placement.parent_span_id,
        trace_state=labels.trace_state,
        name=record.method,
        kind=placement.kind,
        start_unix_ns=record.start_unix_ns,
        end_unix_ns=record.start_unix_ns + record.duration_ns,
        attributes=tuple(found),
        links=() if link is None else (Link(link.trace_id, link.span_id),),
        error=status in _SERVER_ERRORS,
        flags=placement.flags,
    )


def _messages(
    record: CallRecord, settings: Settings, redaction: CallRedaction, key_id: str
) -> list[capture_pb2.CapturedMessage]:
    """Requests and responses in the order in which the server saw them, as far as their bodies fit."""
    seen = [(message, _REQUEST) for message in record.requests] + [(message, _RESPONSE) for message in record.responses]
    seen.sort(key=lambda one: one[0].offset_ns)
    room = settings.capture_max_bytes
    kept = []
    for message, direction in seen:
        omission = _omission(message, room, settings.message_max_bytes)
        captured = capture_pb2.CapturedMessage(
            direction=direction,
            offset_ns=message.offset_ns,
            original_size=message.size,
        )
        if not omission and message.body is not None:
            redacted = redaction.body(message.body, direction)
            omission = redacted.omission or (_FULL if redacted.size > room else omission)
            if not omission:
                captured.body = redacted.body
                _add_leaves(captured.private_leaves, redacted.leaves, key_id)
                room -= redacted.size
        if omission:
            captured.omission = omission
            if message.body is not None:
                captured.hash, captured.key_id = redaction.hash(message.body, direction)
        kept.append(captured)
    return kept


def _omission(message: Message, room: int, message_max_bytes: int) -> capture_pb2.Omission:
    if message.size > message_max_bytes:
        return _TOO_LARGE
    if message.body is None:
        return message.omission
    return _FULL if message.size > room else capture_pb2.OMISSION_UNSPECIFIED


def _add_leaves(kept: Any, leaves: Iterable[Leaf], key_id: str) -> None:
    for leaf in leaves:
        kept.add(path=leaf.path, hmac=leaf.hmac, key_id=key_id if leaf.hmac else "", empty=leaf.empty)


def _split_details(metadata: tuple[tuple[str, Any], ...]) -> tuple[list[tuple[str, Any]], bytes]:
    """Trailing metadata without the rich status, and that status's bytes."""
    rest, details = [], b""
    for key, value in pairs(metadata):
        if key == DETAILS_KEY and isinstance(value, bytes):
            details = details or value
        else:
            rest.append((key, value))
    return rest, details


def _allowed(metadata: object, settings: Settings) -> list[tuple[str, Any]]:
    """The pairs whose keys the settings name."""
    return [pair for pair in pairs(metadata) if pair[0] in settings.metadata]


def _fill(kept: Any, metadata: Iterable[tuple[str, Any]]) -> bool:
    """Copy metadata as far as METADATA_MAX_BYTES allow. Returns whether something was left out."""
    room = METADATA_MAX_BYTES
    for key, value in metadata:
        raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
        room -= len(key) + len(raw)
        if room < 0:
            return True
        kept.add(key=key, value=raw)
    return False
