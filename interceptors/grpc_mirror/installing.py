"""From settings to interceptors: the functions that users call to install them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grpc_mirror import aio_client
from grpc_mirror.aio_server import AioServerInterceptor
from grpc_mirror.client import ClientInterceptor
from grpc_mirror.guard import guard_of
from grpc_mirror.marked import Trust
from grpc_mirror.policies import BLOCK, Policy
from grpc_mirror.runtime import observer
from grpc_mirror.server import ServerInterceptor
from grpc_mirror.settings import Settings, SettingsError


def server_interceptor(settings: Settings | None = None, **arguments: Any) -> ServerInterceptor:
    """The interceptor for `grpc.server(..., interceptors=[...])`.

    Args:
        settings: everything at once; None: from the environment.
        **arguments: fields of Settings, which win over the environment's `MIRROR_*`. Not together with `settings`.

    Raises:
        SettingsError: with every problem at once.
    """
    chosen = _chosen(settings, arguments)
    return ServerInterceptor(observer(chosen), _trust(chosen))


def aio_server_interceptor(settings: Settings | None = None, **arguments: Any) -> AioServerInterceptor:
    """The interceptor for `grpc.aio.server(interceptors=[...])`. Arguments and errors as `server_interceptor`."""
    chosen = _chosen(settings, arguments)
    return AioServerInterceptor(observer(chosen), _trust(chosen))


def client_interceptor(
    policies: Mapping[str, Policy] | None = None,
    *,
    default: Policy = BLOCK,
    settings: Settings | None = None,
    **arguments: Any,
) -> ClientInterceptor:
    """The interceptor for `grpc.intercept_channel(channel, ...)`: guards a shadow's calls and captures those of all roles.

    Args:
        policies: by pattern of full method names (`pay.v1.Pay/*`), what happens in a shadow: "allow", "block" or
            `stub(...)`. The narrowest pattern wins; see policies.py. Elsewhere every call is made.
        default: of methods without a rule.
        settings: as in `server_interceptor`; of them `outbound_allow`, `outbound_allow_safe` and `shadow_key` count.
        **arguments: as in `server_interceptor`.

    Raises:
        SettingsError: with every problem at once.
    """
    return ClientInterceptor(guard_of(_chosen(settings, arguments), policies, default))


def aio_client_interceptors(
    policies: Mapping[str, Policy] | None = None,
    *,
    default: Policy = BLOCK,
    settings: Settings | None = None,
    **arguments: Any,
) -> list[Any]:
    """The interceptors for `grpc.aio.insecure_channel(..., interceptors=...)`, one for each kind of call.

    Arguments and errors as `client_interceptor`.
    """
    return aio_client.interceptors(guard_of(_chosen(settings, arguments), policies, default))


def _trust(settings: Settings) -> Trust | None:
    return Trust(settings.shadow_key, settings.role) if settings.trust_shadow else None


def _chosen(settings: Settings | None, arguments: dict[str, Any]) -> Settings:
    if settings is None:
        return Settings.from_env(**arguments)
    if arguments:
        raise SettingsError([f"{', '.join(sorted(arguments))}: give either settings or single arguments"])
    return settings
