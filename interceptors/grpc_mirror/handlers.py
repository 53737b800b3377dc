"""What grpc takes for a handler, and what it gives to one."""

from __future__ import annotations

from typing import Any, NamedTuple

import grpc


def rebuilt(handler: Any, behavior: Any, deserializer: Any, serializer: Any) -> Any:
    """A handler of the same kind around other functions."""
    asks, answers = bool(handler.request_streaming), bool(handler.response_streaming)
    return _Handler(
        asks,
        answers,
        deserializer,
        serializer,
        None if asks or answers else behavior,
        behavior if answers and not asks else None,
        behavior if asks and not answers else None,
        behavior if asks and answers else None,
    )


def fields_of(handler: Any) -> Any:
    """A handler as a named tuple, as grpc's own are."""
    return _Handler(*(getattr(handler, name) for name in _Fields._fields))


class _Fields(NamedTuple):
    """What grpc looks for on a handler."""

    request_streaming: bool
    response_streaming: bool
    request_deserializer: Any
    response_serializer: Any
    unary_unary: Any
    unary_stream: Any
    stream_unary: Any
    stream_stream: Any


class _Handler(_Fields, grpc.RpcMethodHandler):  # type: ignore[type-arg] # generic in the stubs only
    """A handler as grpc's own functions make it, which import a module each time."""


def kept_attributes(observed: Any, behavior: Any) -> None:
    """Give `observed` what grpc looks for on a handler's function, such as experimental_thread_pool."""
    attributes = getattr(behavior, "__dict__", None)
    if attributes:
        observed.__dict__.update(attributes)


def behavior_of(handler: Any) -> Any:
    """The handler's function, whichever of the four it is."""
    if handler.request_streaming:
        return handler.stream_stream if handler.response_streaming else handler.stream_unary
    return handler.unary_stream if handler.response_streaming else handler.unary_unary


def asked(context: Any, name: str) -> Any:
    """What a context says. Other interceptors' contexts may lack a method or hold a plain value in its place."""
    value = getattr(context, name, None)
    return value() if callable(value) else value
