"""Which rules apply at a path: the patterns of all rules run side by side, as one automaton whose states are built on use.

A walk down a message holds a `Place` and steps with it, so asking costs one dictionary look-up a step, however many
rules there are. A set of positions in patterns is a place; places are kept, so equal positions are one object.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias, TypeVar

from mirror.core.path import (
    ANY_ELEMENT,
    AnyElement,
    AnyName,
    AnySteps,
    Field,
    Index,
    Key,
    Path,
    PatternStep,
    Typed,
    matches_step,
)
from mirror.core.rules.records import Ignore, KeyedList, Rule, UnorderedList

_Positions: TypeAlias = frozenset[tuple[int, int]]  # (rule, steps of its pattern that are behind us)
RuleT = TypeVar("RuleT", bound=Rule)
PLACES_MAX: Final = 65536  # kept a method: with a place that is not, every plan for it is compiled anew
STEPS_MAX: Final = 65536  # look-ups kept a method; names come from schemas, but keys of maps from payloads


class Place:
    """Where a walk stands: `rules` apply to just this path, `touched` says if any may apply here or below.

    Of each type only the narrowest rule applies; `overruled` are the others that name this path. A keyed list and an
    unordered one count as one type: both say how elements find each other. Narrow scopes come first.
    `names` are the fields by which a rule leads further; None: some rule takes any name, or a type.
    Made by MethodRules; compare places by identity.
    """

    __slots__ = ("_literal", "_next", "_owner", "_positions", "names", "overruled", "rules", "touched")

    def __init__(self, owner: MethodRules, positions: _Positions) -> None:
        self._owner = owner
        self._positions = positions
        self._next: dict[object, Place] = {}
        self.touched = bool(positions)
        here = sorted(rule for rule, behind in positions if behind == len(owner.steps_of(rule)))
        self.rules, self.overruled = _narrowest(owner.rules[rule] for rule in here)
        ahead = [steps[behind] for steps, behind in map(owner.ahead, positions) if behind < len(steps)]
        self._literal = any(isinstance(step, Index | Key) for step in ahead)
        wild = any(isinstance(step, AnyName | AnySteps | Typed) for step in ahead)
        self.names = None if wild else frozenset(step.name for step in ahead if isinstance(step, Field))

    def step(self, step: PatternStep) -> Place:
        """The place one step further. A wildcard step means: wherever it may lead."""
        if not self.touched:
            return self
        if not self._literal and isinstance(step, Index | Key):
            step = ANY_ELEMENT  # no pattern tells elements apart here, so all lead to one place
        slot = (type(step.key), step.key) if isinstance(step, Key) else step  # True == 1, but they are two keys
        found = self._next.get(slot)
        if found is None:
            found = self._owner.advance(self._positions, step)
            if self._owner.may_keep():
                self._next[slot] = found
        return found

    def find(self, kind: type[RuleT]) -> RuleT | None:
        """The rule of this kind that applies to just this path."""
        for rule in self.rules:
            if isinstance(rule, kind):
                return rule
        return None


class MethodRules:
    """The rules of one method in one run, narrow scopes first. Equal only to itself, so it can key compiled plans."""

    __slots__ = ("_kept", "_places", "_steps", "rules", "start")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules: tuple[Rule, ...] = tuple(sorted(rules, key=lambda rule: rule.scope.breadth))
        self._steps = tuple(rule.scope.path.steps for rule in self.rules)
        self._places: dict[_Positions, Place] = {}
        self._kept = 0
        self.start = self._place(self._settle((rule, 0) for rule in range(len(self.rules))))

    def __bool__(self) -> bool:
        return bool(self.rules)

    def walk(self, steps: Iterable[PatternStep]) -> Place:
        """The place that `steps` from the root lead to."""
        place = self.start
        for step in steps:
            place = place.step(step)
        return place

    def at(self, path: Path) -> tuple[Rule, ...]:
        """The rules that apply to just this concrete path: of each type the narrowest."""
        return self.walk(path).rules

    def find(self, kind: type[RuleT], path: Path) -> RuleT | None:
        """The narrowest rule of this kind at this path."""
        return self.walk(path).find(kind)

    def ignoring(self, path: Iterable[PatternStep]) -> Ignore | None:
        """The rule that ignores this path or something above it."""
        place = self.start
        for step in path:
            place = place.step(step)
            if found := place.find(Ignore):
                return found
        return None

    def touches(self, prefix: Iterable[PatternStep]) -> bool:
        """Whether any rule may apply at or below `prefix`, a path or a pattern; False: `==` may cut the subtree short."""
        return self.walk(prefix).touched

    # What follows serves Place.

    def steps_of(self, rule: int) -> tuple[PatternStep, ...]:
        """The pattern of the rule at this position of `rules`."""
        return self._steps[rule]

    def ahead(self, position: tuple[int, int]) -> tuple[tuple[PatternStep, ...], int]:
        """Of a position the pattern of its rule and how many steps of it are behind."""
        rule, behind = position
        return self._steps[rule], behind

    def may_keep(self) -> bool:
        """Whether one more look-up may be kept."""
        self._kept += 1
        return self._kept <= STEPS_MAX

    def advance(self, positions: _Positions, step: PatternStep) -> Place:
        """The place that `step` leads to from these positions."""
        if isinstance(step, AnySteps):
            reached = ((rule, at) for rule, behind in positions for at in range(behind, len(self._steps[rule]) + 1))
            return self._place(frozenset(reached))
        return self._place(self._settle(self._moves(positions, step)))

    def _moves(self, positions: _Positions, step: PatternStep) -> Iterable[tuple[int, int]]:
        for rule, behind in positions:
            steps = self._steps[rule]
            if behind == len(steps):
                continue
            if isinstance(steps[behind], AnySteps):
                yield rule, behind  # it takes the step and stays
            elif may_match(steps[behind], step):
                yield rule, behind + 1

    def _settle(self, positions: Iterable[tuple[int, int]]) -> _Positions:
        """With the positions that are reached without a step: behind each `**`, which may stand for none."""
        settled: set[tuple[int, int]] = set()
        for rule, start in positions:
            behind, steps = start, self._steps[rule]
            settled.add((rule, behind))
            while behind < len(steps) and isinstance(steps[behind], AnySteps):
                behind += 1
                settled.add((rule, behind))
        return frozenset(settled)

    def _place(self, positions: _Positions) -> Place:
        place = self._places.get(positions)
        if place is None:
            place = Place(self, positions)
            if len(self._places) < PLACES_MAX:
                self._places[positions] = place
        return place


def _narrowest(rules: Iterable[Rule]) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The first of each type, and the rest."""
    first: dict[str, Rule] = {}
    rest: list[Rule] = []
    for rule in rules:
        kind = "list" if isinstance(rule, KeyedList | UnorderedList) else rule.type
        if first.setdefault(kind, rule) is not rule:
            rest.append(rule)
    return tuple(first.values()), tuple(rest)


def may_match(wanted: PatternStep, step: PatternStep) -> bool:
    """Whether `step`, concrete or itself a wildcard for one step, may be what `wanted` names."""
    match step:
        case AnyElement():
            return isinstance(wanted, AnyElement | Index | Key)
        case AnyName():
            return isinstance(wanted, AnyName | Field | Typed)
        case AnySteps():
            return True
        case _:
            return matches_step(wanted, step)
