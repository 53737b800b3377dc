"""Which rules apply where: the automaton against asking each pattern, scopes, who wins, digests."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.path import AnyElement, Field, Index, Key, PathPattern
from mirror.core.rules import (
    Ignore,
    KeyedList,
    MethodRules,
    RuleSet,
    Scope,
    TimeWindow,
    Tolerance,
    UnorderedList,
    ValueClass,
    default_id,
)
from mirror.core.rules.match import STEPS_MAX
from tests.core.paths import naively_matches, paths, patterns

METHOD = "shop.v1.Shop/Quote"


def ignore(path, **scope):
    where = Scope(path=path if isinstance(path, PathPattern) else PathPattern.parse(path), **scope)
    return Ignore(scope=where, id=default_id("ignore", where))


def tolerance(path, absolute=0.1, **scope):
    where = Scope(path=PathPattern.parse(path), **scope)
    return Tolerance(scope=where, id=default_id("tolerance", where), absolute=absolute)


def concrete(text):
    return PathPattern.parse(text).steps


@given(st.lists(patterns, max_size=6), paths)
def test_a_place_knows_the_rules_that_match_its_path(patterns, path):
    """Applying and overruled together are all whose pattern matches, and no others."""
    rules = MethodRules([Ignore(scope=Scope(path=pattern), id=str(n)) for n, pattern in enumerate(patterns)])
    place = rules.walk(path)
    found = {rule.id for rule in (*place.rules, *place.overruled)}
    assert found == {str(n) for n, pattern in enumerate(patterns) if naively_matches(pattern, path)}


@given(st.lists(patterns, min_size=1, max_size=4), paths, st.integers(0, 6))
def test_an_untouched_subtree_has_no_rules(patterns, path, length):
    """Where `touches` says no above a path, nothing applies to it: `==` may decide for the subtree."""
    rules = MethodRules([Ignore(scope=Scope(path=pattern), id=str(n)) for n, pattern in enumerate(patterns)])
    if rules.at(path):
        assert rules.touches(path[:length])


@given(st.lists(patterns, min_size=1, max_size=4), paths)
def test_ignoring_is_covering(patterns, path):
    """A rule that ignores the path or something above it."""
    rules = MethodRules([Ignore(scope=Scope(path=pattern), id=str(n)) for n, pattern in enumerate(patterns)])
    assert (rules.ignoring(path) is not None) == any(pattern.covers(path) for pattern in patterns)


def test_touches_takes_patterns_too():
    """A wildcard in the prefix means: wherever it may lead."""
    rules = MethodRules([ignore("response.items[2].price"), ignore("response.**.id")])
    assert rules.touches((Field("response"), Field("items"), AnyElement(), Field("price")))
    assert rules.touches(concrete("response.anything.below"))
    assert not rules.touches(concrete("status"))
    assert not MethodRules([]).touches(())


def test_the_narrowest_rule_of_a_type_applies():
    """Fewer wildcards first; of the same path the one that names methods; the others are overruled."""
    wide, middle, narrow = tolerance("response.**"), tolerance("response.*"), tolerance("response.total")
    scoped = tolerance("response.total", methods=(METHOD,))
    rules = MethodRules([wide, narrow, middle, scoped])
    place = rules.walk(concrete("response.total"))
    assert place.rules == (scoped,)
    assert place.overruled == (narrow, middle, wide)
    assert rules.find(Tolerance, concrete("response.other")) is middle
    assert rules.find(Ignore, concrete("response.total")) is None


def test_rules_of_different_types_apply_side_by_side():
    """But a list is matched in one way only."""
    where = Scope(path=PathPattern.parse("response.items"))
    wide = Scope(path=PathPattern.parse("response.*"))
    keyed = KeyedList(scope=where, id="k", by=("sku",))
    unordered = UnorderedList(scope=wide, id="u")
    value_class = ValueClass(scope=where, id="v", name="non_empty")
    found = MethodRules([unordered, value_class, keyed]).at(concrete("response.items"))
    assert set(found) == {keyed, value_class}


def test_elements_share_a_place_unless_a_rule_tells_them_apart():
    """So a long list costs one look-up."""
    alike = MethodRules([ignore("response.items[*].price")]).walk(concrete("response.items"))
    assert alike.step(Index(0)) is alike.step(Index(7))
    apart = MethodRules([ignore("response.items[7].price")]).walk(concrete("response.items"))
    assert not apart.step(Index(0)).touched
    assert apart.step(Index(7)).touched


@pytest.mark.parametrize(
    ("runs", "methods", "included"),
    [
        ((), (), True),
        (("a",), (), True),
        (("b",), (), False),
        ((), ("shop.v1.Shop/*",), True),
        ((), ("shop.v1.Shop/Q*", "x.Y/Z"), True),
        ((), ("shop.v1.Shop/Get*",), False),
        ((), ("SHOP.v1.Shop/*",), False),
        (("a", "b"), (METHOD,), True),
    ],
)
def test_scope(runs, methods, included):
    """Empty means all; methods are globs, case counts."""
    scope = Scope(path=PathPattern.parse("response"), runs=runs, methods=methods)
    assert scope.includes("a", METHOD) is included


def test_methods_with_the_same_rules_share_them():
    """Plans compiled for one serve the other."""
    rules = RuleSet((ignore("response.a"), ignore("response.b", methods=("x.Y/*",))))
    assert rules.for_method("r", METHOD) is rules.for_method("r", METHOD)
    assert rules.for_method("r", METHOD) is rules.for_method("other", "z.Z/Z")
    assert len(rules.for_method("r", "x.Y/Z").rules) == 2


def test_names_from_the_net_do_not_grow_the_set():
    """Method names come with captures: memory is bounded."""
    rules = RuleSet((ignore("response.a"),))
    first = rules.for_method("r", METHOD)
    for number in range(5000):
        rules.for_method("r", f"x.Y/M{number}")
    assert len(rules._methods) <= 4096
    assert rules.for_method("r", METHOD) is first


def test_keys_of_maps_do_not_grow_the_automaton():
    """Keys come with payloads: where patterns do not tell them apart they are one step."""
    place = MethodRules([ignore("response.labels[*].x")]).walk(concrete("response.labels"))
    for number in range(100):
        place.step(concrete(f'm["{number}"]')[1])
    assert len(place._next) == 1


def test_keys_that_patterns_tell_apart_do_not_drive_out_places():
    """Plans are kept by place: one that is made anew at each asking would have its plan compiled each time."""
    rules = MethodRules([ignore('response.labels["env"].x'), ignore("response.a.b")])
    labels = rules.walk(concrete("response.labels"))
    for number in range(STEPS_MAX + 10):
        labels.step(Key(str(number)))
    assert rules.walk(concrete("response.a.b")) is rules.walk(concrete("response.a.b"))


def test_a_digest_follows_meaning_not_papers():
    """A new reason or expiry restarts nothing; a new tolerance, scope or rule does, and only where it applies."""
    where = Scope(path=PathPattern.parse("response.total"), methods=(METHOD,))

    def digest(method=METHOD, **change):
        fields = {"scope": where, "id": "t", "absolute": 0.1} | change
        return RuleSet((Tolerance(**fields),)).digest("r", method)

    assert digest() == digest(reason="new", owner="me", link="x", expires=date(2030, 1, 1), id="other")
    assert digest() != digest(absolute=0.2)
    assert digest() != digest(method="x.Y/Z")
    assert digest(method="x.Y/Z") == digest(method="x.Y/Z", absolute=0.2)


def test_a_digest_does_not_depend_on_order():
    """Moving a rule in the file changes nothing."""
    rules = (ignore("response.a"), tolerance("response.b"))
    assert RuleSet(rules).digest("r", METHOD) == RuleSet(rules[::-1]).digest("r", METHOD)


def test_a_rule_applies_through_its_last_day():
    """Then it is left out of the rules in force, and named as expired."""
    where = Scope(path=PathPattern.parse("response.at"))
    rule = TimeWindow(scope=where, id="t", within_s=5.0, expires=date(2030, 1, 31))
    rules = RuleSet((rule, ignore("response.x")))
    assert rules.in_force(date(2030, 1, 31)) is rules
    assert rules.in_force(date(2030, 2, 1)).rules == rules.rules[1:]
    assert rules.expired(date(2030, 2, 1)) == (rule,)


def test_ids_name_type_path_and_scope():
    """Stable, and different for rules that may stand side by side."""
    path = PathPattern.parse("response.total")
    assert default_id("tolerance", Scope(path=path)) == "tolerance response.total"
    named = default_id("tolerance", Scope(path=path, runs=("b", "a"), methods=("x.Y/*",)))
    assert named == "tolerance response.total in x.Y/* of run a,b"
