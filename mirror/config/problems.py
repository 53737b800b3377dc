"""What is wrong with a configuration: every problem with its place, listed at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

PROBLEMS_MAX: Final = 50  # listed; the rest is counted


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file, or the environment variable that said it. Lines and columns count from 1; 0: the whole."""

    line: int = 0
    column: int = 0
    source: str = ""
    quoted: bool = False  # a quoted scalar's text begins one column later

    def __str__(self) -> str:
        if not self.line:
            return self.source
        return f"{self.source}:{self.line}:{self.column}"

    def within(self, column: int) -> Mark:
        """The place of the character at `column` (from 1) of the scalar that stands here."""
        if not self.line:
            return self
        return Mark(self.line, self.column + column - 1 + self.quoted, self.source)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, where, and what to do."""

    mark: Mark
    text: str

    def __str__(self) -> str:
        return f"{self.mark}: {self.text}"


class ConfigError(Exception):
    """The configuration cannot be used. Its text lists every problem, one a line, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        lines = [str(problem) for problem in self.problems[:PROBLEMS_MAX]]
        if more := len(self.problems) - len(lines):
            lines.append(f"... and {more} more")
        super().__init__("\n".join(lines))


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean "x"?` where one of `names` is close to `name`, else nothing."""
    by_lower = {known.lower(): known for known in names}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f'; did you mean "{by_lower[close[0]]}"?' if close else ""
