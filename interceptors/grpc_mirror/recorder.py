"""Watches one call on behalf of the adapters: takes what they see, gives the finished record to the sink.

All of it runs on the service's threads and on its clock, so each step is a few assignments; whatever takes longer
(hashing, types, schemas, encoding) is left to the sender. Nothing here raises into the service.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from grpc_mirror import propagation
from grpc_mirror.call import OK, UNSENDABLE_METADATA, Outcome, is_sendable
from grpc_mirror.leading import led
from grpc_mirror.observer import Observer
from grpc_mirror.records import CallRecord, Omitted
from grpc_mirror.seen import Seen
from grpc_mirror.tally import Tally
from grpc_mirror.v1 import capture_pb2

# A server without a deadline reports one that is centuries away.
NO_DEADLINE_S = 10 * 365 * 86_400.0
# The client's own deadline runs out a little before the server's copy of it: a cancel so near to it was the deadline.
_DEADLINE_SLACK = 0.02
OVERHEAD_BYTES = 1024  # of a record beside its messages, for the queue's bound
MESSAGE_BYTES = 160  # of a held message beside its body: a stream of empty messages is not free
_KINDS = {  # by (request_streaming, response_streaming)
    (False, False): capture_pb2.CALL_KIND_UNARY,
    (True, False): capture_pb2.CALL_KIND_CLIENT_STREAM,
    (False, True): capture_pb2.CALL_KIND_SERVER_STREAM,
    (True, True): capture_pb2.CALL_KIND_BIDI_STREAM,
}
_UNARY_RESPONSE = (capture_pb2.CALL_KIND_UNARY, capture_pb2.CALL_KIND_CLIENT_STREAM)


class Recorder:
    """One call. Made by the interceptor, filled by what stands around its handler, finished exactly once."""

    # What a call has at first; set on the instance when it changes.
    current: propagation.SpanRef | None = None
    deadline_ns = 0
    initial_metadata: tuple[tuple[str, Any], ...] | None = None
    begun = False
    finished = False
    mark: str | None = None  # what a trusted shadow upstream has signed
    tally: Tally | None = None  # made by the first outbound call
    unsendable: BaseException | None = None  # the first of the response's serialiser

    def __init__(self, observer: Observer, handler: Any, method: str, metadata: Iterable[tuple[str, Any]]) -> None:
        wanted, messages_max = observer.wanted, observer.messages_max
        self.observer = observer
        self.method = method
        self.metadata = tuple([pair for pair in metadata if pair[0] in wanted])
        self.start_unix_ns = time.time_ns()
        self.start_ns = time.perf_counter_ns()
        self.kind = _KINDS[bool(handler.request_streaming), bool(handler.response_streaming)]
        self.requests = observer.seen(messages_max)
        self.responses = observer.seen(messages_max)

    def __del__(self) -> None:
        """A call whose handler never began leaves no capture, so it is counted: its client gave up, or others refused it."""
        if not self.begun and not self.finished and hasattr(self, "observer"):
            self.observer.counters.notice("not_started")

    def begin(self, remaining_s: float | None) -> Any:
        """The handler starts. Returns the OpenTelemetry context to run it in, or None where nothing is to change."""
        self.begun = True
        if remaining_s is not None and remaining_s < NO_DEADLINE_S:
            elapsed_ns = time.perf_counter_ns() - self.start_ns
            self.deadline_ns = max(1, int(remaining_s * 1e9) + elapsed_ns)
        current, context = led(self.metadata, self.start_ns)
        if current is not None:
            self.current = current
        return context

    @property
    def span_id(self) -> bytes:
        """Of the capture's span, below which outbound calls stand."""
        return propagation.span_id_of(self.start_ns)

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed, or is so near that the client's has."""
        if not self.deadline_ns:
            return False
        slack_ns = max(int(_DEADLINE_SLACK * 1e9), int(_DEADLINE_SLACK * self.deadline_ns))
        return time.perf_counter_ns() - self.start_ns >= self.deadline_ns - slack_ns

    @property
    def room(self) -> int:
        """Bytes of the largest message that the capture can take in now."""
        observer = self.observer
        return min(observer.message_max_bytes, observer.capture_max_bytes - self.requests.held - self.responses.held)

    def take(self) -> tuple[Seen, Seen]:
        """Requests and responses as seen so far."""
        return self.requests, self.responses

    def finish(self, outcome: Outcome, trailing_metadata: tuple[tuple[str, Any], ...]) -> None:
        """The call is over: freeze what was seen and hand it off. Later calls do nothing."""
        if self.finished:
            return
        self.finished = True
        metadata = (*(self.initial_metadata or ()), *trailing_metadata)
        if metadata and not is_sendable(metadata):
            outcome = UNSENDABLE_METADATA
        duration_ns = time.perf_counter_ns() - self.start_ns
        requests, responses = self.take()
        asked, answers = requests.release(), responses.release()
        # Of a unary response with an error status the client gets nothing, though the sync server sends it.
        sent = outcome.code == OK or self.kind not in _UNARY_RESPONSE
        size = size_of(requests, responses, self.metadata, trailing_metadata)
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
            omitted_of(requests, responses if sent else None) if requests.omitted or responses.omitted else (),
            self.initial_metadata,
            trailing_metadata,
            self.deadline_ns,
            self.start_unix_ns,
            duration_ns,
            size,
            0 if tally is None else tally.blocked,
            outbound_calls=calls,
            outbound_omitted=left_out,
            sampled=self.observer.sampled,
        )
        bytes_sent = size - MESSAGE_BYTES * (requests.kept + responses.kept)  # what objects cost here is not sent
        if bytes_sent > self.observer.large_bytes:
            self.observer.sampling.add(self.method, bytes_sent)
        self.observer.sink.put(record)


def omitted_of(requests: Seen, responses: Seen | None) -> tuple[Omitted, ...]:
    """What of long streams is not there, and of calls that are not sampled."""
    directions = (capture_pb2.DIRECTION_REQUEST, requests), (capture_pb2.DIRECTION_RESPONSE, responses)
    return tuple(
        Omitted(direction, seen.omitted, seen.omitted_bytes, seen.last_max)
        for direction, seen in directions
        if seen is not None and seen.omitted
    )


def size_of(requests: Seen, responses: Seen, *metadata: tuple[tuple[str, Any], ...]) -> int:
    """The bytes that a record holds, for the queue's bound. Of messages that were released before: see `Seen.kept`."""
    messages = MESSAGE_BYTES * (requests.kept + responses.kept)
    size = OVERHEAD_BYTES + messages + requests.held + responses.held
    for pairs in metadata:
        if pairs:
            size += sum([len(value) for _, value in pairs])
    return size
