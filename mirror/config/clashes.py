"""What is wrong with rules that are well-formed one by one: unknown runs, overlaps, contradictions, rules in vain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TypeAlias

from mirror.config.problems import did_you_mean
from mirror.config.source import Loc, Source
from mirror.core.path import AnyElement, AnyName, Field, Key, PatternStep
from mirror.core.rules import Ignore, Rule, Schema, Scope, Status, check_rule

Placed: TypeAlias = tuple[Loc, Rule]  # a rule and where it stands


def together(placed: Sequence[Placed], runs: Sequence[str], source: Source) -> Iterator[tuple[Loc, str]]:
    """Each problem of rules that are well-formed one by one, with the location of what to change."""
    for loc, rule in placed:
        yield from _alone(loc, rule, runs)
    for (first_loc, first), (loc, rule) in combinations(placed, 2):
        line = source.mark(first_loc).line
        if problem := _clash(first, rule, line):
            yield (*loc, "path"), problem
        elif first.id == rule.id:
            yield (*loc, "id"), f'the id "{rule.id}" is taken by the rule on line {line}; ids are unique'
    for loc, rule in placed:
        for other_loc, other in placed:
            if other is not rule and isinstance(other, Ignore) and _hides(other, rule):
                line = source.mark(other_loc).line
                yield (*loc, "path"), f"the rule has no effect: the rule on line {line} ignores {other.scope.path}"
                break


def _alone(loc: Loc, rule: Rule, runs: Sequence[str]) -> Iterator[tuple[Loc, str]]:
    status = check_rule(rule, Schema())
    if status.status in {Status.UNKNOWN, Status.MISUSED}:
        yield (*loc, "path"), status.problem
    for position, run in enumerate(rule.scope.runs):
        if run not in runs:
            known = did_you_mean(run, runs) or f"; runs has {', '.join(runs) or 'none'}"
            yield (*loc, "runs", position), f'"{run}" is not in runs{known}'


def _clash(first: Rule, rule: Rule, line: int) -> str:
    """Why two rules cannot stand side by side; empty where they can."""
    if first.scope.path != rule.scope.path or not _share(first.scope, rule.scope):
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


def _hides(ignore: Ignore, rule: Rule) -> bool:
    """Whether `ignore` surely takes away all that `rule` could apply to."""
    wide, narrow = ignore.scope, rule.scope
    if wide.path == narrow.path and rule.type == "ignore" and _share(wide, narrow):
        return False  # reported as an overlap
    if ignore.expires is not None and (rule.expires is None or rule.expires > ignore.expires):
        return False
    if wide.runs and not (narrow.runs and set(narrow.runs) <= set(wide.runs)):
        return False
    literal = all(name in wide.methods or ("*" not in name and wide.includes_method(name)) for name in narrow.methods)
    if wide.methods and not (narrow.methods and literal):
        return False
    return wide.path.covers(tuple(map(_stand_in, narrow.path.steps)))  # type: ignore[arg-type]


def _stand_in(step: PatternStep) -> PatternStep:
    """For a wildcard a step that only as wide a wildcard matches."""
    match step:
        case AnyElement():
            return Key("\0")
        case AnyName():
            return Field("\0")
        case _:
            return step
