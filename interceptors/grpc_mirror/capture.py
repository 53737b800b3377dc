"""From a finished call to its Capture and its span. Pure: records in, bytes and frozen records out.

Runs in the sender's thread. What is private is taken out here, before anything is encoded, and it is decided which bodies fit
the limits; of the others only size and hash are kept: equal hashes are equal messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from grpc_mirror import native
from grpc_mirror.call import DETAILS_KEY, pairs
from grpc_mirror.outbound_span import outbound_of
from grpc_mirror.private_walk import Leaf
from grpc_mirror.propagation import ID_MAX_CHARS, Labels, Placement, place, read_labels, role_of
from grpc_mirror.records import CallRecord, Omitted
from grpc_mirror.redact import CallRedaction, Redactor
from grpc_mirror.schemas import Types
from grpc_mirror.seen import Message, digest_of
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.otlp import ALONE_BYTES, Link, SpanData
from grpc_mirror.v1 import attributes, capture_pb2
from grpc_mirror.wire import bytes_field, int_field, varint

METADATA_MAX_BYTES = 16 * 1024  # of each kind of metadata
_REQUEST, _RESPONSE = capture_pb2.DIRECTION_REQUEST, capture_pb2.DIRECTION_RESPONSE
_DIRECTIONS = {_REQUEST: b"\x08\x01\x18", _RESPONSE: b"\x08\x02\x18"}
BOTH = frozenset(_DIRECTIONS)
_NATIVE = native.part("encoding")
_TOO_LARGE = capture_pb2.OMISSION_MESSAGE_TOO_LARGE
_FULL = capture_pb2.OMISSION_CAPTURE_FULL
_NOT_SAMPLED = capture_pb2.OMISSION_NOT_SAMPLED
NOT_SAMPLED = int_field(34, 1)  # the field of a Capture that says so
SHORT = 1 << 28  # a number below it has a varint of four bytes
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
    conditions: tuple[str, ...]  # to be counted


def describe(record: CallRecord, settings: Settings) -> Described | None:
    """Labels, role and place in the trace; None where `x-mirror-id` makes no sense."""
    labels = read_labels(record.metadata)
    if not labels.mirror_id or len(labels.mirror_id) > ID_MAX_CHARS:
        return None
    role, condition = role_of(settings.role, labels.role)
    conditions: tuple[str, ...] = (condition,) if condition else ()
    if not record.sampled:
        conditions += ("not_sampled",)
    return Described(labels, role, place(labels, record.current), conditions)


class Captured(NamedTuple):
    """A serialised Capture, in pieces whose bodies are no copies, and what stands on its span beside."""

    parts: list[bytes]
    outbound: capture_pb2.Outbound | None  # of a call that the service made


def capture_of(record: CallRecord, attempt: int, types: Types, settings: Settings, redactor: Redactor) -> Captured:
    """The Capture of one call, redacted and within the limits of the settings.

    Most calls have nothing but what is written by hand here. Whatever else one has is written by the generated class: joined,
    both are one message, since the fields of a serialised message may stand in any order.
    """
    outcome = record.outcome
    head = head_of(
        record.method,
        record.kind,
        types,
        record.initial_metadata is None,
        outcome.code,
        outcome.ending,
        attempt,
        record.request_count,
        record.response_count,
    )
    # start_unix_ns, duration_ns
    parts = [head, b"\x88\x01%b\x90\x01%b" % (varint(record.start_unix_ns), varint(record.duration_ns))]
    if record.deadline_ns:
        parts.append(int_field(15, record.deadline_ns))
    if record.blocked_calls:
        parts.append(int_field(31, record.blocked_calls))
    if record.outbound_calls:
        parts.append(int_field(32, record.outbound_calls))
    if record.outbound_omitted:
        parts.append(int_field(33, record.outbound_omitted))
    if not record.sampled:
        parts.append(NOT_SAMPLED)
    redaction = redactor.call(types.request, types.response)
    messages = messages_of(record.requests, record.responses, settings, redaction, redactor.key_id)
    outbound = None
    if record.outbound is not None:  # by what is left: what is private must not be told from a hash of the whole
        outbound = outbound_of(record.outbound, capture_pb2.Capture.FromString(b"".join(messages)).messages)
        parts.append(bytes_field(30, outbound.SerializeToString()))
    parts += messages
    if _has_more(record, settings):
        parts.append(_rest(record, settings, redaction, redactor.key_id))
    return Captured(parts, outbound)


@lru_cache(maxsize=1024)
def head_of(  # noqa: PLR0913, PLR0917 - what the calls of a method that ended alike have in common: the key of the cache
    method: str,
    kind: capture_pb2.CallKind,
    types: Types,
    unobserved: bool,  # noqa: FBT001
    code: int,
    ending: capture_pb2.Ending,
    attempt: int,
    requests: int,
    responses: int,
) -> bytes:
    """The fields that the captures of a method's calls of one ending have in common."""
    return capture_pb2.Capture(
        method=method,
        kind=kind,
        request_type=types.request_type,
        response_type=types.response_type,
        schema_fingerprint=types.fingerprint,
        initial_metadata_unobserved=unobserved,
        status_code=code,
        ending=ending,
        attempt=attempt,
        request_count=requests,
        response_count=responses,
    ).SerializeToString()


def _has_more(record: CallRecord, settings: Settings) -> bool:
    outcome = record.outcome
    return bool(
        record.trailing_metadata or outcome.message or outcome.exception_type or record.omitted or settings.metadata
    )


def _rest(record: CallRecord, settings: Settings, redaction: CallRedaction, key_id: str) -> bytes:
    """What few calls have: texts, details, metadata, what was taken out of them, and what was left out."""
    outcome = record.outcome
    trailing, details = _split_details(record.trailing_metadata)
    request, initial = (_allowed(metadata, settings) for metadata in (record.metadata, record.initial_metadata))
    outside = redaction.outside(outcome.message, details, request, initial, trailing)
    capture = capture_pb2.Capture(
        status_message=outside.status_message,
        status_details=outside.status_details,
        exception_type=outcome.exception_type,
        metadata_truncated=not outside.complete,
    )
    _add_leaves(capture.private_leaves, outside.leaves, key_id)
    reason = capture_pb2.OMISSION_TOO_MANY_MESSAGES if record.sampled else capture_pb2.OMISSION_NOT_SAMPLED
    for direction, messages, size, kept_after in record.omitted:
        capture.omitted.add(reason=reason, direction=direction, messages=messages, bytes=size, kept_after=kept_after)
    for kept, metadata in (
        (capture.request_metadata, outside.request_metadata),
        (capture.initial_metadata, outside.initial_metadata),
        (capture.trailing_metadata, outside.trailing_metadata),
    ):
        if _fill(kept, metadata):
            capture.metadata_truncated = True
    return capture.SerializeToString()


def span_of(
    record: CallRecord, described: Described, span_id: bytes, capture: list[bytes], server_address: str
) -> SpanData:
    """The span of one call, which carries its serialised Capture."""
    labels, placement = described.labels, described.placement
    status = STATUS_NAMES[record.outcome.code]
    link = placement.link
    own: tuple[tuple[str, Any], ...] = ((attributes.ID, labels.mirror_id),)
    return SpanData(
        placement.trace_id,
        span_id,
        placement.parent_span_id,
        labels.trace_state,
        record.method,
        placement.kind,
        record.start_unix_ns,
        record.start_unix_ns + record.duration_ns,
        (*own, (attributes.ATTEMPT, labels.attempt)) if labels.attempt else own,
        () if link is None else (Link(link.trace_id, link.span_id),),
        status in _SERVER_ERRORS,
        placement.flags,
        alike_of(labels.run, described.role, labels.expect, record.method, status, server_address),
        capture,
    )


@lru_cache(maxsize=1024)
def alike_of(  # noqa: PLR0913, PLR0917 - the key of the cache
    run: str, role: str, expect: tuple[str, ...], method: str, status: str, server_address: str
) -> tuple[tuple[str, str], ...]:
    """The attributes that the spans of a method that ended alike have in common."""
    return (
        (attributes.RUN, run),
        (attributes.ROLE, role),
        (attributes.EXPECT, ",".join(expect)),
        (attributes.RPC_SYSTEM, "grpc"),
        (attributes.RPC_METHOD, method),
        (attributes.RPC_STATUS, status),
        (attributes.SERVER_ADDRESS, server_address),
    )


def captured_requests(
    requests: Sequence[Message], redaction: CallRedaction, key_id: str, settings: Settings
) -> list[capture_pb2.CapturedMessage]:
    """Requests as the Capture of their call would hold them, before there is one."""
    parts = messages_of(requests, (), settings, redaction, key_id)
    return list(capture_pb2.Capture.FromString(b"".join(parts)).messages)


def messages_of(
    requests: Sequence[Message],
    responses: Sequence[Message],
    settings: Settings,
    redaction: CallRedaction,
    key_id: str,
) -> list[bytes]:
    """Requests and responses in the order in which the server saw them, as far as their bodies fit; in pieces."""
    room, limit, public = settings.capture_max_bytes, settings.message_max_bytes, redaction.public
    parts: list[bytes] = []
    if _NATIVE is not None and public == BOTH:
        given = tuple(requests), tuple(responses)
        parts, asked, answered, room = _NATIVE.messages(*given, room, limit, ALONE_BYTES)
        requests, responses = given[0][asked:], given[1][answered:]
    seen = [(message, _REQUEST) for message in requests]
    seen += [(message, _RESPONSE) for message in responses]
    if len(seen) > 2 or (len(seen) == 2 and seen[0][0].offset_ns > seen[1][0].offset_ns):
        seen.sort(key=_offset)
    for message, direction in seen:
        offset_ns, size, raw, _, _ = message
        if raw is None or size > limit or size > room:
            parts.append(_without_body(message, direction, _omission(message, room, limit), redaction))
            continue
        if direction in public:
            room -= size
            if offset_ns < SHORT:
                before, after = message_head(direction, size)
                parts += (before, four_bytes(offset_ns), after, raw)
                continue
            offset, length = varint(offset_ns), varint(size)
            inner = varint(5 + len(offset) + 2 * len(length) + size)
            parts += (b"\x32%b%b%b\x20%b\x12%b" % (inner, _DIRECTIONS[direction], offset, length, length), raw)
            continue
        offset, length = varint(offset_ns), varint(size)
        start = b"%b%b\x20%b" % (_DIRECTIONS[direction], offset, length)
        redacted = redaction.body(raw, direction)
        raw, leaves, omission = redacted
        size = redacted.size
        if omission or size > room:
            parts.append(_without_body(message, direction, omission or _FULL, redaction))
            continue
        if leaves:
            start += _leaves(leaves, key_id)
        room -= size
        start += b"\x12" + varint(len(raw))
        parts += (b"\x32" + varint(len(start) + len(raw)) + start, raw)
    return parts


def omitted_field(omitted: Omitted) -> bytes:
    """As a field of a Capture: of a call that was not sampled how many messages there were, and their bytes."""
    direction, messages, size, _ = omitted
    told = b"\x08%c\x10%c\x18%b\x20%b" % (_NOT_SAMPLED, direction, varint(messages), varint(size))
    return b"\xaa\x01%b%b" % (varint(len(told)), told)


def four_bytes(value: int, more: int = 0x808080) -> bytes:
    """A number below SHORT as a varint of four bytes, however small it is; `more`: the bits that say that a byte is followed.

    What has one length needs no lengths of its own around it: those are known by the sizes of the messages.
    """
    value = (value & 0x3FFF) | (value & 0xFFFC000) << 2
    return ((value & 0x7F007F) | (value & 0x3F803F80) << 1 | more).to_bytes(4, "little")


@lru_cache(maxsize=4096)  # the sizes of a service's messages repeat
def message_head(direction: int, size: int) -> tuple[bytes, bytes]:
    """What stands before a body in its capture: up to its offset, which has four bytes, and from there on."""
    length = varint(size)
    after = b"\x20%b\x12%b" % (length, length)
    return b"\x32%b\x08%c\x18" % (varint(7 + len(after) + size), direction), after


def _offset(one: tuple[Message, capture_pb2.Direction]) -> int:
    return one[0].offset_ns


def _without_body(
    message: Message, direction: capture_pb2.Direction, omission: capture_pb2.Omission, redaction: CallRedaction
) -> bytes:
    captured = capture_pb2.CapturedMessage(
        direction=direction, offset_ns=message.offset_ns, original_size=message.size, omission=omission
    )
    digest = message.digest if message.body is None else digest_of(message.body)
    if digest:
        captured.hash, captured.key_id = redaction.hash(digest, direction)
    return bytes_field(6, captured.SerializeToString())


def _leaves(leaves: Iterable[Leaf], key_id: str) -> bytes:
    """As fields of a CapturedMessage."""
    captured = capture_pb2.CapturedMessage()
    _add_leaves(captured.private_leaves, leaves, key_id)
    return captured.SerializeToString()


def _add_leaves(kept: Any, leaves: Iterable[Leaf], key_id: str) -> None:
    for leaf in leaves:
        kept.add(path=leaf.path, hmac=leaf.hmac, key_id=key_id if leaf.hmac else "", empty=leaf.empty)


def _omission(message: Message, room: int, message_max_bytes: int) -> capture_pb2.Omission:
    if message.size > message_max_bytes:
        return _TOO_LARGE
    if message.body is None:
        return message.omission
    return _FULL if message.size > room else capture_pb2.OMISSION_UNSPECIFIED


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
