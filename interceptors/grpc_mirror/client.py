"""The interceptor for channels of sync grpc: what a shadow's calls may do, and what was called for a mirrored call.

Where this process is no shadow and no mirrored call is being served, a call passes untouched. In a call that is
captured, messages are seen as the service gives and gets them; the call itself is grpc's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc

from grpc_mirror.answers import BlockedCall, StubbedCall, StubbedStream, WatchedStream, finish, finish_raised
from grpc_mirror.call import OK
from grpc_mirror.guard import Guard, blocked_text
from grpc_mirror.outgoing import Outgoing
from grpc_mirror.policies import ALLOW, Recorded, Stub
from grpc_mirror.recordings import Told, told
from grpc_mirror.stub_types import fitting
from grpc_mirror.v1 import attributes, capture_pb2

UNARY = capture_pb2.CALL_KIND_UNARY
CLIENT_STREAM = capture_pb2.CALL_KIND_CLIENT_STREAM
SERVER_STREAM = capture_pb2.CALL_KIND_SERVER_STREAM
BIDI_STREAM = capture_pb2.CALL_KIND_BIDI_STREAM


class _Details(NamedTuple):
    method: Any
    timeout: Any
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any


class CallDetails(_Details, grpc.ClientCallDetails):
    """Details of a call with other metadata."""


class ClientInterceptor(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[type-arg] # generic in the stubs only
    grpc.UnaryStreamClientInterceptor,  # type: ignore[type-arg]
    grpc.StreamUnaryClientInterceptor,  # type: ignore[type-arg]
    grpc.StreamStreamClientInterceptor,  # type: ignore[type-arg]
):
    """One interceptor for all four kinds; give it to `grpc.intercept_channel`."""

    def __init__(self, guard: Guard) -> None:
        """`guard` decides about each call."""
        self._guard = guard

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """One request, one response."""
        return self._intercept(UNARY, continuation, client_call_details, request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """One request, a stream of responses."""
        return self._intercept(SERVER_STREAM, continuation, client_call_details, request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """A stream of requests, one response."""
        return self._intercept(CLIENT_STREAM, continuation, client_call_details, request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """Streams both ways."""
        return self._intercept(BIDI_STREAM, continuation, client_call_details, request_iterator)

    def _intercept(self, kind: capture_pb2.CallKind, continuation: Any, details: Any, asked: Any) -> Any:
        plan = self._guard.plan(details.method)
        if plan is None:
            return continuation(details, asked)
        plan = plan.of_kind(kind)
        outgoing = plan.outgoing(kind, getattr(details, "timeout", None))
        if kind in (CLIENT_STREAM, BIDI_STREAM):
            asked = _Requests(asked, outgoing) if outgoing.captured else asked
        else:
            outgoing.request(asked)
        streaming = kind in (SERVER_STREAM, BIDI_STREAM)
        policy = plan.policy
        if isinstance(policy, Recorded):
            answer = told(outgoing, policy.patience(getattr(details, "timeout", None)))
            if answer is not None:
                return _as_told(answer, outgoing, streaming=streaming)
            policy = self._guard.otherwise(plan.method, policy, outgoing)
        if isinstance(policy, Stub):
            return _stubbed(policy.answer, asked, outgoing, streaming=streaming)
        if policy != ALLOW:
            blocked = BlockedCall(blocked_text(plan.method, recorded=isinstance(plan.policy, Recorded)))
            finish(outgoing, blocked)
            return blocked
        if plan.header:
            details = _stamped(details, plan.header)
        return _sent(continuation, details, asked, outgoing)


def _sent(continuation: Any, details: Any, asked: Any, outgoing: Outgoing) -> Any:
    """Make the call."""
    try:
        call = continuation(details, asked)
    except BaseException as error:
        finish_raised(outgoing, error)
        raise
    if outgoing.captured:
        if outgoing.kind in (SERVER_STREAM, BIDI_STREAM):
            return WatchedStream(call, outgoing)
        try:
            call.add_done_callback(lambda done: _on_done(done, outgoing))
        except Exception:  # noqa: BLE001 - another interceptor's object; ours must not reach the service
            outgoing.finish(OK)
    return call


def _on_done(call: Any, outgoing: Outgoing) -> None:
    try:
        response = call.result()
    except Exception as error:  # noqa: BLE001 - the caller gets it from grpc
        finish_raised(outgoing, error)
    else:
        outgoing.response(response)
        finish(outgoing, call)


def _as_told(told: Told, outgoing: Outgoing, *, streaming: bool) -> Any:
    """Answer as the primary was answered."""
    error = None
    if told.code != OK:
        error = BlockedCall(told.text, status_of(told.code), told.trailing)
    if streaming:
        return StubbedStream(_then(told.messages, error), outgoing)
    if error is None and not told.messages:
        error = BlockedCall("grpc-mirror: the primary's answer held no message", grpc.StatusCode.INTERNAL)
    if error is not None:
        finish(outgoing, error)
        return error
    outgoing.response(told.messages[0])
    outgoing.finish(OK)
    return StubbedCall(told.messages[0])


def _then(messages: list[Any], error: Exception | None) -> Iterator[Any]:
    yield from messages
    if error is not None:
        raise error


def status_of(code: int) -> grpc.StatusCode:
    """The StatusCode of a number; UNKNOWN for what grpc does not know."""
    return next((one for one in grpc.StatusCode if one.value[0] == code), grpc.StatusCode.UNKNOWN)


def _stubbed(answer: Any, asked: Any, outgoing: Outgoing, *, streaming: bool) -> Any:
    """Answer in the place of whom the call would have reached."""
    try:
        given = answer(asked) if callable(answer) else answer
        if streaming:
            return StubbedStream(given if callable(answer) or isinstance(given, (list, tuple)) else (given,), outgoing)
        response = fitting(outgoing.method, given)
    except BaseException as error:
        finish_raised(outgoing, error)
        raise
    outgoing.response(response)
    outgoing.finish(OK)
    return StubbedCall(response)


def _stamped(details: Any, header: str) -> CallDetails:
    metadata = [pair for pair in details.metadata or () if pair[0] != attributes.HEADER_SHADOW]
    return CallDetails(
        details.method,
        details.timeout,
        (*metadata, (attributes.HEADER_SHADOW, header)),
        details.credentials,
        getattr(details, "wait_for_ready", None),
        getattr(details, "compression", None),
    )


class _Requests:
    """A request iterator that is seen. grpc reads it in a thread of its own."""

    def __init__(self, requests: Any, outgoing: Outgoing) -> None:
        self._requests = iter(requests)
        self._outgoing = outgoing

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        request = next(self._requests)
        self._outgoing.request(request)
        return request

    next = __next__
