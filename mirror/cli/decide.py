"""`mirror accept`, `mirror reject`, `mirror withdraw`: what people decide of a path that differs. They write to the store."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeAlias
from urllib.parse import quote

import typer

from mirror.cli.asking import Connection, UnavailableError
from mirror.cli.db.common import opened
from mirror.cli.errors import UsageError
from mirror.cli.options import ConfigOption, StoreOption
from mirror.cli.reading import configured, reading
from mirror.core.decisions import Ruling
from mirror.serve import epochs
from mirror.serve.api_use import decision_out
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
UrlOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", help="Tell a collector in the place of the store; MIRROR_BEARER is a token that may write."),
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
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a path that differs out of the verdict of this candidate, until a day. Exit code: 0 done, 2 usage."""
    asked = Asked(Ruling.ACCEPTED, path, owner, reason, _day(expires), method, kind)
    _take(asked, run, epoch, Where(config, store, url), as_json=as_json)


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
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that what differs at a path is a defect: the run fails. Exit code: 0 done, 2 usage."""
    asked = Asked(Ruling.REJECTED, path, owner, reason, None, method, kind)
    _take(asked, run, epoch, Where(config, store, url), as_json=as_json)


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
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an acceptance or a rejection back. Exit code: 0 done, 2 usage."""
    asked = Asked(Ruling.WITHDRAWN, path, owner, reason, None, method, kind)
    _take(asked, run, epoch, Where(config, store, url), as_json=as_json)


@dataclass(frozen=True, slots=True)
class Where:
    """Who keeps the decision: the store of a configuration, or a collector."""

    config: Path | None
    store: str | None
    url: str | None


def _take(asked: Asked, run: str, epoch: int | None, where: Where, *, as_json: bool) -> None:
    if where.url is None:
        taken = _by_store(asked, run, epoch, where)
    elif where.config is not None or where.store is not None:
        raise UsageError("--url tells a collector, which has its own configuration: leave --config and --store out")
    else:
        taken = _by_collector(asked, run, epoch, where.url)
    if as_json:
        typer.echo(json.dumps(taken, indent=2))
        return
    until = f" until {taken['expires']}" if taken["expires"] else ""
    said = f"{taken['what']} by {taken['owner']}{until}: {taken['reason']}"
    sys.stdout.write(f"{taken['method']}: {taken['pattern']} ({taken['kind']}) {said}\n")


def _by_store(asked: Asked, run: str, epoch: int | None, where: Where) -> dict[str, Any]:
    settings = configured(where.config, where.store)
    with reading(settings) as reader, opened(settings, write=True) as engine:
        found = epochs.find_run(reader, run, settings.runs)
        try:
            taken = take(reader, engine, found, epoch, asked, now_s=time.time())
        except DecisionError as problem:
            raise UsageError(str(problem)) from None
    return decision_out(taken.decision).model_dump(mode="json")


def _by_collector(asked: Asked, run: str, epoch: int | None, url: str) -> dict[str, Any]:
    connection = Connection(url)
    address = f"/api/v1/runs/{quote(run, safe='')}"
    body = {
        "what": asked.what,
        "pattern": asked.pattern,
        "method": asked.method or None,
        "kind": asked.kind or None,
        "owner": asked.owner,
        "reason": asked.reason,
        "expires": asked.expires.isoformat() if asked.expires else None,
        "epoch": epoch,
    }
    try:
        found: dict[str, Any] = json.loads(connection.answer(f"{address}/decisions", body))
    except UnavailableError as problem:
        raise UsageError(str(problem)) from None
    finally:
        connection.close()
    return found


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--expires {text}: say a day, as 2027-01-31") from None
