"""What the commands that run until a signal have in common: log, settings, files, signals, and where they say that they listen."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from mirror import native
from mirror.cli.errors import UsageError
from mirror.cli.options import DEFAULT_FILE
from mirror.collect.addresses import Address
from mirror.collect.counters import Counters
from mirror.collect.guard import Guard
from mirror.collect.hosting import Host
from mirror.config import Config, load
from mirror.store import Store

FILES_WANTED: Final = 16_384
COLLECT_AFTER: Final = 20_000  # objects made and not freed
FORCED_EXIT_CODE: Final = 130  # what a shell says of a process that SIGINT ended
_log: Final = logging.getLogger("mirror")


def load_settings(config: Path | None) -> Config:
    """The configuration of a file, or of mirror.yaml where it is there. Raises ConfigError."""
    return load(config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None), os.environ)


def tell_of_compiled_parts() -> None:
    """Where they are installed and cannot be used, the operator should know; that there are none is nothing to tell."""
    if native.missing and not native.expected_missing:
        _log.warning("the compiled parts are not used: %s; a core judges about half as many calls", native.missing)


def allow_many_files() -> None:
    """A connection is a file, and the usual 1,024 would be used up before the listeners' own limits hold."""
    try:
        import resource  # noqa: PLC0415 - not on every platform

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ImportError, OSError, ValueError) as error:
        _log.info("the limit of open files stays as it is: %s", error)


def settle_memory() -> None:
    """Look for cycles less often, and never in what is loaded by now, which stays to the end.

    What flows through has no cycles, and at the usual 700 objects every request starts several collections: a tenth of all
    work. A full one that looked at everything would stop the listeners for 0.1 s and more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])


def stop_on_signals() -> asyncio.Event:
    """Set at SIGTERM or SIGINT; a second SIGINT ends at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def interrupted() -> None:
        if stop.is_set():
            sys.stderr.write("mirror: interrupted twice; what was not committed is lost\n")
            sys.stderr.flush()
            os._exit(FORCED_EXIT_CODE)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupted)
    return stop


def scheme(settings: Config) -> str:
    """Of the HTTP listeners' addresses."""
    return "https" if settings.tls.cert_file else "http"


def rules_shown(settings: Config, store: Store) -> str:
    """How many rules are in force, pending and expired, in words."""
    today = datetime.fromtimestamp(time.time(), tz=UTC).date()
    in_force = settings.rules.in_force(today).rules
    expired = settings.rules.expired(today)
    known = {view.id: {status.status for status in view.statuses} for view in store.reader().rules()}
    states = Counter("pending" if not known.get(rule.id, set()) - {"pending"} else "checked" for rule in in_force)
    text = f"{len(in_force)} in force"
    if states["pending"]:
        text += f", {states['pending']} of them pending until their methods are seen"
    if expired:
        text += f", {len(expired)} expired ({', '.join(rule.id for rule in expired[:10])})"
    return text


class Running(Protocol):
    """A process with a store, as its page shows it."""

    counters: Counters
    guard: Guard

    def health(self) -> list[str]:
        """What keeps it from being ready, in words."""


async def start_web(settings: Config, store: Store, running: Running, bound: socket.socket) -> Host:
    """Serve page, API, metrics and health on a bound socket."""
    from mirror.serve.app import web_app  # noqa: PLC0415 - a web framework that other commands need not load
    from mirror.serve.gate import Gate  # noqa: PLC0415

    gate = Gate(running.guard, running.counters)
    app = web_app(store.reader(), settings, running.counters.snapshot, running.health, gate=gate, engine=store.engine)
    context = running.guard.http_context("web", running.counters)
    host = Host(app, bound, context, closed=running.counters.closed("web"))
    await host.start()
    return host


def write_addresses(path: Path, **addresses: Address) -> None:
    """Whole or not at all: who waits for the file never reads half of it."""
    content = {name: str(address) for name, address in addresses.items()}
    half = path.with_name(f"{path.name}.part")
    try:
        half.write_text(json.dumps(content) + "\n", encoding="utf-8")
        half.replace(path)
    except OSError as error:
        raise UsageError(f"--addresses-file {path}: cannot be written: {error.strerror}") from None
