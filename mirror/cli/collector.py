"""`mirror collector`: one process that takes captures, judges them, keeps what came of it and shows it.

It wires configuration, store, collector and web application into one event loop, and turns signals into an orderly end:
SIGTERM or SIGINT drains and commits; a second SIGINT ends at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from mirror.cli.errors import UsageError
from mirror.cli.logs import LogFormat, begin_log, say
from mirror.collect import exposure
from mirror.collect.addresses import Address, PortInUseError, bind, port_of
from mirror.collect.app import Addresses, Collector, journal_path, open_store
from mirror.collect.files import FilesError
from mirror.collect.guard import Guard
from mirror.collect.hosting import Host
from mirror.collect.journal import JournalError
from mirror.config import Config, ConfigError, load
from mirror.store import Store, StoreError

app = typer.Typer(add_completion=False, rich_markup_mode=None)
DEFAULT_FILE: Final = Path("mirror.yaml")
FILES_WANTED: Final = 16_384
FORCED_EXIT_CODE: Final = 130  # what a shell says of a process that SIGINT ended
_log: Final = logging.getLogger("mirror.collector")


@app.command()
def collector(
    config: Annotated[
        Path | None, typer.Option("--config", help="The configuration; without it mirror.yaml, if it is there.")
    ] = None,
    addresses_file: Annotated[
        Path | None,
        typer.Option("--addresses-file", help="Write the addresses listened on there, as JSON, once ready."),
    ] = None,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", envvar="MIRROR_LOG_FORMAT", help="Lines of the log: text or json.")
    ] = LogFormat.TEXT,
) -> None:
    """Take captures by OTLP, compare and judge them, and serve the page, the API and the metrics."""
    begin_log(log_format)
    try:
        _allow_many_files()
        settings = load(config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None), os.environ)
        guard = Guard(settings)
        with open_store(settings) as store:
            committed = asyncio.run(_run(settings, guard, store, addresses_file))
    except (ConfigError, FilesError) as problems:
        raise UsageError(f"the configuration cannot be used:\n{problems}") from None
    except (StoreError, PortInUseError, JournalError) as problem:
        raise UsageError(str(problem)) from None
    if not committed:
        sys.exit(1)


def _allow_many_files() -> None:
    """A connection is a file, and the usual 1,024 would be used up before the listeners' own limits hold."""
    try:
        import resource  # noqa: PLC0415 - not on every platform

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ImportError, OSError, ValueError) as error:
        _log.info("the limit of open files stays as it is: %s", error)


async def _run(settings: Config, guard: Guard, store: Store, addresses_file: Path | None) -> bool:
    """Run until a signal; whether everything taken was committed."""
    stop = _stop_on_signals()
    web_socket = bind("web", Address.parse(settings.listen.web))
    web_address = Address.parse(settings.listen.web).with_port(port_of(web_socket))
    web_url = settings.web.url or f"{_scheme(settings)}://{web_address}"
    running = Collector(settings, store, guard=guard, web_url=web_url)
    try:
        addresses = await running.start()
    except BaseException:
        web_socket.close()
        raise
    try:
        web = await _start_web(settings, store, running, web_socket)
    except BaseException:
        await running.stop()
        raise
    try:
        for line in _introduction(settings, store, addresses, web_address):
            say(line)
        for line in exposure.warnings(settings):
            _log.warning(line)
        if addresses_file is not None:
            _write_addresses(addresses_file, addresses, web_address)
        await stop.wait()
    finally:
        _log.info("stopping: taking no more, judging and storing what was taken")
        committed = await running.stop()
        await web.stop()
    _log.info("stopped")
    return committed


async def _start_web(settings: Config, store: Store, running: Collector, bound: socket.socket) -> Host:
    from mirror.serve.app import web_app  # noqa: PLC0415 - a web framework that other commands need not load
    from mirror.serve.gate import Gate  # noqa: PLC0415

    gate = Gate(running.guard, running.counters)
    app = web_app(store.reader(), settings, running.counters.snapshot, running.health, gate=gate)
    context = running.guard.http_context("web", running.counters)
    host = Host(app, bound, context, closed=running.counters.closed("web"))
    await host.start()
    return host


def _stop_on_signals() -> asyncio.Event:
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


def _introduction(settings: Config, store: Store, addresses: Addresses, web: Address) -> Iterator[str]:
    """What the operator reads at the start: where it listens, where it writes, what it accepts, which rules apply."""
    yield "mirror collector is ready"
    scheme = _scheme(settings)
    shown = (addresses.otlp_grpc, f"{scheme}://{addresses.otlp_http}/v1/traces", f"{scheme}://{web}")
    names = ("OTLP gRPC", "OTLP HTTP", "page, API")
    for name, address, listener in zip(names, shown, exposure.LISTENERS, strict=True):
        asked = exposure.asked(settings, listener)
        yield f"  {name}  {address}{'  asks for: ' if asked else ''}{', '.join(asked)}"
    yield f"  store      {store.engine.url.render_as_string(hide_password=True)}"
    off = "off: what is not committed is lost when this process is killed"
    yield f"  journal    {journal_path(settings) if settings.journal.enabled else off}"
    yield f"  runs       {', '.join(settings.runs)}"
    yield f"  rules      {_rules(settings, store)}"
    if settings.forward.endpoint:
        yield f"  forwards   to {settings.forward.endpoint}"


def _scheme(settings: Config) -> str:
    return "https" if settings.tls.cert_file else "http"


def _rules(settings: Config, store: Store) -> str:
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


def _write_addresses(path: Path, addresses: Addresses, web: Address) -> None:
    """Whole or not at all: who waits for the file never reads half of it."""
    content = {"otlp_grpc": str(addresses.otlp_grpc), "otlp_http": str(addresses.otlp_http), "web": str(web)}
    half = path.with_name(f"{path.name}.part")
    try:
        half.write_text(json.dumps(content) + "\n", encoding="utf-8")
        half.replace(path)
    except OSError as error:
        raise UsageError(f"--addresses-file {path}: cannot be written: {error.strerror}") from None
