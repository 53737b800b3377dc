"""One call of an aio server whose handler is a plain function, which grpc runs in a thread.

Its context has no done callback and no `code()`: the handler is given a delegate that remembers what it sets, and the call is
finished at the handler's own end or when the call's task is done, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from grpc_mirror.aio_calls import AioEnding, code_of
from grpc_mirror.codecs import codecs
from grpc_mirror.current import in_call
from grpc_mirror.handlers import behavior_of, kept_attributes, rebuilt
from grpc_mirror.leading import current_context
from grpc_mirror.observer import Observer


class ThreadedCall(AioEnding):
    """A call whose handler runs in a thread."""

    def __init__(self, observer: Observer, handler: Any, method: str, metadata: Any) -> None:
        super().__init__(observer, handler, method, metadata)
        self._handler = handler
        # grpc serialises a response in the loop's thread, some time after the handler's thread has given it. Each count has
        # one writer; the call is over when the stream is and both are equal.
        self._given = 0
        self._serialized = 0
        self._ended = False
        self._open = [None]

    def wrapped(self) -> Any:
        """What to give to grpc."""
        behavior = behavior_of(self._handler)
        deserialize, serialize = codecs(self, self._handler, self.on_malformed)
        observed = self._threaded(behavior)
        task, self.task = self.task, None
        if task is not None:
            task.add_done_callback(self._on_task_done)
        kept_attributes(observed, behavior)
        return rebuilt(self._handler, observed, deserialize, self._finishing(serialize))

    def end(self) -> None:
        """The call is over, says the first of the threads that come here."""
        try:
            self._open.pop()
        except IndexError:
            return
        super().end()

    def _threaded(self, behavior: Any) -> Callable[..., Any]:
        streaming = self._handler.response_streaming

        def observed(request: Any, context: Any) -> Any:
            delegate, trace_context = self._begin_threaded(context)
            try:
                response = in_call(self, trace_context, behavior, request, delegate)
            except BaseException as error:
                self.on_ended(error)
                raise
            if streaming:
                return _Responses(self, response, trace_context)
            self._returned = True
            if code_of(self._context):  # grpc sends no message with an error status, so the serialiser won't be asked
                self.end()
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
                    self.end()

        return finishing

    def on_given(self) -> None:
        """The handler gave a response of its stream."""
        self._given += 1

    def _begin_threaded(self, context: Any) -> tuple[Any, Any]:
        try:
            self._context = remembered = _Remembered()
            return _RememberingContext(context, remembered), self.begin(context.time_remaining())
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self.observer.fault()
            return context, None

    def on_ended(self, error: BaseException | None) -> None:
        """The handler came to its end, by an exception or without."""
        if error is None:
            self._returned = True
        else:
            self.on_left(error)
        self._ended = True
        if self._serialized >= self._given:
            self.end()

    def _on_task_done(self, _task: Any) -> None:
        # Where another interceptor looked up the handler in a task of its own, that task ends before the call begins.
        if self.begun:
            self._returned = False  # what had not come to its end by now was cut off
            self.end()


class _Responses:
    """The responses of a plain function's stream, watched. grpc iterates over them in a thread."""

    def __init__(self, call: ThreadedCall, responses: Any, trace_context: Any) -> None:
        self._call: ThreadedCall | None = call
        self._responses = responses
        self._trace_context = trace_context

    def __iter__(self) -> Iterator[Any]:
        try:
            self._responses = iter(self._responses)
        except BaseException as error:
            self._end(error)
            raise
        return self

    def __next__(self) -> Any:
        call = self._call
        if call is None:
            raise StopIteration
        try:
            response = in_call(call, self._trace_context, self._step)
        except StopIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise
        call.on_given()
        return response

    def _step(self) -> Any:
        """The handler's next response; the context that it leaves current is that of its next step."""
        try:
            return next(self._responses)
        finally:
            if self._trace_context is not None:
                self._trace_context = current_context()

    def _end(self, error: BaseException | None) -> None:
        """Tell of the end and let go of the call: grpc keeps a stream's iterator in a cycle."""
        call, self._call, self._responses = self._call, None, iter(())
        if call is not None:
            call.on_ended(error)


class _Remembered:
    """The status that a plain function has set, as a context would say it."""

    def __init__(self) -> None:
        self.status: Any = None
        self.text = ""
        self.trailing: tuple[Any, ...] = ()
        self.aborted = False

    def code(self) -> Any:
        return self.status

    def details(self) -> str:
        return self.text

    def trailing_metadata(self) -> tuple[Any, ...]:
        return self.trailing

    def done(self) -> bool:
        """Whether the status is sent already, as far as the handler sent it."""
        return self.aborted


class _RememberingContext:
    """The context of a plain function on an aio server, whose status is remembered. Delegates the rest, and has no more."""

    def __init__(self, context: Any, remembered: _Remembered) -> None:
        self._context = context
        self._remembered = remembered

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> None:
        """As grpc does: what was set before stands in for what is not given, and the first abort counts."""
        remembered = self._remembered
        if not remembered.aborted:
            remembered.status = code
            remembered.text = details or remembered.text
            remembered.trailing = tuple(trailing_metadata or ()) or remembered.trailing
        remembered.aborted = True
        self._context.abort(code, details, trailing_metadata)

    def set_code(self, code: Any) -> None:
        self._context.set_code(code)
        self._remembered.status = code

    def set_details(self, details: str) -> None:
        self._context.set_details(details)
        self._remembered.text = details

    def set_trailing_metadata(self, metadata: Any) -> None:
        self._context.set_trailing_metadata(metadata)
        self._remembered.trailing = tuple(metadata or ())
