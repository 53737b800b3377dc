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
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final, TypeAlias


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


_INDEXES: Final = tuple(Index(position) for position in range(1024))  # a look-up takes a tenth of making one


def nth(position: int) -> Index:
    """The step to the element at this position, counted from 0."""
    return _INDEXES[position] if 0 <= position < 1024 else Index(position)


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
    r"""(?P<any>\[\*\]) | \[(?P<index>\d{1,20})\] | \[(?P<key>"(?:[^"\\]|\\.)*"|true|false|-\d{1,20})\]
      | (?P<dot>\.)?(?: (?P<steps>\*\*) | (?P<wild>\*) | \((?P<typed>[\w.]+)\) | (?P<name>[\w-]+) )""",
    re.VERBOSE | re.ASCII,
)
STEPS_MAX: Final = 100  # steps of a pattern
REMEMBERED_KEY_MAX_CHARS: Final = 200  # keys are data of any size; memory is not to depend on them


class PathSyntaxError(ValueError):
    """The text is not a path pattern. `column` (from 1) is where it stops being one."""

    def __init__(self, text: str, column: int, problem: str) -> None:
        super().__init__(f"{problem} at column {column} of {text!r}")
        self.problem = problem
        self.column = column


def _text(step: PatternStep) -> str:  # noqa: PLR0911 - one a kind of step
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


def pattern_of(path: Path) -> str:
    """The text of the pattern of a concrete path: what statistics and metrics use. Remembered for paths of usual length.

    Metadata keys and whom an outbound call went to are names, chosen by programmers: they stay
    (`trailing_metadata["x-cost"]`, `outbound["pay.v1.Pay/Charge"][*].request.amount`).
    """
    for step in path:
        if type(step) is Key and type(step.key) is str and len(step.key) > REMEMBERED_KEY_MAX_CHARS:
            return _pattern_of(path)
    return _remembered(path)


def _pattern_of(path: Path) -> str:
    if path and isinstance(path[0], Field) and (path[0].name.endswith("_metadata") or path[0].name == "outbound"):
        return render(path[:2]) + render(generalise(path[2:]))
    return render(generalise(path))


_remembered = lru_cache(maxsize=65536)(_pattern_of)


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
            try:
                steps.append(_step(found))
            except ValueError:
                raise PathSyntaxError(text, position + 1, 'a key is a JSON string, like ["a"]') from None
            position = found.end()
            if len(steps) > STEPS_MAX:
                raise PathSyntaxError(text, position, f"more than {STEPS_MAX} steps")
        if not steps:
            raise PathSyntaxError(text, 1, "an empty path")
        return cls(tuple(steps))

    def __str__(self) -> str:
        return render(self.steps)

    def matches(self, path: Path) -> bool:
        """Whether the whole of `path` is named by this pattern."""
        *_, last = _behind(self.steps, path)
        return len(self.steps) in last

    def covers(self, path: Path) -> bool:
        """Whether `path` or something above it is named by this pattern: the subtree is in its scope."""
        return any(len(self.steps) in behind for behind in islice(_behind(self.steps, path), 1, None))


def _step(found: re.Match[str]) -> PatternStep:  # noqa: PLR0911 - one a kind of step
    kind, text = found.lastgroup, found.group(found.lastgroup or 0)
    match kind:
        case "any":
            return ANY_ELEMENT
        case "index":
            return Index(int(text))
        case "key":
            return Key(int(text) if text.startswith("-") else json.loads(text))
        case "steps":
            return AnySteps()
        case "wild":
            return AnyName()
        case "typed":
            return Typed(text)
        case _:
            return Field(text)


def _behind(pattern: tuple[PatternStep, ...], path: Path) -> Iterator[set[int]]:
    """After none, one, two... steps of `path`: how many steps of the pattern may be behind us (none: dead)."""
    at = _settled(pattern, {0})
    yield at
    for actual in path:
        stay = {i for i in at if i < len(pattern) and isinstance(pattern[i], AnySteps)}
        at = _settled(
            pattern, stay | {i + 1 for i in at - stay if i < len(pattern) and matches_step(pattern[i], actual)}
        )
        yield at


def _settled(pattern: tuple[PatternStep, ...], at: set[int]) -> set[int]:
    """With the places behind each `**`, which may stand for no step."""
    for i in range(len(pattern)):
        if i in at and isinstance(pattern[i], AnySteps):
            at.add(i + 1)
    return at


def matches_step(step: PatternStep, actual: Step) -> bool:
    """Whether `step` names the concrete step `actual`. `**` names any one here."""
    match step:
        case AnySteps():
            return True
        case AnyElement():
            return isinstance(actual, Index | Key)
        case AnyName():
            return isinstance(actual, Field | Typed)
        case Index(index) if isinstance(actual, Key):  # an integer key of a map is written like an index
            return type(actual.key) is int and actual.key == index
        case Key(key) if isinstance(actual, Key):  # True == 1 in Python, but no key of a map is both
            return type(actual.key) is type(key) and actual.key == key
        case _:
            return actual == step
