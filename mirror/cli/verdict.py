"""`mirror verdict`: may we go on? One screen, or JSON; the exit code is the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from mirror.cli import asking, waiting
from mirror.cli.asking import Asks, UnavailableError
from mirror.cli.db.common import seconds
from mirror.cli.errors import UsageError
from mirror.cli.options import ConfigOption, StoreOption
from mirror.cli.reading import configured, console, page_url, plain, styled, table
from mirror.cli.waiting import Waiting, quiet_words
from mirror.serve import models, words
from mirror.serve.verdicts import Wanted

EXIT_CODES: Final = {"pass": 0, "fail": 1, "inconclusive": 3}

REASONS_SHOWN: Final = 6  # of each list: one screen

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def verdict(  # noqa: PLR0913 - the options of a command
    run: Annotated[str | None, typer.Option("--run", help="The run's name.")] = None,
    *,
    service: Annotated[
        str | None, typer.Option(help="A service: of the run, or with --candidate in the place of it.")
    ] = None,
    candidate: Annotated[
        str | None,
        typer.Option(help="Only this version of the candidate: inconclusive until its first pair. For pipelines."),
    ] = None,
    wait: Annotated[
        str | None, typer.Option(help="Wait so long (30m) for a pass or a fail, and end at the first.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="Ask a collector (http://collector:4319) in the place of the store; MIRROR_BEARER is its token."
        ),
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    epoch: Annotated[int | None, typer.Option(help="An epoch's id; the default is the newest of each service.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The answer of GET /api/v1/verdict.")] = False,
) -> None:
    """Say whether a run passes. Exit code: 0 pass, 1 fail, 3 inconclusive, 2 usage."""
    if run is None and not (service and candidate is not None):
        raise UsageError("say --run NAME, or --service NAME with --candidate VERSION")
    wanted = Wanted(run, epoch, service, candidate)
    wait_s = seconds("--wait", wait) if wait is not None else None
    asks, page = _asks(url, config, store, wanted)
    try:
        found = _found(asks, wait_s)
        hint = asks.hint() if found.epoch is None else quiet_words(found, time.time())
    finally:
        asks.close()
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        if hint:
            typer.echo(hint, err=True)
    else:
        show(console(), found, page(found.page))
        if hint:
            typer.echo(hint)
    raise typer.Exit(EXIT_CODES[found.verdict])


def _asks(url: str | None, config: Path | None, store: str | None, wanted: Wanted) -> tuple[Asks, Callable[[str], str]]:
    """Whom to ask, and the address of a page of theirs."""
    if url is None:
        settings = configured(config, store)
        return asking.Store(settings, wanted), lambda page: page_url(settings, page)
    if config is not None or store is not None:
        raise UsageError("--url asks a collector, which has its own configuration: leave --config and --store out")
    return asking.Collector(url, wanted), lambda page: url.rstrip("/") + page


def _found(asks: Asks, wait_s: float | None) -> models.RunVerdict:
    if wait_s is not None:
        return waiting.wait(
            asks, wait_s, Waiting(time.time, time.sleep, lambda line: typer.echo(f"mirror: {line}", err=True))
        )
    try:
        return asks.ask()
    except UnavailableError as problem:
        raise UsageError(str(problem)) from None


def show(out: Console, found: models.RunVerdict, page: str) -> None:
    """One screen; `page` is where a person reads on."""
    headline = styled(found.verdict.upper())
    headline.stylize({"pass": "bold green", "fail": "bold red"}.get(found.verdict, "bold yellow"))
    subject = f"  run {found.run}" if found.run else "  "
    if found.service:
        primary, candidate = words.version(found.primary_version), words.version(found.candidate_version)
        subject += f"{', ' if found.run else ''}{found.service} {primary} -> {candidate}"
    out.print(headline.append(plain(subject)))
    show_reasons(out, found, shown=REASONS_SHOWN)
    others = [one for one in found.services if one.epoch != found.epoch]
    if others:
        out.print("\nother services of this run:")
        listed = table("verdict", "service", "candidate")
        for one in others:
            listed.add_row(styled(one.verdict), plain(one.service), plain(words.version(one.candidate_version)))
        out.print(listed)
    if found.epoch is not None:
        out.print(f"\n{page}", soft_wrap=True)


def show_reasons(out: Console, found: models.RunVerdict, *, shown: int) -> None:
    """Why, what is missing, and what could not be seen; of each at most `shown`, the rest is counted."""
    if found.verdict != "inconclusive":
        _list(out, "why", [reason.text for reason in found.reasons], shown)
    _list(out, "still missing for a pass", [reason.text for reason in found.missing], shown)
    if found.missing and found.eta_s is not None:
        out.print(f"  at this rate all of it will be there in {words.span(found.eta_s)}")
    _list(out, "what this verdict cannot see", found.blind_spots, shown)


def _list(out: Console, heading: str, lines: list[str], shown: int) -> None:
    if not lines:
        return
    out.print(f"\n{heading}:")
    listed = Table.grid(padding=(0, 1, 0, 0))
    for line in lines[:shown]:
        listed.add_row("  -", plain(line))
    if len(lines) > shown:
        listed.add_row("  -", f"and {len(lines) - shown} more; the page and --json have all")
    out.print(listed)
