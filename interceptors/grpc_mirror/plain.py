"""The spans of plain calls, straight from what was seen to bytes. Pure, apart from what it remembers of methods.

Of a plain call only ids, times and the two messages are its own. Everything else is as in the other plain calls of its method
on the same route, and is encoded once, by the functions that encode all other calls (capture.py, sinks/otlp.py).
The bytes read back as theirs would. What does not fit is left to them: private or large messages, odd headers, links.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from grpc_mirror.call import Plain
from grpc_mirror.capture import alike_of, describe, head_of
from grpc_mirror.propagation import (
    ID_MAX_CHARS,
    KIND_INTERNAL,
    KIND_SERVER,
    TRACE_STATE_MAX_CHARS,
    derived_trace_id,
    parse_traceparent,
    span_id_of,
)
from grpc_mirror.redact import Redactor
from grpc_mirror.schemas import SchemaRegistry
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.otlp import (
    CAPTURE_KEY,
    JOIN_MAX_BYTES,
    TIMES_AND_FLAGS,
    alike_bytes,
    attribute_bytes,
    trace_state_bytes,
)
from grpc_mirror.v1 import attributes, capture_pb2
from grpc_mirror.wire import bytes_field, varint

FORMS_MAX = 1024
_HEADERS = (attributes.HEADER_RUN, attributes.HEADER_ROLE, attributes.HEADER_EXPECT, attributes.HEADER_ATTEMPT)
_BOTH = frozenset({capture_pb2.DIRECTION_REQUEST, capture_pb2.DIRECTION_RESPONSE})
_ID_KEY = bytes_field(1, attributes.ID.encode())


class Form(NamedTuple):
    """What the plain calls of a method on one route have alike."""

    fits: bool  # False: others encode them
    fingerprint: str  # of their schema
    condition: str  # to be counted with each; empty: nothing odd
    server: bytes  # fields of their spans, below a remote parent
    internal: bytes  # of spans below one of the service's own
    head: bytes  # fields of their captures


class PlainSpan(NamedTuple):
    """A serialised span."""

    form: Form
    item: list[bytes]  # as `otlp.span_item` gives it
    size: int


class PlainCalls:
    """Encodes plain calls. One owner."""

    def __init__(self, settings: Settings, schemas: SchemaRegistry, redactor: Redactor, host: str) -> None:
        self._settings = settings
        self._schemas = schemas
        self._redactor = redactor
        self._host = host
        self._forms: dict[tuple[Any, ...], Form] = {}
        self._known = (0, 0)
        self._max_bytes = min(settings.message_max_bytes, settings.capture_max_bytes // 2)

    def span(self, call: Plain) -> PlainSpan | None:
        """The span of a call; None where others encode it."""
        metadata, request, response = call.metadata, call.request, call.response
        found = dict(metadata)
        get = found.get
        mirror_id = get(attributes.HEADER_ID, "").strip()
        if len(found) != len(metadata) or not 0 < len(mirror_id) <= ID_MAX_CHARS:
            return None
        if len(request) > self._max_bytes or len(response) > self._max_bytes:
            return None
        form = self._form(call, get)
        if not form.fits:
            return None
        parent, current, own = parse_traceparent(get("traceparent", "").strip()), call.current, form.server
        if parent is None:
            trace_id, parent_id, flags = derived_trace_id(mirror_id), b"", 0
        else:
            trace_id, parent_id, flags = parent
        if current is not None:
            if current.trace_id != trace_id:
                return None
            _, parent_id, flags = current
            own = form.internal
        state = get("tracestate")
        start_ns = call.start_unix_ns
        span = b"\x0a\x10%b\x12\x08%b%b%b%b%b\x4a%b" % (
            trace_id,
            span_id_of(call.start_ns),
            b"\x22\x08" + parent_id if parent_id else b"",
            trace_state_bytes(state.strip()[:TRACE_STATE_MAX_CHARS]) if state else b"",
            own,
            TIMES_AND_FLAGS.pack(0x39, start_ns, 0x41, start_ns + call.duration_ns, b"\x85\x01", flags),
            _id_attribute(mirror_id),
        )
        head = form.head
        if call.deadline_ns:
            head += b"\x78" + varint(call.deadline_ns)
        head = b"%b\x88\x01%b\x90\x01%b%b" % (
            head,
            varint(start_ns),
            varint(call.duration_ns),
            _message_head(b"\x08\x01\x18", call.request_ns, len(request)),
        )
        middle = _message_head(b"\x08\x02\x18", call.response_ns, len(response))
        return PlainSpan(form, *_item(span, (head, request, middle, response)))

    def _form(self, call: Plain, get: Any) -> Form:
        known = (len(sys.modules), self._schemas.evicted)
        if self._known != known or len(self._forms) > FORMS_MAX:
            self._known = known
            self._forms.clear()
        key = (call.method, call.request_type, call.response_type, call.initial_metadata, *map(get, _HEADERS))
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = self._made(call)
        return form

    def _made(self, call: Plain) -> Form:
        settings, record = self._settings, call.record()
        described, types = describe(record, settings), self._schemas.types_of(record)
        redaction = self._redactor.call(types.request, types.response)
        if described is None or settings.metadata or redaction.strict or redaction.public != _BOTH:
            return Form(fits=False, fingerprint="", condition="", server=b"", internal=b"", head=b"")
        attempt = described.labels.attempt
        alike = alike_of(described.labels.run, described.role, described.labels.expect, call.method, "OK", self._host)
        counted = attribute_bytes(attributes.ATTEMPT, attempt) if attempt else b""
        ending, unobserved = capture_pb2.ENDING_RETURNED, call.initial_metadata is None
        return Form(
            True,  # noqa: FBT003 - `fits`
            types.fingerprint,
            described.condition,
            alike_bytes(call.method, KIND_SERVER, False, alike) + counted,  # noqa: FBT003 - no error
            alike_bytes(call.method, KIND_INTERNAL, False, alike) + counted,  # noqa: FBT003 - no error
            head_of(call.method, record.kind, types, unobserved, 0, ending, attempt, 1, 1),
        )


def _id_attribute(mirror_id: str) -> bytes:
    """The length and the fields of `mirror.id`'s KeyValue."""
    raw = mirror_id.encode("utf-8", "replace")
    size = varint(len(raw))
    value = b"\x12%b\x0a%b%b" % (varint(1 + len(size) + len(raw)), size, raw)
    return b"%b%b%b" % (varint(len(_ID_KEY) + len(value)), _ID_KEY, value)


def _message_head(start: bytes, offset_ns: int, size: int) -> bytes:
    """What stands before the body of a CapturedMessage in a Capture. `start`: its direction, and the tag of its offset."""
    length = varint(size)
    fields = b"%b%b\x20%b\x12%b" % (start, varint(offset_ns), length, length)
    return b"\x32%b%b" % (varint(len(fields) + size), fields)


def _item(span: bytes, capture: tuple[bytes, ...]) -> tuple[list[bytes], int]:
    """A Span of these fields and a capture, as an element of its batch, and its bytes."""
    size = sum(map(len, capture))
    length = varint(size)
    value = varint(1 + len(length) + size)
    attribute = varint(len(CAPTURE_KEY) + len(value) + 1 + len(length) + size)
    span = b"%b\x4a%b%b%b\x3a%b" % (span, attribute, CAPTURE_KEY, value, length)
    size += len(span)
    start = b"\x12" + varint(size)
    if size <= JOIN_MAX_BYTES:
        return [b"".join((start, span, *capture))], len(start) + size
    return [start, span, *capture], len(start) + size
