"""The classes of unary calls that the interceptors make: with what nearly all of them need compiled, where that is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context

from grpc_mirror import native
from grpc_mirror.aio_calls import AioUnaryCall
from grpc_mirror.current import SERVED
from grpc_mirror.leading import SPAN_KEY, LedSpan, attach, current_context, detach, led
from grpc_mirror.propagation import is_mirrored
from grpc_mirror.recorder import NO_DEADLINE_S
from grpc_mirror.records import Plain
from grpc_mirror.sync_calls import SyncUnaryCall
from grpc_mirror.unary import PLAIN_BYTES

_CALLS: Any = native.part("calls")


def _means() -> Any:
    return _CALLS.Means(
        served=SERVED,
        plain=Plain,
        current_context=current_context,
        attach=attach,
        detach=detach,
        led=led,
        context=Context,
        span_key=SPAN_KEY,
        span=LedSpan,
        no_deadline_s=NO_DEADLINE_S,
        plain_bytes=PLAIN_BYTES,
    )


def _compiled(name: str, base: Any, rest: Any) -> Any:
    return type(name, (base, rest), {"means": _means(), "__module__": __name__, "__doc__": rest.__doc__})


SYNC_UNARY: type[SyncUnaryCall] = SyncUnaryCall
AIO_UNARY: type[AioUnaryCall] = AioUnaryCall
mirrored: Callable[[Any], bool] = is_mirrored
if _CALLS is not None:
    SYNC_UNARY = _compiled("CompiledSyncUnaryCall", _CALLS.SyncUnary, SyncUnaryCall)
    AIO_UNARY = _compiled("CompiledAioUnaryCall", _CALLS.AioUnary, AioUnaryCall)
    mirrored = _CALLS.is_mirrored
