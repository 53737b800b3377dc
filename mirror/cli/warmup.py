"""`mirror warmup`: is the setup fit to judge a new build? The old build as its own candidate; what differs is a fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlencode

import typer
from pydantic import ValidationError

from mirror.cli.asking import Connection, UnavailableError
from mirror.cli.db.common import seconds
from mirror.cli.errors import UsageError
from mirror.cli.options import ConfigOption, StoreOption
from mirror.cli.reading import configured, console, plain, reading, styled, table, why_nothing
from mirror.cli.waiting import EVERY_S, TELL_EVERY_S
from mirror.serve import models, warmups, words
from mirror.serve.verdicts import UnclearError

EXIT_CODES: Final = {"sound": 0, "faulty": 1, "inconclusive": 3}
app = typer.Typer(add_completion=False, rich_markup_mode=None)
_Ask = Callable[[], models.Warmup]


@app.command()
def warmup(  # noqa: PLR0913 - the options of a command
    run: Annotated[str, typer.Option("--run", help="The run's name.")],
    *,
    service: Annotated[str | None, typer.Option(help="Only this service of the run.")] = None,
    wait: Annotated[str | None, typer.Option(help="Wait so long (30m), and end once the answer is known.")] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="Ask a collector (http://collector:4319) in the place of the store; MIRROR_BEARER is its token."
        ),
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The answer of GET /api/v1/warmup.")] = False,
) -> None:
    """Judge an A/A run: the old build as its own candidate. Exit code: 0 sound, 1 faulty, 3 not known yet, 2 usage."""
    until_s = time.time() + (seconds("--wait", wait) if wait is not None else 0.0)
    with _asks(run, service, url, config, store) as (ask, hint):
        found = _known(ask, until_s)
        why = "" if found.services else hint()
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        _show(found, why)
    raise typer.Exit(EXIT_CODES[found.outcome])


def _known(ask: _Ask, until_s: float) -> models.Warmup:
    """The first answer in which each service is known, else the one at `until_s`. A collector that restarts is waited for."""
    told_s = 0.0
    while True:
        now_s = time.time()
        try:
            found = ask()
        except UnavailableError as problem:
            if now_s >= until_s:
                raise UsageError(str(problem)) from None
            progress = f"no answer just now: {problem}"
        else:
            known = found.services and all(one.outcome != "inconclusive" for one in found.services)
            if now_s >= until_s or known:
                return found
            progress = found.outcome
        if now_s - told_s >= TELL_EVERY_S:
            told_s = now_s
            typer.echo(f"mirror: waiting: {progress}", err=True)
        time.sleep(min(EVERY_S, until_s - now_s))


@contextmanager
def _asks(
    run: str, service: str | None, url: str | None, config: Path | None, store: str | None
) -> Iterator[tuple[_Ask, Callable[[], str]]]:
    """Whom to ask, and what to look at where nothing was seen: a collector, or the store of the configuration."""
    if url is not None:
        if config is not None or store is not None:
            raise UsageError("--url asks a collector, which has its own configuration: leave --config and --store out")
        connection = Connection(url)
        try:
            yield (lambda: _from_collector(connection, run, service)), str
        finally:
            connection.close()
        return
    settings = configured(config, store)
    with reading(settings) as reader:

        def ask() -> models.Warmup:
            try:
                return warmups.find(reader, settings.policy, settings.runs, run, service, time.time())
            except UnclearError as problem:
                raise UsageError(str(problem)) from None

        yield ask, lambda: why_nothing(reader)


def _from_collector(connection: Connection, run: str, service: str | None) -> models.Warmup:
    asked = {"run": run} | ({"service": service} if service is not None else {})
    try:
        return models.Warmup.model_validate_json(connection.answer(f"/api/v1/warmup?{urlencode(asked)}"))
    except ValidationError:
        raise UsageError("that is not the answer of a collector of this version") from None


def _show(found: models.Warmup, hint: str) -> None:
    out = console()
    styles = {"sound": "bold green", "faulty": "bold red", "inconclusive": "bold yellow"}
    head = styled(found.outcome.upper())
    head.stylize(styles[found.outcome])
    out.print(head.append(plain(f"  warm-up of run {found.run}")))
    if not found.services:
        out.print(plain(f"No pair of it has been seen yet.{hint}"))
    for one in found.services:
        versions = f"{words.version(one.primary_version)} -> {words.version(one.candidate_version)}"
        out.print()
        out.print(plain(f"{one.service} {versions}, {words.count(one.triples)} triples: {one.outcome}"))
        for heading, reasons in (("faults of the setup", one.faults), ("still missing", one.missing)):
            if reasons:
                out.print(f"{heading}:")
                listed = table("", "")
                listed.show_header = False
                for reason in reasons:
                    listed.add_row(" -", plain(reason.text))
                out.print(listed)
        if one.eta_s is not None:
            out.print(f"at this rate all of it will be there in {words.span(one.eta_s)}")
