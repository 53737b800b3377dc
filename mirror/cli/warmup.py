"""`mirror warmup`: is the setup fit to judge a new build? The old build as its own candidate; what differs is a fault."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Annotated, Final

import typer

from mirror.cli.db.common import seconds
from mirror.cli.errors import UsageError
from mirror.cli.options import ConfigOption, StoreOption
from mirror.cli.reading import configured, console, plain, reading, styled, table, why_nothing
from mirror.cli.waiting import EVERY_S, TELL_EVERY_S
from mirror.config import Config
from mirror.core.warmup import Warmup, judge_warmup
from mirror.serve import epochs, words
from mirror.store import Reader
from mirror.store.verdicts import run_facts
from mirror.store.views import EpochView

EXIT_CODES: Final = {"sound": 0, "faulty": 1, "inconclusive": 3}
app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def warmup(  # noqa: PLR0913 - the options of a command
    run: Annotated[str, typer.Option("--run", help="The run's name.")],
    *,
    service: Annotated[str | None, typer.Option(help="Only this service of the run.")] = None,
    wait: Annotated[str | None, typer.Option(help="Wait so long (30m), and end once the answer is known.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Judge an A/A run: the old build as its own candidate. Exit code: 0 sound, 1 faulty, 3 not known yet, 2 usage."""
    settings = configured(config, store)
    until_s = time.time() + (seconds("--wait", wait) if wait is not None else 0.0)
    told_s = 0.0
    with reading(settings) as reader:
        while True:
            now_s = time.time()
            found = _judged(reader, settings, run, service, now_s)
            if now_s >= until_s or (found and all(one.outcome != "inconclusive" for _, one in found)):
                break
            if now_s - told_s >= TELL_EVERY_S:
                told_s = now_s
                typer.echo(f"mirror: waiting: {_overall(found)}", err=True)
            time.sleep(min(EVERY_S, until_s - now_s))
        hint = "" if found else why_nothing(reader)
    outcome = _overall(found)
    if as_json:
        typer.echo(json.dumps({"run": run, "outcome": outcome, "services": [_data(*one) for one in found]}, indent=2))
    else:
        _show(run, found, hint)
    raise typer.Exit(EXIT_CODES[outcome])


def _judged(
    reader: Reader, settings: Config, run: str, service: str | None, now_s: float
) -> list[tuple[EpochView, Warmup]]:
    newest = epochs.newest_by_service(epochs.find_run(reader, run, settings.runs).epochs)
    known = [epoch.key.service for epoch in newest]
    if service is not None and newest and service not in known:
        raise UsageError(f"run {run!r} has no service {service!r}; it has {', '.join(known)}")
    shown = [epoch for epoch in newest if service in (None, epoch.key.service)]
    return [(e, judge_warmup(run_facts(reader, e.id, settings.policy, now_s), settings.policy)) for e in shown]


def _overall(found: list[tuple[EpochView, Warmup]]) -> str:
    outcomes = {one.outcome for _, one in found} or {"inconclusive"}
    return next(name for name in ("faulty", "inconclusive", "sound") if name in outcomes)


def _data(epoch: EpochView, one: Warmup) -> dict[str, object]:
    key = epoch.key
    return {
        "service": key.service,
        "epoch": epoch.id,
        "primary_version": key.primary_version,
        "candidate_version": key.candidate_version,
        "outcome": one.outcome,
        "faults": [asdict(reason) for reason in one.faults],
        "missing": [asdict(reason) for reason in one.missing],
        "eta_s": one.eta_s,
    }


def _show(run: str, found: list[tuple[EpochView, Warmup]], hint: str) -> None:
    out = console()
    styles = {"sound": "bold green", "faulty": "bold red", "inconclusive": "bold yellow"}
    outcome = _overall(found)
    head = styled(outcome.upper())
    head.stylize(styles[outcome])
    out.print(head.append(plain(f"  warm-up of run {run}")))
    if not found:
        out.print(plain(f"No pair of it has been seen yet.{hint}"))
    for epoch, one in found:
        key = epoch.key
        versions = f"{words.version(key.primary_version)} -> {words.version(key.candidate_version)}"
        out.print()
        out.print(plain(f"{key.service} {versions}, {words.count(epoch.counts.triples)} triples: {one.outcome}"))
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
