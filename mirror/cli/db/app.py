"""`mirror db`: its commands, each in a module of its own."""

from __future__ import annotations

import typer

from mirror.cli.db.check import check
from mirror.cli.db.export import export
from mirror.cli.db.prune import prune
from mirror.cli.db.upgrade import upgrade

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Look after the store: upgrade, check, prune or export it.",
)
for _command in (upgrade, check, prune, export):
    app.command()(_command)
