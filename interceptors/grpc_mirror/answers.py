"""Calls of sync channels that were never made, and a watch over streams that were: what grpc gives to callers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import grpc

from grpc_mirror.call import CANCELLED, OK, UNKNOWN, status_code, type_name
from grpc_mirror.outgoing import Outgoing
from grpc_mirror.stub_types import fitting


class _Ended(grpc.Call, grpc.Future):  # type: ignore[type-arg] # generic in the stubs only
    """A call that is over."""

    def initial_metadata(self) -> Any:
        return ()

    def trailing_metadata(self) -> Any:
        return ()

    def code(self) -> Any:
        return grpc.StatusCode.OK

    def details(self) -> str:
        return ""

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> Any:
        return None

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def running(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def add_callback(self, callback: Any) -> bool:  # noqa: ARG002 - grpc's signature
        return False

    def add_done_callback(self, fn: Any) -> None:
        fn(self)

    def traceback(self, timeout: float | None = None) -> Any:  # noqa: ARG002 - grpc's signature
        return None


class BlockedCall(grpc.RpcError, _Ended):
    """A refused call, or one that ends as the primary's did. Unary or stream, it raises its status as grpc's own calls do."""

    def __init__(self, text: str, code: Any = grpc.StatusCode.FAILED_PRECONDITION, trailing: Any = ()) -> None:
        """FAILED_PRECONDITION: no retry will help, as one might after UNAVAILABLE."""
        super().__init__(text)
        self._text = text
        self._code = code
        self._trailing = trailing

    def code(self) -> Any:
        """The status."""
        return self._code

    def trailing_metadata(self) -> Any:
        """Empty, or the rich status."""
        return self._trailing

    def details(self) -> str:
        """Of a refused one what was refused, and which setting allows it."""
        return self._text

    def debug_error_string(self) -> str:
        """As grpc's own errors have it."""
        return self._text

    def result(self, timeout: float | None = None) -> NoReturn:  # noqa: ARG002 - grpc's signature
        """Raises this."""
        raise self

    def exception(self, timeout: float | None = None) -> Any:  # noqa: ARG002 - grpc's signature
        """This."""
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> NoReturn:
        raise self

    next = __next__


class StubbedCall(_Ended):
    """A unary response that the service's own stand-in gave."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def result(self, timeout: float | None = None) -> Any:  # noqa: ARG002 - grpc's signature
        """The response."""
        return self._response

    def exception(self, timeout: float | None = None) -> Any:  # noqa: ARG002 - grpc's signature
        """None: it went well."""
        return None


class _Stream:
    """A stream of responses, each step of which is seen; its end is told once."""

    _outgoing: Outgoing

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            response = self._step()
        except StopIteration:
            self._end()
            raise
        except BaseException as error:
            finish_raised(self._outgoing, error)
            raise
        self._outgoing.response(response)
        return response

    next = __next__

    def _step(self) -> Any:
        """The next response."""
        raise NotImplementedError

    def _end(self) -> None:
        """There are no more."""
        raise NotImplementedError


class StubbedStream(_Stream, StubbedCall):
    """A stream of responses that the service's own stand-in gives."""

    def __init__(self, responses: Any, outgoing: Outgoing) -> None:
        super().__init__(None)
        self._responses = iter(responses)
        self._outgoing = outgoing

    def cancel(self) -> bool:
        """The caller has seen enough."""
        self._responses = iter(())
        self._outgoing.finish(CANCELLED)
        return True

    def _step(self) -> Any:
        return fitting(self._outgoing.method, next(self._responses))

    def _end(self) -> None:
        self._outgoing.finish(OK)

    def __del__(self) -> None:
        self._outgoing.finish(CANCELLED)


class _Real(grpc.Call, grpc.Future):  # type: ignore[type-arg] # generic in the stubs only
    """All that a real call can do."""

    _call: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_call"], name)

    def initial_metadata(self) -> Any:
        return self._call.initial_metadata()

    def trailing_metadata(self) -> Any:
        return self._call.trailing_metadata()

    def code(self) -> Any:
        return self._call.code()

    def details(self) -> Any:
        return self._call.details()

    def is_active(self) -> Any:
        return self._call.is_active()

    def time_remaining(self) -> Any:
        return self._call.time_remaining()

    def add_callback(self, callback: Any) -> Any:
        return self._call.add_callback(callback)

    def cancelled(self) -> Any:
        return self._call.cancelled()

    def running(self) -> Any:
        return self._call.running()

    def done(self) -> Any:
        return self._call.done()

    def result(self, timeout: float | None = None) -> Any:
        return self._call.result(timeout)

    def exception(self, timeout: float | None = None) -> Any:
        return self._call.exception(timeout)

    def traceback(self, timeout: float | None = None) -> Any:
        return self._call.traceback(timeout)

    def add_done_callback(self, fn: Any) -> None:
        self._call.add_done_callback(fn)


class WatchedStream(_Stream, _Real):
    """A real call with a stream of responses. All of it is the call's own; its steps and its end are seen.

    It is over for the capture when its caller has read to the end, cancels it or lets go of it. Not when the call is:
    the last response may be read after that.
    """

    def __init__(self, call: Any, outgoing: Outgoing) -> None:
        self._call = call
        self._outgoing = outgoing

    def _step(self) -> Any:
        return next(self._call)

    def _end(self) -> None:
        finish(self._outgoing, self._call)

    def __del__(self) -> None:
        is_active = getattr(self._call, "is_active", None)
        if is_active is not None and not is_active():
            finish(self._outgoing, self._call)
        else:
            self._outgoing.finish(CANCELLED)  # as grpc does with a call that its caller lets go of

    def cancel(self) -> Any:
        """As grpc does; the caller has seen enough."""
        done = self._call.cancel()
        self._outgoing.finish(CANCELLED)
        return done


def finish(outgoing: Outgoing, call: Any) -> None:
    """Finish the watch by the status of a call that is over. Some interceptors give an iterator that has none."""
    if not hasattr(call, "code"):
        outgoing.finish(OK)
        return
    try:
        code = status_code(call.code(), numbers=False)
        outgoing.finish(OK if code is None else code, call.details() or "", call.trailing_metadata() or ())
    except Exception:  # noqa: BLE001 - another interceptor's call may lack a method; ours must not reach the service
        outgoing.finish(UNKNOWN)


def finish_raised(outgoing: Outgoing, error: BaseException) -> None:
    """Finish the watch by what the caller of the call gets raised: a status, or an exception that is none."""
    if isinstance(error, grpc.RpcError) and hasattr(error, "code"):
        finish(outgoing, error)
    elif isinstance(error, grpc.FutureCancelledError):
        outgoing.finish(CANCELLED)
    else:
        outgoing.finish(UNKNOWN, raised=type_name(error))
