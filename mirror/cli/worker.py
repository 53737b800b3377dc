"""`mirror worker`: reads captures from Kafka, judges them, and keeps what came of it in the store that all workers share.

It wires configuration, store, worker and web application into one event loop; SIGTERM or SIGINT commits and leaves the group.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from mirror.cli.errors import UsageError
from mirror.cli.logs import LogFormat, begin_log, say
from mirror.cli.options import LogFormatOption, OwnConfigOption
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
from mirror.collect.app import open_store
from mirror.collect.files import FilesError
from mirror.collect.guard import Guard
from mirror.config import Config, ConfigError
from mirror.kafka.clients import KafkaError
from mirror.kafka.worker import Worker
from mirror.store import Store, StoreError

app = typer.Typer(add_completion=False, rich_markup_mode=None)
_log: Final = logging.getLogger("mirror.worker")


@app.command()
def worker(
    config: OwnConfigOption = None,
    addresses_file: Annotated[
        Path | None,
        typer.Option("--addresses-file", help="Write the address of the page there, as JSON, once started."),
    ] = None,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Read captures from Kafka, compare and judge them, and serve the page, the API and the metrics."""
    begin_log(log_format)
    try:
        allow_many_files()
        settings = load_settings(config)
        guard = Guard(settings)
        with open_store(settings, shared=True) as store:
            committed = asyncio.run(_run(settings, guard, store, addresses_file))
    except (ConfigError, FilesError) as problems:
        raise UsageError(f"the configuration cannot be used:\n{problems}") from None
    except (KafkaError, StoreError, PortInUseError) as problem:
        raise UsageError(str(problem)) from None
    if not committed:
        sys.exit(1)


async def _run(settings: Config, guard: Guard, store: Store, addresses_file: Path | None) -> bool:
    """Run until a signal; whether everything judged was committed."""
    stop = stop_on_signals()
    web_socket = bind("web", Address.parse(settings.listen.web))
    web_address = Address.parse(settings.listen.web).with_port(port_of(web_socket))
    web_url = settings.web.url or f"{scheme(settings)}://{web_address}"
    running = Worker(settings, store, guard=guard, web_url=web_url)
    web = await start_web(settings, store, running, web_socket)
    settle_memory()
    tell_of_compiled_parts()
    try:
        await running.start()
        for line in _introduction(settings, store, web_url):
            say(line)
        for line in exposure.warnings(settings):
            _log.warning(line)
        if addresses_file is not None:
            write_addresses(addresses_file, web=web_address)
        await stop.wait()
    finally:
        _log.info("stopping: committing what was judged, leaving the group")
        committed = await running.stop()
        await web.stop()
    _log.info("stopped")
    return committed


def _introduction(settings: Config, store: Store, web_url: str) -> Iterator[str]:
    yield "mirror worker is started"
    yield f"  reads      topic {settings.kafka.topic} at {', '.join(settings.kafka.brokers)}"
    yield f"  group      {settings.kafka.group}"
    yield f"  page, API  {web_url}"
    yield f"  store      {store.engine.url.render_as_string(hide_password=True)}"
    yield f"  runs       {', '.join(settings.runs)}"
    yield f"  rules      {rules_shown(settings, store)}"
