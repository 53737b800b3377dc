"""Text rules: two texts that are equal once normalised are excused, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mirror.core.compare import compare
from mirror.core.compare.jsontext import TEXT_MAX
from mirror.core.compare.normalise import same_text
from mirror.core.path import render
from mirror.core.rules import WHITESPACE, NormalisedText
from tests.core.compare.shapes import order, rule, rules

CASE, JSON = {"case": "ignore"}, {"json": True}
TIMES = {"replace": ((r"\d\d:\d\d", "TIME"),)}


def text_rule(**own):
    return rule(NormalisedText, "response.**", **own)


@pytest.mark.parametrize(
    ("own", "left", "right", "same"),
    [
        (CASE, "Straße", "STRASSE", True),
        (CASE, "a b", "A  B", False),
        ({"whitespace": "strip"}, " a b\n", "a b", True),
        ({"whitespace": "strip"}, "a  b", "a b", False),
        ({"whitespace": "collapse"}, " a \t b", "a b\u00a0", True),
        ({"whitespace": "collapse"}, "a b", "ab", False),
        ({"whitespace": "ignore"}, "a b", "ab", True),
        ({"whitespace": "ignore"}, "a b", "aB", False),
        ({"whitespace": "ignore"} | CASE, "a b", "AB", True),
        (TIMES, "at 10:00", "at 11:30", True),
        (TIMES, "at 10:00", "on 11:30", False),
        (TIMES | CASE, "AT 10:00", "at time", True),
        (JSON, '{"a": 1, "b": 2}', '{"b":2.0,"a":1}', True),
        (JSON, "not json", "not  json", False),
        (JSON | {"json_ignore": ("/id",)}, '{"id": 1}', '{"id": 2}', True),
        (JSON | {"replace": (("^while\\(1\\);", ""),)}, "while(1);[1]", "[1.0]", True),
        (CASE, b"ab", b"AB", True),
        (CASE, "ab", b"AB", True),
        (CASE, b"a\xff", b"A\xff", False),
        (JSON, b"[1]", b"[1.0]", True),
        (CASE, 1, 2, False),
        (CASE, None, "a", False),
        (CASE, "a" * TEXT_MAX, "A" * TEXT_MAX, True),
        (CASE, "a" * (TEXT_MAX + 1), "A" * (TEXT_MAX + 1), False),
    ],
)
def test_same_once_normalised(own, left, right, same):
    assert same_text(text_rule(**own), left, right) is same
    assert same_text(text_rule(**own), right, left) is same


RULES = st.builds(
    text_rule,
    case=st.sampled_from(["", "ignore"]),
    whitespace=st.sampled_from(["", *WHITESPACE]),
    replace=st.lists(st.sampled_from([("a*", "-"), ("[0-9]+", r"<\0>"), (r"(?i)b(.)", r"\1")])).map(tuple),
    json=st.booleans(),
)
TEXTS = st.text() | st.binary() | st.sampled_from(["[1, 2]", '{"a": "aB1"}', "ü", "\ud800", "\x00"])


@given(RULES, TEXTS, TEXTS)
@example(text_rule(case="ignore"), "\ud800", "\udfff")
def test_no_text_raises_and_the_sides_are_exchangeable(own, left, right):
    assert same_text(own, left, right) is same_text(own, right, left)


@given(st.sampled_from([CASE, *({"whitespace": name} for name in WHITESPACE)]), st.text())
def test_a_text_is_the_same_as_itself(own, text):
    assert same_text(text_rule(**own), text, text)


def test_the_difference_is_counted_under_the_narrowest_rule():
    wide, narrow = text_rule(case="ignore"), rule(NormalisedText, "response.id", whitespace="ignore")
    found = compare(order('id: "a b" cash: "x"'), order('id: "ab" cash: "X"'), rules(wide, narrow))
    assert found.count == 0
    assert [render(d.path) for d in found.ignored] == ["response.id", "response.cash"]
    case = compare(order('id: "a"'), order('id: "A"'), rules(wide, narrow))
    assert [render(d.path) for d in case.differences] == ["response.id"]


def test_bytes_map_values_and_elements_by_their_own_path():
    made = rule(NormalisedText, "response.**", case="ignore")
    left = 'blob: "a" labels {key: "k" value: "a"} main {tags: "a"}'
    found = compare(order(left), order(left.replace('"a"', '"A"')), rules(made))
    assert [render(d.path) for d in found.ignored] == [
        "response.main.tags[0]",
        'response.labels["k"]',
        "response.blob",
    ]
    assert found.count == 0
