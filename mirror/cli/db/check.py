"""`mirror db check`: whether the store can be relied on, and what to do where not. Writes nothing."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from mirror.cli.db.common import JsonOption, human
from mirror.cli.errors import UsageError
from mirror.cli.options import ConfigOption, StoreOption
from mirror.cli.reading import configured, console, plain, table
from mirror.config import Config
from mirror.store import Limits, StoreError
from mirror.store.checking import Checked, check_store
from mirror.store.engine import named


def check(
    *,
    config: ConfigOption = None,
    store: StoreOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out what reads all indexes and all kept comparisons.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the store: revision, integrity, tables, sums that must hold, orphans, limits, sizes. Writes nothing.

    May run beside a collector. Exit code: 0 sound, 1 something is wrong, 2 usage or configuration.
    """
    settings = configured(config, store)
    limits = Limits(kept_max_age_s=settings.store.payload_max_age_s, kept_max_bytes=settings.store.payload_max_bytes)
    try:
        found = check_store(settings.store.url, limits, now_s=time.time(), quick=quick)
    except StoreError as problem:
        raise UsageError(str(problem)) from None
    if as_json:
        typer.echo(json.dumps(_as_data(settings, found), indent=2))
    else:
        _show(console(), settings, found)
    raise typer.Exit(0 if found.ok else 1)


def _as_data(config: Config, found: Checked) -> dict[str, Any]:
    return {
        "store": named(config.store.url),
        "ok": found.ok,
        "revision": found.revision,
        "newest": found.newest,
        "findings": [asdict(one) for one in found.findings],
        "sizes": asdict(found.sizes) if found.sizes else None,
        "rows": dict(found.rows),
    }


def _show(out: Console, config: Config, found: Checked) -> None:
    out.print(plain(f"store     {named(config.store.url)}"), soft_wrap=True)
    unknown = any(one.code in ("unreachable", "unreadable") for one in found.findings)
    out.print(f"revision  {found.revision or ('unknown' if unknown else 'none')} (this version's: {found.newest})")
    if found.sizes is not None:
        of = found.sizes
        beside = f", {human(of.free)} of it free, {human(of.log)} in the log beside it" if of.free or of.log else ""
        out.print(f"size      {human(of.database)}{beside}")
        limit = human(config.store.payload_max_bytes)
        out.print(f"kept      {of.kept_count:,} comparisons of {human(of.kept)} (at most {limit})")
    if found.rows:
        listed = table("table", "rows", numbers=("rows",))
        for name, n in sorted(found.rows.items(), key=lambda item: -item[1]):
            listed.add_row(name, f"{n:,}")
        out.print()
        out.print(listed)
    out.print("\nsound: nothing is wrong" if found.ok else "\nWRONG")
    for one in found.findings:
        out.print(plain(f"  {'' if one.serious else 'note: '}{one.text}"), soft_wrap=True)
        out.print(plain(f"    what to do: {one.advice}"), soft_wrap=True)
