"""The kinds of rules, as frozen records. They say what is allowed; the comparer decides what that means for two values."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import date
from fnmatch import translate
from functools import lru_cache
from typing import ClassVar, Final, TypeAlias

from mirror.core.path import AnyElement, AnyName, AnySteps, PathPattern

# What both values must be for a value class to accept them. `same_*` compares a property of the two.
VALUE_CLASSES: Final = ("uuid", "timestamp", "non_empty", "same_length", "same_sign")
WHITESPACE: Final = ("collapse", "strip", "ignore")  # runs are one space, and none at the ends; none at the ends; none


@lru_cache(maxsize=4096)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a rule applies. Empty `runs` or `methods` mean all of them.

    `methods` are glob patterns over the fully qualified name, no leading slash: `shop.v1.Shop/Get*`.
    """

    path: PathPattern
    runs: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    def includes(self, run: str, method: str) -> bool:
        """Whether calls of `method` in `run` are in this scope, whatever the path."""
        return (not self.runs or run in self.runs) and (not self.methods or self.includes_method(method))

    def includes_method(self, method: str) -> bool:
        """Whether `method` is in this scope in some run."""
        return not self.methods or any(_glob(pattern).match(method) for pattern in self.methods)

    @property
    def breadth(self) -> tuple[int, int, bool, bool]:
        """Sorts narrow scopes before wide ones: the fewer wildcards, the narrower; then by methods, then by runs."""
        steps = self.path.steps
        deep = sum(isinstance(step, AnySteps) for step in steps)
        wide = sum(isinstance(step, AnyElement | AnyName) for step in steps)
        return deep, wide, not self.methods, not self.runs


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """What every rule has. `id` is stable across restarts: differences under the rule are counted by it."""

    type: ClassVar[str]
    scope: Scope
    id: str
    reason: str = ""
    owner: str = ""
    expires: date | None = None  # the last day on which it applies
    link: str = ""

    @property
    def meaning(self) -> str:
        """What the rule does and where, canonical: two rules with one meaning are the same rule."""
        scope = self.scope
        own = {name: getattr(self, name) for name in self._own_fields()}
        return json.dumps(
            [self.type, str(scope.path), sorted(scope.runs), sorted(scope.methods), own], sort_keys=True, default=str
        )

    @property
    def digest(self) -> str:
        """16 hex digits of the meaning."""
        return hashlib.sha256(self.meaning.encode()).hexdigest()[:16]

    def in_force(self, today: date) -> bool:
        """Whether the rule still applies on `today`."""
        return self.expires is None or today <= self.expires

    @classmethod
    def _own_fields(cls) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore(_Common):
    """Whatever differs at this path or below it is counted under the rule and is no difference."""

    type: ClassVar[str] = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance(_Common):
    """Numbers may differ by `max(absolute, relative * max(|left|, |right|))`; both finite.

    The formula is MessageDifferencer's (SetFractionAndMargin).
    """

    type: ClassVar[str] = "tolerance"
    absolute: float = 0.0
    relative: float = 0.0

    @classmethod
    def _own_fields(cls) -> tuple[str, ...]:
        return "absolute", "relative"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow(_Common):
    """Timestamps or Durations may lie up to `within_s` seconds apart."""

    type: ClassVar[str] = "time_window"
    within_s: float

    @classmethod
    def _own_fields(cls) -> tuple[str, ...]:
        return ("within_s",)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnorderedList(_Common):
    """The elements of this repeated field, or the messages of this stream, may come in any order."""

    type: ClassVar[str] = "unordered"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedList(_Common):
    """Elements belong together by key, not by position. `by`: paths below the element, as text (`sku`, `product.id`)."""

    type: ClassVar[str] = "keyed"
    by: tuple[str, ...] = field()

    @classmethod
    def _own_fields(cls) -> tuple[str, ...]:
        return ("by",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueClass(_Common):
    """Values may differ as long as both are of the class `name` (one of VALUE_CLASSES)."""

    type: ClassVar[str] = "value_class"
    name: str

    @classmethod
    def _own_fields(cls) -> tuple[str, ...]:
        return ("name",)


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalisedText(_Common):
    """Text may differ as long as both sides are equal once normalised; text is a string, or bytes that are UTF-8.

    `replace` comes first, in order; then the two are compared as JSON (`json`), or `whitespace` and `case` are applied.
    """

    type: ClassVar[str] = "text"
    case: str = ""  # "ignore": letters in upper and lower case are the same
    whitespace: str = ""  # one of WHITESPACE; empty: it counts
    replace: tuple[tuple[str, str], ...] = ()  # (RE2 pattern, what stands for each match), as Replacement takes them
    json: bool = False
    json_ignore: tuple[str, ...] = ()  # JSON pointers, as JsonPointers takes them, to what does not count

    @classmethod
    def _own_fields(cls) -> tuple[str, ...]:
        return "case", "whitespace", "replace", "json", "json_ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence(_Common):
    """Unset equals default: one side may lack a field that the other has set to its default, or to an empty message."""

    type: ClassVar[str] = "presence"


# Rules about single values: at a list, a map or a wrapper they are about the values in it.
ValueRule: TypeAlias = Tolerance | TimeWindow | ValueClass | NormalisedText
VALUE_RULES: Final = (Tolerance, TimeWindow, ValueClass, NormalisedText)
Rule: TypeAlias = Ignore | UnorderedList | KeyedList | Presence | ValueRule


def default_id(rule_type: str, scope: Scope) -> str:
    """The id of a rule that was given none: `tolerance response.total`, with methods and runs where it names them."""
    methods = f" in {','.join(sorted(scope.methods))}" if scope.methods else ""
    runs = f" of run {','.join(sorted(scope.runs))}" if scope.runs else ""
    return f"{rule_type} {scope.path}{methods}{runs}"
