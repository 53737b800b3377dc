"""The fields of one span of ours, read from its attributes of whatever generation of the RPC conventions. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from google.protobuf.message import DecodeError, Message
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import capture_pb2
from grpc_mirror.v1.otlp_slices_pb2 import AnyValue, SliceSpan, Span

from mirror.collect.heads import Head
from mirror.core.model import CallRecord, Origin, OutboundRecord, PairKey, Resource, Role
from mirror.core.status import STATUS_NAMES, status_name

EXPECT_USUAL_CHARS: Final = 64
NAME_MAX_CHARS: Final = 512  # of id, run and method: they become keys and are stored

REJECTIONS: Final[Mapping[str, str]] = {
    "malformed_span": "not a protobuf Span",
    "no_id": f"the attribute {names.ID} is missing",
    "no_run": f"the attribute {names.RUN} is missing",
    "no_role": f"the attribute {names.ROLE} is not one of {', '.join(names.ROLES)}",
    "expect": f"the attribute {names.EXPECT} names an unknown role",
    "no_method": f"neither {names.RPC_METHOD} nor the capture names the method",
    "no_capture": f"the attribute {names.CAPTURE} is missing: did a processor remove it on the way?",
    "capture_encoding": f"the attribute {names.CAPTURE} is neither bytes nor base64 text",
    "malformed_capture": f"the attribute {names.CAPTURE} is not a mirror.v1.Capture",
    "malformed_schema": f"the attribute {names.SCHEMA} is not a mirror.v1.Schema",
    "malformed_report": f"the attribute {names.REPORT} is not a mirror.v1.SourceReport",
    "trace_id": "the trace ID is not 16 bytes, or all zero",
    "span_id": "the span ID is not 8 bytes, or all zero",
    "no_outbound": f"an outbound call whose {names.CAPTURE} does not say by which call it was made",
    "too_long": f"id, run or method is longer than {NAME_MAX_CHARS} characters",
}

_STATUS_ATTRIBUTES: Final = (names.RPC_STATUS, "rpc.response.status_code", "rpc.grpc.status_code")  # newest first
_STATUSES: Final = {name: name for name in STATUS_NAMES}
_ROLES: Final = {role.value: role for role in Role}
_NO_IDENTIFIER: Final = {16: bytes(16), 8: bytes(8)}
_RPC_SERVICE: Final = "rpc.service"  # before conventions 1.39 the method was short and its service stood here
VERDICT: Final = "mirror.verdict"
WANTED: Final = frozenset(
    {
        names.ID, names.RUN, names.ROLE, names.EXPECT, names.ATTEMPT, names.CAPTURE, names.SCHEMA, names.REPORT,
        names.OUTBOUND, names.RPC_METHOD, _RPC_SERVICE, VERDICT, *_STATUS_ATTRIBUTES,
    }
)  # fmt: skip


Found: TypeAlias = Mapping[str, AnyValue]


class Place(NamedTuple):
    """Where and when a span came: its request, when that arrived (unix seconds), and which of its spans it is."""

    arrived_s: float
    origin: Origin
    span_index: int


class Rejected(Exception):  # noqa: N818 - not an error of the program: it names why one span is left out
    """One span cannot be used; its text is a key of REJECTIONS."""


def head_of(found: Found) -> Head:
    """What the attributes that are WANTED say of a call. Raises Rejected."""
    return Head(
        _usual(_text(found, names.RUN)),
        _usual(_method(found)),
        _role(found),
        _expect(found),
        _int(found.get(names.ATTEMPT)),
        _status(found),
    )


def call_of(  # noqa: PLR0913 - the parts of a span
    head: Head, mirror_id: str, data: bytes, span: SliceSpan | Span, resource: Resource, *, kept: bytes, place: Place
) -> CallRecord:
    """The record of a call that `resource` served: `data` is its serialised Capture, `kept` what is kept of the span. Raises Rejected."""
    try:
        capture = capture_pb2.Capture.FromString(data)
    except DecodeError:
        raise Rejected("malformed_capture") from None
    run, method, role, expect, attempt, status = head
    arrived_s, origin, index = place
    return CallRecord(
        _key(mirror_id, run, method or _usual(capture.method.removeprefix("/"))),
        role,
        expect,
        attempt or capture.attempt,
        status or status_name(capture.status_code),
        resource,
        _identifier(span.trace_id, 16, "trace_id"),
        _identifier(span.span_id, 8, "span_id"),
        data,
        arrived_s,
        kept,
        capture.outbound_calls,
        (),
        origin,
        index,
    )


def outbound_of(span: Span, found: Found, place: Place, *, keep_span: bool) -> OutboundRecord:
    """The record of a call that a service made while it served a mirrored one. `keep_span`: see `call_of`. Raises Rejected."""
    data = capture_of(found)
    try:
        capture = capture_pb2.Capture.FromString(data)
    except DecodeError:
        raise Rejected("malformed_capture") from None
    outbound = capture.outbound
    method = found[names.OUTBOUND].string_value or capture.method
    if not (outbound.served_method and outbound.served_span_id and method):
        raise Rejected("no_outbound")
    if len(method) > NAME_MAX_CHARS:
        raise Rejected("too_long")
    return OutboundRecord(
        key=_key(id_of(found), _usual(_text(found, names.RUN)), _usual(outbound.served_method)),
        role=_role(found),
        expect=_expect(found),
        served_span_id=_identifier(outbound.served_span_id, 8, "no_outbound"),
        method=method,
        index=outbound.index,
        after_end=outbound.after_end,
        capture=data,
        span_id=_identifier(span.span_id, 8, "span_id"),
        arrived_s=place.arrived_s,
        origin=place.origin,
        span_index=place.span_index,
        request_hash=outbound.request_hash,
        ordinal=outbound.ordinal,
        sent=outbound.policy == capture_pb2.OUTBOUND_POLICY_SENT,
        span=without_payload(span) if keep_span else b"",
    )


def capture_of(found: Found) -> bytes:
    """The serialised Capture of a span. Raises Rejected."""
    if names.CAPTURE not in found:
        raise Rejected("no_capture")
    return bytes_of(found[names.CAPTURE], "capture_encoding")


def id_of(found: Found) -> str:
    """The ID of a span's call; empty where it has none."""
    return _text(found, names.ID)


def message_bytes(value: AnyValue, kind: type[Message], reason: str) -> bytes:
    """The bytes attribute `value`, known to hold a message of this kind. Raises Rejected with `reason`."""
    data = bytes_of(value, reason)
    try:
        kind.FromString(data)
    except DecodeError:
        raise Rejected(reason) from None
    return data


def bytes_of(value: AnyValue, reason: str) -> bytes:
    """A bytes attribute; some backends turn it into base64 text on the way."""
    if data := value.bytes_value:
        return data
    match value.WhichOneof("value"):
        case "bytes_value":
            return b""
        case "string_value":
            try:
                return base64.b64decode(value.string_value, validate=True)
            except (binascii.Error, ValueError):
                raise Rejected(reason) from None
        case _:
            raise Rejected(reason)


def _int(value: AnyValue | None) -> int:
    if value is None:
        return 0
    text = value.string_value
    return value.int_value or (int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0)


def _text(found: Found, key: str) -> str:
    return found[key].string_value if key in found else ""


def _key(mirror_id: str, run: str, method: str) -> PairKey:
    if not (mirror_id and run and method):
        raise Rejected("no_id" if not mirror_id else "no_method" if run else "no_run")
    if len(mirror_id) > NAME_MAX_CHARS or len(run) > NAME_MAX_CHARS or len(method) > NAME_MAX_CHARS:
        raise Rejected("too_long")
    return PairKey(run, method, mirror_id)


@lru_cache(maxsize=4096)
def _usual(name: str) -> str:
    """One string for equal ones: thousands of records wait."""
    return name


def _method(found: Found) -> str:
    method = _text(found, names.RPC_METHOD).removeprefix("/")
    if method and "/" not in method:
        service = _text(found, _RPC_SERVICE)
        return f"{service}/{method}" if service else ""
    return method


def _role(found: Found) -> Role:
    role = _ROLES.get(found[names.ROLE].string_value) if names.ROLE in found else None
    if role is None:
        raise Rejected("no_role")
    return role


def _expect(found: Found) -> frozenset[Role]:
    text = _text(found, names.EXPECT)
    return _usual_roles(text) if len(text) <= EXPECT_USUAL_CHARS else _roles_of(text)


def _roles_of(text: str) -> frozenset[Role]:
    roles = {part.strip() for part in text.split(",")} - {"", names.PRIMARY}
    if not roles <= _ROLES.keys():
        raise Rejected("expect")
    return frozenset(map(Role, roles))


_usual_roles: Final = lru_cache(maxsize=64)(_roles_of)


def _status(found: Found) -> str:
    """Empty: no attribute says it."""
    for name in _STATUS_ATTRIBUTES:
        if name in found:
            value = found[name]
            text = value.string_value
            if text in _STATUSES:
                return _STATUSES[text]  # always the same string: thousands wait
            text = text.upper()
            if text in _STATUSES:
                return _STATUSES[text]
            if value.WhichOneof("value") == "int_value" or text.isdecimal():
                return status_name(_int(value))
    return ""


def _identifier(value: bytes, size: int, reason: str) -> bytes:
    if len(value) != size or value == _NO_IDENTIFIER[size]:
        raise Rejected(reason)
    return value


def without_payload(span: Span) -> bytes:
    """The span as bytes, less its payload attributes, which are taken out of it."""
    for place in reversed(range(len(span.attributes))):
        if span.attributes[place].key in names.PAYLOAD_ATTRIBUTES:
            del span.attributes[place]
    return span.SerializeToString()
