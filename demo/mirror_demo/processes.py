"""Child processes of the demo: started with their output in files, awaited, watched, and ended by their own ids."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

_T = TypeVar("_T")
_POLL_S: Final = 0.05
_TAIL_LINES: Final = 5


class DemoError(Exception):
    """The demo cannot go on. The text is for the user: what happened, and the last lines of the child it happened to."""


class Child:
    """One child process. It has a session of its own, so that Ctrl-C reaches only us and the children end in order."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own programs
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env=dict(env) if env is not None else None,
                    start_new_session=True,
                )
            except OSError as error:
                raise DemoError(f"{name} cannot be started: {error}") from error

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raise DemoError if it has ended."""
        if self.exit_code is not None:
            raise DemoError(f"{self.name} ended with exit code {self.exit_code}{self.last_words()}")

    def last_words(self) -> str:
        """The last lines of its stderr, for an error message."""
        lines = self.err.read_text(errors="replace").strip().splitlines()[-_TAIL_LINES:]
        return "".join(f"\n  {self.name}: {line}" for line in lines)

    def wait_for(self, look: Callable[[], _T | None], what: str, *, timeout_s: float) -> _T:
        """Poll `look` until it gives something; DemoError when the child ends first or the time is over."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = look()
            if found is not None:
                return found
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{self.name}: no {what} within {timeout_s:.0f} s{self.last_words()}")
            time.sleep(_POLL_S)

    def line_with(self, start: str, *, timeout_s: float = 60.0) -> str:
        """What follows `start` on the first line of its stdout that begins so; waits for it."""

        def look() -> str | None:
            for line in self.out.read_text(errors="replace").splitlines(keepends=True):
                if line.startswith(start) and line.endswith("\n"):
                    return line.removeprefix(start).strip()
            return None

        return self.wait_for(look, f"line {start!r}", timeout_s=timeout_s)

    def stop(self, *, timeout_s: float = 20.0) -> None:
        """SIGTERM, and SIGKILL when it has not ended in time. Does nothing to one that has ended."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
