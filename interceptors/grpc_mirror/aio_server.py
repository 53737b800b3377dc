"""The interceptor for grpc.aio servers: closures around each call's handler. Thin: what follows is decided in call.py.

A handler keeps its flavour: grpc looks at what it is (async generator, coroutine function, plain function) to decide
how to run it, so each is wrapped by its like. Async handlers are finished in the context's done callback. Plain functions run in a thread and
get a context without one, and without `code()`: they are given a delegate that remembers what they set, and are
finished at their own end or when the call's task is done, whichever comes first.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
from opentelemetry import context as otel_context

from grpc_mirror.call import RETURNED, AioFacts, Raised, aio_outcome, status_code, type_name
from grpc_mirror.current import SERVED, in_call
from grpc_mirror.marked import Trust, aio_marked
from grpc_mirror.propagation import is_mirrored
from grpc_mirror.recorder import Observer, Recorder, asked, behavior_of, codecs, kept_attributes, rebuilt
from grpc_mirror.v1 import capture_pb2

_CUT = (capture_pb2.ENDING_CLIENT_CANCELLED, capture_pb2.ENDING_DEADLINE_EXCEEDED)


class AioServerInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # generic in the stubs only
    """Captures mirrored calls of a grpc.aio.Server. A call without `x-mirror-id` keeps its handler untouched."""

    def __init__(self, observer: Observer | None, trust: Trust | None = None) -> None:
        """`observer` None: nothing is captured. `trust` None: no caller's mark as a shadow is heeded."""
        self._observer = observer
        self._trust = trust

    async def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Wrap the handler of a mirrored call; unknown methods pass through."""
        handler = await continuation(handler_call_details)
        observer, trust = self._observer, self._trust
        if observer is None and trust is None:
            return handler
        try:
            metadata = handler_call_details.invocation_metadata
            if handler is None or not metadata:
                return handler
            mark = None if trust is None else trust.mark_of(metadata, observer)
            method = handler_call_details.method.lstrip("/")
            if observer is None or not is_mirrored(metadata):
                return handler if trust is None or mark is None else aio_marked(handler, trust.marked(method, mark))
            recorder = Recorder(observer, handler, method, metadata)
            recorder.mark = mark
            return _AioCall(recorder, handler).wrapped()
        except Exception:  # noqa: BLE001 - ours must never reach the service
            if observer is not None:
                observer.fault()
            return handler


class _AioCall:
    """One call of an aio server."""

    def __init__(self, recorder: Recorder, handler: Any) -> None:
        self._recorder = recorder
        self._handler = handler
        self._context: Any = None
        self._returned = False
        self._error: BaseException | None = None  # what left the handler
        self._decoding: BaseException | None = None
        self._unsendable: list[BaseException] = []
        # grpc keeps the callbacks of a context in a cycle with it: what they hold lives until the garbage collector runs.
        # So they hold a list, which is emptied at the end.
        self._watched = [self]
        # Of a plain function's stream: grpc serialises a response in the loop's thread, some time after the handler's thread
        # has given it. Each count has one writer; the call is over when the stream is and both are equal.
        self._given = 0
        self._serialized = 0
        self._ended = False

    def wrapped(self) -> Any:
        behavior = behavior_of(self._handler)
        deserialize, serialize = codecs(self._recorder, self._handler, self._on_malformed, self._unsendable)
        if inspect.isasyncgenfunction(behavior):
            observed: Any = self._generating(behavior)
        elif inspect.iscoroutinefunction(behavior):
            observed = self._awaiting(behavior)
        else:
            observed = self._threaded(behavior)
            serialize = self._finishing(serialize)
            task = asyncio.current_task()
            if task is not None:
                task.add_done_callback(self._on_task_done)
        kept_attributes(observed, behavior)
        return rebuilt(self._handler, observed, deserialize, serialize)

    def _awaiting(self, behavior: Any) -> Callable[..., Any]:
        async def observed(request: Any, context: Any) -> Any:
            self._begin_async(context)
            try:
                response = await behavior(request, context)
            except BaseException as error:
                self._error = error
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
                self._error = error
                raise
            finally:
                # grpc never closes a generator that it leaves; the service's must not wait longer than ours for it.
                await responses.aclose()
            self._returned = True

        return observed

    def _threaded(self, behavior: Any) -> Callable[..., Any]:
        streaming = self._handler.response_streaming

        def observed(request: Any, context: Any) -> Any:
            delegate, trace_context = self._begin_threaded(context)
            try:
                response = in_call(self._recorder, trace_context, behavior, request, delegate)
            except BaseException as error:
                self._end_threaded(error)
                raise
            if streaming:
                return _Responses(self._recorder, response, trace_context, self._on_given, self._end_threaded)
            self._returned = True
            if _code_of(delegate):  # grpc sends no message with an error status, so the serialiser won't be asked
                self._finish()
            return response

        return observed

    def _finishing(self, serialize: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """The serialiser of a plain function's responses: that of the last one is the last that is seen of such a call."""
        streaming = self._handler.response_streaming

        def finishing(message: Any) -> Any:
            try:
                return serialize(message)
            finally:
                self._serialized += 1
                if not streaming or (self._ended and self._serialized >= self._given):
                    self._finish()

        return finishing

    def _on_given(self) -> None:
        self._given += 1

    def _begin_async(self, context: Any) -> None:
        try:
            self._context = context
            SERVED.set(self._recorder)  # never reset, as below
            trace_context = self._recorder.begin(context.time_remaining())
            if trace_context is not None:
                # Never detached: each call has a task, and so a context, of its own, which ends with it.
                otel_context.attach(trace_context)
            watched = self._watched
            context.add_done_callback(lambda _context: _finish_watched(watched))
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self._recorder.observer.fault()

    def _begin_threaded(self, context: Any) -> tuple[Any, Any]:
        try:
            delegate = _RememberingContext(context)
            self._context = delegate
            return delegate, self._recorder.begin(context.time_remaining())
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self._recorder.observer.fault()
            return context, None

    def _end_threaded(self, error: BaseException | None) -> None:
        if error is None:
            self._returned = True
        self._error = error
        self._ended = True
        if self._serialized >= self._given:
            self._finish()

    def _on_task_done(self, _task: Any) -> None:
        # Where another interceptor looked up the handler in a task of its own, that task ends before the call begins.
        if self._recorder.begun:
            self._returned = False  # what had not come to its end by now was cut off
            self._finish()

    def _on_malformed(self, error: BaseException | None) -> None:
        """A request could not be decoded: a unary one ends the call at once, a streamed one raises in the handler."""
        self._decoding = error
        if error is not None and not self._handler.request_streaming:
            self._error = error
            self._finish()

    def _raised(self) -> Raised | None:
        error = self._error
        if error is None and self._unsendable and not self._may_catch_unsendable():
            error = self._unsendable[0]
        if error is None:
            return None
        return Raised(
            type_name(error),
            _told(error),
            by_abort=isinstance(error, grpc.aio.AbortError),
            by_client=isinstance(error, asyncio.CancelledError),
        )

    def _may_catch_unsendable(self) -> bool:
        """Whether an error of the serialiser surfaces in the handler: at `context.write` of a coroutine."""
        return self._handler.response_streaming and inspect.iscoroutinefunction(behavior_of(self._handler))

    def _finish(self) -> None:
        try:
            self._watched.pop()  # one of the threads that may come here at once
        except IndexError:
            return
        try:
            context = self._context
            code, details, raised = _code_of(context), asked(context, "details") or "", self._raised()
            if self._returned and not (code or details or raised):
                outcome = RETURNED
            else:
                malformed = self._error is not None and self._error is self._decoding
                outcome = aio_outcome(
                    AioFacts(code, details, self._returned, raised, malformed, self._recorder.expired)
                )
            trailing = None if outcome.ending in _CUT else asked(context, "trailing_metadata")
            self._recorder.finish(outcome, tuple(trailing) if trailing else ())
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self._recorder.observer.fault()
        finally:
            # An exception holds its frames, and they hold this call.
            self._error = self._decoding = self._context = None
            self._unsendable.clear()


def _finish_watched(watched: list[_AioCall]) -> None:
    for call in tuple(watched):
        call._finish()  # noqa: SLF001 - our own


class _Responses:
    """The responses of a plain function's stream, watched. grpc iterates over them in a thread."""

    def __init__(
        self,
        served: Recorder,
        responses: Any,
        trace_context: Any,
        on_given: Callable[[], None],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self._served = served
        self._responses = responses
        self._trace_context = trace_context
        self._on_given = on_given
        self._on_end = on_end

    def __iter__(self) -> Iterator[Any]:
        try:
            self._responses = iter(self._responses)
        except BaseException as error:
            self._end(error)
            raise
        return self

    def __next__(self) -> Any:
        try:
            response = in_call(self._served, self._trace_context, next, self._responses)
        except StopIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise
        self._on_given()
        return response

    def _end(self, error: BaseException | None) -> None:
        """Tell of the end and let go of the call: grpc keeps a stream's iterator in a cycle."""
        on_end, self._on_end, self._on_given, self._responses = self._on_end, _ignore, _nothing, iter(())
        on_end(error)


class _RememberingContext:
    """The context of a plain function on an aio server, which remembers the status that was set. Delegates the rest."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._code: Any = None
        self._details = ""
        self._trailing: tuple[Any, ...] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> None:
        """As grpc does: what was set before stands in for what is not given."""
        self._code = code
        self._details = details or self._details
        self._trailing = tuple(trailing_metadata or ()) or self._trailing
        self._context.abort(code, details, trailing_metadata)

    def set_code(self, code: Any) -> None:
        self._context.set_code(code)
        self._code = code

    def set_details(self, details: str) -> None:
        self._context.set_details(details)
        self._details = details

    def set_trailing_metadata(self, metadata: Any) -> None:
        self._context.set_trailing_metadata(metadata)
        self._trailing = tuple(metadata or ())

    def code(self) -> Any:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> tuple[Any, ...]:
        return self._trailing


def _nothing() -> None:
    """No more responses."""


def _ignore(_error: BaseException | None) -> None:
    """The end of a stream that has ended already."""


def _told(error: BaseException) -> str:
    """What grpc tells the client of an exception."""
    try:
        return f"Unexpected {type(error)}: {error}"
    except Exception:  # noqa: BLE001 - the service's own __str__ failed; then grpc tells the client nothing
        return ""


def _code_of(context: Any) -> int | None:
    return status_code(asked(context, "code"), numbers=True)
