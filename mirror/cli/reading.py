"""What the commands that read the store share: finding it, finding the run, and printing for people and pipes.

Prints to standard output; control characters that came from calls are made harmless.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mirror.cli.errors import UsageError
from mirror.cli.options import DEFAULT_FILE
from mirror.config import Config, ConfigError, admission, load
from mirror.serve.epochs import NotFoundError
from mirror.store import Reader, StoreError

_BLANKS: Final = re.compile(r" +$", re.MULTILINE)
_PIPE_WIDTH: Final = 10_000  # columns where nobody sees them: no path is ever cut
_STYLES: Final = {
    "fail": "bold red",
    "regressed": "red",
    "inconclusive": "bold yellow",
    "suspect": "yellow",
    "pass": "bold green",
    "clean": "green",
    "noisy": "magenta",
}


def configured(config: Path | None, store: str | None, env: Mapping[str, str] | None = None) -> Config:
    """The configuration: of the file given, else of ./mirror.yaml if it is there, else the defaults. `store` overrides.

    Raises UsageError with every problem.
    """
    given = dict(os.environ if env is None else env)
    if store and "://" not in store:
        raise UsageError(f"--store {store}: not a store's URL; say sqlite:///{store}")
    if store:
        given["MIRROR_STORE_URL"] = store
    path = config or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    try:
        return load(path, given)
    except ConfigError as error:
        raise UsageError(str(error)) from error


@contextmanager
def reading(config: Config) -> Iterator[Reader]:
    """A reader of the configured store, which must exist; errors of the store and of names become UsageError."""
    try:
        reader = Reader.open(config.store.url)
        try:
            yield reader
        finally:
            reader.close()
    except (StoreError, NotFoundError) as error:
        raise UsageError(str(error)) from error


def why_nothing(reader: Reader) -> str:
    """What an operator should look at when a run has no pairs though calls may be coming."""
    refused = reader.unknown_runs()
    if refused:
        listed = ", ".join(f"{one.name!r} ({one.n:,})" for one in refused)
        todo = admission(one.name for one in refused)
        return f" Calls came for runs that the configuration does not allow: {listed}; {todo}."
    return (
        " Send calls through the mirroring route. A call waits for its shadows until its deadline (37 s by default); "
        "/metrics and /collector of the collector say what has come and what was refused."
    )


def console() -> Console:
    """The console: coloured and fitted on a terminal, plain and as wide as needed in a pipe."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(file=cast("IO[str]", _Pipe(sys.stdout)), width=_PIPE_WIDTH, no_color=True, highlight=False)


class _Pipe:
    """A stream without the blanks by which tables fill their lines: there they are only noise in logs and diffs."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it; the console gives whole lines."""
        self._stream.write(_BLANKS.sub("", text))
        return len(text)

    def flush(self) -> None:
        """Pass on what was written."""
        self._stream.flush()


def table(*headers: str, numbers: tuple[str, ...] = ()) -> Table:
    """An empty table; columns named in `numbers` are aligned to the right."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        made.add_column(header, justify="right" if header in numbers else "left", overflow="fold")
    return made


def plain(text: str) -> Text:
    """Text from calls: no markup, no control characters."""
    return Text("".join(char if char.isprintable() else "\ufffd" for char in text))


def styled(word: str) -> Text:
    """A verdict or state in its colour."""
    return Text(word, style=_STYLES.get(word, ""))


def page_url(config: Config, page: str) -> str:
    """The address of a page: below web.url, else where the collector listens."""
    base = config.web.url or f"http://{config.listen.web}"
    return base.rstrip("/") + page
