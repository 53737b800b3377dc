"""`mirror verdict`: may we go on? One screen, or JSON; the exit code is the verdict."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from mirror.cli.reading import configured, console, page_url, plain, reading, styled, table, why_nothing
from mirror.config import Config
from mirror.serve import epochs, models, shape, words
from mirror.store import Reader

EXIT_CODES: Final = {"pass": 0, "fail": 1, "inconclusive": 3}

REASONS_SHOWN: Final = 6  # of each list: one screen

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def verdict(
    run: Annotated[str, typer.Option("--run", help="The run's name.")],
    *,
    config: Annotated[
        Path | None, typer.Option(help="The collector's mirror.yaml; ./mirror.yaml if there is one.")
    ] = None,
    store: Annotated[str | None, typer.Option(help="The store's URL, in the place of the configured one.")] = None,
    epoch: Annotated[int | None, typer.Option(help="An epoch's id; the default is the newest of each service.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The answer of GET /api/v1/verdict.")] = False,
) -> None:
    """Say whether a run passes. Exit code: 0 pass, 1 fail, 3 inconclusive, 2 usage."""
    settings = configured(config, store)
    with reading(settings) as reader:
        found = judged(reader, settings, run, epoch, now_s=time.time())
        hint = why_nothing(reader) if found.epoch is None else ""
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show(console(), settings, found)
        if hint:
            typer.echo(hint.strip())
    raise typer.Exit(EXIT_CODES[found.verdict])


def judged(reader: Reader, config: Config, run: str, epoch: int | None, *, now_s: float) -> models.RunVerdict:
    """The verdict as the API answers it; raises NotFoundError for a run or epoch that is not known."""
    found = epochs.find_run(reader, run, config.runs)
    report = epochs.judge_run(reader, found, config.policy, now_s)
    if epoch is not None:
        one = epochs.judge(reader, epochs.find_epoch(found, epoch), config.policy, now_s)
        return shape.verdict_out(one, report.current if report else ())
    return shape.run_verdict_out(report) if report else shape.not_seen(run=run)


def show(out: Console, config: Config, found: models.RunVerdict) -> None:
    """One screen."""
    headline = styled(found.verdict.upper())
    headline.stylize({"pass": "bold green", "fail": "bold red"}.get(found.verdict, "bold yellow"))
    subject = f"  run {found.run}"
    if found.service:
        primary, candidate = words.version(found.primary_version), words.version(found.candidate_version)
        subject += f", {found.service} {primary} -> {candidate}"
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
        out.print(f"\n{page_url(config, found.page)}", soft_wrap=True)


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
