"""The command line's root: where each command is hung in, and how errors become exit codes."""

from __future__ import annotations

import importlib
import io
import sys
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from mirror import __version__
from mirror.cli.errors import UsageError

# Every command and the module whose `app` (a typer.Typer), or what is named behind the colon, it is. Loaded when asked for.
COMMANDS: Final = {
    "collector": "mirror.cli.collector",
    "ingest": "mirror.cli.ingest",
    "worker": "mirror.cli.worker",
    "report": "mirror.cli.report",
    "verdict": "mirror.cli.verdict",
    "warmup": "mirror.cli.warmup",
    "accept": "mirror.cli.decide:accept_app",
    "reject": "mirror.cli.decide:reject_app",
    "withdraw": "mirror.cli.decide:withdraw_app",
    "db": "mirror.cli.db.app",
    "doctor": "mirror.cli.doctor.app",
    "diff": "mirror.cli.diff",
    "rules": "mirror.cli.rules",
    "demo": "mirror_demo.command",
}


class _Lazy(TyperGroup):
    """Loads a command's module when it is asked for, so that `mirror diff` starts without a web framework."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the group's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the group's signature
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = get_command(getattr(importlib.import_module(module), name or "app"))
        command.name = cmd_name
        _say_in_full(command)
        return command


def _say_in_full(command: Any) -> None:
    """Have lists of commands say the whole first sentence of each, which click would cut after 45 characters."""
    first, end, _ = " ".join((command.help or "").split()).partition(". ")
    command.short_help = first + end.strip()
    for inner in getattr(command, "commands", {}).values():
        _say_in_full(inner)


root = typer.Typer(cls=_Lazy, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - typer's callback
    if asked:
        typer.echo(f"mirror {__version__}")
        raise typer.Exit


@root.callback()
def _describe(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
    """Parallel running for gRPC: compare a candidate's answers to the primary's on mirrored live calls."""


def main() -> None:
    """Run the command line; UsageError becomes one line on stderr and exit code 2.

    What the terminal's encoding cannot show is written as an escape: answers hold any text, and failing there would look
    like an exit code that means something.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        root()
    except UsageError as error:
        sys.stderr.write(f"mirror: {error}\n")
        sys.exit(2)
