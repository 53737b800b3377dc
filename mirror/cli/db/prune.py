"""`mirror db prune`: let kept comparisons go now, by age and bytes, or all of a run that is over."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer
from sqlalchemy import Engine

from mirror.cli.db.common import JsonOption, human, opened, seconds, size
from mirror.cli.errors import UsageError
from mirror.cli.options import ConfigOption, StoreOption
from mirror.cli.reading import configured
from mirror.serve import words
from mirror.serve.epochs import NotFoundError, find_run
from mirror.store import Reader
from mirror.store.engine import explained, reading
from mirror.store.migrating import check
from mirror.store.pruning import RunContents, contents, prune_kept, prune_run, require_over, would_prune

STAYS = "The file keeps its size and uses the room again; with the collector stopped, SQLite's VACUUM makes it smaller."


def prune(  # noqa: PLR0913 - the options of a command
    *,
    config: ConfigOption = None,
    store: StoreOption = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Kept comparisons older than this go: 36h, 14d.")
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option(metavar="SIZE", help="The oldest go until those kept have at most this: 512MiB.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="NAME", help="All of this run goes, counts and verdict too. Asks for --yes.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete the run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete kept comparisons by age and bytes, as configured where neither is given; or a run without pairs for an hour.

    Counts stay, but with --run. May run beside a collector of this version. Exit code: 0 done, 1 it cannot be done, 2 usage
    or configuration.
    """
    settings = configured(config, store)
    if run is not None and (older_than or max_bytes):
        raise UsageError("--run deletes all of a run; it does not go with --older-than or --max-bytes")
    if run is None and yes:
        raise UsageError("--yes is for --run")
    with opened(settings, write=not dry_run) as engine:
        if run is not None:
            _prune_run(engine, run, yes=yes, dry_run=dry_run, as_json=as_json)
            return
        both = older_than is None and max_bytes is None
        age_s = (
            settings.store.payload_max_age_s if both else seconds("--older-than", older_than) if older_than else None
        )
        most = settings.store.payload_max_bytes if both else size("--max-bytes", max_bytes) if max_bytes else None
        _prune_kept(engine, age_s, most, dry_run=dry_run, as_json=as_json)


def _prune_kept(engine: Engine, age_s: float | None, most: int | None, *, dry_run: bool, as_json: bool) -> None:
    before_s = None if age_s is None else time.time() - age_s
    if dry_run:
        with explained(engine, "cannot be read"), reading(engine).connect() as connection:
            check(connection)
            gone = would_prune(connection, before_s=before_s, max_bytes=most)
    else:
        gone = prune_kept(engine, before_s=before_s, max_bytes=most)
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, **asdict(gone)}, indent=2))
        return
    total = gone.aged + gone.crowded
    said = "would be deleted" if dry_run else "deleted"
    typer.echo(
        f"{words.plural(total, 'kept comparison')} of {human(gone.size)} {said}: {gone.aged:,} for their age, {gone.crowded:,} for their bytes"
    )
    _tell_file(engine, told=bool(total) and not dry_run)


def _prune_run(engine: Engine, run: str, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    found = _found(engine, run)
    if not dry_run:
        require_over(found, time.time())
        if not yes:
            raise UsageError(
                f"{_described(found)} would be deleted, its verdict too; there is no way back. Say --yes if that is meant"
            )
        found = prune_run(engine, run, time.time()) or found
    if as_json:
        data: dict[str, Any] = {"dry_run": dry_run, **asdict(found)}
        typer.echo(json.dumps(data, indent=2))
        return
    typer.echo(f"{_described(found)} {'would be' if dry_run else ''} deleted".replace("  ", " "))
    _tell_file(engine, told=not dry_run)


def _found(engine: Engine, run: str) -> RunContents:
    try:
        find_run(Reader(engine), run)
    except NotFoundError as problem:
        raise UsageError(str(problem)) from None
    with explained(engine, "cannot be read"), reading(engine).connect() as connection:
        found = contents(connection, run)
    if found is None:
        raise UsageError(f"There is no run {run!r} any more.")
    return found


def _described(found: RunContents) -> str:
    return (
        f"run {found.run}: {words.plural(found.epochs, 'epoch')}, {words.plural(found.methods, 'method')}, "
        f"{words.plural(found.pairs, 'pair')}, {words.plural(found.comparisons, 'kept comparison')} of {human(found.size)}"
    )


def _tell_file(engine: Engine, *, told: bool) -> None:
    if told and engine.dialect.name == "sqlite":
        typer.echo(STAYS)
