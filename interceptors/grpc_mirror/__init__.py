"""Captures mirrored gRPC calls on the server and sends them to a Mirror collector; guards a shadow's side effects.

    server = grpc.server(pool, interceptors=[grpc_mirror.server_interceptor()])
    server = grpc.aio.server(interceptors=[grpc_mirror.aio_server_interceptor()])
    channel = grpc.intercept_channel(channel, grpc_mirror.client_interceptor(policies={...}))
    channel = grpc.aio.insecure_channel(target, interceptors=grpc_mirror.aio_client_interceptors(policies={...}))

Settings come from `MIRROR_*`, see the README. All that users import is here.
"""

from grpc_mirror.current import CurrentCall, current_call, is_shadow_call
from grpc_mirror.installing import (
    aio_client_interceptors,
    aio_server_interceptor,
    client_interceptor,
    server_interceptor,
)
from grpc_mirror.instrumentor import MirrorInstrumentor
from grpc_mirror.outbound import OutboundBlocked, outbound
from grpc_mirror.policies import recorded, stub
from grpc_mirror.primary_only import primary_only
from grpc_mirror.runtime import counts, flush, shutdown
from grpc_mirror.settings import Settings, SettingsError
from grpc_mirror.shadow import is_shadow

__all__ = [
    "CurrentCall",
    "MirrorInstrumentor",
    "OutboundBlocked",
    "Settings",
    "SettingsError",
    "aio_client_interceptors",
    "aio_server_interceptor",
    "client_interceptor",
    "counts",
    "current_call",
    "flush",
    "is_shadow",
    "is_shadow_call",
    "outbound",
    "primary_only",
    "recorded",
    "server_interceptor",
    "shutdown",
    "stub",
]
