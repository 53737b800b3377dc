"""Captures mirrored gRPC calls on the server and sends them to a Mirror collector.

    server = grpc.server(pool, interceptors=[grpc_mirror.server_interceptor()])
    server = grpc.aio.server(interceptors=[grpc_mirror.aio_server_interceptor()])

Settings come from `MIRROR_*`, see the README. All that users import is here.
"""

from __future__ import annotations

from typing import Any

from grpc_mirror.aio_server import AioServerInterceptor
from grpc_mirror.runtime import flush, observer, shutdown
from grpc_mirror.server import ServerInterceptor
from grpc_mirror.settings import Settings, SettingsError
from grpc_mirror.shadow import is_shadow

__all__ = [
    "Settings",
    "SettingsError",
    "aio_server_interceptor",
    "flush",
    "is_shadow",
    "server_interceptor",
    "shutdown",
]


def server_interceptor(settings: Settings | None = None, **arguments: Any) -> ServerInterceptor:
    """The interceptor for `grpc.server(..., interceptors=[...])`.

    Args:
        settings: everything at once; None: from the environment.
        **arguments: fields of Settings, which win over the environment's `MIRROR_*`. Not together with `settings`.

    Raises:
        SettingsError: with every problem at once.
    """
    return ServerInterceptor(observer(_chosen(settings, arguments)))


def aio_server_interceptor(settings: Settings | None = None, **arguments: Any) -> AioServerInterceptor:
    """The interceptor for `grpc.aio.server(interceptors=[...])`. Arguments and errors as `server_interceptor`."""
    return AioServerInterceptor(observer(_chosen(settings, arguments)))


def _chosen(settings: Settings | None, arguments: dict[str, Any]) -> Settings:
    if settings is None:
        return Settings.from_env(**arguments)
    if arguments:
        raise SettingsError([f"{', '.join(sorted(arguments))}: give either settings or single arguments"])
    return settings
