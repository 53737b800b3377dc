"""Field paths and path patterns: how the product names a place in a call.

A *field path* is concrete, `response.items[2].price`; a *path pattern* has wildcards, `response.items[*].price`. Paths are
tuples of typed steps; text is made only where someone reads it. Grammar of the text:

    path    := name step*
    step    := "." name | "." "(" full.name ")" | "[" index "]" | "[" string "]"
    pattern := the same, and "[*]" for any index or key, "*" for any one name, "**" for any steps (also none)

`(full.name)` is the type inside an Any or the name of an extension. A string is a JSON string. An unknown field is a
number in the place of a name: `response.240[0]`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Field:
    """A field by its name; of an unknown field its number as text."""

    name: str


@dataclass(frozen=True, slots=True)
class Typed:
    """The type inside an Any, or an extension, by full name."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """An element of a repeated field or of a stream, counted from 0."""

    index: int


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a map, or of metadata."""

    key: str | int | bool


@dataclass(frozen=True, slots=True)
class AnyElement:
    """Pattern only: any index or key."""


@dataclass(frozen=True, slots=True)
class AnyName:
    """Pattern only: any one field or type."""


@dataclass(frozen=True, slots=True)
class AnySteps:
    """Pattern only: any steps, also none."""


Step: TypeAlias = Field | Typed | Index | Key
PatternStep: TypeAlias = Step | AnyElement | AnyName | AnySteps
Path: TypeAlias = tuple[Step, ...]

ANY_ELEMENT = AnyElement()
_TOKEN = re.compile(
    r"""(?P<any>\[\*\]) | \[(?P<index>\d+)\] | \[(?P<key>"(?:[^"\\]|\\.)*"|true|false|-\d+)\]
      | (?P<dot>\.)?(?: (?P<steps>\*\*) | (?P<wild>\*) | \((?P<typed>[\w.]+)\) | (?P<name>[\w-]+) )""",
    re.VERBOSE,
)


class PathSyntaxError(ValueError):
    """The text is not a path pattern. `column` (from 1) is where it stops being one."""

    def __init__(self, text: str, column: int, problem: str) -> None:
        super().__init__(f"{problem} at column {column} of {text!r}")
        self.column = column


def _text(step: PatternStep) -> str:
    match step:
        case Field(name):
            return f".{name}"
        case Typed(name):
            return f".({name})"
        case Index(index):
            return f"[{index}]"
        case Key(key):
            return f"[{json.dumps(key, ensure_ascii=False)}]"
        case AnyElement():
            return "[*]"
        case AnyName():
            return ".*"
        case AnySteps():
            return ".**"


def render(path: tuple[PatternStep, ...]) -> str:
    """The text of a path or pattern; the empty path is ``""``."""
    return "".join(map(_text, path)).removeprefix(".")


def generalise(path: Path) -> tuple[PatternStep, ...]:
    """The pattern of a concrete path: indices and keys become wildcards."""
    return tuple(ANY_ELEMENT if isinstance(step, Index | Key) else step for step in path)


@lru_cache(maxsize=65536)
def pattern_of(path: Path) -> str:
    """The text of the pattern of a concrete path: what statistics and metrics use.

    Metadata keys are names, chosen by programmers: they stay (`trailing_metadata["x-cost"]`).
    """
    if path and isinstance(path[0], Field) and path[0].name.endswith("_metadata"):
        return render(path[:2]) + render(generalise(path[2:]))
    return render(generalise(path))


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A parsed pattern. `matches` decides for a concrete path."""

    steps: tuple[PatternStep, ...]

    @classmethod
    def parse(cls, text: str) -> PathPattern:
        """Parse `text`; raises PathSyntaxError with the column of the first wrong character."""
        steps: list[PatternStep] = []
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise PathSyntaxError(text, position + 1, "not a field name, [index], [key] or wildcard")
            in_brackets = found.group(0).startswith("[")
            if bool(found.group("dot")) == (not steps) and not in_brackets:
                raise PathSyntaxError(text, position + 1, "a '.' is missing" if steps else "a path starts with a name")
            if in_brackets and not steps:
                raise PathSyntaxError(text, position + 1, "a path starts with a name")
            steps.append(_step(found))
            position = found.end()
        if not steps:
            raise PathSyntaxError(text, 1, "an empty path")
        return cls(tuple(steps))

    def __str__(self) -> str:
        return render(self.steps)

    def matches(self, path: Path) -> bool:
        """Whether the whole of `path` is named by this pattern."""
        return _match(self.steps, path, 0, 0)

    def covers(self, path: Path) -> bool:
        """Whether `path` or something above it is named by this pattern: the subtree is in its scope."""
        return any(_match(self.steps, path[:length], 0, 0) for length in range(1, len(path) + 1))


def _step(found: re.Match[str]) -> PatternStep:
    kind, text = found.lastgroup, found.group(found.lastgroup or 0)
    match kind:
        case "any":
            return ANY_ELEMENT
        case "index":
            return Index(int(text))
        case "key":
            return Key(json.loads(text))
        case "steps":
            return AnySteps()
        case "wild":
            return AnyName()
        case "typed":
            return Typed(text)
        case _:
            return Field(text)


def _match(pattern: tuple[PatternStep, ...], path: Path, i: int, j: int) -> bool:
    while i < len(pattern):
        step = pattern[i]
        if isinstance(step, AnySteps):
            return any(_match(pattern, path, i + 1, k) for k in range(j, len(path) + 1))
        if j == len(path) or not _matches_step(step, path[j]):
            return False
        i, j = i + 1, j + 1
    return j == len(path)


def _matches_step(step: PatternStep, actual: Step) -> bool:
    match step:
        case AnyElement():
            return isinstance(actual, Index | Key)
        case AnyName():
            return isinstance(actual, Field | Typed)
        case Index(index):  # an integer key of a map is written like an index
            return actual == step or (isinstance(actual, Key) and actual.key == index and actual.key is not True)
        case _:
            return actual == step
