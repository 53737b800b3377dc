"""What a change of one method's rules covers, and what may be kept of what was counted before. Pure.

A hypothesis starts anew where the rules that apply at its pattern, or above it, judge otherwise than before. The bound on
unexplained pairs is made of signatures, sets of patterns in which pairs differed. Where nothing but further ignoring
came, what is ignored now can be taken out of them. Any other change may have hidden or shown differences of which no
signature tells: then the bound starts anew.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from enum import StrEnum

from mirror.core.rules.bearing import Bearing, Effect, Named, RuleMark, steps_of


class Covered(StrEnum):
    """What a change does to one pattern."""

    NOT = "not"  # it is judged as before
    IGNORED = "ignored"  # from now on all of it is ignored
    OTHERWISE = "otherwise"  # it is judged otherwise; or only some of it is ignored, or that cannot be told


class RuleChange:
    """From the rules `before` to those `after`, both of one method. What does not change what a rule does is no change."""

    def __init__(self, before: Iterable[RuleMark], after: Iterable[RuleMark]) -> None:
        before, after = tuple(before), tuple(after)
        self.added = _beyond(after, before)
        self.removed = _beyond(before, after)
        self._before, self._after = Bearing(before), Bearing(after)
        self._changed = Bearing((*self.added, *self.removed))
        self._at: dict[str, Covered] = {}
        self._reordered = _order(before, self.removed) != _order(after, self.added)

    @property
    def nothing(self) -> bool:
        """Whether the rules do the same at the same paths."""
        return not (self.added or self.removed or self._reordered)

    @property
    def ignores_more(self) -> bool:
        """Whether all that changed is that more is ignored: whatever else came or went lies below an ignore."""
        new = (mark.named for mark in self.added if mark.named.type != "ignore")
        gone = (mark.named for mark in self.removed)
        return not self._reordered and all(self._after.ignores(rule.path.steps) for rule in (*new, *gone))

    def at(self, pattern: str) -> Covered:
        """What it does to a pattern as statistics write it. One that was cut, or stands for several, may be covered."""
        found = self._at.get(pattern)
        if found is None:
            found = self._at[pattern] = self._look(pattern)
        return found

    def _look(self, pattern: str) -> Covered:
        steps = steps_of(pattern)
        if steps is None:
            return Covered.NOT if self.nothing else Covered.OTHERWISE
        named = self._reordered or any(self._changed.on(steps))  # asks few rules, and usually says no
        if not named or self._before.on(steps) == self._after.on(steps):
            return Covered.NOT
        return Covered.IGNORED if self._after.ignores(steps) else Covered.OTHERWISE


def _beyond(marks: Iterable[RuleMark], others: Iterable[RuleMark]) -> tuple[RuleMark, ...]:
    """Those whose effect the others do not have, each as often as it is missing there."""
    there = Counter(mark.named.effect for mark in others)
    beyond = []
    for mark in sorted(marks):
        if there[mark.named.effect]:
            there[mark.named.effect] -= 1
        else:
            beyond.append(mark)
    return tuple(beyond)


def _order(marks: Iterable[RuleMark], left_out: Iterable[RuleMark]) -> dict[tuple[str, str], list[Effect]]:
    """Which of several rules of one type and path wins, those apart that came or went."""
    out = set(left_out)
    by_place: defaultdict[tuple[str, str], list[Named]] = defaultdict(list)
    for rule in (mark.named for mark in marks if mark not in out):
        by_place[rule.group, str(rule.path)].append(rule)
    return {
        place: [rule.effect for rule in sorted(rules, key=lambda rule: rule.order)] for place, rules in by_place.items()
    }
