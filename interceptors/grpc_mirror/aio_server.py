"""The interceptor for grpc.aio servers: a handler of our own around each call's. Thin: what follows is decided in call.py.

A handler keeps its flavour: grpc looks at what it is (async generator, coroutine function, plain function) to decide
how to run it, so each is wrapped by its like.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from grpc_mirror.aio_calls import AioCall, AioUnaryCall
from grpc_mirror.aio_threads import ThreadedCall
from grpc_mirror.handlers import behavior_of
from grpc_mirror.marked import Trust, aio_marked
from grpc_mirror.observer import Observer
from grpc_mirror.v1.attributes import HEADER_ID


class AioServerInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # generic in the stubs only
    """Captures mirrored calls of a grpc.aio.Server. A call without `x-mirror-id` keeps its handler untouched."""

    def __init__(self, observer: Observer | None, trust: Trust | None = None) -> None:
        """`observer` None: nothing is captured. `trust` None: no caller's mark as a shadow is heeded."""
        self._observer = observer
        self._trust = trust

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
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
            for key, _ in metadata:
                if key == HEADER_ID and observer is not None:
                    break
            else:
                if trust is None or mark is None:
                    return handler
                return aio_marked(handler, trust.marked(handler_call_details.method.lstrip("/"), mark))
            call = _kind_of(handler)(observer, handler, handler_call_details.method.lstrip("/"), metadata)
            if mark is not None:
                call.mark = mark
            return call.wrapped()
        except Exception:  # noqa: BLE001 - ours must never reach the service
            if observer is not None:
                observer.fault()
            return handler


def _kind_of(handler: Any) -> type[AioUnaryCall | AioCall | ThreadedCall]:
    behavior = behavior_of(handler)
    flags = getattr(getattr(behavior, "__code__", None), "co_flags", 0)
    # Most are what their code says; grpc asks the same of the others.
    if flags & inspect.CO_COROUTINE or inspect.iscoroutinefunction(behavior):
        streams = handler.request_streaming or handler.response_streaming
        return AioCall if streams else AioUnaryCall
    return AioCall if inspect.isasyncgenfunction(behavior) else ThreadedCall
