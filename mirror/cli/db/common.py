"""What the commands on the store share: their options, opening it for a change, and how a failure ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, NoReturn, TypeAlias

import typer
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Engine

from mirror.cli.errors import UsageError
from mirror.config import Config
from mirror.config.values import Duration, Size
from mirror.store import StoreError
from mirror.store.engine import open_engine

JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="As JSON.")]


@contextmanager
def opened(config: Config, *, write: bool) -> Iterator[Engine]:
    """The engine of the configured store, which must exist.

    A URL that names no store becomes UsageError (exit code 2), what the database refuses afterwards exit code 1.
    """
    try:
        engine = open_engine(config.store.url, write=write, mode="rw")
    except StoreError as problem:
        raise UsageError(str(problem)) from None
    try:
        yield engine
    except StoreError as problem:
        failed(str(problem))
    finally:
        engine.dispose()


def failed(text: str) -> NoReturn:
    """Say on standard error why it was not done, and end with exit code 1."""
    sys.stderr.write(f"mirror: {text}\n")
    raise typer.Exit(1)


def seconds(option: str, text: str) -> float:
    """A duration as the configuration takes it (30m, 14d, a number of seconds). Raises UsageError."""
    return float(_parsed(TypeAdapter(Duration), option, text))


def size(option: str, text: str) -> int:
    """A size as the configuration takes it (512MiB, a number of bytes). Raises UsageError."""
    return int(_parsed(TypeAdapter(Size), option, text))


def since(text: str) -> float:
    """The unix second that is meant by --since: a duration ago, or a date and time (UTC where it says no zone)."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        try:
            return time.time() - seconds("--since", text)
        except UsageError:
            raise UsageError(
                f"--since {text}: say how long ago (30m, 2d) or a date and time (2026-03-01T12:00)"
            ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _parsed(adapter: TypeAdapter[float] | TypeAdapter[int], option: str, text: str) -> float | int:
    value = int(text) if text.isascii() and text.isdigit() else text
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise UsageError(f"{option} {text}: {error.errors()[0]['msg']}") from None


def human(size_bytes: float) -> str:
    """3.4 MiB."""
    if size_bytes < 1024:
        return f"{size_bytes:.0f} B"
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB")):
        if size_bytes >= 1024**power:
            return f"{size_bytes / 1024**power:.1f} {unit}"
    return f"{size_bytes / 1024:.1f} KiB"
