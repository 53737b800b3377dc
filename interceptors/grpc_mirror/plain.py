"""The spans of plain calls, straight from what was seen to bytes. Pure, apart from what it remembers of methods.

Of a plain call only ids, times and the two messages are its own. Everything else is as in the other plain calls of its method
on the same route, and is encoded once, by the functions that encode all other calls (capture.py, sinks/otlp.py).
The bytes read back as theirs would. Calls with streams have the same but for their messages, which are written as all are. What
does not fit is left to them: private or large messages, odd headers, links.

Where `grpc_mirror_native` is installed it writes most of these spans, the same bytes; what it hands back is written here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from grpc_mirror import native, propagation
from grpc_mirror.call import RETURNED
from grpc_mirror.capture import (
    BOTH,
    NOT_SAMPLED,
    SHORT,
    alike_of,
    describe,
    four_bytes,
    head_of,
    message_head,
    messages_of,
    omitted_field,
)
from grpc_mirror.propagation import (
    ID_MAX_CHARS,
    KIND_INTERNAL,
    KIND_SERVER,
    TRACE_STATE_MAX_CHARS,
    SpanRef,
    derived_trace_id,
    parse_traceparent,
    span_id_of,
)
from grpc_mirror.records import CallRecord, Plain, Queued, Written
from grpc_mirror.redact import Redactor
from grpc_mirror.schemas import SchemaRegistry
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.otlp import (
    CAPTURE_KEY,
    JOIN_MAX_BYTES,
    TIMES_AND_FLAGS,
    alike_bytes,
    attribute_bytes,
    key_bytes,
    trace_state_bytes,
)
from grpc_mirror.v1 import attributes, capture_pb2
from grpc_mirror.wire import int_field, varint

FORMS_MAX = 1024
_ID, _RUN, _ROLE = attributes.HEADER_ID, attributes.HEADER_RUN, attributes.HEADER_ROLE
_EXPECT, _ATTEMPT = attributes.HEADER_EXPECT, attributes.HEADER_ATTEMPT
_NATIVE = native.part("encoding")


class Form(NamedTuple):
    """What the plain calls of a method on one route have alike."""

    fits: bool  # False: others encode them
    fingerprint: str  # of their schema
    conditions: tuple[str, ...]  # to be counted with each
    server: bytes  # fields of their spans, below a remote parent
    internal: bytes  # of spans below one of the service's own
    head: bytes  # fields of their captures


PlainSpan: TypeAlias = tuple[
    Form, list[bytes], int
]  # a serialised span, its pieces and bytes as `otlp.span_item` gives them


class PlainCalls:
    """Encodes plain calls. One owner."""

    def __init__(
        self, settings: Settings, schemas: SchemaRegistry, redactor: Redactor, host: str, *, compiled: bool = True
    ) -> None:
        """`compiled` False: without the compiled part even where it is installed."""
        self._settings = settings
        self._schemas = schemas
        self._redactor = redactor
        self._host = host
        self._forms: dict[tuple[Any, ...], Form] = {}
        self._known = (0, 0)
        self._max_bytes = min(settings.message_max_bytes, settings.capture_max_bytes // 2)
        self._native = self._encoder(_NATIVE) if compiled and _NATIVE is not None else None

    def _encoder(self, encoding: Any) -> Any:
        return encoding.Encoder(
            Plain,
            self._forms,
            self._made,
            derived_trace_id,
            names=(_ID, _RUN, _ROLE, _EXPECT, _ATTEMPT, "traceparent", "tracestate"),
            keys=(key_bytes(attributes.ID) + b"\x12", CAPTURE_KEY),
            limits=(ID_MAX_CHARS, TRACE_STATE_MAX_CHARS, self._max_bytes, JOIN_MAX_BYTES),
            seeds=propagation.SPAN_ID_SEEDS,
        )

    @property
    def encoder(self) -> Any:
        """The compiled part, or None."""
        return self._native

    def refresh(self) -> None:
        """Forget what may be otherwise now: a newly loaded module may hold the types of an Any. Call it before some calls."""
        known = (len(sys.modules), self._schemas.evicted)
        if self._known != known or len(self._forms) > FORMS_MAX:
            self._known = known
            self._forms.clear()
            if self._native is not None:
                self._native.modules = known[0]

    def spans(self, calls: Sequence[Queued]) -> list[Written | None]:
        """The spans that the compiled part writes; None for what it leaves to `span`, and to those who encode all other calls."""
        found: list[Written | None] = [None] * len(calls) if self._native is None else self._native.spans(calls)
        return found

    def span(self, call: Plain) -> PlainSpan | None:
        """The span of a call; None where others encode it."""
        (
            metadata,
            method,
            current,
            start_ns,
            request,
            response,
            request_ns,
            response_ns,
            request_type,
            response_type,
            initial,
            deadline_ns,
            start_unix_ns,
            duration_ns,
            _,
            sampled,
        ) = call
        if not self._fits(request, sampled=sampled) or not self._fits(response, sampled=sampled):
            return None
        if (duration_ns | request_ns | response_ns) >= SHORT:
            return None
        key = method, request_type, response_type, initial
        begun = self._begun(call, metadata, current, key, (), span_id_of(start_ns), start_unix_ns, duration_ns)
        if begun is None:
            return None
        form, span = begun
        head = b"%b\x88\x01%b%b\x90\x01%b%b" % (
            form.head,
            four_bytes(start_unix_ns & 0xFFFFFFF, 0x80808080),
            _rest_of(start_unix_ns >> 28),
            four_bytes(duration_ns),
            b"\x78" + varint(deadline_ns) if deadline_ns else b"",
        )
        if isinstance(request, int) or isinstance(response, int):
            return _whole(form, span, [head, *map(omitted_field, call.omitted)])
        before, after = message_head(1, len(request))
        asking = b"%b%b%b%b" % (head, before, four_bytes(request_ns), after)
        before, after = message_head(2, len(response))
        told = before + four_bytes(response_ns) + after
        return _whole(form, span, [asking, request, told, response])

    def _fits(self, body: bytes | int, *, sampled: bool) -> bool:
        """Whether it is a body that is not too large or, of a call that is not sampled, the count of its bytes."""
        return sampled and len(body) <= self._max_bytes if isinstance(body, bytes) else not sampled

    def other(self, record: CallRecord) -> PlainSpan | None:
        """The span of a call with streams, or of another that returned with OK and has nothing but messages to tell; None: as above."""
        if (
            record.outcome is not RETURNED
            or record.trailing_metadata
            or record.initial_metadata
            or (record.omitted and record.sampled)
            or record.outbound is not None
            or record.blocked_calls
            or record.outbound_calls
            or record.outbound_omitted
        ):
            return None
        key, more = (record.method, record.request_type, record.response_type, record.initial_metadata), (record.kind,)
        span_id = record.span_id or os.urandom(8)
        begun = self._begun(
            record, record.metadata, record.current, key, more, span_id, record.start_unix_ns, record.duration_ns
        )
        if begun is None:
            return None
        form, span = begun
        types, redactor = self._schemas.types_of(record), self._redactor
        messages = messages_of(
            record.requests,
            record.responses,
            self._settings,
            redactor.call(types.request, types.response),
            redactor.key_id,
        )
        head = b"%b\x88\x01%b\x90\x01%b%b%b%b" % (
            form.head,
            varint(record.start_unix_ns),
            varint(record.duration_ns),
            b"\x78" + varint(record.deadline_ns) if record.deadline_ns else b"",
            int_field(19, record.request_count) if record.request_count else b"",
            int_field(20, record.response_count) if record.response_count else b"",
        )
        return _whole(form, span, [head, *messages, *map(omitted_field, record.omitted)])

    def _begun(  # noqa: PLR0913, PLR0917 - what is at hand of either kind of call
        self,
        call: Plain | CallRecord,
        metadata: tuple[tuple[str, Any], ...],
        current: SpanRef | None,
        key: tuple[Any, ...],
        more: tuple[Any, ...],
        span_id: bytes,
        start_unix_ns: int,
        duration_ns: int,
    ) -> tuple[Form, bytes] | None:
        """The form of a call, known by `key`, its route and `more`, and its span as far as the capture."""
        found = dict(metadata)
        get = found.get
        mirror_id = get(_ID, "").strip()
        if len(found) != len(metadata) or not 0 < len(mirror_id) <= ID_MAX_CHARS:
            return None
        key = (*key, get(_RUN), get(_ROLE), get(_EXPECT), get(_ATTEMPT), call.sampled, *more)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = self._made(call)
        if not form.fits:
            return None
        parent, own = parse_traceparent(get("traceparent", "").strip()), form.server
        trace_id, parent_id, flags = (derived_trace_id(mirror_id), b"", 0) if parent is None else parent
        if current is not None:
            if current.trace_id != trace_id:
                return None
            _, parent_id, flags = current
            own = form.internal
        state, raw_id = get("tracestate"), mirror_id.encode("utf-8", "replace")
        span = b"\x0a\x10%b\x12\x08%b%b%b%b%b\x4a%b%b" % (
            trace_id,
            span_id,
            b"\x22\x08" + parent_id if parent_id else b"",
            trace_state_bytes(state.strip()[:TRACE_STATE_MAX_CHARS]) if state else b"",
            own,
            TIMES_AND_FLAGS.pack(0x39, start_unix_ns, 0x41, start_unix_ns + duration_ns, b"\x85\x01", flags),
            _id_head(len(raw_id)),
            raw_id,
        )
        return form, span

    def _made(self, call: Plain | CallRecord) -> Form:
        settings = self._settings
        record, counts = (call.record(), (1, 1)) if isinstance(call, Plain) else (call, (0, 0))
        described, types = describe(record, settings), self._schemas.types_of(record)
        redaction = self._redactor.call(types.request, types.response)
        if described is None or settings.metadata or redaction.strict or redaction.public != BOTH:
            return Form(fits=False, fingerprint="", conditions=(), server=b"", internal=b"", head=b"")
        attempt = described.labels.attempt
        alike = alike_of(described.labels.run, described.role, described.labels.expect, call.method, "OK", self._host)
        counted = attribute_bytes(attributes.ATTEMPT, attempt) if attempt else b""
        ending, unobserved = capture_pb2.ENDING_RETURNED, call.initial_metadata is None
        return Form(
            True,  # noqa: FBT003 - `fits`
            types.fingerprint,
            described.conditions,
            alike_bytes(call.method, KIND_SERVER, False, alike) + counted,  # noqa: FBT003 - no error
            alike_bytes(call.method, KIND_INTERNAL, False, alike) + counted,  # noqa: FBT003 - no error
            head_of(call.method, record.kind, types, unobserved, 0, ending, attempt, *counts)  # those of streams vary
            + (b"" if record.sampled else NOT_SAMPLED),
        )


def _whole(form: Form, span: bytes, capture: list[bytes]) -> PlainSpan:
    """Of what stands before the capture and the pieces of that."""
    size = sum(map(len, capture))
    attribute = _capture_head(size)
    size += len(span) + len(attribute)
    start = _span_head(size)
    size += len(start)
    if size <= JOIN_MAX_BYTES:
        return form, [b"".join((start, span, attribute, *capture))], size
    return form, [start, span, attribute, *capture], size


# What depends on sizes alone: those of a service's calls repeat.


@lru_cache(maxsize=4)
def _rest_of(high: int) -> bytes:
    """The rest of a varint after four bytes: of a time it changes four times a second."""
    return varint(high)


@lru_cache(maxsize=ID_MAX_CHARS * 4)
def _id_head(size: int) -> bytes:
    """What stands before the text of `mirror.id` in its attribute, by the bytes of the text: all but the attribute's tag."""
    return attribute_bytes(attributes.ID, "x" * size)[1:-size]


@lru_cache(maxsize=4096)
def _capture_head(size: int) -> bytes:
    """What stands before the bytes of a capture in its span."""
    length = varint(size)
    value = varint(1 + len(length) + size)
    return b"\x4a%b%b%b\x3a%b" % (
        varint(len(CAPTURE_KEY) + len(value) + 1 + len(length) + size),
        CAPTURE_KEY,
        value,
        length,
    )


@lru_cache(maxsize=4096)
def _span_head(size: int) -> bytes:
    """What stands before the bytes of a span in its batch."""
    return b"\x12" + varint(size)
