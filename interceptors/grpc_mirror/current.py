"""The call being served, known to code that runs for it: a context variable, set around each step of a handler.

It serves `current_call()`, outbound calls and the shadow's mark of a single call. It is not how messages find their
capture: grpc runs (de)serialisers outside a call's context. Threads and executors start with an empty context, so code
in them must copy the handler's (`contextvars.copy_context().run`, `asyncio.to_thread`) to be seen as part of the call.
`is_shadow()` needs none of this.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

from grpc_mirror.leading import in_context
from grpc_mirror.propagation import read_labels, role_of
from grpc_mirror.recorder import Recorder
from grpc_mirror.shadow import is_shadow


@dataclass(frozen=True)
class CurrentCall:
    """The mirrored call being served.

    Attributes:
        id: the same on all replicas: `x-mirror-id`, or what a shadow upstream has signed.
        run: empty where only a shadow upstream has marked the call.
        role: primary, candidate or secondary, as the capture says it.
        method: pkg.Service/Method.
        shadow: no user sees the answer: this process is a shadow, or a trusted caller is one.
    """

    id: str
    run: str
    role: str
    method: str
    shadow: bool


class Marked:
    """A call that is not captured, but that a trusted caller marks as a shadow's."""

    def __init__(self, method: str, mark: str, role: str) -> None:
        self.method = method
        self.mark: str | None = mark
        self.role = role


Served: TypeAlias = Recorder | Marked

SERVED: ContextVar[Served | None] = ContextVar("grpc_mirror_served", default=None)


def current_call() -> CurrentCall | None:
    """The mirrored call that is being served here; None outside one, and where capture is off.

    Right in handlers of every flavour and in the tasks that they start; see this module for threads.
    """
    served = SERVED.get()
    if served is None:
        return None
    shadow = is_shadow() or served.mark is not None
    if isinstance(served, Marked):
        return CurrentCall(served.mark or "", "", served.role, served.method, shadow)
    labels = read_labels(served.metadata)
    role, _ = role_of(served.observer.settings.role, labels.role)
    return CurrentCall(labels.mirror_id, labels.run, role, served.method, shadow)


def is_shadow_call() -> bool:
    """Whether side effects must not happen here: in a shadow always, elsewhere in a call that a trusted shadow made.

    Raises:
        SettingsError: as `is_shadow`.
    """
    if is_shadow():
        return True
    served = SERVED.get()
    return served is not None and served.mark is not None


def in_call(served: Served, context: Any, function: Callable[..., Any], *args: Any) -> Any:
    """Run a step of the handler as part of this call, with an OpenTelemetry context (None: as it is)."""
    token = SERVED.set(served)
    try:
        return in_context(context, function, *args)
    finally:
        SERVED.reset(token)
