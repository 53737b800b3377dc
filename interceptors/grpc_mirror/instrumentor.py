"""Installs the interceptors without a change of the service's code, by OpenTelemetry's own convention.

`opentelemetry-instrument python service.py` finds this class by the entry point `opentelemetry_instrumentor` and calls
`instrument()`. It keeps the contract of `opentelemetry.instrumentation.instrumentor.BaseInstrumentor` without deriving
from it: that package is the user's choice, and all that is asked of an instrumentor are the methods below.

Settings are read where the first server or channel is made, so that a wrong one stops the service's start instead of
being logged by OpenTelemetry and passed over.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import grpc

from grpc_mirror.aio_server import AioServerInterceptor
from grpc_mirror.installing import (
    aio_client_interceptors,
    aio_server_interceptor,
    client_interceptor,
    server_interceptor,
)
from grpc_mirror.policies import Policy
from grpc_mirror.server import ServerInterceptor
from grpc_mirror.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Self

_LOG = logging.getLogger("grpc_mirror")


class MirrorInstrumentor:
    """Puts the interceptors into every server that is made from then on, and into channels where the settings say so.

    One for the process, as OpenTelemetry's are: making another gives the same.
    """

    _instance: ClassVar[Any] = None
    _patches: list[_Patch]

    def __new__(cls) -> Self:
        """The one instance."""
        if cls._instance is None:
            made = super().__new__(cls)
            made._patches = []
            cls._instance = made
        return cls._instance  # type: ignore[no-any-return] # of this class

    @property
    def is_instrumented_by_opentelemetry(self) -> bool:
        """Whether `instrument()` is in force."""
        return bool(self._patches)

    def instrumentation_dependencies(self) -> Collection[str]:
        """What is instrumented, as a requirement."""
        return ("grpcio >= 1.60",)

    def instrument(
        self, *, settings: Settings | None = None, policies: Mapping[str, Policy] | None = None, **_others: Any
    ) -> None:
        """Patch `grpc.server` and `grpc.aio.server`, and the functions that make channels.

        Of servers and channels that were made before, and of names imported from grpc before (`from grpc import
        server`), it knows nothing.

        Args:
            settings: None: from the environment.
            policies: of outbound calls, as in `client_interceptor`; only where `settings.instrument_clients`.
            **_others: what OpenTelemetry passes to every instrumentor (tracer_provider, skip_dep_check).
        """
        if self._patches:
            _LOG.warning("grpc_mirror: instrument() was called already")
            return
        use = _Use(settings, policies)
        self._patches = [
            _Patch(grpc, "server", use.server),
            _Patch(grpc.aio, "server", use.aio_server),
            _Patch(grpc, "insecure_channel", use.channel),
            _Patch(grpc, "secure_channel", use.channel),
            _Patch(grpc.aio, "insecure_channel", use.aio_channel),
            _Patch(grpc.aio, "secure_channel", use.aio_channel),
        ]

    def uninstrument(self, **_others: Any) -> None:
        """Put grpc's functions back. Servers and channels that were made in between keep their interceptors."""
        if not self._patches:
            _LOG.warning("grpc_mirror: uninstrument() without instrument()")
        for patch in reversed(self._patches):
            patch.undo()
        self._patches = []


class _Patch:
    """One function of a module, replaced until told otherwise."""

    def __init__(self, module: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._module = module
        self._name = name
        self._original = original = getattr(module, name)
        self._active = True
        patched = make(original)

        @functools.wraps(original)
        def either(*args: Any, **kwargs: Any) -> Any:
            return patched(*args, **kwargs) if self._active else original(*args, **kwargs)

        self._patched = either
        setattr(module, name, either)

    def undo(self) -> None:
        """Put the original back. Where another library has wrapped ours since, ours only passes through from now on."""
        self._active = False
        if getattr(self._module, self._name) is self._patched:
            setattr(self._module, self._name, self._original)


class _Use:
    """Functions of grpc with the interceptors added, each once."""

    def __init__(self, settings: Settings | None, policies: Mapping[str, Policy] | None) -> None:
        self._given = settings
        self._policies = policies

    @functools.cached_property
    def _settings(self) -> Settings:
        return Settings.from_env() if self._given is None else self._given

    def server(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def server(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = _added(args, kwargs, 2, ServerInterceptor, lambda: [server_interceptor(self._settings)])
            return original(*args, **kwargs)

        return server

    def aio_server(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def server(*args: Any, **kwargs: Any) -> Any:
            make = lambda: [aio_server_interceptor(self._settings)]  # noqa: E731 - it is needed once
            args, kwargs = _added(args, kwargs, 2, AioServerInterceptor, make)
            return original(*args, **kwargs)

        return server

    def channel(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def channel(*args: Any, **kwargs: Any) -> Any:
            made = original(*args, **kwargs)
            if not self._settings.instrument_clients:
                return made
            return grpc.intercept_channel(made, client_interceptor(self._policies, settings=self._settings))

        return channel

    def aio_channel(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def channel(*args: Any, **kwargs: Any) -> Any:
            if self._settings.instrument_clients:
                ours = aio_client_interceptors(self._policies, settings=self._settings)
                place = 3 if original.__name__ == "insecure_channel" else 4
                args, kwargs = _added(args, kwargs, place, type(ours[0]), lambda: ours)
            return original(*args, **kwargs)

        return channel


def _added(
    args: tuple[Any, ...], kwargs: dict[str, Any], place: int, kind: type[Any], make: Callable[[], list[Any]]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with our interceptors last: below the spans that others make, behind what authenticates.

    `place` is that of `interceptors` among the positional arguments. Where one of `kind` is there already, nothing is added.
    """
    positional = len(args) > place
    present = list((args[place] if positional else kwargs.get("interceptors")) or ())
    if not any(isinstance(one, kind) for one in present):
        present += make()
    if positional:
        return (*args[:place], present, *args[place + 1 :]), kwargs
    return args, {**kwargs, "interceptors": present}
