"""The interceptor for sync grpc servers: a handler of our own around each call's. Thin: what follows is decided in call.py.

`intercept_service` runs on the server's one serving thread, under its lock, and so do the deserialiser and the final
callback; handlers run in the pool. A call that is over before its handler was started (its
client gave up while it queued for a thread) has no context and so leaves no record; it is counted as `not_started`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import grpc

from grpc_mirror.compiled_calls import SYNC_UNARY, mirrored
from grpc_mirror.marked import Trust, marked
from grpc_mirror.observer import Observer
from grpc_mirror.sync_calls import SyncCall, SyncUnaryCall

_KNOWN_MAX = 1024
# handler, the class of its calls, method as captures name it, whether grpc is given the call itself
_Known: TypeAlias = tuple[Any, type[SyncUnaryCall] | type[SyncCall], str, bool]


class ServerInterceptor(grpc.ServerInterceptor):  # type: ignore[type-arg] # generic in the stubs only
    """Captures mirrored calls of a sync grpc.Server. A call without `x-mirror-id` keeps its handler untouched."""

    def __init__(self, observer: Observer | None, trust: Trust | None = None) -> None:
        """`observer` None: nothing is captured. `trust` None: no caller's mark as a shadow is heeded."""
        self._observer = observer
        self._trust = trust
        self._known: dict[str, _Known] = {}

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
            if observer is None or not mirrored(metadata):
                if trust is None or mark is None:
                    return handler
                return marked(handler, trust.marked(handler_call_details.method.lstrip("/"), mark))
            known = self._known.get(handler_call_details.method)
            if known is None or known[0] is not handler:
                known = self._learn(handler_call_details.method, handler)
            _, kind, method, bare = known
            watching = observer.of(method, metadata) if observer.heavy else observer
            call = kind(watching, handler, method, metadata)
            if mark is not None:
                call.mark = mark
            return call if bare else call.wrapped()
        except Exception:  # noqa: BLE001 - ours must never reach the service
            if observer is not None:
                observer.fault()
            return handler

    def _learn(self, path: str, handler: Any) -> _Known:
        """What is alike in the calls of a handler. A service gives the same handler each time; where not, it is learnt each time."""
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        streams = handler.request_streaming or handler.response_streaming
        bare = not streams and not getattr(handler.unary_unary, "__dict__", None)
        known = self._known[path] = handler, SyncCall if streams else SYNC_UNARY, path.lstrip("/"), bare
        return known
