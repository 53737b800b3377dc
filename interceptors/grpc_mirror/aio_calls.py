"""One call of an aio server whose handler is a coroutine function or an async generator, and how its end is told.

Such calls are finished when their task is done.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import grpc

from grpc_mirror.call import RETURNED, AioFacts, Raised, aio_outcome, is_sendable, status_code, type_name
from grpc_mirror.codecs import codecs
from grpc_mirror.current import SERVED
from grpc_mirror.handlers import asked, behavior_of, kept_attributes, rebuilt
from grpc_mirror.leading import attach
from grpc_mirror.observer import Observer
from grpc_mirror.recorder import Recorder
from grpc_mirror.unary import UnaryCall
from grpc_mirror.v1 import capture_pb2

_CUT = (capture_pb2.ENDING_CLIENT_CANCELLED, capture_pb2.ENDING_DEADLINE_EXCEEDED)
# What reading and writing raise where the client has gone and the handler is not cancelled yet; grpc then sends no status.
_NOBODY_THERE = "grpc._cython.cygrpc.ExecuteBatchError"
_UNARY_REQUEST = (capture_pb2.CALL_KIND_UNARY, capture_pb2.CALL_KIND_SERVER_STREAM)


class AioEnding(Recorder):
    """How a call of an aio server begins and ends."""

    task: Any = None  # in which grpc asked for the handler, until the call is watched by it
    _context: Any = None
    _returned = False
    _error: BaseException | None = None  # what left the handler
    _aborted = False  # the status had been sent by then, though the handler went on or raised something else
    _decoding: BaseException | None = None
    _over = False

    def _begin_async(self, context: Any) -> None:
        try:
            self._context = context
            SERVED.set(self)  # never reset, as below
            trace_context = self.begin(context.time_remaining())
            if trace_context is not None:
                # Never detached: each call has a task, and so a context, of its own, which ends with it.
                attach(trace_context)
            self._watch(context, partial(_end_watched, [self]))
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self.observer.fault()

    def _watch(self, context: Any, on_end: Callable[[Any], None]) -> None:
        """Have `on_end` called when the call's task is done, as grpc has those of a context.

        But grpc keeps these in a cycle with the context: it, and all that it and they hold, would live until the garbage collector runs,
        which has the more to do, and stops all calls meanwhile. So they are the last resort, where the handler runs in a task of
        somebody else's; and what they hold lets go of the call.
        """
        running: Any = asyncio.current_task()
        if running is not None and running is self.task:
            running.add_done_callback(on_end)
        else:
            context.add_done_callback(on_end)
        self.task = None

    def on_malformed(self, error: BaseException | None) -> None:
        """A request could not be decoded: a unary one ends the call at once, a streamed one raises in the handler."""
        self._decoding = error
        if error is not None and self.kind in _UNARY_REQUEST:
            self._error = error
            self.end()

    def on_left(self, error: BaseException) -> None:
        """An exception left the handler. After an abort it tells nothing: grpc has sent the status, and sends no other."""
        try:
            self._error = error
            self._aborted = self._status_sent()
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self.observer.fault()

    def _status_sent(self) -> bool:
        return bool(asked(self._context, "done"))

    def _raised(self) -> Raised | None:
        error = self._error
        if error is None and not self._may_catch_unsendable():
            error = self.unsendable
        if error is None:
            return None
        return Raised(
            type_name(error),
            _told(error),
            by_abort=isinstance(error, grpc.aio.AbortError) or (self._aborted and bool(code_of(self._context))),
            by_client=isinstance(error, asyncio.CancelledError) or self._nobody_there(error),
        )

    def _nobody_there(self, error: BaseException) -> bool:
        """Whether what grpc's core refused to do is the client's doing, not that of metadata which cannot be sent."""
        return type_name(error) == _NOBODY_THERE and is_sendable(asked(self._context, "trailing_metadata") or ())

    def _may_catch_unsendable(self) -> bool:
        """Whether an error of the serialiser surfaces in the handler: at `context.write` of a coroutine."""
        return False

    def end(self) -> None:
        """The call is over. Later calls do nothing."""
        if self._over:
            return
        self._over = True
        try:
            context = self._context
            code, details, raised = code_of(context), asked(context, "details") or "", self._raised()
            if self._returned and not (code or details or raised):
                outcome = RETURNED
            else:
                malformed = self._error is not None and self._error is self._decoding
                # Of an abort that the handler caught, after which its stream was cut: the end is nobody else's.
                done = self._returned or (raised is None and bool(code) and self._status_sent())
                outcome = aio_outcome(AioFacts(code, details, done, raised, malformed, self.expired))
            trailing = None if outcome.ending in _CUT else asked(context, "trailing_metadata")
            self.finish(outcome, tuple(trailing) if trailing else ())
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self.observer.fault()
        finally:
            # An exception holds its frames, and they hold this call.
            self._error = self._decoding = self._context = self.unsendable = None


class AioUnaryCall(AioEnding, UnaryCall):
    """A unary call whose handler is a coroutine function."""

    async def unary_unary(self, request: Any, context: Any) -> Any:
        """The handler's function."""
        self._begin_async(context)
        try:
            response = await self.behavior(request, context)
        except BaseException as error:
            self.on_left(error)
            raise
        self._returned = True
        return response

    def end(self) -> None:
        """The call is over. Later calls do nothing."""
        try:
            context = self._context
            odd = self._over or not self._returned or context.code() or context.details() or context.trailing_metadata()
            plain = not odd and self.put_plain()
        except Exception:  # noqa: BLE001 - another kind of context: the long way tells; or ours failed
            plain = self.finished
            if plain:
                self.observer.fault()
        if plain:
            self._over = True
            self._context = None
        else:
            self._end_otherwise()

    def _end_otherwise(self) -> None:
        """As other calls end."""
        super().end()


class AioCall(AioEnding):
    """A call with a stream in it, whose handler is a coroutine function or an async generator."""

    def __init__(self, observer: Observer, handler: Any, method: str, metadata: Any) -> None:
        super().__init__(observer, handler, method, metadata)
        self._handler = handler

    def wrapped(self) -> Any:
        """What to give to grpc."""
        behavior = behavior_of(self._handler)
        observed: Any = (self._generating if inspect.isasyncgenfunction(behavior) else self._awaiting)(behavior)
        kept_attributes(observed, behavior)
        return rebuilt(self._handler, observed, *codecs(self, self._handler, self.on_malformed))

    def _awaiting(self, behavior: Any) -> Callable[..., Any]:
        async def observed(request: Any, context: Any) -> Any:
            self._begin_async(context)
            try:
                response = await behavior(request, context)
            except BaseException as error:
                self.on_left(error)
                raise
            self._returned = True
            return response

        return observed

    def _generating(self, behavior: Any) -> Callable[..., Any]:
        async def observed(request: Any, context: Any) -> AsyncIterator[Any]:
            self._begin_async(context)
            responses = behavior(request, context)
            try:
                async for response in responses:
                    yield response
            except GeneratorExit:
                raise
            except BaseException as error:
                self.on_left(error)
                raise
            finally:
                # grpc never closes a generator that it leaves; the service's must not wait longer than ours for it.
                await responses.aclose()
            self._returned = True

        return observed

    def _may_catch_unsendable(self) -> bool:
        return self._handler.response_streaming and inspect.iscoroutinefunction(behavior_of(self._handler))


def _end_watched(watched: list[AioEnding], _context: Any) -> None:
    if watched:
        watched.pop().end()


def _told(error: BaseException) -> str:
    """What grpc tells the client of an exception."""
    try:
        return f"Unexpected {type(error)}: {error}"
    except Exception:  # noqa: BLE001 - the service's own __str__ failed; then grpc tells the client nothing
        return ""


def code_of(context: Any) -> int | None:
    """The number of the status code that a handler has set."""
    return status_code(asked(context, "code"), numbers=True)
