"""One call of a sync server: the handler around the service's own, and how its end is told.

The record is frozen in the context's callback: it fires when the status has been sent, or when the client is gone, which may
be before the handler ends. `_Ending` is for recorders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from grpc_mirror import native
from grpc_mirror.call import RETURNED, Outcome, Raised, SyncFacts, status_code, sync_outcome, type_name
from grpc_mirror.codecs import codecs
from grpc_mirror.current import SERVED, in_call
from grpc_mirror.handlers import asked, behavior_of, kept_attributes, rebuilt
from grpc_mirror.leading import VARIABLE, attach, current_context, detach
from grpc_mirror.observer import Observer
from grpc_mirror.recorder import Recorder
from grpc_mirror.unary import UnaryCall
from grpc_mirror.v1 import capture_pb2

_CUT = (capture_pb2.ENDING_CLIENT_CANCELLED, capture_pb2.ENDING_DEADLINE_EXCEEDED)
_NATIVE = native.part("calls")
_CALLING = "Exception calling application: "
_ITERATING = "Exception iterating responses: "


class _Ending(Recorder):
    """How a call of a sync server begins and ends."""

    initial_metadata: tuple[tuple[str, Any], ...] | None = ()
    _context: Any = None
    _returned = False
    _raised: Raised | None = None
    _malformed = False

    def _begin(self, context: Any) -> Any:
        try:
            self._context = context
            trace_context = self.begin(context.time_remaining())
            if self.observer.observes_initial:
                self._watch_initial_metadata(context)
            if not context.add_callback(self._on_end_of_call):
                self._on_end_of_call()
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self.observer.fault()
            return None
        return trace_context

    def _watch_initial_metadata(self, context: Any) -> None:
        send = context.send_initial_metadata

        def send_initial_metadata(initial_metadata: Any) -> None:
            send(initial_metadata)
            try:
                self.initial_metadata = tuple(initial_metadata or ())
            except Exception:  # noqa: BLE001 - ours must never reach the service
                self.observer.fault()

        try:
            context.send_initial_metadata = send_initial_metadata
        except AttributeError:
            self.initial_metadata = None

    def on_raised(self, error: BaseException, text: str) -> None:
        """An exception left the handler; `text` is what grpc puts before it."""
        try:
            self._raised = Raised(
                type_name(error),
                _told(error, text),
                bare=type(error) is Exception and not error.args,  # as context.abort raises it
                by_client=type(error) is grpc.RpcError and self._raised_by_grpc(error),
            )
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self.observer.fault()

    def _raised_by_grpc(self, error: BaseException) -> bool:
        """Whether grpc's request iterator raised it, since the client is gone; a handler may raise one of its own."""
        raised = getattr(getattr(self._context, "_state", None), "rpc_errors", None)
        return raised is None or any(error is one for one in raised)

    def on_malformed(self, _error: BaseException | None) -> None:
        """A request could not be decoded: grpc answers at once, by what the handler has set so far, if it runs at all.

        So the record is finished here. To a unary request's call no callback will ever come, since its handler never
        runs; to a streamed one's not always: grpc may then send a second status and never end the call.
        """
        self._malformed = True
        self._on_end_of_call()

    def _outcome(self) -> Outcome:
        context = self._context
        code, details = asked(context, "code"), asked(context, "details")
        # Whether a status went out before the client left is in no public API. Without it: what else was seen.
        statused = getattr(getattr(context, "_state", None), "statused", None)
        sent = statused is not False
        unsendable = self.unsendable
        failed = self._raised or self._malformed or unsendable
        if sent and self._returned and code is None and not details and not failed:
            return RETURNED
        return sync_outcome(
            SyncFacts(
                status_code(code, numbers=False),
                details.decode("utf-8", "replace") if isinstance(details, bytes) else details,
                self._returned or bool(statused),  # sent before the handler's end: another interceptor took the rest
                self._raised,
                self._malformed,
                "" if unsendable is None else type_name(unsendable),
                sent,
                self.expired,
            )
        )

    def _on_end_of_call(self) -> None:
        if self.finished:
            return
        try:
            outcome = self._outcome()
            cut = outcome is not RETURNED and outcome.ending in _CUT
            trailing = None if cut else asked(self._context, "trailing_metadata")
            self.finish(outcome, tuple(trailing) if trailing else ())
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self.observer.fault()
        finally:
            # Breaks the cycles context -> callback -> call -> context and context -> our function -> context.
            if self.observer.observes_initial:
                getattr(self._context, "__dict__", {}).pop("send_initial_metadata", None)
            self._context = self.unsendable = None


class SyncUnaryCall(_Ending, UnaryCall):
    """A unary call of a sync server."""

    def unary_unary(self, request: Any, context: Any) -> Any:
        """The handler's function."""
        trace_context = self._begin(context)
        served = SERVED.set(self)
        attached = None if trace_context is None else attach(trace_context)
        try:
            response = self.behavior(request, context)
        except BaseException as error:
            self.on_raised(error, _CALLING)
            raise
        finally:
            if attached is not None:
                detach(attached)
            SERVED.reset(served)
        self._returned = True
        return response

    def _on_end_of_call(self) -> None:
        if self.finished:
            return
        try:
            state = self._context._state  # noqa: SLF001 - as above: what is not there is told the long way
            told = state.code is not None or state.details or state.trailing_metadata
            odd = told or not (self._returned and state.statused) or self.observer.observes_initial
            plain = not odd and self.put_plain()
        except Exception:  # noqa: BLE001 - another kind of context: the long way tells; or ours failed
            plain = self.finished
            if plain:
                self.observer.fault()
        if plain:
            self._context = None
        else:
            self._end_otherwise()

    def _end_otherwise(self) -> None:
        """As other calls end."""
        super()._on_end_of_call()


class SyncCall(_Ending):
    """A call of a sync server with a stream in it."""

    def __init__(self, observer: Observer, handler: Any, method: str, metadata: Any) -> None:
        super().__init__(observer, handler, method, metadata)
        self._handler = handler

    def wrapped(self) -> Any:
        """What to give to grpc."""
        behavior = behavior_of(self._handler)
        observed = self._streaming(behavior) if self._handler.response_streaming else self._unary(behavior)
        kept_attributes(observed, behavior)
        return rebuilt(self._handler, observed, *codecs(self, self._handler, self.on_malformed))

    def _unary(self, behavior: Any) -> Callable[..., Any]:
        def observed(request: Any, context: Any) -> Any:
            trace_context = self._begin(context)
            try:
                response = in_call(self, trace_context, behavior, request, context)
            except BaseException as error:
                self.on_raised(error, _CALLING)
                raise
            self._returned = True
            return response

        return observed

    def _streaming(self, behavior: Any) -> Callable[..., Any]:
        def observed(request: Any, context: Any, *send: Any) -> Any:
            trace_context = self._begin(context)
            if send:  # grpc's experimental non-blocking handlers push their responses through a callback
                send = (self._pushing(send[0]),)
            try:
                responses = in_call(self, trace_context, behavior, request, context, *send)
            except BaseException as error:
                self.on_raised(error, _CALLING)
                raise
            return responses if send else watched(self, responses, trace_context)

        return observed

    def _pushing(self, send: Callable[[Any], None]) -> Callable[[Any], None]:
        def pushed(response: Any) -> None:
            if response is None:
                self.on_returned()
            send(response)

        return pushed

    def on_returned(self) -> None:
        """The handler came to its end."""
        self._returned = True


class Responses:
    """A handler's response iterator, watched. Each step runs as part of the call and in its OpenTelemetry context.

    That is what the step before left current: a span of the handler's own may be open over many of them.
    """

    def __init__(self, call: SyncCall, responses: Any, trace_context: Any) -> None:
        self._call = call
        self._responses = responses
        self._trace_context = trace_context

    def __getattr__(self, name: str) -> Any:
        """What else the handler's own has: other interceptors may close a generator, say."""
        return getattr(self.__dict__["_responses"], name)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        call, trace_context = self._call, self._trace_context
        served = SERVED.set(call)
        attached = None if trace_context is None else attach(trace_context)
        try:
            response = next(self._responses)
            if response is None:  # grpc takes it for the end
                call.on_returned()
            return response  # noqa: TRY300 - the two ends of a stream stand side by side
        except StopIteration:
            call.on_returned()
            raise
        except BaseException as error:
            call.on_raised(error, _ITERATING)
            raise
        finally:
            if attached is not None:
                self._trace_context = current_context()
                detach(attached)
            SERVED.reset(served)


def _watching() -> Callable[[SyncCall, Any, Any], Any]:
    if _NATIVE is None:
        return Responses
    return _NATIVE.Steps(  # type: ignore[no-any-return] # compiled
        served=SERVED, variable=VARIABLE, attach=attach, detach=detach, current_context=current_context
    ).responses


watched = _watching()


def _told(error: BaseException, text: str) -> str:
    """What grpc tells the client of an exception."""
    try:
        return f"{text}{error}"
    except Exception:  # noqa: BLE001 - the service's own __str__ failed, and grpc falls back in the same way
        return "Calling application raised unprintable Exception!"
