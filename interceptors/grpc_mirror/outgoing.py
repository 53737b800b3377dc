"""Watches one call that the service makes while it serves a mirrored one, and hands it to the sink when it ends.

As with served calls, each step is a few assignments and nothing raises into the service. It goes where the captures of
the served call go, within the same bounds and counters, at once: it does not wait for the served call's end. Bodies are
serialised here, since the service may change a message after the call.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from google.protobuf import message as protobuf
from opentelemetry import trace

from grpc_mirror.call import CANCELLED, DEADLINE_EXCEEDED, DETAILS_KEY, Outcome, pairs
from grpc_mirror.current import SERVED
from grpc_mirror.observer import Observer
from grpc_mirror.propagation import HEADERS, SpanRef, place, read_labels
from grpc_mirror.recorder import Recorder, omitted_of, size_of
from grpc_mirror.records import CallRecord, Outbound
from grpc_mirror.seen import Message, Seen
from grpc_mirror.tally import Tally
from grpc_mirror.v1 import capture_pb2

SENT = capture_pb2.OUTBOUND_POLICY_SENT
BLOCKED = capture_pb2.OUTBOUND_POLICY_BLOCKED
STUBBED = capture_pb2.OUTBOUND_POLICY_STUBBED
RECORDED = capture_pb2.OUTBOUND_POLICY_RECORDED
HASHES_MAX = 1000  # requests of one stream that its ordinal looks at
_ENDINGS = {
    CANCELLED: capture_pb2.ENDING_CLIENT_CANCELLED,
    DEADLINE_EXCEEDED: capture_pb2.ENDING_DEADLINE_EXCEEDED,
}


class Question(NamedTuple):
    """Which outbound call this is, so that the primary's same one can be asked for."""

    observer: Observer
    trace_id: bytes  # of the mirrored call
    run: str
    mirror_id: str
    served_method: str
    method: str
    requests: tuple[Message, ...]
    request_type: type[Any] | None
    ordinal: int


class Outgoing:
    """One outbound call. Where no mirrored call is being served, or the limit is reached, it does nothing."""

    def __init__(
        self,
        method: str,
        kind: capture_pb2.CallKind,
        policy: capture_pb2.OutboundPolicy,
        *,
        timeout_s: float | None = None,
        grpc: bool = True,
    ) -> None:
        served = SERVED.get()
        self._recorder = served if isinstance(served, Recorder) else None
        self.method = method
        self.kind = kind
        self.policy = policy
        self._grpc = grpc
        if self._recorder is not None:
            try:
                self._begin(self._recorder, timeout_s)
            except Exception:  # noqa: BLE001 - ours must never reach the service
                self._fault()
                self._recorder = None

    @property
    def captured(self) -> bool:
        """Whether anything is watched at all."""
        return self._recorder is not None

    def request(self, message: object) -> None:
        """A request is about to be sent, or would have been."""
        if self._recorder is not None:
            self._see(self._requests, message)

    def question(self) -> Question | None:
        """What tells this call from others, once its requests are known. None: it is not captured."""
        recorder = self._recorder
        if recorder is None:
            return None
        requests = self._requests
        labels = read_labels(recorder.metadata)
        return Question(
            recorder.observer,
            place(labels, None).trace_id,
            labels.run,
            labels.mirror_id,
            recorder.method,
            self.method,
            tuple(requests.messages),
            requests.type,
            self._equal_ones(),
        )

    def response(self, message: object) -> None:
        """A response came, or the stand-in for one was given."""
        if self._recorder is not None:
            self._see(self._responses, message)

    def refused(self) -> None:
        """Nothing stood in for it after all."""
        if self._recorder is not None:
            self.policy = BLOCKED
            self._tally.block()

    def stand_in(self) -> None:
        """The service's own stand-in answers after all."""
        self.policy = STUBBED

    def finish(self, code: int, message: str = "", trailing: object = (), raised: str = "") -> None:
        """It is over: hand it off. Later calls do nothing.

        Args:
            code: of google.rpc.Code.
            message: of the status.
            trailing: trailing metadata, of which the rich status and what the settings name is kept.
            raised: the type of an exception that was no status.
        """
        recorder = self._recorder
        if recorder is None:
            return
        try:
            self._ended.pop()  # the last message and the end of the call may come on two threads
        except IndexError:
            return
        try:
            ending = capture_pb2.ENDING_RAISED if raised else _ENDINGS.get(code, capture_pb2.ENDING_RETURNED)
            recorder.observer.sink.put(self._record(recorder, Outcome(code, message, ending, raised), trailing))
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self._fault()

    def _begin(self, recorder: Recorder, timeout_s: float | None) -> None:
        tally = recorder.tally
        if tally is None:
            tally = vars(recorder).setdefault("tally", Tally())
            if recorder.finished:  # it may have looked for a tally before there was one
                tally.close()
        self._tally = tally
        begun = tally.begin(self.method, blocked=self.policy == BLOCKED)
        if begun is None:
            recorder.observer.counters.notice("outbound_limit")
            self._recorder = None
            return
        self._index: int = begun[0]
        self._after_end: bool = begun[1]
        messages_max = recorder.observer.settings.stream_messages_max
        self._requests, self._responses = Seen(messages_max), Seen(messages_max)
        self._bodies: list[int] = []
        self._ordinal: int | None = None
        self._ended = [None]
        self._deadline_ns = int(timeout_s * 1e9) if timeout_s and timeout_s > 0 else 0
        self._start_unix_ns, self._start_ns = time.time_ns(), time.perf_counter_ns()
        current = trace.get_current_span().get_span_context()
        self._current = None
        if current.is_valid:
            ids = current.trace_id.to_bytes(16, "big"), current.span_id.to_bytes(8, "big")
            self._current = SpanRef(*ids, int(current.trace_flags))

    def _see(self, seen: Seen, message: object) -> None:
        try:
            body = message if isinstance(message, bytes) else None
            if isinstance(message, protobuf.Message):
                body = message.SerializeToString(deterministic=True)
            if seen.type is None:
                seen.type = type(message)
            if seen is self._requests and len(self._bodies) < HASHES_MAX:
                self._bodies.append(hash(body))
            offset_ns = time.perf_counter_ns() - self._start_ns
            observer = self._recorder.observer  # type: ignore[union-attr] # asked before
            left = observer.capture_max_bytes - self._requests.held - self._responses.held
            seen.add(body, offset_ns, observer.budget.reserve, min(observer.message_max_bytes, left))
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self._fault()

    def _record(self, recorder: Recorder, outcome: Outcome, trailing: object) -> CallRecord:
        duration_ns = time.perf_counter_ns() - self._start_ns
        requests, responses = self._requests, self._responses
        kept = tuple(p for p in pairs(trailing) if p[0] == DETAILS_KEY or p[0] in recorder.observer.settings.metadata)
        outbound = Outbound(
            recorder.method, recorder.span_id, self.policy, self._index, self._equal_ones(), self._grpc, self._after_end
        )
        return CallRecord(
            metadata=tuple(
                pair for pair in recorder.metadata if pair[0] in HEADERS
            ),  # what else it has is the served call's
            method=self.method,
            kind=self.kind,
            current=self._current,
            span_id=b"",
            outcome=outcome,
            requests=requests.release(),
            responses=responses.release(),
            request_type=requests.type,
            response_type=responses.type,
            request_count=requests.count,
            response_count=responses.count,
            omitted=omitted_of(requests, responses),
            initial_metadata=None,
            trailing_metadata=kept,
            deadline_ns=self._deadline_ns,
            start_unix_ns=self._start_unix_ns,
            duration_ns=duration_ns,
            size=size_of(requests, responses, recorder.metadata, kept),
            outbound=outbound,
        )

    def _equal_ones(self) -> int:
        """Its ordinal, which is given once."""
        if self._ordinal is None:
            self._ordinal = self._tally.ordinal(self.method, tuple(self._bodies))
        return self._ordinal

    def _fault(self) -> None:
        if self._recorder is not None:
            self._recorder.observer.fault()
