"""Watches one call on behalf of the adapters: takes what they see, gives the finished record to the sink.

All of it runs on the service's threads and on its clock, so each step is a few assignments; whatever takes longer
(hashing, types, schemas, encoding) is left to the sender. Nothing here raises into the service.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import grpc
from opentelemetry import context as otel_context
from opentelemetry import trace

from grpc_mirror import propagation
from grpc_mirror.call import OK, CallRecord, Outcome, Seen
from grpc_mirror.counters import Counters
from grpc_mirror.holding import HoldBudget
from grpc_mirror.settings import Settings
from grpc_mirror.v1 import capture_pb2

# A server without a deadline reports one that is centuries away.
_NO_DEADLINE_S = 10 * 365 * 86_400.0
# The client's own deadline runs out a little before the server's copy of it: a cancel so near to it was the deadline.
_DEADLINE_SLACK = 0.02
_OVERHEAD_BYTES = 1024  # of a record beside its messages, for the queue's bound
OUTBOUND_MAX = 1000  # captured outbound calls of one served call; later ones are counted
_KINDS = {  # by (request_streaming, response_streaming)
    (False, False): capture_pb2.CALL_KIND_UNARY,
    (True, False): capture_pb2.CALL_KIND_CLIENT_STREAM,
    (False, True): capture_pb2.CALL_KIND_SERVER_STREAM,
    (True, True): capture_pb2.CALL_KIND_BIDI_STREAM,
}
_UNARY_RESPONSE = (capture_pb2.CALL_KIND_UNARY, capture_pb2.CALL_KIND_CLIENT_STREAM)


class Sink(Protocol):
    """Where finished calls go."""

    def put(self, record: CallRecord) -> None:
        """Take a record without blocking; drop and count it where there is no room."""


class Observer:
    """What all calls of one interceptor share."""

    def __init__(self, settings: Settings, counters: Counters, budget: HoldBudget, sink: Sink) -> None:
        self.settings = settings
        self.counters = counters
        self.budget = budget
        self.sink = sink
        self.observes_initial = bool(settings.metadata)
        self.messages_max = settings.stream_messages_max
        self.wanted = propagation.HEADERS.union(settings.metadata)

    def fault(self) -> None:
        """Our own code failed. Counted; the service goes on."""
        self.counters.notice("internal_error")


class Tally:
    """Counts the calls that the service makes while it serves one call. Handlers may make them from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: Counter[str] = Counter()
        self._requests: Counter[tuple[str, tuple[int, ...]]] = Counter()
        self._captured = 0
        self._omitted = 0
        self._closed = False
        self.blocked = 0

    def begin(self, method: str, *, blocked: bool) -> tuple[int, bool] | None:
        """The index of a call of this method, and whether the served call had ended; None: over OUTBOUND_MAX."""
        with self._lock:
            self.blocked += blocked
            if self._captured >= OUTBOUND_MAX:
                self._omitted += 1
                return None
            self._captured += 1
            self._begun[method] += 1
            return self._begun[method] - 1, self._closed

    def close(self) -> tuple[int, int]:
        """The served call has ended: how many calls it had begun that are captured, and how many that are not."""
        with self._lock:
            self._closed = True
            return self._captured, self._omitted

    def block(self) -> None:
        """A call that was begun otherwise was refused in the end."""
        with self._lock:
            self.blocked += 1

    def ordinal(self, method: str, bodies: tuple[int, ...]) -> int:
        """How many calls of this method had requests of the same hashes before."""
        with self._lock:
            self._requests[method, bodies] += 1
            return self._requests[method, bodies] - 1


class Recorder:
    """One call. Made by the interceptor, filled by the closures around its handler, finished exactly once."""

    # What a call has at first; set on the instance when it changes.
    current: propagation.SpanRef | None = None
    span_id = b""  # empty: nothing stands below our span, so the sender gives it one
    deadline_ns = 0
    initial_metadata: tuple[tuple[str, Any], ...] | None = None
    begun = False
    finished = False
    mark: str | None = None  # what a trusted shadow upstream has signed
    tally: Tally | None = None  # made by the first outbound call

    def __init__(self, observer: Observer, handler: Any, method: str, metadata: Iterable[tuple[str, Any]]) -> None:
        wanted, messages_max = observer.wanted, observer.messages_max
        self.observer = observer
        self.method = method
        self.metadata = tuple([pair for pair in metadata if pair[0] in wanted])
        self.kind = _KINDS[bool(handler.request_streaming), bool(handler.response_streaming)]
        self.start_unix_ns = time.time_ns()
        self.start_ns = time.perf_counter_ns()
        self.requests = Seen(messages_max)
        self.responses = Seen(messages_max)

    def __del__(self) -> None:
        """A call whose handler never began leaves no capture, so it is counted: its client gave up, or others refused it."""
        if not self.begun and not self.finished and hasattr(self, "observer"):
            self.observer.counters.notice("not_started")

    def begin(self, remaining_s: float | None) -> Any:
        """The handler starts. Returns the OpenTelemetry context to run it in, or None where nothing is to change."""
        self.begun = True
        if remaining_s is not None and remaining_s < _NO_DEADLINE_S:
            elapsed_ns = time.perf_counter_ns() - self.start_ns
            self.deadline_ns = max(1, int(remaining_s * 1e9) + elapsed_ns)
        context = otel_context.get_current()
        if context:
            current = trace.get_current_span(context).get_span_context()
            if current.is_valid:
                ids = current.trace_id.to_bytes(16, "big"), current.span_id.to_bytes(8, "big")
                self.current = propagation.SpanRef(*ids, int(current.trace_flags))
                return None
        parent = propagation.leader_of(self.metadata)
        if not parent:
            return None
        led = LedSpan(parent)
        self.span_id = led.span_id
        return trace.set_span_in_context(led, context)

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed, or is so near that the client's has."""
        if not self.deadline_ns:
            return False
        slack_ns = max(int(_DEADLINE_SLACK * 1e9), int(_DEADLINE_SLACK * self.deadline_ns))
        return time.perf_counter_ns() - self.start_ns >= self.deadline_ns - slack_ns

    def finish(self, outcome: Outcome, trailing_metadata: tuple[tuple[str, Any], ...]) -> None:
        """The call is over: freeze what was seen and hand it off. Later calls do nothing."""
        if self.finished:
            return
        self.finished = True
        duration_ns = time.perf_counter_ns() - self.start_ns
        requests, responses = self.requests, self.responses
        asked, answers = requests.release(), responses.release()
        # Of a unary response with an error status the client gets nothing, though the sync server sends it.
        sent = outcome.code == OK or self.kind not in _UNARY_RESPONSE
        tally = self.tally
        calls, left_out = (0, 0) if tally is None else tally.close()
        record = CallRecord(
            self.metadata,
            self.method,
            self.kind,
            self.current,
            self.span_id,
            outcome,
            asked,
            answers if sent else (),
            requests.type,
            responses.type,
            requests.count,
            responses.count if sent else 0,
            omitted_of(requests, responses) if requests.omitted or responses.omitted else (),
            self.initial_metadata,
            trailing_metadata,
            self.deadline_ns,
            self.start_unix_ns,
            duration_ns,
            size_of(requests, responses, trailing_metadata),
            0 if tally is None else tally.blocked,
            outbound_calls=calls,
            outbound_omitted=left_out,
        )
        self.observer.sink.put(record)


class LedSpan(trace.NonRecordingSpan):
    """Our span as the handler's current one, below a remote parent: its trace, its flags.

    Few handlers ask for it, so the header is read when one does.
    """

    def __init__(self, traceparent: str) -> None:
        self.span_id = os.urandom(8)
        self._traceparent = traceparent
        self._made: trace.SpanContext | None = None

    def get_span_context(self) -> trace.SpanContext:
        """The context; invalid where the header is. Threads that ask at once may be given equal ones."""
        if self._made is None:
            parent = propagation.parse_traceparent(self._traceparent)
            self._made = trace.INVALID_SPAN_CONTEXT if parent is None else _span_context(parent, self.span_id)
        return self._made

    def __repr__(self) -> str:
        return f"LedSpan({self._traceparent!r})"


def _span_context(parent: propagation.SpanRef, span_id: bytes) -> trace.SpanContext:
    return trace.SpanContext(
        int.from_bytes(parent.trace_id, "big"),
        int.from_bytes(span_id, "big"),
        is_remote=False,
        trace_flags=trace.TraceFlags(parent.flags),
    )


def codecs(
    recorder: Recorder,
    handler: Any,
    on_malformed: Callable[[BaseException | None], None],
    unsendable: list[BaseException],
) -> tuple[Any, Any]:
    """The handler's deserialiser and serialiser for one call. Nothing that they hold may hold them: no cycle per call."""
    return (
        _deserializer(recorder, handler.request_deserializer, on_malformed),
        _serializer(recorder, handler.response_serializer, unsendable),
    )


def _deserializer(recorder: Recorder, original: Any, on_malformed: Callable[[BaseException | None], None]) -> Any:
    """A request deserialiser that sees the bytes of one call.

    `original` None hands the handler raw bytes, and so does this. `on_malformed` gets the exception of the original,
    or None where that gave None.
    """
    observer, seen, start_ns, clock = recorder.observer, recorder.requests, recorder.start_ns, time.perf_counter_ns

    def request(raw: bytes) -> Any:
        try:
            if not recorder.finished:
                seen.add(raw, clock() - start_ns, observer.budget.reserve)
        except Exception:  # noqa: BLE001 - ours must never reach the service
            observer.fault()
        if original is None:
            return raw
        try:
            message = original(raw)
        except Exception as error:
            on_malformed(error)
            raise
        if message is None:
            on_malformed(None)
        elif seen.type is None:
            seen.type = type(message)
        return message

    return request


def _serializer(recorder: Recorder, original: Any, unsendable: list[BaseException]) -> Any:
    """A response serialiser that sees the bytes of one call. Exceptions of the original go to `unsendable` too."""
    observer, seen, start_ns, clock = recorder.observer, recorder.responses, recorder.start_ns, time.perf_counter_ns

    def response(message: Any) -> Any:
        if original is None:
            raw = message
        else:
            try:
                raw = original(message)
            except Exception as error:
                unsendable.append(error)
                raise
            if seen.type is None:
                seen.type = type(message)
        try:
            if not recorder.finished:
                seen.add(raw, clock() - start_ns, observer.budget.reserve)
        except Exception:  # noqa: BLE001 - ours must never reach the service
            observer.fault()
        return raw

    return response


def rebuilt(handler: Any, behavior: Any, deserializer: Any, serializer: Any) -> Any:
    """A handler of the same kind around other functions."""
    asks, answers = bool(handler.request_streaming), bool(handler.response_streaming)
    return _Handler(
        asks,
        answers,
        deserializer,
        serializer,
        None if asks or answers else behavior,
        behavior if answers and not asks else None,
        behavior if asks and not answers else None,
        behavior if asks and answers else None,
    )


class _Fields(NamedTuple):
    """What grpc looks for on a handler."""

    request_streaming: bool
    response_streaming: bool
    request_deserializer: Any
    response_serializer: Any
    unary_unary: Any
    unary_stream: Any
    stream_unary: Any
    stream_stream: Any


class _Handler(_Fields, grpc.RpcMethodHandler):  # type: ignore[type-arg] # generic in the stubs only
    """A handler as grpc's own functions make it, which import a module each time."""


def kept_attributes(observed: Any, behavior: Any) -> None:
    """Give `observed` what grpc looks for on a handler's function, such as experimental_thread_pool."""
    attributes = getattr(behavior, "__dict__", None)
    if attributes:
        observed.__dict__.update(attributes)


def behavior_of(handler: Any) -> Any:
    """The handler's function, whichever of the four it is."""
    if handler.request_streaming:
        return handler.stream_stream if handler.response_streaming else handler.stream_unary
    return handler.unary_stream if handler.response_streaming else handler.unary_unary


def asked(context: Any, name: str) -> Any:
    """What a context says. Other interceptors' contexts may lack a method or hold a plain value in its place."""
    value = getattr(context, name, None)
    return value() if callable(value) else value


def in_context(context: Any, function: Callable[..., Any], *args: Any) -> Any:
    """Run a function with an OpenTelemetry context attached, or as it is where that is None."""
    if context is None:
        return function(*args)
    token = otel_context.attach(context)
    try:
        return function(*args)
    finally:
        otel_context.detach(token)


def omitted_of(requests: Seen, responses: Seen) -> tuple[tuple[capture_pb2.Direction, int, int], ...]:
    """(direction, messages, bytes) of what was over the limit of messages."""
    directions = (capture_pb2.DIRECTION_REQUEST, requests), (capture_pb2.DIRECTION_RESPONSE, responses)
    return tuple((direction, seen.omitted, seen.omitted_bytes) for direction, seen in directions if seen.omitted)


def size_of(requests: Seen, responses: Seen, trailing_metadata: tuple[tuple[str, Any], ...]) -> int:
    """The bytes that a record holds, for the queue's bound."""
    size = _OVERHEAD_BYTES + requests.held + responses.held
    return size + _metadata_bytes(trailing_metadata) if trailing_metadata else size


def _metadata_bytes(metadata: tuple[tuple[str, Any], ...]) -> int:
    return sum(len(key) + len(value) for key, value in metadata if isinstance(value, (str, bytes)))
