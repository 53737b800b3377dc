"""One unary call, in one object: the handler that grpc is given, and what was seen of the call.

Nearly all calls are unary and nearly all end with OK, so this is where the cost of a capture is decided: few objects and few
function calls, on cold caches each of them counts. What ends in any other way takes the way of all other calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter_ns, time_ns
from typing import Any

import grpc

from grpc_mirror.handlers import fields_of, rebuilt
from grpc_mirror.observer import Observer
from grpc_mirror.recorder import MESSAGE_BYTES, OVERHEAD_BYTES, Recorder
from grpc_mirror.records import Plain
from grpc_mirror.seen import HOLD_STEP_BYTES, Seen
from grpc_mirror.v1 import capture_pb2

_UNARY = capture_pb2.CALL_KIND_UNARY
PLAIN_BYTES = OVERHEAD_BYTES + 2 * MESSAGE_BYTES
_make = tuple.__new__


class UnaryCall(Recorder, grpc.RpcMethodHandler):  # type: ignore[type-arg] # generic in the stubs only
    """A unary call. A flavour of grpc adds how the handler runs, and how it ends if not plainly."""

    request_streaming = response_streaming = False
    unary_stream = stream_unary = stream_stream = None
    unary_unary: Callable[..., Any]
    kind = _UNARY

    request: bytes | int | None = None  # where the call is not sampled, how many bytes
    response: bytes | int | None = None
    request_ns = response_ns = 0
    request_type: type[Any] | None = None
    response_type: type[Any] | None = None
    odd = False  # something has happened that a plain call has not
    _more: tuple[Seen, Seen] | None = None  # what no plain call has
    _holds: tuple[object, ...] = ()

    def __init__(self, observer: Observer, handler: Any, method: str, metadata: Any) -> None:
        wanted = observer.wanted
        self.observer = observer
        self.method = method
        self.metadata = tuple([pair for pair in metadata if pair[0] in wanted])
        self.behavior = handler.unary_unary
        self._decode = handler.request_deserializer
        self._encode = handler.response_serializer
        self.start_unix_ns = time_ns()
        self.start_ns = perf_counter_ns()

    def wrapped(self) -> Any:
        """What to give to grpc: this, or what has the attributes of the handler's function, which grpc looks at."""
        attributes = getattr(self.behavior, "__dict__", None)
        if not attributes:
            return self
        observed = partial(self.unary_unary)
        observed.__dict__.update(attributes)
        return rebuilt(self, observed, self.request_deserializer, self.response_serializer)

    def _replace(self, **changes: Any) -> Any:
        """As named tuples have it: some interceptors change grpc's own handlers so."""
        return fields_of(self)._replace(**changes)

    def request_deserializer(self, raw: bytes) -> Any:
        """As the handler's own, which may be None."""
        try:
            if not self.finished:
                if self.request is None and raw.__class__ is bytes and len(raw) <= self.observer.free_bytes:
                    self.request = raw
                    self.request_ns = perf_counter_ns() - self.start_ns
                else:
                    self._see(0, raw)
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self.observer.fault()
        decode = self._decode
        if decode is None:
            return raw
        try:
            message = decode(raw)
        except Exception as error:
            self.on_malformed(error)
            raise
        if message is None:
            self.on_malformed(None)
        else:
            self.request_type = message.__class__
        return message

    def response_serializer(self, message: Any) -> Any:
        """As the handler's own, which may be None."""
        encode = self._encode
        if encode is None:
            raw = message
        else:
            try:
                raw = encode(message)
            except Exception as error:
                self.unsendable = error
                raise
            self.response_type = message.__class__
        try:
            if not self.finished:
                if self.response is None and raw.__class__ is bytes and len(raw) <= self.observer.free_bytes:
                    self.response = raw
                    self.response_ns = perf_counter_ns() - self.start_ns
                else:
                    self._see(1, raw)
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self.observer.fault()
        return raw

    def on_malformed(self, error: BaseException | None) -> None:
        """The request could not be decoded: `error`, or it gave None."""
        raise NotImplementedError

    def put_plain(self) -> bool:
        """Hand off a call that returned with OK. Call it once; False: there is more to tell than two messages."""
        request, response = self.request, self.response
        if request is None or response is None or self.odd or self.tally or self.initial_metadata:
            return False
        self.finished = True
        self.request = self.response = None
        size = PLAIN_BYTES + _held(request) + _held(response)
        for _, value in self.metadata:
            size += len(value)
        if size > self.observer.large_bytes:
            self.observer.sampling.add(self.method, size)
        self.observer.sink.put(
            _make(
                Plain,
                (
                    self.metadata,
                    self.method,
                    self.current,
                    self.start_ns,
                    request,
                    response,
                    self.request_ns,
                    self.response_ns,
                    self.request_type,
                    self.response_type,
                    self.initial_metadata,
                    self.deadline_ns,
                    self.start_unix_ns,
                    perf_counter_ns() - self.start_ns,
                    size,
                    self.observer.sampled,
                ),
            )
        )
        if self._holds:
            self._holds = ()
        return True

    def take(self) -> tuple[Seen, Seen]:
        """Requests and responses as those of other calls, which are let go of here."""
        found = self._seen(0, self.request, self.request_ns), self._seen(1, self.response, self.response_ns)
        found[0].type, found[1].type = self.request_type, self.response_type
        self._let_go()
        return found

    def _let_go(self) -> None:
        self.request = self.response = self._more = None
        self._holds = ()

    def _see(self, direction: int, raw: object) -> None:
        """What is large is held within the budget; what is repeated, too much or no bytes at all is bounded as in streams."""
        offset_ns, observer = perf_counter_ns() - self.start_ns, self.observer
        free = (self.response if direction else self.request) is None
        if free and not observer.sampled and isinstance(raw, bytes):
            if direction:
                self.response, self.response_ns = len(raw), offset_ns
            else:
                self.request, self.request_ns = len(raw), offset_ns
            return
        reserve, room = observer.budget.reserve, self.room
        if free and isinstance(raw, bytes) and len(raw) <= room:
            hold = reserve(max(len(raw) - HOLD_STEP_BYTES, HOLD_STEP_BYTES))
            if hold is not None:
                self._holds = (*self._holds, hold)
                if direction:
                    self.response, self.response_ns = raw, offset_ns
                else:
                    self.request, self.request_ns = raw, offset_ns
                return
        self.odd = True
        if self._more is None:
            self._more = observer.seen(observer.messages_max), observer.seen(observer.messages_max)
        self._more[direction].add(raw, offset_ns, reserve, room)

    @property
    def room(self) -> int:
        """As other calls have it."""
        held = _held(self.request) + _held(self.response)
        if self._more is not None:
            held += self._more[0].held + self._more[1].held
        return min(self.observer.message_max_bytes, self.observer.capture_max_bytes - held)

    def _seen(self, direction: int, body: bytes | int | None, offset_ns: int) -> Seen:
        seen = self.observer.seen(self.observer.messages_max) if self._more is None else self._more[direction]
        if body is not None:
            seen.first(body, offset_ns)
        return seen


def _held(body: bytes | int | None) -> int:
    """Bytes of a body that are held."""
    return len(body) if body.__class__ is bytes else 0
