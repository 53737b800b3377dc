"""What all interceptors of a process share: one sender for each set of settings, and how they end. Shell."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Iterable

from grpc_mirror.counters import Counters, Counts
from grpc_mirror.holding import HoldBudget
from grpc_mirror.observer import Observer
from grpc_mirror.settings import Settings
from grpc_mirror.shadow import is_shadow
from grpc_mirror.signals import flush_on_sigterm
from grpc_mirror.sinks.direct import DirectTransport
from grpc_mirror.sinks.sender import Connect, Sender, end_all, flush_all
from grpc_mirror.sinks.shards import Shards
from grpc_mirror.v1 import attributes

_LOG = logging.getLogger("grpc_mirror")
CLAIM_BYTES = 4 * 1024 * 1024  # over `batch_max_bytes` as it is by default
_lock = threading.Lock()
_running: dict[Settings, Runtime] = {}
_exit_hooked = False
_sigterm_hooked = False


class Runtime:
    """The senders of one set of settings, and the observer that feeds them."""

    def __init__(self, settings: Settings) -> None:
        self.counters = Counters()
        self.budget = HoldBudget(settings.hold_max_bytes)
        self.senders = Shards(settings, self.counters, _connect(settings), on_fork=self.budget.reset)
        self.observer = Observer(settings, self.counters, self.budget, self.senders.sink)
        self.settings = settings


def observer(settings: Settings) -> Observer | None:
    """The observer for these settings; None where they capture nothing, which is logged.

    Interceptors of equal settings share one sender.
    """
    if not settings.enabled:
        _LOG.warning("grpc_mirror: capture is off: no endpoint; set MIRROR_ENDPOINT=host:port of the Mirror collector")
        return None
    with _lock:
        runtime = _running.get(settings)
        if runtime is None:
            _claim_memory()
            runtime = _running[settings] = Runtime(settings)
            _announce(settings)
    _hook_ends(settings)
    return runtime.observer


def flush(timeout_s: float = 3.0) -> bool:
    """Send what is queued in this process. Returns whether all of it was dealt with in time (seconds)."""
    return flush_all(_senders(list(_running.values())), timeout_s)


def counts() -> dict[str, Counts]:
    """What came of the calls captured in this process, by endpoint: for a service's own metrics.

    Of each: `captured`, which is `sent` + `waiting` + all of `dropped` (by reason), and `conditions` (by name). All since
    the process started or was forked; an endpoint of several sets of settings is given for the one made last.
    """
    return {
        endpoint: found for runtime in list(_running.values()) for endpoint, found in runtime.senders.counts().items()
    }


def shutdown(timeout_s: float | None = None) -> bool:
    """Send what is queued, then stop capturing in this process for good. Call it after the server has stopped.

    Args:
        timeout_s: the longest it may take; None: each setting's own `shutdown_timeout_s`.

    Returns:
        whether everything was dealt with in time.
    """
    with _lock:
        runtimes = list(_running.values())
        _running.clear()
    for runtime in runtimes:
        runtime.senders.begin_shutdown(runtime.settings.shutdown_timeout_s if timeout_s is None else timeout_s)
    return end_all(_senders(runtimes))


def _senders(runtimes: Iterable[Runtime]) -> list[Sender]:
    return [sender for runtime in runtimes for sender in runtime.senders.senders]


def _connect(settings: Settings) -> Connect:
    if settings.sink == "direct":
        return DirectTransport
    from grpc_mirror.sinks.tracer import TracerTransport  # noqa: PLC0415 - the SDK takes 100 ms to load

    return TracerTransport


def _hook_ends(settings: Settings) -> None:
    global _exit_hooked, _sigterm_hooked  # noqa: PLW0603 - one hook of each kind for the process
    if not _exit_hooked:
        _exit_hooked = True
        atexit.register(shutdown)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_renew_lock)
    if settings.flush_on_sigterm is False or _sigterm_hooked:
        return
    _sigterm_hooked = flush_on_sigterm(shutdown)
    if settings.flush_on_sigterm and not _sigterm_hooked:
        _LOG.warning(
            "grpc_mirror: SIGTERM is handled elsewhere; call grpc_mirror.shutdown() when the server has stopped"
        )


def _claim_memory() -> None:
    """Have glibc keep what is freed in this process, up to twice this much, as it would once a buffer of that size was freed.

    Until then it gives back to the system what is freed at the end of its heap and asks for it again a moment later: of bodies of
    100 KB a hundred pages are then faulted in anew with each call, which costs a third of it (measured, also without any capture: it is a matter of
    what lies at that end). And so it would with each batch. Nothing is touched, so nothing is used.
    """
    bytes(CLAIM_BYTES)


def _renew_lock() -> None:
    """In a forked child: another thread may have held the lock, and is not here to give it back."""
    global _lock  # noqa: PLW0603 - it is the process's
    _lock = threading.Lock()


def _announce(settings: Settings) -> None:
    if settings.role in (attributes.CANDIDATE, attributes.SECONDARY) and not is_shadow():
        _LOG.error("grpc_mirror: role %s without MIRROR_ROLE: is_shadow() is false here", settings.role)
    if settings.bearer and not settings.secure:
        _LOG.warning("grpc_mirror: the bearer token goes to %s unencrypted; set MIRROR_TLS", settings.target)
    if settings.redact == "off":
        _LOG.warning("grpc_mirror: redaction is off: private fields leave this process as they are")
    if not settings.version:
        _LOG.warning(
            "grpc_mirror: no service.version (OTEL_RESOURCE_ATTRIBUTES=service.version=...): the verdict cannot pass"
        )
    _LOG.info(
        "grpc_mirror: capturing as %s of %s %s to %s",
        settings.role or "the header says",
        settings.service_name,
        settings.version or "(no version)",
        settings.where or "a span exporter",
    )
