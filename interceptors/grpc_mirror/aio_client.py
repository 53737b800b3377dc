"""The interceptors for channels of grpc.aio, one for each kind of call, since a channel sorts them by class.

They return grpc's own call, or for a stream of responses an iterator over it, from which grpc makes a call. What was
never made is one of the calls in aio_answers.py.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc

from grpc_mirror.aio_answers import (
    BlockedCall,
    BlockedStream,
    StubbedBidi,
    StubbedCall,
    StubbedServerStream,
    StubbedUpload,
    finish,
    finish_raised,
)
from grpc_mirror.call import CANCELLED, OK
from grpc_mirror.client import BIDI_STREAM, CLIENT_STREAM, SERVER_STREAM, UNARY, status_of
from grpc_mirror.guard import Guard, blocked_text
from grpc_mirror.outgoing import Outgoing
from grpc_mirror.policies import ALLOW, Patience, Recorded, Stub
from grpc_mirror.recordings import Told, told_aio
from grpc_mirror.v1 import attributes, capture_pb2

_settling: set[asyncio.Task[None]] = set()  # the event loop holds tasks weakly


class _Interceptor:
    """What the four have in common."""

    def __init__(self, guard: Guard) -> None:
        """`guard` decides about each call."""
        self._guard = guard

    async def _intercept(self, kind: capture_pb2.CallKind, continuation: Any, details: Any, asked: Any) -> Any:
        plan = self._guard.plan(details.method)
        if plan is None:
            return await continuation(details, asked)
        plan = plan.of_kind(kind)
        outgoing = plan.outgoing(kind, details.timeout)
        if kind in (UNARY, SERVER_STREAM):
            outgoing.request(asked)
        elif outgoing.captured:
            asked = _aio_requests(asked, outgoing) if hasattr(asked, "__aiter__") else _requests(asked, outgoing)
        if isinstance(plan.policy, Recorded):
            patience = plan.policy.patience(details.timeout)
            answer = _as_told(self._guard, plan.method, plan.policy, outgoing, patience)
            return _STUBBED[kind](answer, asked, outgoing)
        if isinstance(plan.policy, Stub):
            return _STUBBED[kind](plan.policy.answer, asked, outgoing)
        if plan.policy != ALLOW:
            blocked = (BlockedStream if kind in (SERVER_STREAM, BIDI_STREAM) else BlockedCall)(
                blocked_text(plan.method, recorded=False)
            )
            finish_raised(outgoing, blocked.error)
            return blocked
        if plan.header:
            details = _stamped(details, plan.header)
        return await _sent(continuation, details, asked, outgoing)


class UnaryUnary(_Interceptor, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg] # generic in the stubs
    """One request, one response."""

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """See `_intercept`."""
        return await self._intercept(UNARY, continuation, client_call_details, request)


class UnaryStream(_Interceptor, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg]
    """One request, a stream of responses."""

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """See `_intercept`."""
        return await self._intercept(SERVER_STREAM, continuation, client_call_details, request)


class StreamUnary(_Interceptor, grpc.aio.StreamUnaryClientInterceptor):  # type: ignore[type-arg]
    """A stream of requests, one response."""

    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """See `_intercept`."""
        return await self._intercept(CLIENT_STREAM, continuation, client_call_details, request_iterator)


class StreamStream(_Interceptor, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[type-arg]
    """Streams both ways."""

    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        """See `_intercept`."""
        return await self._intercept(BIDI_STREAM, continuation, client_call_details, request_iterator)


def interceptors(guard: Guard) -> list[Any]:
    """The four interceptors of a channel."""
    return [UnaryUnary(guard), UnaryStream(guard), StreamUnary(guard), StreamStream(guard)]


_STUBBED: dict[int, Any] = {
    UNARY: StubbedCall,
    CLIENT_STREAM: StubbedUpload,
    SERVER_STREAM: StubbedServerStream,
    BIDI_STREAM: StubbedBidi,
}


def _as_told(guard: Guard, method: str, policy: Recorded, outgoing: Outgoing, patience: Patience) -> Any:
    """A stand-in that answers as the primary was answered; where nobody knows, as the policy says otherwise."""
    streaming = outgoing.kind == SERVER_STREAM

    async def answer(request: Any) -> Any:
        told = await told_aio(outgoing, patience)
        if told is not None:
            return _messages(told) if streaming else _message(told)
        other = guard.otherwise(method, policy, outgoing)
        if not isinstance(other, Stub):
            raise BlockedCall(blocked_text(method, recorded=True)).error
        given = other.answer(request) if callable(other.answer) else other.answer
        if inspect.isawaitable(given):
            given = await given
        plain = streaming and not callable(other.answer) and not isinstance(given, (list, tuple))
        return (given,) if plain else given

    return answer


def _messages(told: Told) -> Iterator[Any]:
    yield from told.messages
    if told.code != OK:
        raise _error(status_of(told.code), told.text, told.trailing)


def _message(told: Told) -> Any:
    if told.code != OK:
        raise _error(status_of(told.code), told.text, told.trailing)
    if not told.messages:
        raise _error(grpc.StatusCode.INTERNAL, "grpc-mirror: the primary's answer held no message", ())
    return told.messages[0]


def _error(code: grpc.StatusCode, text: str, trailing: Any) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), text, text)


async def _sent(continuation: Any, details: Any, asked: Any, outgoing: Outgoing) -> Any:
    """Make the call."""
    try:
        call = await continuation(details, asked)
    except BaseException as error:
        finish_raised(outgoing, error)
        raise
    if not outgoing.captured:
        return call
    if outgoing.kind in (SERVER_STREAM, BIDI_STREAM):
        responses = _Responses(call, outgoing)
        _when_done(call, responses.on_done)
        return responses
    _when_done(call, lambda: _settle(call, outgoing))
    return call


def _when_done(call: Any, settle: Any) -> None:
    """Run the coroutine function `settle` once the call is over, in a task of its own: nothing waits for it."""

    def start(_call: Any = None) -> None:
        task = asyncio.get_running_loop().create_task(settle())
        _settling.add(task)
        task.add_done_callback(_settling.discard)

    try:
        call.add_done_callback(start)
    except NotImplementedError:  # a response that another interceptor gave, which is there already
        start()


async def _settle(call: Any, outgoing: Outgoing) -> None:
    """The call is over: take its response and status."""
    try:
        response = await call
    except asyncio.CancelledError:
        outgoing.finish(CANCELLED)
        raise
    except Exception as error:  # noqa: BLE001 - the caller gets it from grpc
        finish_raised(outgoing, error)
    else:
        outgoing.response(response)
        await finish(outgoing, call)


class _Responses:
    """The responses of a real call, seen as they are read. grpc takes one iterator of it."""

    def __init__(self, call: Any, outgoing: Outgoing) -> None:
        self._call = call
        self._outgoing = outgoing
        self._reading = False

    async def on_done(self) -> None:
        """The call is over. If somebody reads it, the last responses may still be to come, unless that one cancelled it.

        A reader that stops without a cancel is noticed when the garbage collector closes its iterator.
        """
        if not self._reading or self._call.cancelled():
            await finish(self._outgoing, self._call)

    async def __aiter__(self) -> AsyncIterator[Any]:
        self._reading = True
        outgoing = self._outgoing
        try:
            async for response in self._call:
                outgoing.response(response)
                yield response
        except (GeneratorExit, asyncio.CancelledError):
            outgoing.finish(CANCELLED)
            raise
        except BaseException as error:
            finish_raised(outgoing, error)
            raise
        await finish(outgoing, self._call)


def _stamped(details: Any, header: str) -> Any:
    metadata = grpc.aio.Metadata(*(pair for pair in details.metadata or () if pair[0] != attributes.HEADER_SHADOW))
    metadata.add(attributes.HEADER_SHADOW, header)
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )


async def _aio_requests(requests: Any, outgoing: Outgoing) -> AsyncIterator[Any]:
    async for request in requests:
        outgoing.request(request)
        yield request


def _requests(requests: Any, outgoing: Outgoing) -> Iterator[Any]:
    for request in requests:
        outgoing.request(request)
        yield request
