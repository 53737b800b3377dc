"""The interceptor for sync grpc servers: closures around each call's handler. Thin: what follows is decided in call.py.

`intercept_service` runs on the server's one serving thread, under its lock, and so do the deserialiser and the final
callback; handlers run in the pool. The record is frozen in that callback: it fires when the status has been sent, or
when the client is gone, which may be before the handler ends. A call that is over before its handler was started (its
client gave up while it queued for a thread) has no context and so leaves no record; it is counted as `not_started`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from grpc_mirror.call import RETURNED, Outcome, Raised, SyncFacts, status_code, sync_outcome, type_name
from grpc_mirror.current import in_call
from grpc_mirror.marked import Trust, marked
from grpc_mirror.propagation import is_mirrored
from grpc_mirror.recorder import Observer, Recorder, asked, behavior_of, codecs, kept_attributes, rebuilt
from grpc_mirror.v1 import capture_pb2

_CUT = (capture_pb2.ENDING_CLIENT_CANCELLED, capture_pb2.ENDING_DEADLINE_EXCEEDED)
_CALLING = "Exception calling application: "
_ITERATING = "Exception iterating responses: "


class ServerInterceptor(grpc.ServerInterceptor):  # type: ignore[type-arg] # generic in the stubs only
    """Captures mirrored calls of a sync grpc.Server. A call without `x-mirror-id` keeps its handler untouched."""

    def __init__(self, observer: Observer | None, trust: Trust | None = None) -> None:
        """`observer` None: nothing is captured. `trust` None: no caller's mark as a shadow is heeded."""
        self._observer = observer
        self._trust = trust

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Wrap the handler of a mirrored call; unknown methods pass through."""
        handler = continuation(handler_call_details)
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
                return handler if trust is None or mark is None else marked(handler, trust.marked(method, mark))
            recorder = Recorder(observer, handler, method, metadata)
            recorder.mark = mark
            return _SyncCall(recorder, handler).wrapped()
        except Exception:  # noqa: BLE001 - ours must never reach the service
            if observer is not None:
                observer.fault()
            return handler


class _SyncCall:
    """One call of a sync server."""

    def __init__(self, recorder: Recorder, handler: Any) -> None:
        self._recorder = recorder
        self._handler = handler
        self._context: Any = None
        self._returned = False
        self._raised: Raised | None = None
        self._malformed = False
        self._unsendable: list[BaseException] = []

    def wrapped(self) -> Any:
        behavior = behavior_of(self._handler)
        observed = self._streaming(behavior) if self._handler.response_streaming else self._unary(behavior)
        kept_attributes(observed, behavior)
        return rebuilt(
            self._handler, observed, *codecs(self._recorder, self._handler, self._on_malformed, self._unsendable)
        )

    def _unary(self, behavior: Any) -> Callable[..., Any]:
        def observed(request: Any, context: Any) -> Any:
            trace_context = self._begin(context)
            try:
                response = in_call(self._recorder, trace_context, behavior, request, context)
            except BaseException as error:
                self._on_raise(error, _CALLING)
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
                responses = in_call(self._recorder, trace_context, behavior, request, context, *send)
            except BaseException as error:
                self._on_raise(error, _CALLING)
                raise
            return (
                responses
                if send
                else _Responses(self._recorder, responses, trace_context, self._on_end, self._on_raise)
            )

        return observed

    def _pushing(self, send: Callable[[Any], None]) -> Callable[[Any], None]:
        def pushed(response: Any) -> None:
            if response is None:
                self._on_end()
            send(response)

        return pushed

    def _begin(self, context: Any) -> Any:
        try:
            self._context = context
            trace_context = self._recorder.begin(context.time_remaining())
            self._watch_initial_metadata(context)
            if not context.add_callback(self._finish):
                self._finish()
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self._recorder.observer.fault()
            return None
        return trace_context

    def _watch_initial_metadata(self, context: Any) -> None:
        observer, recorder = self._recorder.observer, self._recorder
        recorder.initial_metadata = ()
        if not observer.observes_initial:
            return
        send = context.send_initial_metadata

        def send_initial_metadata(initial_metadata: Any) -> None:
            send(initial_metadata)
            try:
                recorder.initial_metadata = tuple(initial_metadata or ())
            except Exception:  # noqa: BLE001 - ours must never reach the service
                observer.fault()

        try:
            context.send_initial_metadata = send_initial_metadata
        except AttributeError:
            recorder.initial_metadata = None

    def _on_end(self) -> None:
        self._returned = True

    def _on_raise(self, error: BaseException, text: str) -> None:
        try:
            self._raised = Raised(
                type_name(error),
                _told(error, text),
                bare=type(error) is Exception and not error.args,  # as context.abort raises it
                by_client=type(error) is grpc.RpcError,  # as the request iterator raises it when the client is gone
            )
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self._recorder.observer.fault()

    def _on_malformed(self, _error: BaseException | None) -> None:
        """A request could not be decoded: grpc answers at once, by what the handler has set so far, if it runs at all.

        So the record is finished here. To a unary request's call no callback will ever come, since its handler never
        runs; to a streamed one's not always: grpc may then send a second status and never end the call.
        """
        self._malformed = True
        self._finish()

    def _outcome(self) -> Outcome:
        context = self._context
        code, details = asked(context, "code"), asked(context, "details")
        # Whether a status went out before the client left is in no public API. Without it: what else was seen.
        sent = getattr(getattr(context, "_state", None), "statused", True)
        failed = self._raised or self._malformed or self._unsendable
        if sent and self._returned and code is None and not details and not failed:
            return RETURNED
        return sync_outcome(
            SyncFacts(
                status_code(code, numbers=False),
                details.decode("utf-8", "replace") if isinstance(details, bytes) else details,
                self._returned,
                self._raised,
                self._malformed,
                type_name(self._unsendable[0]) if self._unsendable else "",
                sent,
                self._recorder.expired,
            )
        )

    def _finish(self) -> None:
        if self._recorder.finished:
            return
        try:
            outcome = self._outcome()
            cut = outcome is not RETURNED and outcome.ending in _CUT
            trailing = None if cut else asked(self._context, "trailing_metadata")
            self._recorder.finish(outcome, tuple(trailing) if trailing else ())
        except Exception:  # noqa: BLE001 - ours must never reach the service
            self._recorder.observer.fault()
        finally:
            # Breaks the cycles context -> callback -> call -> context and context -> our function -> context.
            getattr(self._context, "__dict__", {}).pop("send_initial_metadata", None)
            self._context = None
            self._unsendable.clear()


class _Responses:
    """A handler's response iterator, watched. Each step runs as part of the call and in its OpenTelemetry context."""

    def __init__(
        self,
        served: Recorder,
        responses: Any,
        trace_context: Any,
        on_end: Callable[[], None],
        on_raise: Callable[[BaseException, str], None],
    ) -> None:
        self._served = served
        self._responses = responses
        self._trace_context = trace_context
        self._on_end = on_end
        self._on_raise = on_raise

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return in_call(self._served, self._trace_context, next, self._responses)
        except StopIteration:
            self._on_end()
            raise
        except BaseException as error:
            self._on_raise(error, _ITERATING)
            raise


def _told(error: BaseException, text: str) -> str:
    """What grpc tells the client of an exception."""
    try:
        return f"{text}{error}"
    except Exception:  # noqa: BLE001 - the service's own __str__ failed, and grpc falls back in the same way
        return "Calling application raised unprintable Exception!"
