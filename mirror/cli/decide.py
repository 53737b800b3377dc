"""`mirror accept`, `mirror reject`, `mirror withdraw`: what people decide of a path that differs. They write to the store."""

from __future__ import annotations

import json
import sys
import time
from datetime import date
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from mirror.cli.db.common import opened
from mirror.cli.errors import UsageError
from mirror.cli.reading import configured, reading
from mirror.core.decisions import Ruling
from mirror.serve import epochs
from mirror.serve.deciding import Asked, DecisionError, take

PathArgument: TypeAlias = Annotated[
    str, typer.Argument(help="The path pattern as report and page show it: response.items[*].price")
]
RunOption: TypeAlias = Annotated[str, typer.Option("--run", help="The run's name.")]
OwnerOption: TypeAlias = Annotated[str, typer.Option("--owner", help="Who decides.")]
ReasonOption: TypeAlias = Annotated[str, typer.Option("--reason", help="Why, for those who read it later.")]
MethodOption: TypeAlias = Annotated[str, typer.Option("--method", help="Where several methods have such a path.")]
KindOption: TypeAlias = Annotated[
    str, typer.Option("--kind", help="Where it differs in several ways: value, missing ...")
]
EpochOption: TypeAlias = Annotated[
    int | None, typer.Option("--epoch", help="An epoch's id; the default is the newest.")
]
ConfigOption: TypeAlias = Annotated[
    Path | None, typer.Option("--config", help="The collector's mirror.yaml; ./mirror.yaml if there is one.")
]
StoreOption: TypeAlias = Annotated[
    str | None, typer.Option("--store", help="The store's URL, in the place of the configured one.")
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="What was decided, as JSON.")]

accept_app = typer.Typer(add_completion=False, rich_markup_mode=None)
reject_app = typer.Typer(add_completion=False, rich_markup_mode=None)
withdraw_app = typer.Typer(add_completion=False, rich_markup_mode=None)


@accept_app.command()
def accept(  # noqa: PLR0913 - the options of a command
    path: PathArgument,
    run: RunOption,
    owner: OwnerOption,
    reason: ReasonOption,
    expires: Annotated[str, typer.Option("--expires", help="The last day (UTC) on which it holds: 2027-01-31")],
    *,
    method: MethodOption = "",
    kind: KindOption = "",
    epoch: EpochOption = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a path that differs out of the verdict of this candidate, until a day. Exit code: 0 done, 2 usage."""
    asked = Asked(Ruling.ACCEPTED, path, owner, reason, _day(expires), method, kind)
    _take(asked, run, epoch, config, store, as_json=as_json)


@reject_app.command()
def reject(  # noqa: PLR0913 - the options of a command
    path: PathArgument,
    run: RunOption,
    owner: OwnerOption,
    reason: ReasonOption,
    *,
    method: MethodOption = "",
    kind: KindOption = "",
    epoch: EpochOption = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that what differs at a path is a defect: the run fails. Exit code: 0 done, 2 usage."""
    asked = Asked(Ruling.REJECTED, path, owner, reason, None, method, kind)
    _take(asked, run, epoch, config, store, as_json=as_json)


@withdraw_app.command()
def withdraw(  # noqa: PLR0913 - the options of a command
    path: PathArgument,
    run: RunOption,
    owner: OwnerOption,
    reason: ReasonOption,
    *,
    method: MethodOption = "",
    kind: KindOption = "",
    epoch: EpochOption = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an acceptance or a rejection back. Exit code: 0 done, 2 usage."""
    asked = Asked(Ruling.WITHDRAWN, path, owner, reason, None, method, kind)
    _take(asked, run, epoch, config, store, as_json=as_json)


def _take(  # noqa: PLR0913 - the options of a command
    asked: Asked, run: str, epoch: int | None, config: Path | None, store: str | None, *, as_json: bool
) -> None:
    settings = configured(config, store)
    with reading(settings) as reader, opened(settings, write=True) as engine:
        found = epochs.find_run(reader, run, settings.runs)
        try:
            taken = take(reader, engine, found, epoch, asked, now_s=time.time())
        except DecisionError as problem:
            raise UsageError(str(problem)) from None
    name, decision = taken.decision.hypothesis, taken.decision
    if as_json:
        data = {
            "run": taken.run,
            "epoch": taken.epoch.id,
            "method": name.method,
            "pattern": name.pattern,
            "kind": name.kind,
            "what": decision.what,
            "owner": decision.owner,
            "reason": decision.reason,
            "expires": decision.expires.isoformat() if decision.expires else None,
            "at_s": decision.at_s,
        }
        typer.echo(json.dumps(data, indent=2))
    else:
        sys.stdout.write(f"{name.method}: {name.pattern} ({name.kind}) {decision.words}\n")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--expires {text}: say a day, as 2027-01-31") from None
