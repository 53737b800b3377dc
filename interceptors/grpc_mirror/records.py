"""Finished calls, as they are handed to a sink. Frozen; no behaviour."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from grpc_mirror.call import RETURNED, Outcome
from grpc_mirror.propagation import SpanRef, span_id_of
from grpc_mirror.seen import Message
from grpc_mirror.v1 import capture_pb2


class Outbound(NamedTuple):
    """What identifies a call that the service made while it served a mirrored one."""

    served_method: str
    served_span_id: bytes
    policy: capture_pb2.OutboundPolicy
    position: int  # from 0: of the calls of this method that the mirrored call began
    ordinal: int  # of those with an equal request
    grpc: bool  # a method of gRPC, not a name given to `outbound(...)`
    after_end: bool = False  # begun when the served call had ended


class Omitted(NamedTuple):
    """The middle of a long stream; or all messages of a call that was not sampled."""

    direction: capture_pb2.Direction
    messages: int
    bytes: int
    kept_after: int  # how many of the messages of this direction came later


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
    omitted: tuple[Omitted, ...]  # over the limit of messages
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
    sampled: bool = True  # False: its messages are not captured, see `sampling`; `omitted` says how many there were


class Plain(NamedTuple):
    """How most calls are: unary, answered with OK, and nothing beside the two messages to tell."""

    metadata: tuple[tuple[str, Any], ...]  # as in a CallRecord
    method: str
    current: SpanRef | None
    start_ns: int  # on this process's own clock: names the span, see `leading.span_id_of`
    request: bytes | int  # its bytes; where the call was not sampled, how many
    response: bytes | int
    request_ns: int  # offsets from the start
    response_ns: int
    request_type: type[Any] | None
    response_type: type[Any] | None
    initial_metadata: tuple[()] | None  # None: unobserved
    deadline_ns: int
    start_unix_ns: int
    duration_ns: int
    size: int
    sampled: bool

    def record(self) -> CallRecord:
        """The same, as other calls are told."""
        asked, answered = self.request, self.response
        return CallRecord(
            self.metadata,
            self.method,
            capture_pb2.CALL_KIND_UNARY,
            self.current,
            span_id_of(self.start_ns),
            RETURNED,
            () if isinstance(asked, int) else (Message(self.request_ns, len(asked), asked),),
            () if isinstance(answered, int) else (Message(self.response_ns, len(answered), answered),),
            self.request_type,
            self.response_type,
            1,
            1,
            self.omitted,
            self.initial_metadata,
            (),
            self.deadline_ns,
            self.start_unix_ns,
            self.duration_ns,
            self.size,
            sampled=self.sampled,
        )

    @property
    def omitted(self) -> tuple[Omitted, ...]:
        """What of it is only counted."""
        directions = (capture_pb2.DIRECTION_REQUEST, self.request), (capture_pb2.DIRECTION_RESPONSE, self.response)
        return tuple(Omitted(direction, 1, size, 0) for direction, size in directions if isinstance(size, int))


class Written(Protocol):
    """A plain call whose span is written already, by `grpc_mirror_native`. What is private in it was found to be nothing.

    It is an item of a batch as it is.
    """

    form: Any  # see `grpc_mirror.plain.Form`
    content: Sequence[builtins.bytes]  # in pieces
    bytes: int  # of these
    size: int  # as those of the others
    is_call: bool


Finished: TypeAlias = CallRecord | Plain  # what a sink takes
Queued: TypeAlias = Finished | Written
