"""Paths and patterns: text and back, what a pattern matches, and what is no pattern."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core import path as path_module
from mirror.core.path import (
    STEPS_MAX,
    AnyElement,
    AnyName,
    AnySteps,
    Field,
    Index,
    Key,
    PathPattern,
    PathSyntaxError,
    Typed,
    generalise,
    pattern_of,
    render,
)
from tests.core.paths import naively_matches, paths, patterns


def written(text: str) -> tuple:
    return PathPattern.parse(text).steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("response", (Field("response"),)),
        ("response.items[2].price", (Field("response"), Field("items"), Index(2), Field("price"))),
        ("response.items[*]", (Field("response"), Field("items"), AnyElement())),
        ('response.labels["a.b]"]', (Field("response"), Field("labels"), Key("a.b]"))),
        ('response.labels["\\"\\u00e9"]', (Field("response"), Field("labels"), Key('"é'))),
        ("response.flags[true][-3]", (Field("response"), Field("flags"), Key(True), Key(-3))),
        ("response.payload.(pkg.v1.T).x", (Field("response"), Field("payload"), Typed("pkg.v1.T"), Field("x"))),
        ("response.240[0]", (Field("response"), Field("240"), Index(0))),
        ("**.id", (AnySteps(), Field("id"))),
        ("response.*.id", (Field("response"), AnyName(), Field("id"))),
    ],
)
def test_grammar(text, steps):
    """Each form of a step, as its docstring writes it."""
    assert written(text) == steps
    assert str(PathPattern(steps)) == text.replace("\\u00e9", "é")


@given(patterns)
def test_what_is_rendered_parses_to_the_same(pattern):
    """A non-negative integer key is written like an index: the one thing that text does not tell apart."""
    as_index = tuple(
        Index(step.key) if isinstance(step, Key) and type(step.key) is int and step.key >= 0 else step
        for step in pattern.steps
    )
    assert written(str(pattern)) == as_index


@given(patterns, paths)
def test_matches_is_what_a_regular_expression_says(pattern, path):
    """Two implementations, one meaning."""
    assert pattern.matches(path) == naively_matches(pattern, path)


@given(patterns, paths)
def test_covers_is_matching_the_path_or_something_above_it(pattern, path):
    """The subtree of a match is covered."""
    above = [path[:length] for length in range(1, len(path) + 1)]
    assert pattern.covers(path) == any(naively_matches(pattern, prefix) for prefix in above)


@given(paths)
def test_a_path_is_matched_by_its_own_generalisation(path):
    """Indices and keys become wildcards, and the text of it parses again."""
    assert PathPattern(generalise(path)).matches(path)
    assert PathPattern.parse(pattern_of(path)).matches(path)


def test_keys_of_metadata_stay_in_the_pattern():
    """They are names that programmers chose, not data."""
    path = (Field("trailing_metadata"), Key("x-cost"), Index(0))
    assert pattern_of(path) == 'trailing_metadata["x-cost"][*]'


def test_true_is_not_one():
    """Python holds them equal; as keys of maps they are two."""
    assert not PathPattern.parse("m[true]").matches((Field("m"), Key(1)))
    assert not PathPattern.parse("m[1]").matches((Field("m"), Key(True)))
    assert not PathPattern.parse("m[0]").matches((Field("m"), Key(False)))
    assert PathPattern.parse("m[1]").matches((Field("m"), Key(1)))


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("", 1, "an empty path"),
        (".a", 1, "starts with a name"),
        ("[0]", 1, "starts with a name"),
        ("a..b", 2, "not a field name"),
        ("a.", 2, "not a field name"),
        ("a b", 2, "not a field name"),
        ("a(pkg.T)", 2, "a '.' is missing"),
        ("a[0]b", 5, "a '.' is missing"),
        ("a**", 2, "a '.' is missing"),
        ("a[x]", 2, "not a field name"),
        ("a[", 2, "not a field name"),
        ("a['k']", 2, "not a field name"),
        ('a["\\x"]', 2, "a key is a JSON string"),
        ("a[\u0663]", 2, "not a field name"),
        ("ä", 1, "not a field name"),
        ("a[" + "9" * 5000 + "]", 2, "not a field name"),
        (".".join("a" * (STEPS_MAX + 1)), 2 * STEPS_MAX + 1, "more than"),
    ],
)
def test_bad_syntax_has_the_column_of_the_first_wrong_character(text, column, problem):
    """Counted from 1."""
    with pytest.raises(PathSyntaxError, match=problem) as caught:
        PathPattern.parse(text)
    assert caught.value.column == column


@given(st.text(alphabet='ab.[]*()"\\-0 1', max_size=20))
def test_any_text_is_a_pattern_or_a_syntax_error(text):
    """And a pattern's text parses to itself."""
    try:
        pattern = PathPattern.parse(text)
    except PathSyntaxError as error:
        column = error.column
    else:
        column = 1
        assert PathPattern.parse(render(pattern.steps)) == pattern
    assert 1 <= column <= len(text) + 1


def test_many_deep_wildcards_do_not_blow_up():
    """Backtracking would take years; positions side by side take a moment (the suite's timeout is the limit)."""
    pattern = PathPattern.parse("**.a." * 20 + "b")
    assert not pattern.matches((Field("a"),) * 100)


def test_long_keys_are_not_remembered():
    """A key is data: holding on to as many megabytes as a caller likes would be a leak."""
    before = path_module._remembered.cache_info().currsize
    for n in range(20):
        assert pattern_of((Field("response"), Field("m"), Key("k" * 300 + str(n)))) == "response.m[*]"
    assert path_module._remembered.cache_info().currsize == before
