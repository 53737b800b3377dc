"""From a triple to the votes of labels: which values differ, and in which labels candidate and secondary differ. Pure state.

Everything is taken from the differences of the two pairs: equal values have equal labels, so a pair that matches costs
nothing, and no message is walked again. Where only one shadow differs from the primary, the other has the primary's value.

A path is watched from the first triple on in which the secondary differed there, that is, once noise is seen; till then yes or
no says all. That triple itself does not vote: it would have been chosen for what the secondary did. Of several values at one
path (elements of a list) each call has one vote a label, by which shadow has the label more often.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from mirror.core.compare.values import NS_PER_S
from mirror.core.model import Difference, EpochKey, Kind, Outcome, Role
from mirror.core.path import Path
from mirror.core.rules import MethodRules, TimeWindow, Tolerance
from mirror.core.triples import evidence_of
from mirror.core.values.labels import DISTANCE, Label, labels_of, number_of, slack_of
from mirror.core.values.memory import PathMemory

PATHS_MAX: Final = 512  # watched at once; beyond, the one that differed longest ago is forgotten, and learnt anew
VALUED: Final = frozenset({Kind.VALUE, Kind.MISSING, Kind.ADDED})  # kinds of difference that hold values
Votes: TypeAlias = Mapping[Label, int]  # 1: raw (the candidate's value has it, the secondary's has not), -1: noise
Slack: TypeAlias = Callable[[Path, Any], float]  # how far apart two values at a path may be at least


class ValueWatch:
    """The memories of watched paths. One owner; bounded."""

    def __init__(self, paths_max: int = PATHS_MAX) -> None:
        self._paths: OrderedDict[tuple[EpochKey, str, str], PathMemory] = OrderedDict()
        self._paths_max = paths_max
        self.forgotten = 0  # paths, beyond PATHS_MAX

    def __len__(self) -> int:
        return len(self._paths)

    def look(
        self, epoch: EpochKey, method: str, outcomes: Mapping[Role, Outcome], rules: MethodRules
    ) -> dict[str, Votes]:
        """The votes of one triple by path pattern, none for patterns without one; then its values are remembered.

        `outcomes`: of both shadows.
        """
        candidate, secondary = outcomes[Role.CANDIDATE], outcomes[Role.SECONDARY]
        if not (candidate.differences or secondary.differences):
            return {}
        is_evidence = evidence_of((candidate, secondary))
        ours, theirs = (_valued(one.differences, is_evidence) for one in (candidate, secondary))
        timing = candidate.timing or secondary.timing
        found: dict[str, Votes] = {}
        for pattern in ours.keys() | theirs.keys():
            memory = self._memory(epoch, method, pattern, opens=pattern in theirs)
            if memory is None:
                continue
            past, opened = memory
            values = list(_values(ours.get(pattern, {}), theirs.get(pattern, {})))
            if not opened:
                votes = votes_of(values, past, timing.start_ns if timing else 0, slack_by(rules))
                if votes:
                    found[pattern] = votes
            for _, primary, ours_, theirs_ in values:
                past.learn(primary, (ours_, theirs_))
        return found

    def _memory(self, epoch: EpochKey, method: str, pattern: str, *, opens: bool) -> tuple[PathMemory, bool] | None:
        """The path's memory, and whether it was made now; None: it is not watched."""
        place = epoch, method, pattern
        known = self._paths.get(place)
        if known is not None:
            self._paths.move_to_end(place)
            return known, False
        if not opens:
            return None
        made = self._paths[place] = PathMemory()
        if len(self._paths) > self._paths_max:
            self._paths.popitem(last=False)
            self.forgotten += 1
        return made, True


def votes_of(values: Iterable[tuple[Path, Any, Any, Any]], past: PathMemory, start_ns: int, slack: Slack) -> Votes:
    """The votes of one call at one path pattern.

    `values`: concrete path, the primary's, the candidate's, the secondary's value, each None where not set. `start_ns`: unix
    time at which the primary's call began.
    """
    sums: Counter[Label] = Counter()
    for path, primary, candidate, secondary in values:
        ours, theirs = labels_of(candidate, past, start_ns), labels_of(secondary, past, start_ns)
        if ours != theirs:
            sums.update(ours - theirs)
            sums.subtract(theirs - ours)
        numbers = number_of(primary), number_of(candidate), number_of(secondary)
        if None not in numbers:
            sums[DISTANCE] += _farther(*numbers, slack(path, primary))  # type: ignore[arg-type]  # none is None
    return {label: 1 if n > 0 else -1 for label, n in sums.items() if n}


def slack_by(rules: MethodRules) -> Slack:
    """A rule's tolerance or window at the path, else what `slack_of` says."""

    def slack(path: Path, primary: Any) -> float:
        place = rules.walk(path)
        window, tolerance = place.find(TimeWindow), place.find(Tolerance)
        if window is not None:
            return window.within_s * NS_PER_S
        if tolerance is not None:
            return max(tolerance.absolute, tolerance.relative * abs(number_of(primary) or 0))
        return slack_of(primary)

    return slack


def _farther(primary: float, candidate: float, secondary: float, least: float) -> int:
    """1: the candidate's number is over twice as far from the primary's as the secondary's, and more; -1: the reverse."""
    ours, theirs = abs(candidate - primary), abs(secondary - primary)
    return int(ours > 2 * theirs + least) - int(theirs > 2 * ours + least)


def _valued(
    differences: Iterable[Difference], is_evidence: Callable[[Difference], bool]
) -> dict[str, dict[Path, Difference]]:
    found: dict[str, dict[Path, Difference]] = {}
    for one in differences:
        if one.kind in VALUED and is_evidence(one):
            found.setdefault(one.pattern, {})[one.path] = one
    return found


def _values(ours: Mapping[Path, Difference], theirs: Mapping[Path, Difference]) -> Iterable[tuple[Path, Any, Any, Any]]:
    for path in ours.keys() | theirs.keys():
        one, other = ours.get(path), theirs.get(path)
        primary = one.left if one is not None else other.left if other is not None else None
        yield path, primary, primary if one is None else one.right, primary if other is None else other.right
