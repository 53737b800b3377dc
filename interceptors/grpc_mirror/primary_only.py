"""`@primary_only`: code that runs where users see the outcome and is replaced by a value where they do not."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from grpc_mirror.current import is_shadow_call

_Function = TypeVar("_Function", bound=Callable[..., Any])


def primary_only(*, returns: Any = None) -> Callable[[_Function], _Function]:
    """A decorator: in a shadow (`is_shadow_call()`) the function is not called, and `returns` stands in for it.

    Functions, coroutine functions, generators and async generators keep their flavour. Methods too: put it below
    `@staticmethod` or `@classmethod`. What is sent into a generator by `send` or `throw` does not reach an async one.

    Args:
        returns: the value given in a shadow, the same object each time. If it is callable, it is called instead, with
            the arguments of the call, and gives the value; so a fresh or fitting one can be made. Of a coroutine
            function it is what awaiting gives; of generators an iterable (None: nothing is yielded).

    Raises:
        TypeError: at the decoration, where `returns` is a coroutine function or what is decorated is no function.
    """
    if inspect.iscoroutinefunction(returns) or inspect.isasyncgenfunction(returns):
        raise TypeError("primary_only: `returns` is called without awaiting it; give a plain function or a value")

    def decorate(function: _Function) -> _Function:
        if isinstance(function, (staticmethod, classmethod)) or not callable(function):
            raise TypeError(f"primary_only: a {type(function).__name__} is no function; put the decorator below it")
        guarded: Any = functools.wraps(function)(_guarded(function, returns))
        return guarded  # type: ignore[no-any-return] # of the same signature

    return decorate


def _guarded(function: Any, returns: Any) -> Any:
    """The function, as the flavour that it is."""

    def instead(args: Any, kwargs: Any) -> Any:
        return returns(*args, **kwargs) if callable(returns) else returns

    if inspect.isasyncgenfunction(function):
        return _async_generator(function, instead)
    if inspect.iscoroutinefunction(function):

        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            return instead(args, kwargs) if is_shadow_call() else await function(*args, **kwargs)

        return coroutine
    if inspect.isgeneratorfunction(function):

        def generator(*args: Any, **kwargs: Any) -> Any:
            return (yield from (instead(args, kwargs) or ()) if is_shadow_call() else function(*args, **kwargs))

        return generator

    def plain(*args: Any, **kwargs: Any) -> Any:
        return instead(args, kwargs) if is_shadow_call() else function(*args, **kwargs)

    return plain


def _async_generator(function: Any, instead: Callable[[Any, Any], Any]) -> Any:
    async def async_generator(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        if is_shadow_call():
            for value in instead(args, kwargs) or ():
                yield value
            return
        values = function(*args, **kwargs)
        try:
            async for value in values:
                yield value
        finally:
            await values.aclose()

    return async_generator
