"""What holds for any two messages and any rules: ignoring only takes out what it covers, and shortcuts change nothing."""

from __future__ import annotations

import random
from unittest import mock

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mirror.core.compare import CompareOptions, Comparer, Lists, compare, compiler
from mirror.core.path import AnyElement, AnyName, AnySteps, Field, Index, Key, PathPattern, PatternStep, render
from mirror.core.rules import Ignore, MethodRules, Presence, Scope, Tolerance, UnorderedList, ValueClass
from tests.core.compare.strategies import pairs

POSITIONS = CompareOptions(lists=Lists.LIST, differences_max=1_000_000)
NAMES = ("one_int32", "all_int32", "kid", "kids", "by_text", "any", "nope", "150")


def pattern(path, draw: random.Random) -> PathPattern:
    """One that names the path or something above it, with wildcards here and there."""
    steps: list[PatternStep] = [Field("response")]
    for step in path[1 : draw.randint(1, len(path))]:
        wild = AnyElement() if isinstance(step, Index | Key) else AnyName()
        steps.append(draw.choice([step, step, step, wild, AnySteps()]))
    if draw.random() < 0.2:
        steps.append(Field(draw.choice(NAMES)))
    return PathPattern(tuple(steps))


def told(result):
    """All that a result says, in words."""
    rows = [(render(d.path), d.kind, repr(d.left), repr(d.right), d.rule, d.note) for d in result.report]
    return rows, result.count, result.ignored_count


@given(pairs(), st.randoms(use_true_random=False))
@settings(max_examples=600)
def test_ignoring_takes_out_what_lies_at_or_below_its_path_and_counts_it(pair, draw):
    bare = compare(*pair, options=POSITIONS).differences
    assume(bare)
    ignored = [pattern(draw.choice(bare).path, draw) for _ in range(draw.randint(1, 3))]
    rules = MethodRules(Ignore(scope=Scope(path=path), id=f"r{n}") for n, path in enumerate(ignored))
    result = compare(*pair, rules, options=POSITIONS)
    rest = [d for d in bare if not any(path.covers(d.path) for path in ignored)]
    assert [(d.path, d.kind) for d in result.differences] == [(d.path, d.kind) for d in rest]
    assert (result.ignored_count > 0) == (len(rest) < len(bare))


@given(pairs(), st.randoms(use_true_random=False))
@settings(max_examples=600)
def test_leaving_out_rules_that_meet_nothing_and_not_asking_equality_change_nothing(pair, draw):
    bare = compare(*pair).report
    assume(bare)
    makers = (
        Ignore,
        lambda **own: Tolerance(**own, absolute=1),
        UnorderedList,
        Presence,
        lambda **own: ValueClass(**own, name="non_empty"),
    )
    made = [
        draw.choice(makers)(scope=Scope(path=pattern(draw.choice(bare).path, draw)), id=f"r{n}")
        for n in range(draw.randint(1, 5))
    ]
    expected = Comparer(MethodRules(made)).compare(*pair)
    with mock.patch.multiple(compiler, meets_message=lambda *_: True, meets_field=lambda *_: True):
        assert told(Comparer(MethodRules(made)).compare(*pair)) == told(expected)
    careful = Comparer(MethodRules(made))
    found = careful.run(
        lambda walk: walk.flooded(*pair, (Field("response"),), careful.rules.walk((Field("response"),)))
    )
    assert (found.count, found.ignored_count) == (expected.count, expected.ignored_count)
