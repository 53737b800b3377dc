"""Values that are made of files and made anew when these change, as certificates and tokens are renewed in place.

A change counts once the files stood still from one look to the next: what is written in place, or file by file, would be read
by half, and half a list of tokens or authorities is one too. A change that cannot be used leaves the value as it was. Reads files; logs and counts nothing, but says what happened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

FILE_MAX_BYTES: Final = 1 << 20
T = TypeVar("T")


class FilesError(Exception):
    """Files that cannot be used. `problems`: each with the setting, the file and what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Reloaded:
    """Files of one kind changed. `problem`: why the old ones stay in use; empty: the new ones are."""

    kind: str
    problem: str = ""


class FromFiles(Generic[T]):
    """A value read from `paths` by `read`. Raises the FilesError of `read`, at the start only."""

    def __init__(self, kind: str, paths: Sequence[str], read: Callable[[], T]) -> None:
        self._kind = kind
        self._paths = tuple(paths)
        self._read = read
        self._seen = self._states()
        self._coming = self._seen
        self.value = read()

    def refresh(self) -> Reloaded | None:
        """Read again if the files changed since they were read, and did not since the last look; None: nothing happened."""
        states, before = self._states(), self._coming
        self._coming = states
        if states == self._seen or states != before:
            return None
        value, problem = self.value, ""
        try:
            value = self._read()
        except FilesError as error:
            problem = "; ".join(error.problems)
        if self._states() != states:
            return None  # written meanwhile, and so seen at the next look
        self._seen, self.value = states, value
        return Reloaded(self._kind, problem)

    def _states(self) -> tuple[object, ...]:
        return tuple(_state(path) for path in self._paths)


def read_file(setting: str, path: str) -> bytes:
    """The file's content. Raises FilesError."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise FilesError([f"{setting}: {path}: {(error.strerror or type(error).__name__).lower()}"]) from None
    if len(content) > FILE_MAX_BYTES:
        raise FilesError([f"{setting}: {path}: over {FILE_MAX_BYTES >> 20} MiB; is it the right file?"])
    return content


def _state(path: str) -> object:
    try:
        found = os.stat(path)  # noqa: PTH116 - of what a link leads to, which Kubernetes exchanges
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
