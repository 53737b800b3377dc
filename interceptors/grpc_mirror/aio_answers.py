"""Calls of aio channels that were never made: refused ones, and those that the service's own stand-in answers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Generator
from typing import Any

import grpc

from grpc_mirror.call import CANCELLED, OK, UNKNOWN, status_code, type_name
from grpc_mirror.outgoing import Outgoing
from grpc_mirror.stub_types import fitting

_CODE = grpc.StatusCode.FAILED_PRECONDITION  # as on sync channels: no retry will help


class _Blocked:
    """A refused call: over from the start, with one status, which it raises as grpc's own calls do."""

    def __init__(self, text: str) -> None:
        self.error = grpc.aio.AioRpcError(_CODE, grpc.aio.Metadata(), grpc.aio.Metadata(), text, text)

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def add_done_callback(self, callback: Any) -> None:
        callback(self)

    def time_remaining(self) -> float | None:
        return None

    async def initial_metadata(self) -> Any:
        return grpc.aio.Metadata()

    async def trailing_metadata(self) -> Any:
        return grpc.aio.Metadata()

    async def code(self) -> Any:
        return _CODE

    async def details(self) -> str:
        return self.error.details() or ""

    async def debug_error_string(self) -> str:
        return self.error.details() or ""

    async def wait_for_connection(self) -> None:
        raise self.error

    async def write(self, _request: Any) -> None:
        raise self.error

    async def done_writing(self) -> None:
        """There is nobody to write to."""


class BlockedCall(_Blocked, grpc.aio.UnaryUnaryCall, grpc.aio.StreamUnaryCall):  # type: ignore[type-arg]
    """A refused call with one response."""

    def __await__(self) -> Generator[Any, None, Any]:
        raise self.error
        yield  # grpc asks for a generator


class BlockedStream(_Blocked, grpc.aio.UnaryStreamCall, grpc.aio.StreamStreamCall):  # type: ignore[type-arg]
    """A refused call with a stream of responses."""

    _done_writing_flag = False  # grpc looks at it before each write

    async def __aiter__(self) -> AsyncIterator[Any]:
        raise self.error
        yield  # makes it a generator

    async def read(self) -> Any:
        """Raises the status."""
        raise self.error


class _Stubbed:
    """A call that is over when its future is. The future holds the response, or None for a stream."""

    _done_writing_flag = False

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._future: asyncio.Future[Any]

    def cancel(self) -> bool:
        return self._future.cancel()

    def cancelled(self) -> bool:
        return self._future.cancelled()

    def done(self) -> bool:
        return self._future.done()

    def add_done_callback(self, callback: Any) -> None:
        self._future.add_done_callback(lambda _future: callback(self))

    def time_remaining(self) -> float | None:
        return None

    async def initial_metadata(self) -> Any:
        return grpc.aio.Metadata()

    async def trailing_metadata(self) -> Any:
        return grpc.aio.Metadata()

    async def code(self) -> Any:
        await asyncio.wait([self._future])
        if self._future.cancelled():
            return grpc.StatusCode.CANCELLED
        error = self._future.exception()
        if error is None:
            return grpc.StatusCode.OK
        return error.code() if isinstance(error, grpc.RpcError) and hasattr(error, "code") else grpc.StatusCode.UNKNOWN

    async def details(self) -> str:
        return ""

    async def debug_error_string(self) -> str:
        return ""

    async def wait_for_connection(self) -> None:
        """There is no connection to wait for."""

    async def write(self, _request: Any) -> None:
        """Never asked: grpc hands writes over as a request iterator."""

    async def done_writing(self) -> None:
        """As `write`."""


class StubbedCall(_Stubbed, grpc.aio.UnaryUnaryCall, grpc.aio.StreamUnaryCall):  # type: ignore[type-arg]
    """A call whose one response the stand-in gives, in a task that starts at once."""

    def __init__(self, answer: Any, asked: Any, outgoing: Outgoing) -> None:
        super().__init__(outgoing)
        self._future = asyncio.get_running_loop().create_task(self._run(answer, asked))

    def __await__(self) -> Generator[Any, None, Any]:
        return self._future.__await__()

    async def _run(self, answer: Any, asked: Any) -> Any:
        try:
            response = fitting(self._outgoing.method, await self._given(answer, asked))
        except BaseException as error:
            finish_raised(self._outgoing, error)
            raise
        self._outgoing.response(response)
        self._outgoing.finish(OK)
        return response

    async def _given(self, answer: Any, asked: Any) -> Any:
        given = answer(asked) if callable(answer) else answer
        return await given if inspect.isawaitable(given) else given


class StubbedUpload(StubbedCall):
    """The same with a stream of requests, which is read to its end where the stand-in is no function."""

    async def _given(self, answer: Any, asked: Any) -> Any:
        if callable(answer):
            return await super()._given(answer, asked)
        await _drain(asked)
        return answer


class StubbedServerStream(_Stubbed, grpc.aio.UnaryStreamCall, grpc.aio.StreamStreamCall):  # type: ignore[type-arg]
    """A call whose stream of responses the stand-in gives, as they are read. It is over when the last one was read."""

    def __init__(self, answer: Any, asked: Any, outgoing: Outgoing) -> None:
        super().__init__(outgoing)
        self._future = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._asked = asked

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for given in self._given():
                if self._future.cancelled():
                    raise asyncio.CancelledError  # noqa: TRY301 - as a real call's iterator does
                response = fitting(self._outgoing.method, given)
                self._outgoing.response(response)
                yield response
        except (GeneratorExit, asyncio.CancelledError):
            self._future.cancel()
            self._outgoing.finish(CANCELLED)
            raise
        except BaseException as error:
            finish_raised(self._outgoing, error)
            self._future.cancel()
            raise
        self._outgoing.finish(OK)
        if not self._future.done():
            self._future.set_result(None)

    async def read(self) -> Any:
        """Never asked: grpc reads through the iterator."""
        raise NotImplementedError

    async def _given(self) -> AsyncIterator[Any]:
        answer = self._answer
        given = answer(self._asked) if callable(answer) else answer
        if inspect.isawaitable(given):
            given = await given
        if not callable(answer) and not isinstance(given, (list, tuple)):
            given = (given,)
        if hasattr(given, "__aiter__"):
            async for response in given:
                yield response
        else:
            for response in given:
                yield response


class StubbedBidi(StubbedServerStream):
    """The same with a stream of requests, which is read beside the responses where the stand-in is no function."""

    def __init__(self, answer: Any, asked: Any, outgoing: Outgoing) -> None:
        super().__init__(answer, asked, outgoing)
        if not callable(answer):
            reading = asyncio.get_running_loop().create_task(_drain(asked))
            self._future.add_done_callback(lambda _future: reading.cancel())


async def finish(outgoing: Outgoing, call: Any) -> None:
    """Finish the watch by the status of a call that is over."""
    try:
        code = status_code(await call.code(), numbers=False)
        outgoing.finish(OK if code is None else code, await call.details() or "", await call.trailing_metadata() or ())
    except Exception:  # noqa: BLE001 - another interceptor's call may lack a method; ours must not reach the service
        outgoing.finish(UNKNOWN)


def finish_raised(outgoing: Outgoing, error: BaseException) -> None:
    """Finish the watch by what the caller of the call gets raised: a status, or an exception that is none."""
    if isinstance(error, asyncio.CancelledError):
        outgoing.finish(CANCELLED)
    elif isinstance(error, grpc.aio.AioRpcError):
        code = status_code(error.code(), numbers=False)
        outgoing.finish(UNKNOWN if code is None else code, error.details() or "", error.trailing_metadata() or ())
    else:
        outgoing.finish(UNKNOWN, raised=type_name(error))


async def _drain(requests: Any) -> None:
    """Read a request stream to its end."""
    if hasattr(requests, "__aiter__"):
        async for _ in requests:
            pass
    else:
        for _ in requests:
            pass
