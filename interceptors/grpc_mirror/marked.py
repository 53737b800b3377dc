"""Calls that a trusted shadow upstream marks by its signed header, where this service opts in to heed it.

Such a call is served as a shadow's: `current_call().shadow` and `is_shadow_call()` say so, `@primary_only` and the client
interceptor act on it. Nothing else in the process changes, `is_shadow()` least of all. The wrappers here are for those
marked calls that are not captured.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from grpc_mirror.current import SERVED, Marked, in_call
from grpc_mirror.handlers import behavior_of, kept_attributes, rebuilt
from grpc_mirror.observer import Observer
from grpc_mirror.shadow_header import header_of, verify


class Trust:
    """Whom a server believes that it is called by a shadow: whoever has the key."""

    def __init__(self, key: str, role: str, clock: Callable[[], float] = time.time) -> None:
        """`role` of this deployment; `clock` gives unix seconds."""
        self._key = key
        self._role = role
        self._clock = clock

    def mark_of(self, metadata: Iterable[tuple[str, Any]], observer: Observer | None) -> str | None:
        """The id that a shadow has signed for this call; None: it is no marked call.

        A header that is not genuine or has expired is counted and otherwise ignored.
        """
        text = header_of(metadata)
        if not text:
            return None
        mark = verify(self._key, text, self._clock())
        if mark is None and observer is not None:
            observer.counters.notice("shadow_header_invalid")
        return mark

    def marked(self, method: str, mark: str) -> Marked:
        """The call as the handler's context knows it."""
        return Marked(method, mark, self._role)


def marked(handler: Any, served: Marked) -> Any:
    """A sync server's handler that runs as part of a marked call."""
    return _rebuilt(handler, _plain(handler, served))


def aio_marked(handler: Any, served: Marked) -> Any:
    """An aio server's handler that runs as part of a marked call, in the same flavour."""
    behavior = behavior_of(handler)
    if inspect.isasyncgenfunction(behavior):

        async def generating(request: Any, context: Any) -> AsyncIterator[Any]:
            SERVED.set(served)  # never reset: each call has a task, and so a context, of its own
            responses = behavior(request, context)
            try:
                async for response in responses:
                    yield response
            finally:
                await responses.aclose()

        return _rebuilt(handler, generating)
    if inspect.iscoroutinefunction(behavior):

        async def awaiting(request: Any, context: Any) -> Any:
            SERVED.set(served)
            return await behavior(request, context)

        return _rebuilt(handler, awaiting)
    return _rebuilt(handler, _plain(handler, served))


def _plain(handler: Any, served: Marked) -> Callable[..., Any]:
    behavior, streaming = behavior_of(handler), handler.response_streaming

    def plain(request: Any, context: Any, *send: Any) -> Any:
        answer = in_call(served, None, behavior, request, context, *send)
        return _Steps(served, answer) if streaming and not send else answer

    return plain


class _Steps:
    """A handler's response iterator, each step of which is part of the call."""

    def __init__(self, served: Marked, responses: Any) -> None:
        self._served = served
        self._responses = responses

    def __iter__(self) -> Iterator[Any]:
        self._responses = iter(self._responses)
        return self

    def __next__(self) -> Any:
        return in_call(self._served, None, next, self._responses)


def _rebuilt(handler: Any, behavior: Any) -> Any:
    kept_attributes(behavior, behavior_of(handler))
    return rebuilt(handler, behavior, handler.request_deserializer, handler.response_serializer)
