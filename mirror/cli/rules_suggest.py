"""`mirror rules suggest`: the rules that would explain noisy and harmless-looking paths of a run, as YAML to paste."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Annotated, Final

import typer
from rich.console import Console

from mirror.cli.errors import UsageError
from mirror.cli.options import ConfigOption, StoreOption
from mirror.cli.reading import configured, console, plain, reading
from mirror.serve import epochs, words
from mirror.serve.suggestions import NEVER_APPLIED, NOTHING, Suggested, Suggestion, suggest, suggestions_out
from mirror.store.views import EpochView

_WITHOUT_SHOWN: Final = 10


def suggest_rules(  # noqa: PLR0913 - one for each option
    *,
    run: Annotated[str, typer.Option(metavar="R", help="The run's name.", show_default=False)],
    config: ConfigOption = None,
    store: StoreOption = None,
    epoch: Annotated[int | None, typer.Option(help="An epoch's id; the default is the newest of each service.")] = None,
    method: Annotated[
        str | None, typer.Option(metavar="M", help="Only for this method: shop.v1.Shop/Checkout.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON, in the shape of the API, one for each epoch.")
    ] = False,
) -> None:
    """Suggest rules for paths that are noisy or look harmless, each tried on the comparisons that were kept.

    Prints YAML to paste under `rules:`; nothing is applied. Exit code 0, 2: the store or the run is not there.
    """
    settings = configured(config, store)
    today = datetime.fromtimestamp(time.time(), tz=UTC).date()
    with reading(settings) as reader:
        found = epochs.find_run(reader, run, settings.runs)
        asked = [epochs.find_epoch(found, epoch)] if epoch is not None else epochs.newest_by_service(found.epochs)
        known = sorted({m.method for one in asked for m in reader.methods(one.id)})
        if method is not None and known and method not in known:
            raise UsageError(f"run {run!r} has no method {method!r}; it has {', '.join(known)}")
        told = [(one, suggest(reader, settings, one, today=today, method=method)) for one in asked]
    if as_json:
        records = [suggestions_out(run, one, each) for one, each in told] or [suggestions_out(run, None, NOTHING)]
        typer.echo(json.dumps([record.model_dump(mode="json") for record in records], indent=2, ensure_ascii=False))
        return
    out = console()
    for one, each in told:
        _show(out, run, one, each)
    if not told:
        out.print(f"# no pair of run {run} has been seen yet")


def _show(out: Console, run: str, epoch: EpochView, found: Suggested) -> None:
    key = epoch.key
    versions = f"{words.version(key.primary_version)} -> {words.version(key.candidate_version)}"
    count = words.plural(len(found.suggestions), "rule")
    out.print(plain(f"# {count} suggested for run {run}, {key.service} {versions}."), soft_wrap=True)
    out.print(f"# {NEVER_APPLIED}", soft_wrap=True)
    for one in found.suggestions:
        _suggestion(out, one)
    if found.without:
        listed = "; ".join(found.without[:_WITHOUT_SHOWN])
        out.print(plain(f"# no comparison is kept of: {listed}"), soft_wrap=True)


def _suggestion(out: Console, one: Suggestion) -> None:
    kinds = ", ".join(path.hypothesis.kind for path in one.paths)
    last = "; the last resort" if one.proposal.last_resort else ""
    out.print()
    out.print(plain(f"# {one.state} ({kinds}), {words.plural(one.pairs, 'pair')}{last}"), soft_wrap=True)
    out.print(plain(f"# {one.preview.words}"), soft_wrap=True)
    for line in one.yaml.splitlines():
        out.print(plain(line), soft_wrap=True)
