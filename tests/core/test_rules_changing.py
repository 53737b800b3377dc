"""What a change of rules covers: which patterns are judged otherwise, and when signatures may be counted anew."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.path import Field, PathPattern, pattern_of
from mirror.core.rules import (
    Covered,
    Ignore,
    KeyedList,
    MethodRules,
    Rule,
    RuleChange,
    RuleMark,
    Scope,
    Tolerance,
    UnorderedList,
)

A, B, UNTOUCHED = Covered.IGNORED, Covered.OTHERWISE, Covered.NOT


def ignore(path: str, **more) -> Ignore:
    return Ignore(scope=scope(path, more), id=f"ignore {path}", **more)


def tolerance(path: str, absolute: float = 0.1, **more) -> Tolerance:
    return Tolerance(scope=scope(path, more), id=f"tolerance {path}", absolute=absolute, **more)


def scope(path: str, more: dict) -> Scope:
    return Scope(PathPattern.parse(path), methods=more.pop("methods", ()), runs=more.pop("runs", ()))


def unordered(path: str) -> UnorderedList:
    return UnorderedList(scope=scope(path, {}), id=f"unordered {path}")


def change(before: tuple[Rule, ...], after: tuple[Rule, ...]) -> RuleChange:
    return RuleChange(map(RuleMark.of, before), map(RuleMark.of, after))


TOTAL, ALL = tolerance("response.total"), tolerance("response.**", 0.5)


@pytest.mark.parametrize(
    ("before", "after", "pattern", "expected", "why"),
    [
        ((), (ignore("response.a"),), "response.a", A, "the path itself"),
        ((), (ignore("response.a"),), "response.a.b[*].c", A, "and all below it"),
        ((), (ignore("response.a"),), "response", UNTOUCHED, "not what stands above"),
        ((), (ignore("response.a"),), "response.ab", UNTOUCHED, "nor beside it"),
        ((ignore("response.a"),), (), "response.a", B, "a rule that went is a change too"),
        ((), (TOTAL,), "response.total", B, "a tolerance is one without ignoring"),
        ((TOTAL,), (tolerance("response.total", 0.2),), "response.total", B, "another figure is another rule"),
        ((), (ignore("response.items[2].id"),), "response.items[*].id", B, "only some elements"),
        ((), (ignore("response.items[*].id"),), "response.items[*].id", A, "all elements"),
        ((), (ignore('response.labels["env"]'),), "response.labels[*]", B, "one key of a map"),
        ((), (ignore("response.**.id"),), "response.a.b.id", A, "at any depth"),
        ((), (ignore("response.*.id"),), "response.a.b.id", UNTOUCHED, "at one depth only"),
        ((), (ignore('trailing_metadata["k"]'),), 'trailing_metadata["k"]', A, "keys of metadata are names"),
        ((), (ignore('trailing_metadata["k"]'),), 'trailing_metadata["j"]', UNTOUCHED, "and told apart"),
        ((), (tolerance("response.sizes"),), "response.sizes[*]", B, "at a list it is for the values in it"),
        ((), (tolerance("response.discount"),), "response.discount.value", B, "and at a wrapper"),
        ((), (tolerance("response.a"),), "response.a.b", UNTOUCHED, "but not for what is below a message"),
        ((ALL,), (tolerance("response.**", 0.6),), "response.total", B, "a wide rule covers what is in it"),
        ((ALL, TOTAL), (tolerance("response.**", 0.6), TOTAL), "response.total", UNTOUCHED, "the narrower one rules"),
        ((ALL, TOTAL), (ALL,), "response.total", B, "which matters when it goes"),
        (
            (ignore("response.a"), tolerance("response.a.b")),
            (ignore("response.a"),),
            "response.a.b",
            UNTOUCHED,
            "below an ignore no other rule matters",
        ),
        ((ignore("response.a.b"),), (ignore("response.a"),), "response.a.b", UNTOUCHED, "ignored before and after"),
        ((ignore("response.a.b"),), (ignore("response.a"),), "response.a.c", A, "what the wider one adds"),
        (
            (),
            (UnorderedList(scope=Scope(PathPattern.parse("response.items")), id="u"),),
            "response.items[*].price",
            B,
            "how elements find each other is for all in the list",
        ),
        ((), (ignore("response.a"),), "response.…#0123", B, "a name that was cut may be covered"),
        ((), (), "response.…#0123", UNTOUCHED, "unless nothing changed"),
    ],
)
def test_a_change_covers(before, after, pattern, expected, why):
    assert change(before, after).at(pattern) is expected, why


@pytest.mark.parametrize(
    ("before", "after", "expected", "why"),
    [
        ((), (ignore("response.a"),), True, "an ignore came"),
        ((ignore("response.a"),), (), False, "an ignore went: differences under it were not kept"),
        ((), (TOTAL,), False, "what it allows depends on values"),
        ((TOTAL,), (TOTAL, ignore("response.a")), True, "other rules stay"),
        ((TOTAL,), (tolerance("response.total", 0.2), ignore("response.a")), False, "one beside it changed"),
        ((ignore("response.a.b"),), (ignore("response.a"),), True, "a wider ignore in the place of a narrow one"),
        ((ignore("response.a"),), (ignore("response.a.b"),), False, "a narrower in the place of a wide one"),
        ((tolerance("response.a.b"),), (ignore("response.a"),), True, "an ignore in the place of what is below it"),
        ((tolerance("response.a.**"),), (ignore("response.a"),), True, "also with wildcards"),
        ((tolerance("response.**.b"),), (ignore("response.a"),), False, "which name more than is ignored"),
        ((tolerance("response.*"),), (ignore("response.**"),), True, "any name is below any steps"),
        ((ignore("response.items[1]"),), (ignore("response.items[*]"),), True, "an index is an element"),
    ],
)
def test_signatures_may_be_counted_anew_where_only_more_is_ignored(before, after, expected, why):
    assert change(before, after).ignores_more is expected, why


def test_papers_and_scope_are_no_change_where_the_rule_applies_as_before():
    before = tolerance("response.total")
    for after in (
        tolerance("response.total", reason="new", owner="me", link="x", expires=date(2030, 1, 1)),
        tolerance("response.total", methods=("shop.v1.*",)),
        tolerance("response.total", runs=("r",)),
    ):
        assert change((before,), (after,)).nothing
        assert change((before,), (after,)).at("response.total") == UNTOUCHED


def test_a_scope_that_makes_another_rule_win_is_a_change():
    wide, narrow = tolerance("response.a", 0.1), tolerance("response.a", 0.2, methods=("x.Y/*",))
    narrowed, widened = tolerance("response.a", 0.1, methods=("x.Y/*",)), tolerance("response.a", 0.2)
    found = change((wide, narrow), (narrowed, widened))
    assert not found.nothing
    assert not found.ignores_more
    assert found.at("response.a") is Covered.OTHERWISE


def test_what_came_and_went_is_named():
    stays, went, came = (
        ignore("response.s"),
        tolerance("response.a"),
        KeyedList(scope=Scope(PathPattern.parse("response.l")), id="k", by=("sku",)),
    )
    found = change((stays, went), (came, stays))
    assert [mark.id for mark in found.removed] == ["tolerance response.a"]
    assert [mark.id for mark in found.added] == ["k"]
    assert found.added[0].named.type == "keyed"


STEPS = st.sampled_from(["a", "b", "a[*]", "a[1]", 'a["k"]', "*", "**"])
RULES = st.builds(
    lambda steps, make: make(".".join(["response", *steps])),
    st.lists(STEPS, min_size=1, max_size=3),
    st.sampled_from([ignore, lambda p: tolerance(p, 0.1), lambda p: tolerance(p, 0.2), unordered]),
)
SETS = st.lists(RULES, max_size=3).map(tuple)
CONCRETE = st.lists(st.sampled_from(["a", "b", "a[0]", "a[1]", 'a["k"]', 'a["l"]']), min_size=1, max_size=3)


@given(before=SETS, after=SETS, steps=CONCRETE)
def test_what_is_not_covered_is_judged_by_the_same_rules(before, after, steps):
    """As the comparer finds them along a concrete path; and what is said to be ignored is."""
    path = PathPattern.parse(".".join(["response", *steps])).steps
    covered = change(before, after).at(pattern_of(path))
    if covered is Covered.NOT:
        assert applying(before, path) == applying(after, path)
    if covered is Covered.IGNORED:
        assert MethodRules(after).ignoring(path)


@given(before=SETS, after=SETS, steps=CONCRETE)
def test_where_only_more_is_ignored_nothing_else_is_judged_otherwise(before, after, steps):
    path = PathPattern.parse(".".join(["response", *steps])).steps
    if change(before, after).ignores_more and not MethodRules(after).ignoring(path):
        assert applying(before, path) == applying(after, path)


def applying(rules: tuple[Rule, ...], path) -> object:
    """What the comparer does at the path: the effects of the rules there, and of those above that are for lists."""
    here = MethodRules(sorted(rules, key=lambda rule: RuleMark.of(rule).named.order))
    if here.ignoring(path):
        return "ignored"
    above = [here.walk(path[:n]).rules for n in range(1, len(path))]
    lists = [{effect(rule) for rule in at if rule.type == "unordered"} for at in above]
    inherited = above[-1] if not isinstance(path[-1], Field) else ()
    values = {effect(rule) for rule in (*here.at(path), *inherited) if rule.type != "ignore"}
    return lists, values


def effect(rule: Rule) -> str:
    return RuleMark.of(rule).named.effect
