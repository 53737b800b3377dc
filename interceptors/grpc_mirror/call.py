"""What happened in one call, and how its status follows from what was seen. Pure: no grpc, no clock, no I/O.

Neither flavour of grpc tells a server interceptor how a call ended. What can be seen: the code that the handler set
or aborted with, an exception passing through, whether the handler came to its end, and when the call was over. The
two functions below turn that into the status that the client got, each by the order in which its flavour of grpc
decides (grpc/_server.py, grpc/_cython/_cygrpc/aio/server.pyx.pxi).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from grpc_mirror.propagation import SpanRef
from grpc_mirror.v1 import capture_pb2

OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, FAILED_PRECONDITION, INTERNAL = 0, 1, 2, 4, 9, 13
_NO_BODY = capture_pb2.OMISSION_NOT_SERIALIZABLE
_NOT_HELD = capture_pb2.OMISSION_CAPTURE_FULL
DETAILS_KEY = "grpc-status-details-bin"

# A direction may hold so much before it asks the process-wide budget, in steps of the same size.
HOLD_STEP_BYTES = 64 * 1024
# One direction of one call never holds more: a message of grpc's default limit still fits.
HOLD_DIRECTION_MAX_BYTES = 4 * 1024 * 1024


class Message(NamedTuple):
    """One message as it went over the wire, after decompression."""

    offset_ns: int
    size: int
    body: bytes | None  # None: not held, for the reason `omission`
    omission: capture_pb2.Omission = capture_pb2.OMISSION_UNSPECIFIED


class Seen:
    """The messages of one direction of one call. One writer: the thread that (de)serialises them."""

    # What a direction has at first; set on the instance when it changes, so that most calls cost little to begin.
    count = 0
    held = 0  # bytes
    omitted = 0  # messages over messages_max
    omitted_bytes = 0
    type: type[Any] | None = None  # the class of the messages
    _reserved = HOLD_STEP_BYTES
    _holds: tuple[object, ...] = ()

    def __init__(self, messages_max: int) -> None:
        self.messages: list[Message] = []
        self._messages_max = messages_max

    def add(self, body: object, offset_ns: int, reserve: Callable[[int], object | None]) -> None:
        """Take in a message. `reserve(bytes)` gives a hold on the process-wide budget, or None when it is spent."""
        self.count = count = self.count + 1
        size = len(body) if isinstance(body, bytes) else 0
        if count > self._messages_max:
            self.omitted += 1
            self.omitted_bytes += size
        elif not isinstance(body, bytes):
            self.messages.append(Message(offset_ns, 0, None, _NO_BODY))
        elif self.held + size <= self._reserved or self._extend(size, reserve):
            self.held += size
            self.messages.append(Message(offset_ns, size, body))
        else:
            self.messages.append(Message(offset_ns, size, None, _NOT_HELD))

    def release(self) -> tuple[Message, ...]:
        """The messages, which are let go of here, with what was reserved for them: the call may live on as garbage."""
        messages, self.messages = tuple(self.messages), []
        self._holds = ()
        return messages

    def _extend(self, size: int, reserve: Callable[[int], object | None]) -> bool:
        if self.held + size > HOLD_DIRECTION_MAX_BYTES:
            return False
        need = max(self.held + size - self._reserved, HOLD_STEP_BYTES)
        hold = reserve(need)
        if hold is None:
            return False
        self._holds = (*self._holds, hold)
        self._reserved += need
        return True


class Raised(NamedTuple):
    """An exception that left the handler."""

    type_name: str
    text: str  # what grpc tells the client of it
    bare: bool = False  # a bare Exception(), as the sync server's abort raises
    by_abort: bool = False  # grpc.aio.AbortError: the status is sent already
    by_client: bool = False  # the client went away: CancelledError, or the sync server's own RpcError


class Outcome(NamedTuple):
    """The status that the client got, and how the call came to its end."""

    code: int  # google.rpc.Code
    message: str
    ending: capture_pb2.Ending
    exception_type: str = ""


RETURNED = Outcome(OK, "", capture_pb2.ENDING_RETURNED)  # how most calls end


class SyncFacts(NamedTuple):
    """What a sync server's call shows at its end. `code` None and `details` None: the handler set none."""

    code: int | None
    details: str | None
    returned: bool  # the handler came to its end
    raised: Raised | None
    malformed: bool  # a request could not be decoded
    unsendable: str  # type of the exception of the response's serialiser; empty: none
    sent: bool  # a status was handed to the transport
    expired: bool  # the deadline has passed


class AioFacts(NamedTuple):
    """What an aio server's call shows at its end."""

    code: int | None
    details: str
    returned: bool
    raised: Raised | None  # of the handler, or of the response's serialiser where that ended the call
    malformed: bool  # `raised` is the decoding error of a request
    expired: bool


class Outbound(NamedTuple):
    """What identifies a call that the service made while it served a mirrored one."""

    served_method: str
    served_span_id: bytes
    policy: capture_pb2.OutboundPolicy
    position: int  # from 0: of the calls of this method that the mirrored call began
    ordinal: int  # of those with an equal request
    grpc: bool  # a method of gRPC, not a name given to `outbound(...)`
    after_end: bool = False  # begun when the served call had ended


class CallRecord(NamedTuple):
    """One finished call, as it is handed to a sink. Bodies are bytes, never protobuf objects."""

    metadata: tuple[tuple[str, Any], ...]  # mirror headers, trace context and what the settings allow; no other
    method: str  # pkg.Service/Method
    kind: capture_pb2.CallKind
    current: SpanRef | None  # the span that was current in the handler before ours
    span_id: bytes  # empty: not led, so any will do
    outcome: Outcome
    requests: tuple[Message, ...]
    responses: tuple[Message, ...]
    request_type: type[Any] | None
    response_type: type[Any] | None
    request_count: int
    response_count: int
    omitted: tuple[
        tuple[capture_pb2.Direction, int, int], ...
    ]  # (direction, messages, bytes) over the limit of messages
    initial_metadata: tuple[tuple[str, Any], ...] | None  # None: unobserved
    trailing_metadata: tuple[tuple[str, Any], ...]
    deadline_ns: int  # remaining at the start; 0: none
    start_unix_ns: int
    duration_ns: int
    size: int  # bytes held
    blocked_calls: int = 0  # of a served call: outbound calls that were refused
    outbound: Outbound | None = (
        None  # set: a call that the service made; its `metadata` are the mirror headers of the served one
    )
    outbound_calls: int = 0  # of a served call: captured outbound calls that it had begun by its end
    outbound_omitted: int = 0  # and those beyond the limit, which are not captured


def sync_outcome(facts: SyncFacts) -> Outcome:
    """The status of a sync server's call.

    A code set by the handler wins over the one that a failure stands for; so do its details over grpc's own text.
    """
    if facts.malformed:
        text = _first(facts.details, "Exception deserializing request!")
        return Outcome(_first(facts.code, INTERNAL), text, capture_pb2.ENDING_MALFORMED_REQUEST)
    raised = facts.raised
    if not facts.sent or (raised is not None and raised.by_client):
        return _cut(facts.expired)
    if raised is not None:
        aborted = raised.bare and facts.code is not None
        ending = capture_pb2.ENDING_RETURNED if aborted else capture_pb2.ENDING_RAISED
        text = _first(facts.details, raised.text)
        return Outcome(_first(facts.code, UNKNOWN), text, ending, "" if aborted else raised.type_name)
    if facts.unsendable:
        text = _first(facts.details, "Failed to serialize response!")
        return Outcome(_first(facts.code, INTERNAL), text, capture_pb2.ENDING_RAISED, facts.unsendable)
    if not facts.returned:
        return _cut(facts.expired)
    return Outcome(_first(facts.code, OK), facts.details or "", capture_pb2.ENDING_RETURNED)


def aio_outcome(facts: AioFacts) -> Outcome:
    """The status of an aio server's call.

    An abort sends its status at once. Of an exception the client gets grpc's own text, under the code that the handler
    had set if that was not OK, else UNKNOWN.
    """
    raised = facts.raised
    if raised is not None and raised.by_client:
        return _cut(facts.expired)
    if raised is not None and not raised.by_abort:
        ending = capture_pb2.ENDING_MALFORMED_REQUEST if facts.malformed else capture_pb2.ENDING_RAISED
        return Outcome(facts.code or UNKNOWN, raised.text, ending, raised.type_name)
    if raised is None and not facts.returned:
        return _cut(facts.expired)
    return Outcome(_first(facts.code, OK), facts.details, capture_pb2.ENDING_RETURNED)


def status_code(code: object, *, numbers: bool) -> int | None:
    """A code as handlers set it, as its number. None: not set. What grpc does not know becomes UNKNOWN.

    Args:
        code: a grpc.StatusCode, a number or anything else.
        numbers: whether this flavour of grpc takes plain numbers (aio does).
    """
    if code is None:
        return None
    if isinstance(code, int):
        return code if numbers and 0 <= code <= 16 else UNKNOWN
    value = getattr(code, "value", None)
    number = value[0] if isinstance(value, tuple) else value
    return number if isinstance(number, int) and 0 <= number <= 16 else UNKNOWN


def pairs(metadata: object) -> tuple[tuple[str, Any], ...]:
    """Metadata as grpc keeps it (tuples, named tuples, aio's Metadata or None) as plain pairs, order and repeats kept."""
    if not metadata or not isinstance(metadata, Iterable):
        return ()
    return tuple((str(key).lower(), value) for key, value in metadata)


def type_name(error: BaseException) -> str:
    """The qualified name of an exception's type; builtins without their module."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _cut(expired: bool) -> Outcome:  # noqa: FBT001 - one fact, named at the call
    """The call was over before the server had answered."""
    if expired:
        return Outcome(DEADLINE_EXCEEDED, "", capture_pb2.ENDING_DEADLINE_EXCEEDED)
    return Outcome(CANCELLED, "", capture_pb2.ENDING_CLIENT_CANCELLED)


def _first(value: Any, default: Any) -> Any:
    return default if value is None else value
