"""The interceptor for grpc.aio servers: a handler of our own around each call's. Thin: what follows is decided in call.py.

A handler keeps its flavour: grpc looks at what it is (async generator, coroutine function, plain function) to decide
how to run it, so each is wrapped by its like.
"""

from __future__ import annotations

import inspect
from asyncio import current_task
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc

from grpc_mirror.aio_calls import AioCall, AioUnaryCall
from grpc_mirror.aio_threads import ThreadedCall
from grpc_mirror.compiled_calls import AIO_UNARY, mirrored
from grpc_mirror.handlers import behavior_of
from grpc_mirror.marked import Trust, aio_marked
from grpc_mirror.observer import Observer

_KNOWN_MAX = 1024
_Kind: TypeAlias = type[AioUnaryCall] | type[AioCall] | type[ThreadedCall]
# handler, the class of its calls, method as captures name it, whether grpc is given the call itself
_Known: TypeAlias = tuple[Any, _Kind, str, bool]


class AioServerInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # generic in the stubs only
    """Captures mirrored calls of a grpc.aio.Server. A call without `x-mirror-id` keeps its handler untouched."""

    def __init__(self, observer: Observer | None, trust: Trust | None = None) -> None:
        """`observer` None: nothing is captured. `trust` None: no caller's mark as a shadow is heeded."""
        self._observer = observer
        self._trust = trust
        self._known: dict[str, _Known] = {}

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
            if observer is None or not mirrored(metadata):
                if trust is None or mark is None:
                    return handler
                return aio_marked(handler, trust.marked(handler_call_details.method.lstrip("/"), mark))
            known = self._known.get(handler_call_details.method)
            if known is None or known[0] is not handler:
                known = self._learn(handler_call_details.method, handler)
            _, kind, method, bare = known
            watching = observer.of(method, metadata) if observer.heavy else observer
            call = kind(watching, handler, method, metadata)
            call.task = current_task()
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
        kind = _kind_of(handler)
        bare = kind is AIO_UNARY and not getattr(handler.unary_unary, "__dict__", None)
        known = self._known[path] = handler, kind, path.lstrip("/"), bare
        return known


def _kind_of(handler: Any) -> _Kind:
    behavior = behavior_of(handler)
    flags = getattr(getattr(behavior, "__code__", None), "co_flags", 0)
    # Most are what their code says; grpc asks the same of the others.
    if flags & inspect.CO_COROUTINE or inspect.iscoroutinefunction(behavior):
        streams = handler.request_streaming or handler.response_streaming
        return AioCall if streams else AIO_UNARY
    return AioCall if inspect.isasyncgenfunction(behavior) else ThreadedCall
