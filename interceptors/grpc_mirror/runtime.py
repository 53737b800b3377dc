"""What all interceptors of a process share: one sender for each set of settings, and how they end. Shell."""

from __future__ import annotations

import atexit
import logging
import threading
import time

from grpc_mirror.counters import Counters
from grpc_mirror.holding import HoldBudget
from grpc_mirror.observer import Observer
from grpc_mirror.settings import Settings
from grpc_mirror.shadow import is_shadow
from grpc_mirror.signals import flush_on_sigterm
from grpc_mirror.sinks.direct import DirectTransport
from grpc_mirror.sinks.sender import Connect, Sender
from grpc_mirror.v1 import attributes

_LOG = logging.getLogger("grpc_mirror")
_lock = threading.Lock()
_running: dict[Settings, Runtime] = {}
_exit_hooked = False
_sigterm_hooked = False


class Runtime:
    """The sender of one set of settings, and the observer that feeds it."""

    def __init__(self, settings: Settings) -> None:
        self.counters = Counters()
        self.budget = HoldBudget(settings.hold_max_bytes)
        self.sender = Sender(settings, self.counters, _connect(settings), on_fork=self.budget.reset)
        self.observer = Observer(settings, self.counters, self.budget, self.sender)
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
            runtime = _running[settings] = Runtime(settings)
            _announce(settings)
    _hook_ends(settings)
    return runtime.observer


def flush(timeout_s: float = 3.0) -> bool:
    """Send what is queued in this process. Returns whether all of it was dealt with in time (seconds)."""
    deadline = time.monotonic() + timeout_s
    done = True
    for runtime in list(_running.values()):
        done = runtime.sender.flush(max(0.0, deadline - time.monotonic())) and done
    return done


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
    done = True
    for runtime in runtimes:
        limit_s = runtime.settings.shutdown_timeout_s if timeout_s is None else timeout_s
        done = runtime.sender.shutdown(limit_s) and done
    return done


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
    if settings.flush_on_sigterm is False or _sigterm_hooked:
        return
    _sigterm_hooked = flush_on_sigterm(shutdown)
    if settings.flush_on_sigterm and not _sigterm_hooked:
        _LOG.warning(
            "grpc_mirror: SIGTERM is handled elsewhere; call grpc_mirror.shutdown() when the server has stopped"
        )


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
        settings.target or "a span exporter",
    )
