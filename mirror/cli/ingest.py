"""`mirror ingest`: takes captures by OTLP and writes them to Kafka, where `mirror worker`s read them.

It wires configuration, listeners and producer into one event loop; SIGTERM or SIGINT ends what is under way and flushes.
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
from mirror.cli.process import allow_many_files, load_settings, scheme, stop_on_signals, write_addresses
from mirror.collect import exposure
from mirror.collect.addresses import Address, PortInUseError, bind, port_of
from mirror.collect.app import Addresses
from mirror.collect.files import FilesError
from mirror.collect.guard import Guard
from mirror.collect.hosting import Host
from mirror.config import Config, ConfigError
from mirror.kafka.clients import KafkaError
from mirror.kafka.ingest import Ingest
from mirror.serve.app import bare_app
from mirror.serve.gate import Gate

app = typer.Typer(add_completion=False, rich_markup_mode=None)
_log: Final = logging.getLogger("mirror.ingest")


@app.command()
def ingest(
    config: OwnConfigOption = None,
    addresses_file: AddressesOption = None,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Take captures by OTLP and write them to Kafka, for workers to judge."""
    begin_log(log_format)
    try:
        allow_many_files()
        settings = load_settings(config)
        delivered = asyncio.run(_run(settings, Guard(settings), addresses_file))
    except (ConfigError, FilesError) as problems:
        raise UsageError(f"the configuration cannot be used:\n{problems}") from None
    except (KafkaError, PortInUseError) as problem:
        raise UsageError(str(problem)) from None
    if not delivered:
        sys.exit(1)


async def _run(settings: Config, guard: Guard, addresses_file: Path | None) -> bool:
    stop = stop_on_signals()
    running = Ingest(settings, guard=guard)
    web_socket = bind("web", Address.parse(settings.listen.web))
    web_address = Address.parse(settings.listen.web).with_port(port_of(web_socket))
    bare = bare_app(settings, running.counters.snapshot, running.health, gate=Gate(guard, running.counters))
    context = guard.http_context("web", running.counters)
    web = Host(bare, web_socket, context, closed=running.counters.closed("web"))
    await web.start()
    try:
        addresses = await running.start()
        for line in _introduction(settings, addresses, web_address):
            say(line)
        for line in exposure.warnings(settings):
            _log.warning(line)
        if addresses_file is not None:
            write_addresses(
                addresses_file, otlp_grpc=addresses.otlp_grpc, otlp_http=addresses.otlp_http, web=web_address
            )
        await stop.wait()
    finally:
        _log.info("stopping: taking no more, delivering what was taken")
        delivered = await running.stop()
        await web.stop()
    _log.info("stopped")
    return delivered


def _introduction(settings: Config, addresses: Addresses, web: Address) -> Iterator[str]:
    yield "mirror ingest is ready"
    protocol = scheme(settings)
    yield f"  OTLP gRPC  {addresses.otlp_grpc}"
    yield f"  OTLP HTTP  {protocol}://{addresses.otlp_http}/v1/traces"
    yield f"  metrics    {protocol}://{web}/metrics"
    yield f"  writes to  topic {settings.kafka.topic} at {', '.join(settings.kafka.brokers)}"
