"""What happened in one call, and how its status follows from what was seen. Pure: no grpc, no clock, no I/O.

Neither flavour of grpc tells a server interceptor how a call ended. What can be seen: the code that the handler set
or aborted with, an exception passing through, whether the handler came to its end, and when the call was over. The
two functions below turn that into the status that the client got, each by the order in which its flavour of grpc
decides (grpc/_server.py, grpc/_cython/_cygrpc/aio/server.pyx.pxi).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from grpc_mirror.v1 import capture_pb2

OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, FAILED_PRECONDITION, INTERNAL = 0, 1, 2, 4, 9, 13
DETAILS_KEY = "grpc-status-details-bin"
# What gRPC lets over the wire (specification, "Custom-Metadata"; its core checks it when the status is sent).
_KEY, _VALUE = re.compile(r"[0-9a-z_.-]+"), re.compile(r"[ -~]*")


class Raised(NamedTuple):
    """An exception that left the handler."""

    type_name: str
    text: str  # what grpc tells the client of it
    bare: bool = False  # a bare Exception(), as the sync server's abort raises
    by_abort: bool = False  # grpc.aio.AbortError: the status is sent already
    by_client: bool = False  # the client went away: CancelledError, or the sync server's own RpcError


class Outcome(NamedTuple):
    """The status that the client got, and how the call came to its end."""

    code: int  # google.rpc.Code
    message: str
    ending: capture_pb2.Ending
    exception_type: str = ""


RETURNED = Outcome(OK, "", capture_pb2.ENDING_RETURNED)  # how most calls end


UNSENDABLE_METADATA = Outcome(INTERNAL, "Invalid metadata", capture_pb2.ENDING_RAISED)  # what the client then gets


class SyncFacts(NamedTuple):
    """What a sync server's call shows at its end. `code` None and `details` None: the handler set none."""

    code: int | None
    details: str | None
    returned: bool  # the handler came to its end
    raised: Raised | None
    malformed: bool  # a request could not be decoded
    unsendable: str  # type of the exception of the response's serialiser; empty: none
    sent: bool  # a status was handed to the transport
    expired: bool  # the deadline has passed


class AioFacts(NamedTuple):
    """What an aio server's call shows at its end."""

    code: int | None
    details: str
    returned: bool
    raised: Raised | None  # of the handler, or of the response's serialiser where that ended the call
    malformed: bool  # `raised` is the decoding error of a request
    expired: bool


def sync_outcome(facts: SyncFacts) -> Outcome:
    """The status of a sync server's call.

    A code set by the handler wins over the one that a failure stands for; so do its details over grpc's own text.
    """
    if facts.malformed:
        text = _first(facts.details, "Exception deserializing request!")
        return Outcome(_first(facts.code, INTERNAL), text, capture_pb2.ENDING_MALFORMED_REQUEST)
    raised = facts.raised
    if not facts.sent or (raised is not None and raised.by_client):
        return _cut(facts.expired)
    if raised is not None:
        aborted = raised.bare and facts.code is not None
        ending = capture_pb2.ENDING_RETURNED if aborted else capture_pb2.ENDING_RAISED
        text = _first(facts.details, raised.text)
        return Outcome(_first(facts.code, UNKNOWN), text, ending, "" if aborted else raised.type_name)
    if facts.unsendable:
        text = _first(facts.details, "Failed to serialize response!")
        return Outcome(_first(facts.code, INTERNAL), text, capture_pb2.ENDING_RAISED, facts.unsendable)
    if not facts.returned:
        return _cut(facts.expired)
    return Outcome(_first(facts.code, OK), facts.details or "", capture_pb2.ENDING_RETURNED)


def aio_outcome(facts: AioFacts) -> Outcome:
    """The status of an aio server's call.

    An abort sends its status at once. Of an exception the client gets grpc's own text, under the code that the handler
    had set if that was not OK, else UNKNOWN.
    """
    raised = facts.raised
    if raised is not None and raised.by_client:
        return _cut(facts.expired)
    if raised is not None and not raised.by_abort:
        ending = capture_pb2.ENDING_MALFORMED_REQUEST if facts.malformed else capture_pb2.ENDING_RAISED
        return Outcome(facts.code or UNKNOWN, raised.text, ending, raised.type_name)
    if raised is None and not facts.returned:
        return _cut(facts.expired)
    return Outcome(_first(facts.code, OK), facts.details, capture_pb2.ENDING_RETURNED)


def status_code(code: object, *, numbers: bool) -> int | None:
    """A code as handlers set it, as its number. None: not set. What grpc does not know becomes UNKNOWN.

    Args:
        code: a grpc.StatusCode, a number or anything else.
        numbers: whether this flavour of grpc takes plain numbers (aio does).
    """
    if code is None:
        return None
    if isinstance(code, int):
        return code if numbers and 0 <= code <= 16 else UNKNOWN
    value = getattr(code, "value", None)
    number = value[0] if isinstance(value, tuple) else value
    return number if isinstance(number, int) and 0 <= number <= 16 else UNKNOWN


def pairs(metadata: object) -> tuple[tuple[str, Any], ...]:
    """Metadata as grpc keeps it (tuples, named tuples, aio's Metadata or None) as plain pairs, order and repeats kept."""
    if not metadata or not isinstance(metadata, Iterable):
        return ()
    return tuple((str(key).lower(), value) for key, value in metadata)


def is_sendable(metadata: Iterable[Any]) -> bool:
    """Whether grpc can send these trailers. Where it cannot, the status that the handler meant never reaches the client.

    A key in capitals, say, or a value that is no printable ASCII. Text under a `-bin` key is refused by grpc's own Python.
    """
    try:
        return all(_is_sendable(key, value) for key, value in metadata)
    except (TypeError, ValueError):
        return True  # no pairs: whoever reads them says so


def _is_sendable(key: Any, value: Any) -> bool:
    name = key.decode("latin-1") if isinstance(key, bytes) else key
    if not _KEY.fullmatch(name):
        return False
    if name.endswith("-bin"):
        return isinstance(value, bytes)
    return bool(_VALUE.fullmatch(value.decode("latin-1") if isinstance(value, bytes) else value))


def type_name(error: BaseException) -> str:
    """The qualified name of an exception's type; builtins without their module."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _cut(expired: bool) -> Outcome:  # noqa: FBT001 - one fact, named at the call
    """The call was over before the server had answered."""
    if expired:
        return Outcome(DEADLINE_EXCEEDED, "", capture_pb2.ENDING_DEADLINE_EXCEEDED)
    return Outcome(CANCELLED, "", capture_pb2.ENDING_CLIENT_CANCELLED)


def _first(value: Any, default: Any) -> Any:
    return default if value is None else value
