"""What the rules of one method mean for one path pattern, from names alone: without a schema, a call or a value. Pure.

Statistics know path patterns (`response.items[*].price`); rules may name less (`items[2].price`) or more (`response.**`).
So a rule *surely* names a pattern where it names every path of it, and *perhaps* where it names some.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from mirror.core.path import (
    AnyElement,
    AnyName,
    AnySteps,
    Field,
    Index,
    Key,
    PathPattern,
    PatternStep,
    Typed,
    matches_step,
)
from mirror.core.rules.match import may_match
from mirror.core.rules.records import VALUE_RULES, Rule, Scope

_IGNORE: Final = "ignore"
_IGNORED: Final = frozenset({_IGNORE})  # whichever rule does it
_VALUES: Final = tuple(kind.type for kind in VALUE_RULES)
_LISTS: Final = {"unordered": "list", "keyed": "list"}  # they count as one type
Effect: TypeAlias = str  # what a rule does and at which path, canonical; its scope left out
_Takes: TypeAlias = Callable[[PatternStep, PatternStep], bool]


@dataclass(frozen=True, slots=True, order=True)
class RuleMark:
    """What is remembered of a rule that was in force. `meaning` is Rule.meaning; the rest are its papers."""

    meaning: str
    id: str
    reason: str = ""
    owner: str = ""
    link: str = ""
    expires: str = ""  # ISO date, the last day on which it applies; empty: none

    @classmethod
    def of(cls, rule: Rule) -> RuleMark:
        """The mark of a rule."""
        expires = rule.expires.isoformat() if rule.expires else ""
        return cls(rule.meaning, rule.id, rule.reason, rule.owner, rule.link, expires)

    @property
    def named(self) -> Named:
        """The rule as far as paths go."""
        return _named(self.meaning)


@dataclass(frozen=True, slots=True)
class Named:
    """A rule read back from its meaning: its type, where it applies, and what it does there."""

    type: str
    path: PathPattern
    runs: tuple[str, ...]
    methods: tuple[str, ...]
    effect: Effect

    @property
    def group(self) -> str:
        """Of one group only the narrowest rule applies at one path."""
        return _LISTS.get(self.type, self.type)

    @property
    def order(self) -> tuple[tuple[int, int, bool, bool], Effect]:
        """Narrow rules come first."""
        return Scope(self.path, self.runs, self.methods).breadth, self.effect


class Bearing:
    """The rules of one method, asked about patterns."""

    def __init__(self, marks: Iterable[RuleMark]) -> None:
        self._rules = sorted((mark.named for mark in marks), key=lambda rule: rule.order)

    def on(self, steps: Sequence[PatternStep]) -> tuple[frozenset[Effect], ...]:
        """What applies at this pattern and at each step above it, root first; one level where all of it is ignored.

        Two sets of rules that give the same judge calls alike there.
        """
        walks = [_Walk(rule.path.steps) for rule in self._rules]
        levels = []
        for depth in range(len(steps) + 1):
            if depth:
                for walk in walks:
                    walk.advance(steps[depth - 1])
            here = list(self._applying(walks, values=_holds_values(steps[depth:])))
            levels.append(frozenset(rule.effect for rule, _ in here))
            if any(sure and rule.type == _IGNORE for rule, sure in here):
                return (_IGNORED,)
        return tuple(levels)

    def ignores(self, steps: Sequence[PatternStep]) -> bool:
        """Whether rules ignore all that the pattern names, by itself or something above it."""
        walks = [_Walk(rule.path.steps) for rule in self._rules if rule.type == _IGNORE]
        for step in steps:
            for walk in walks:
                walk.advance(step)
            if any(walk.sure for walk in walks):
                return True
        return False

    def _applying(self, walks: Sequence[_Walk], *, values: bool) -> Iterator[tuple[Named, bool]]:
        """Of each group those that may apply here: the narrowest, and wider ones until one applies to all of it."""
        settled: set[str] = set() if values else set(_VALUES)
        for rule, walk in zip(self._rules, walks, strict=True):
            if walk.perhaps and rule.group not in settled:
                yield rule, walk.sure
                if walk.sure:
                    settled.add(rule.group)


class _Walk:
    """One rule's pattern followed down another pattern: how many of its steps are behind us, surely and perhaps."""

    __slots__ = ("_may", "_must", "_steps")

    def __init__(self, steps: Sequence[PatternStep]) -> None:
        self._steps = steps
        self._must = self._may = self._settled({0})

    def advance(self, step: PatternStep) -> None:
        self._must = self._settled(set(self._moves(self._must, step, _includes)))
        self._may = self._settled(set(self._moves(self._may, step, may_match)))

    @property
    def sure(self) -> bool:
        return len(self._steps) in self._must

    @property
    def perhaps(self) -> bool:
        return len(self._steps) in self._may

    def _moves(self, at: frozenset[int], step: PatternStep, takes: _Takes) -> Iterator[int]:
        for behind in at:
            if behind == len(self._steps):
                continue
            wanted = self._steps[behind]
            if isinstance(wanted, AnySteps):
                yield behind
            elif takes(wanted, step):
                yield behind + 1

    def _settled(self, at: set[int]) -> frozenset[int]:
        for behind, step in enumerate(self._steps):
            if behind in at and isinstance(step, AnySteps):
                at.add(behind + 1)
        return frozenset(at)


def steps_of(pattern: str) -> tuple[PatternStep, ...] | None:
    """The steps of a pattern as statistics write it; None for one that was cut or stands for several."""
    return _steps_of(pattern)


@lru_cache(maxsize=4096)
def _steps_of(pattern: str) -> tuple[PatternStep, ...] | None:
    try:
        return PathPattern.parse(pattern).steps
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _named(meaning: str) -> Named:
    kind, path, runs, methods, own = json.loads(meaning)
    effect = json.dumps([kind, path, own], sort_keys=True)
    return Named(kind, PathPattern.parse(path), tuple(runs), tuple(methods), effect)


def _holds_values(rest: Sequence[PatternStep]) -> bool:
    """Whether a rule about values, so many steps above the pattern, is about it: at it, or at its list, map or wrapper."""
    if rest and isinstance(rest[0], AnyElement | Index | Key):
        rest = rest[1:]
    return not rest or tuple(rest) == (Field("value"),)


def _includes(wanted: PatternStep, step: PatternStep) -> bool:
    """Whether `wanted` names all that `step`, itself perhaps a wildcard, names."""
    match step:
        case Field() | Typed() | Index() | Key():
            return matches_step(wanted, step)
        case AnyElement() | AnyName():
            return wanted == step
        case _:
            return False
