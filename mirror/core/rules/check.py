"""Rules held against the schema of a method: does the path exist, and does the rule fit what stands there?

A rule whose path no schema knows yet is pending, never refused: schemas come with the calls. One method's answer says
little about a rule that covers many, so `merge` adds up what the methods, and the schemas of both sides, said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from google.protobuf.descriptor import Descriptor

from mirror.core.rules.fit import misfit, misplaced
from mirror.core.rules.records import Rule
from mirror.core.rules.ruleset import RuleSet
from mirror.core.rules.walk import Schema


class Status(StrEnum):
    """What a schema says of a rule's path, best first."""

    VALID = "valid"
    PENDING = "pending"  # a schema that would tell is not known
    MISUSED = "misused"  # the path exists, but the rule's kind doesn't fit what stands there
    UNKNOWN = "unknown"  # there is no such path


@dataclass(frozen=True, slots=True)
class PathStatus:
    """What came of checking one rule in one method. `problem` says what is wrong and what to do; empty where valid."""

    rule: Rule
    status: Status
    problem: str = ""
    method: str = ""
    depth: int = 0  # steps of an unknown path that do exist


@dataclass(frozen=True, slots=True)
class MethodTypes:
    """What one side's schema says of a method's answers.

    `response` None: no schema yet; `streamed` None: not known whether one answer comes or a stream. `outbound`: the request
    types of the calls that it makes meanwhile, by whom they go to.
    """

    run: str
    method: str
    response: Descriptor | None = None
    streamed: bool | None = None
    outbound: Mapping[str, tuple[Descriptor, ...]] = field(default_factory=dict)


def check_paths(rules: RuleSet, types: MethodTypes) -> list[PathStatus]:
    """The status of each rule in this method's scope, in the order of `MethodRules.rules`."""
    schema = Schema(types.response, types.streamed, types.outbound)
    in_scope = rules.for_method(types.run, types.method).rules
    return [replace(check_rule(rule, schema), method=types.method) for rule in in_scope]


def check_rule(rule: Rule, schema: Schema) -> PathStatus:
    """The status of one rule; under an empty Schema only status, metadata and the path in itself can be wrong."""
    if problem := misplaced(rule):
        return PathStatus(rule, Status.MISUSED, problem)
    found = schema.walk(rule.scope.path.steps)
    if found.problem:
        return PathStatus(rule, Status.UNKNOWN, found.problem, depth=found.depth)
    problems = [misfit(rule, stand, schema) for stand in found.stands]
    if "" in problems:
        return PathStatus(rule, Status.VALID)
    if found.opaque:
        return PathStatus(rule, Status.PENDING, "no schema seen so far tells what stands there")
    return PathStatus(rule, Status.MISUSED, problems[0])


def merge(statuses: Iterable[PathStatus]) -> dict[str, PathStatus]:
    """By rule id the best that any method or schema said: a path is valid if either side has it.

    Of methods that do not know the path, the one that knows most of it speaks.
    """
    order = list(Status)
    best: dict[str, PathStatus] = {}
    for status in statuses:
        known = best.get(status.rule.id)
        if known is None or (order.index(status.status), -status.depth) < (order.index(known.status), -known.depth):
            best[status.rule.id] = status
    return best
