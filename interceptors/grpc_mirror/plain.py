"""The spans of plain calls, straight from what was seen to bytes. Pure, apart from what it remembers of methods.

Of a plain call only ids, times and the two messages are its own. Everything else is as in the other plain calls of its method
on the same route, and is encoded once, by the functions that encode all other calls (capture.py, sinks/otlp.py).
The bytes read back as theirs would. What does not fit is left to them: private or large messages, odd headers, links.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

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
from grpc_mirror.records import Plain
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
from grpc_mirror.wire import varint

FORMS_MAX = 1024
_HEADERS = (attributes.HEADER_RUN, attributes.HEADER_ROLE, attributes.HEADER_EXPECT, attributes.HEADER_ATTEMPT)
_BOTH = frozenset({capture_pb2.DIRECTION_REQUEST, capture_pb2.DIRECTION_RESPONSE})


class Form(NamedTuple):
    """What the plain calls of a method on one route have alike."""

    fits: bool  # False: others encode them
    fingerprint: str  # of their schema
    condition: str  # to be counted with each; empty: nothing odd
    server: bytes  # fields of their spans, below a remote parent
    internal: bytes  # of spans below one of the service's own
    head: bytes  # fields of their captures


PlainSpan: TypeAlias = tuple[
    Form, list[bytes], int
]  # a serialised span, its pieces and bytes as `otlp.span_item` gives them


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
        parent = parse_traceparent(get("traceparent", "").strip())
        current, own = call.current, form.server
        if parent is None:
            trace_id, parent_id, flags = derived_trace_id(mirror_id), b"", 0
        else:
            trace_id, parent_id, flags = parent
        if current is not None:
            if current.trace_id != trace_id:
                return None
            _, parent_id, flags = current
            own = form.internal
        state, start_ns, duration_ns = get("tracestate"), call.start_unix_ns, call.duration_ns
        raw_id = mirror_id.encode("utf-8", "replace")
        span = b"\x0a\x10%b\x12\x08%b%b%b%b%b\x4a%b" % (
            trace_id,
            span_id_of(call.start_ns),
            b"\x22\x08" + parent_id if parent_id else b"",
            trace_state_bytes(state.strip()[:TRACE_STATE_MAX_CHARS]) if state else b"",
            own,
            TIMES_AND_FLAGS.pack(0x39, start_ns, 0x41, start_ns + duration_ns, b"\x85\x01", flags),
            _id_head(len(raw_id)) + raw_id,
        )
        size = varint(len(request))
        asked = b"\x08\x01\x18%b\x20%b\x12%b" % (varint(call.request_ns), size, size)
        head = b"%b\x88\x01%b\x90\x01%b%b\x32%b%b" % (
            form.head,
            varint(start_ns),
            varint(duration_ns),
            b"\x78" + varint(call.deadline_ns) if call.deadline_ns else b"",
            varint(len(asked) + len(request)),
            asked,
        )
        size = varint(len(response))
        told = b"\x08\x02\x18%b\x20%b\x12%b" % (varint(call.response_ns), size, size)
        told = b"\x32%b%b" % (varint(len(told) + len(response)), told)
        return form, *_item(span, head, request, told, response)

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


@lru_cache(maxsize=ID_MAX_CHARS * 4)
def _id_head(size: int) -> bytes:
    """What stands before the text of `mirror.id` in its attribute, by the bytes of the text: all but the attribute's tag."""
    return attribute_bytes(attributes.ID, "x" * size)[1:-size]


def _item(span: bytes, head: bytes, request: bytes, told: bytes, response: bytes) -> tuple[list[bytes], int]:
    """A Span of these fields and a capture of the others, as an element of its batch, and its bytes."""
    size = len(head) + len(request) + len(told) + len(response)
    length = varint(size)
    value = varint(1 + len(length) + size)
    attribute = varint(len(CAPTURE_KEY) + len(value) + 1 + len(length) + size)
    span = b"%b\x4a%b%b%b\x3a%b" % (span, attribute, CAPTURE_KEY, value, length)
    size += len(span)
    start = b"\x12" + varint(size)
    if size <= JOIN_MAX_BYTES:
        return [b"".join((start, span, head, request, told, response))], len(start) + size
    return [start, span, head, request, told, response], len(start) + size
