"""What a change of one method's rules covers, and what may be kept of what was counted before. Pure.

A hypothesis starts anew where the rules that apply at its pattern, or above it, judge otherwise than before. The bound on
unexplained pairs is made of signatures, sets of patterns in which pairs differed. Where nothing but further ignoring
came, what is ignored now can be taken out of them. Any other change may have hidden or shown differences of which no
signature tells: then the bound starts anew.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from mirror.core.rules.bearing import Bearing, Effect, Named, RuleMark, steps_of


@dataclass(frozen=True, slots=True)
class Covered:
    """What a change does to one pattern. `ignored`, under the new rules: False no, True all of it, None cannot be told."""

    changed: bool
    ignored: bool | None


class RuleChange:
    """From the rules `before` to those `after`, both of one method. What does not change what a rule does is no change."""

    def __init__(self, before: Iterable[RuleMark], after: Iterable[RuleMark]) -> None:
        before, after = tuple(before), tuple(after)
        self.added = _beyond(after, before)
        self.removed = _beyond(before, after)
        self._before, self._after = Bearing(before), Bearing(after)
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
        steps = steps_of(pattern)
        if steps is None:
            return Covered(not self.nothing, None)
        return Covered(self._before.on(steps) != self._after.on(steps), self._after.ignores(steps))


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
