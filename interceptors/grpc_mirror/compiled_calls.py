"""The classes of unary calls that the interceptors make: with what nearly all of them need compiled, where that is installed."""

from __future__ import annotations

from typing import Any

from grpc_mirror import native
from grpc_mirror.aio_calls import AioUnaryCall
from grpc_mirror.current import SERVED
from grpc_mirror.leading import attach, current_context, detach, leading, led
from grpc_mirror.recorder import NO_DEADLINE_S
from grpc_mirror.records import Plain
from grpc_mirror.sync_calls import SyncUnaryCall
from grpc_mirror.unary import PLAIN_BYTES


def _classes() -> tuple[type[SyncUnaryCall], type[AioUnaryCall]]:
    calls: Any = native.part("calls")
    if calls is None:
        return SyncUnaryCall, AioUnaryCall
    means = calls.Means(
        served=SERVED,
        plain=Plain,
        current_context=current_context,
        attach=attach,
        detach=detach,
        led=led,
        leading=leading,
        no_deadline_s=NO_DEADLINE_S,
        plain_bytes=PLAIN_BYTES,
    )
    return (
        type("CompiledSyncUnaryCall", (calls.SyncUnary, SyncUnaryCall), {"means": means}),
        type("CompiledAioUnaryCall", (calls.AioUnary, AioUnaryCall), {"means": means}),
    )


SYNC_UNARY, AIO_UNARY = _classes()
