"""What is wrong with rules that are well-formed one by one: unknown runs, overlaps, contradictions, rules in vain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mirror.config.problems import did_you_mean
from mirror.config.source import Loc, Source
from mirror.core.path import AnyElement, AnyName, AnySteps, Field, Key, PathPattern, PatternStep
from mirror.core.rules import Ignore, MethodRules, Rule, Schema, Scope, Status, check_rule

Placed: TypeAlias = tuple[Loc, Rule]  # a rule and where it stands


def together(placed: Sequence[Placed], runs: Sequence[str], source: Source) -> Iterator[tuple[Loc, str]]:
    """Each problem of rules that are well-formed one by one, with the location of what to change."""
    for loc, rule in placed:
        yield from _alone(loc, rule, runs)
    yield from _overlaps(placed, source)
    yield from _in_vain(placed, source)


def _overlaps(placed: Sequence[Placed], source: Source) -> Iterator[tuple[Loc, str]]:
    by_path: dict[PathPattern, list[Placed]] = {}
    by_id: dict[str, Loc] = {}
    for loc, rule in placed:
        taken = by_id.setdefault(rule.id, loc)
        same_path = by_path.setdefault(rule.scope.path, [])
        clashes = [text for at, first in same_path if (text := _clash(first, rule, source.mark(at).line))]
        yield from (((*loc, "path"), text) for text in clashes)
        if not clashes and taken != loc:
            line = source.mark(taken).line
            yield (*loc, "id"), f'the id "{rule.id}" is taken by the rule on line {line}; ids are unique'
        same_path.append((loc, rule))


def _in_vain(placed: Sequence[Placed], source: Source) -> Iterator[tuple[Loc, str]]:
    """Rules below an ignore: all ignores are walked at once, as calls would be."""
    places = {id(rule): loc for loc, rule in placed}
    ignores = MethodRules(rule for _, rule in placed if isinstance(rule, Ignore))
    for loc, rule in placed:
        place, above = ignores.start, list[Rule]()
        for step in rule.scope.path.steps:
            place = place.step(_stand_in(step))
            above += (*place.rules, *place.overruled)
        hiding = next((other for other in above if other is not rule and _hides(other, rule)), None)
        if hiding is not None:
            line = source.mark(places[id(hiding)]).line
            yield (*loc, "path"), f"the rule has no effect: the rule on line {line} ignores {hiding.scope.path}"


def _alone(loc: Loc, rule: Rule, runs: Sequence[str]) -> Iterator[tuple[Loc, str]]:
    status = check_rule(rule, Schema())
    if status.status in {Status.UNKNOWN, Status.MISUSED}:
        yield (*loc, "path"), status.problem
    for position, run in enumerate(rule.scope.runs):
        if run not in runs:
            known = did_you_mean(run, runs) or f"; runs has {', '.join(runs) or 'none'}"
            yield (*loc, "runs", position), f'"{run}" is not in runs{known}'


def _clash(first: Rule, rule: Rule, line: int) -> str:
    """Why two rules on one path cannot stand side by side; empty where they can."""
    if not _share(first.scope, rule.scope):
        return ""
    if first.type == rule.type:
        return f"the rule on line {line} is of the same type on the same path and scope; keep one"
    if {first.type, rule.type} == {"unordered", "keyed"}:
        return f"contradicts the rule on line {line}: a list is either unordered or keyed; keep one"
    return ""


def _share(first: Scope, second: Scope) -> bool:
    """Whether both name a method and a run in the same words; of a wider and a narrower scope the narrower wins."""
    methods = set(first.methods or ("*",)) & set(second.methods or ("*",))
    return bool(methods) and bool(set(first.runs or ("",)) & set(second.runs or ("",)))


def _hides(ignore: Rule, rule: Rule) -> bool:
    """Whether an ignore at or above the rule's path covers all its runs, methods and days."""
    wide, narrow = ignore.scope, rule.scope
    if wide.path == narrow.path and rule.type == "ignore" and _share(wide, narrow):
        return False  # reported as an overlap
    if ignore.expires is not None and (rule.expires is None or rule.expires > ignore.expires):
        return False
    if wide.runs and not (narrow.runs and set(narrow.runs) <= set(wide.runs)):
        return False
    literal = all(name in wide.methods or ("*" not in name and wide.includes_method(name)) for name in narrow.methods)
    return not wide.methods or (bool(narrow.methods) and literal)


@dataclass(frozen=True, slots=True)
class _Any:
    """A step that only `**` matches."""


def _stand_in(step: PatternStep) -> PatternStep:
    """For a wildcard a step that only as wide a wildcard matches."""
    match step:
        case AnyElement():
            return Key("\0")
        case AnyName():
            return Field("\0")
        case AnySteps():
            return _Any()  # type: ignore[return-value]  # of no kind that a narrower wildcard takes
        case _:
            return step
