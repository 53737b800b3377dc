"""`mirror report`: a run in the terminal: verdict, methods, what differs and what is noise, what to look at next.

Read from the store, or from a collector by its address: in both cases it is the report of the API that is printed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import typer
from pydantic import ValidationError
from rich.console import Console

from mirror.cli.asking import Connection, UnavailableError
from mirror.cli.errors import UsageError
from mirror.cli.junit import junit_xml
from mirror.cli.options import ConfigOption, StoreOption
from mirror.cli.reading import configured, console, page_url, plain, reading, styled, why_nothing
from mirror.cli.report_clusters import show_clusters
from mirror.cli.report_paths import pattern_text, show_differing, show_methods, show_noise
from mirror.cli.report_rules import show_rule_changes, show_rules
from mirror.cli.report_schemas import show_schema_changes
from mirror.cli.report_speeds import show_speeds
from mirror.cli.verdict import show_reasons
from mirror.config import Config
from mirror.core.noise import State
from mirror.core.sampled import sampled
from mirror.serve import models, reports, sampling, shape, words
from mirror.serve.models_of_reports import Report
from mirror.store import Reader

REASONS_SHOWN: Final = 20
NEXT_SHOWN: Final = 3
REPORT_MAX_BYTES: Final = 256 << 20
_URGENT: Final = (State.REGRESSED, State.SUSPECT)
_Address = Callable[[str], str]  # of a page, whole
app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def report(  # noqa: PLR0913 - the options of a command
    *,
    config: ConfigOption = None,
    store: StoreOption = None,
    run: Annotated[
        str | None, typer.Option(help="The run's name; the default is the one with the newest pairs.")
    ] = None,
    epoch: Annotated[
        int | None, typer.Option(help="An epoch's id; the default is the one that decides the verdict.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="Ask a collector (http://collector:4319) in the place of the store; MIRROR_BEARER is its token."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, in the shapes of the API.")] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Also write it there as JUnit XML: one test case a path.")
    ] = None,
) -> None:
    """Show a run: its verdict with every reason, its methods, the paths that differ, and the noise."""
    if url is None:
        settings = configured(config, store)
        found, page = _of_store(settings, run, epoch), _pages_of(settings)
    elif config is not None or store is not None:
        raise UsageError("--url asks a collector, which has its own configuration: leave --config and --store out")
    else:
        found, page = _of_collector(url, run, epoch), lambda path: url.rstrip("/") + path
    if junit is not None:
        _write_junit(junit, found, page)
    if as_json:
        typer.echo(json.dumps(found.model_dump(mode="json") | {"page": page(found.page)}, indent=2))
    else:
        show(console(), found, page)


def show(out: Console, found: Report, page: _Address) -> None:
    """Print the report for people."""
    headline = plain(f"run {found.run}  ")
    headline.append_text(styled(found.verdict.verdict))
    out.print(headline)
    if found.epoch is not None:
        _totals(out, found.epoch)
    if found.account is not None:
        _account(out, found.account)
    show_reasons(out, _summarised(found.verdict), shown=REASONS_SHOWN)
    if found.epoch is not None:
        show_methods(out, found.methods)
        show_differing(out, found.paths.differing)
        show_clusters(out, found)
        show_noise(out, found.paths.explained)
        show_speeds(out, found.speeds, found.instances)
        show_schema_changes(out, found.schema_changes)
        show_rule_changes(out, found.rule_changes)
        _next(out, found, found.epoch, page)
    show_rules(out, found.rules)


def _of_store(settings: Config, run: str | None, epoch: int | None) -> Report:
    with reading(settings) as reader:
        return reports.find(reader, settings, run or _newest(reader, settings), epoch, time.time())


def _pages_of(settings: Config) -> _Address:
    return lambda path: page_url(settings, path)


def _newest(reader: Reader, config: Config) -> str:
    runs = sorted(reader.runs(), key=lambda run: max((e.last_s for e in run.epochs), default=0.0))
    if not runs:
        raise UsageError(f"no pair has been seen yet in {config.store.url}.{why_nothing(reader)}")
    return runs[-1].name


def _of_collector(url: str, run: str | None, epoch: int | None) -> Report:
    connection = Connection(url)
    try:
        if run is None:
            runs = models.Runs.model_validate_json(connection.answer("/api/v1/runs")).runs
            if not runs:
                raise UsageError(f"{url}: no pair has been seen yet; its pages / and /collector say what has come")
            run = runs[0].name
        asked = f"/api/v1/runs/{quote(run, safe='')}/report" + (f"?epoch={epoch}" if epoch is not None else "")
        return Report.model_validate_json(connection.answer(asked, most=REPORT_MAX_BYTES))
    except ValidationError:
        raise UsageError("that is not the answer of a collector of this version") from None
    except UnavailableError as problem:
        raise UsageError(str(problem)) from None
    finally:
        connection.close()


def _write_junit(path: Path, found: Report, page: _Address) -> None:
    """Whole or not at all."""
    half = path.with_name(f"{path.name}.part")
    try:
        half.write_bytes(junit_xml(found, page, time.time()))
        half.replace(path)
    except OSError as error:
        raise UsageError(f"--junit {path}: cannot be written: {error.strerror}") from None


def _totals(out: Console, shown: models.Epoch) -> None:
    counts = shown.counts
    primary, candidate = words.version(shown.primary_version), words.version(shown.candidate_version)
    out.print(plain(f"{shown.service} {primary} -> {candidate}"))
    lasted = words.span(shown.last_s - shown.started_s)
    out.print(f"{words.moment(shown.started_s)} to {words.moment(shown.last_s)} UTC ({lasted})")
    figures = ("matched", "mismatched", "ignored", "incomplete", "incomparable", "triples")
    told = ", ".join(f"{words.count(getattr(counts, name))} {name}" for name in figures)
    out.print(f"{words.plural(counts.pairs, 'pair')}: {told}")
    if counts.reasons:
        reasons = ", ".join(f"{words.reason(name)} {words.count(n)}" for name, n in sorted(counts.reasons.items()))
        out.print(plain(f"incomplete, incomparable or no triple because: {reasons}"))
    for note in sampling.notes(sampled(counts.pairs, counts.reasons)):
        out.print(note)


def _account(out: Console, account: models.Account) -> None:
    """What became of the calls, where it is not simply that they were compared."""
    for name, one in (("call", account.calls), ("outbound call", account.outbound)):
        dropped = sum(one.dropped.values())
        if dropped or one.waiting:
            reasons = ", ".join(f"{words.reason(name)} {words.count(n)}" for name, n in one.dropped.items())
            told = f"{words.count(one.grouped)} judged with their request, {words.count(dropped)} in no group"
            told += f" ({reasons})" if reasons else ""
            out.print(plain(f"{words.plural(one.received, name)} received: {told}, {words.count(one.waiting)} waiting"))
    if account.evicted:
        out.print(f"{words.plural(account.evicted, 'request')} let go early: memory was full (pairing.open_max_bytes)")
    if account.refused:
        out.print(
            f"{words.plural(account.refused, 'call')} refused beside these, by a process whose `runs` did not have this run"
        )
    if account.source_dropped:
        lost = ", ".join(f"{words.reason(name)} {words.count(n)}" for name, n in account.source_dropped.items())
        out.print(plain(f"dropped in the services, of all runs: {lost}"))


def _summarised(found: models.RunVerdict) -> models.RunVerdict:
    """The regressed paths as one reason: each stands in the tables below, with its figures."""
    regressed = [reason for reason in found.reasons if reason.code == "regressed"]
    if len(regressed) < 2:
        return found
    methods = {reason.figures.get("method") for reason in regressed}
    text = (
        f"{words.plural(len(regressed), 'path')} of {words.plural(len(methods), 'method')} regressed, listed below: the candidate "
        "differs there more often than another instance of the primary's build"
    )
    one = models.Reason(code="regressed", text=text, figures={"paths": len(regressed)})
    others = [reason for reason in found.reasons if reason.code != "regressed"]
    return found.model_copy(update={"reasons": [one, *others]})


def _next(out: Console, found: Report, shown: models.Epoch, page: _Address) -> None:
    out.print("\nlook next")
    urgent = [one for one in found.paths.differing if one.examples and one.state in _URGENT]
    for one in urgent[:NEXT_SHOWN]:
        address = page(shape.path_page(found.run, one.id, shown.id))
        out.print(plain(f"  {pattern_text(one)}: {address}"), soft_wrap=True)
    out.print(plain(f"  the run: {page(found.page)}"), soft_wrap=True)
