"""`mirror db upgrade`: bring the store's tables to this version's, before its collector starts."""

from __future__ import annotations

import json
from typing import Final

import typer

from mirror.cli.db.common import JsonOption, opened
from mirror.cli.options import ConfigOption, StoreOption
from mirror.cli.reading import configured
from mirror.store.engine import named
from mirror.store.migrating import HEAD, migrate

WAIT_S: Final = 10
OLDER: Final = (
    "A collector of an older version that still runs goes on writing as it knows the tables, and cannot start again on this "
    "store: replace it now."
)


def upgrade(*, config: ConfigOption = None, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Migrate the store to the newest revision, in one transaction. The collector does so too when it starts.

    Stop older collectors first, and keep a backup: there is no way back. Exit code: 0 done, or nothing to do; 1 it cannot be
    done, with the reason; 2 usage or configuration.
    """
    settings = configured(config, store)
    with opened(settings, write=True) as engine:
        was = migrate(engine, wait_s=WAIT_S)
        where = named(engine.url)
    if as_json:
        typer.echo(json.dumps({"store": where, "from": was, "to": HEAD, "upgraded": was != HEAD}, indent=2))
    elif was == HEAD:
        typer.echo(f"store {where}: of revision {HEAD} already, nothing to do")
    elif was is None:
        typer.echo(f"store {where}: tables made, revision {HEAD}")
    else:
        typer.echo(f"store {where}: upgraded from revision {was} to {HEAD}. {OLDER}")
