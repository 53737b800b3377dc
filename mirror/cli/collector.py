"""`mirror collector`: one process that takes captures, judges them, keeps what came of it and shows it.

It wires configuration, store, collector and web application into one event loop, and turns signals into an orderly end:
SIGTERM or SIGINT drains and commits; a second SIGINT ends at once.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import typer

from mirror.cli.errors import UsageError
from mirror.cli.logs import LogFormat, begin_log, say
from mirror.cli.options import AddressesOption, LogFormatOption, OwnConfigOption
from mirror.cli.process import (
    allow_many_files,
    load_settings,
    rules_shown,
    scheme,
    settle_memory,
    start_web,
    stop_on_signals,
    tell_of_compiled_parts,
    write_addresses,
)
from mirror.collect import exposure
from mirror.collect.addresses import Address, PortInUseError, bind, port_of
from mirror.collect.app import Addresses, Collector, journal_path, open_store
from mirror.collect.files import FilesError
from mirror.collect.guard import Guard
from mirror.collect.journal import JournalError
from mirror.config import Config, ConfigError
from mirror.store import Store, StoreError

app = typer.Typer(add_completion=False, rich_markup_mode=None)
_log: Final = logging.getLogger("mirror.collector")


@app.command()
def collector(
    config: OwnConfigOption = None,
    addresses_file: AddressesOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Take captures by OTLP, compare and judge them, and serve the page, the API and the metrics."""
    begin_log(log_format)
    try:
        allow_many_files()
        settings = load_settings(config)
        guard = Guard(settings)
        with open_store(settings) as store:
            committed = asyncio.run(_run(settings, guard, store, addresses_file))
    except (ConfigError, FilesError) as problems:
        raise UsageError(f"the configuration cannot be used:\n{problems}") from None
    except (StoreError, PortInUseError, JournalError) as problem:
        raise UsageError(str(problem)) from None
    if not committed:
        sys.exit(1)


async def _run(settings: Config, guard: Guard, store: Store, addresses_file: Path | None) -> bool:
    """Run until a signal; whether everything taken was committed."""
    stop = stop_on_signals()
    web_socket = bind("web", Address.parse(settings.listen.web))
    web_address = Address.parse(settings.listen.web).with_port(port_of(web_socket))
    web_url = settings.web.url or f"{scheme(settings)}://{web_address}"
    running = Collector(settings, store, guard=guard, web_url=web_url)
    try:
        addresses = await running.start()
    except BaseException:
        web_socket.close()
        raise
    try:
        web = await start_web(settings, store, running, web_socket)
    except BaseException:
        await running.stop()
        raise
    settle_memory()
    tell_of_compiled_parts()
    try:
        for line in _introduction(settings, store, addresses, web_address):
            say(line)
        for line in exposure.warnings(settings):
            _log.warning(line)
        if addresses_file is not None:
            write_addresses(
                addresses_file, otlp_grpc=addresses.otlp_grpc, otlp_http=addresses.otlp_http, web=web_address
            )
        await stop.wait()
    finally:
        _log.info("stopping: taking no more, judging and storing what was taken")
        committed = await running.stop()
        await web.stop()
    _log.info("stopped")
    return committed


def _introduction(settings: Config, store: Store, addresses: Addresses, web: Address) -> Iterator[str]:
    """What the operator reads at the start: where it listens, where it writes, what it accepts, which rules apply."""
    yield "mirror collector is ready"
    protocol = scheme(settings)
    shown = (addresses.otlp_grpc, f"{protocol}://{addresses.otlp_http}/v1/traces", f"{protocol}://{web}")
    names = ("OTLP gRPC", "OTLP HTTP", "page, API")
    for name, address, listener in zip(names, shown, exposure.LISTENERS, strict=True):
        asked = exposure.asked(settings, listener)
        yield f"  {name}  {address}{'  asks for: ' if asked else ''}{', '.join(asked)}"
    yield f"  store      {store.engine.url.render_as_string(hide_password=True)}"
    off = "off: what is not committed is lost when this process is killed"
    yield f"  journal    {journal_path(settings) if settings.journal.enabled else off}"
    yield f"  runs       {', '.join(settings.runs)}"
    yield f"  rules      {rules_shown(settings, store)}"
    if settings.forward.endpoint:
        yield f"  forwards   to {settings.forward.endpoint}"
