"""Replacements by regular expression: what becomes of a text, what is refused at the start, and where they give up."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.rules import PatternError, Replacement
from mirror.core.rules.replacing import MATCHES_MAX, PATTERN_MAX, TEXT_MAX_BYTES, replaced


def after(text, *pairs):
    return replaced(text, tuple(Replacement(pattern, by) for pattern, by in pairs), lambda _steps: None)


@pytest.mark.parametrize(
    ("text", "pairs", "expected"),
    [
        ("ref=a1 ref=b2", [("ref=[0-9a-f]+", "ref=")], "ref= ref="),
        ("2026-01-31", [(r"(\d+)-(\d+)-(\d+)", r"\3.\2.\1")], "31.01.2026"),
        ("ab", [("a", r"[\0]")], "[a]b"),
        ("ab", [("a(x)?", r"<\1>")], "<>b"),
        ("ab", [("a", r"\\1")], r"\1b"),
        ("abc", [("a", "b"), ("b", "c")], "ccc"),
        ("grün", [("ü", "ue")], "gruen"),
        ("Ab", [("(?i)a", "x")], "xb"),
        ("b", [("a*", "-")], "-b-"),
        ("nothing", [("x", "y")], "nothing"),
        ("", [("^$", "empty")], "empty"),
    ],
)
def test_each_match_becomes_what_is_said(text, pairs, expected):
    assert after(text, *pairs) == expected


@pytest.mark.parametrize(
    ("pattern", "by", "said"),
    [
        ("", "", "the pattern is empty"),
        ("(a", "", "not a regular expression of RE2: missing ): (a"),
        ("(?=a)", "", "not a regular expression of RE2: invalid perl operator: (?="),
        (r"(a)\1", "", r"not a regular expression of RE2: invalid escape sequence: \1"),
        ("a" * (PATTERN_MAX + 1), "", f"the pattern is longer than {PATTERN_MAX} characters"),
        ("[ab]{1000}[ab]{1000}", "", "the pattern is too large once its repetitions are written out"),
        (r"\pL{500}", "", "not a regular expression of RE2: pattern too large"),
        ("a", r"\1", r"\1 in its replacement: the pattern has no group"),
        ("(a)", r"\2", r"\2 in its replacement: the pattern has 1 group"),
        ("a", r"\n", r"a lone \ in its replacement; say \\ for one, \1 for the first group, \0 for the match"),
        ("\ud800", "", "the pattern is not text in UTF-8"),
        ("a", "\ud800", "its replacement is not text in UTF-8"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(pattern, by, said):
    with pytest.raises(PatternError, match=re.escape(said)):
        Replacement(pattern, by)


def test_no_text_can_blow_up_a_search():
    """A backtracking engine would not come back from this."""
    assert after("a" * 60_000, ("(a+)+$b|(a|aa)+c", "x")) == "a" * 60_000


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("a" * (TEXT_MAX_BYTES + 1), [("x", "")]),
        ("a" * (MATCHES_MAX + 1), [("a", "")]),
        ("ab" * (MATCHES_MAX // 2 + 1), [("a", ""), ("b", "")]),
        ("a" * 500, [("a", "x" * 1000)]),
        ("a" + "b" * TEXT_MAX_BYTES, [("a", "aa")]),
        ("\ud800", [("a", "")]),
        ("ü", [("x*", "-")]),
    ],
    ids=["long", "many matches", "many matches of two", "grown", "grown at the end", "no UTF-8", "within a character"],
)
def test_beyond_the_limits_there_is_no_result(text, pairs):
    assert after(text, *pairs) is None


def test_at_the_limits_there_is_one():
    assert after("a" * MATCHES_MAX, ("a", "b")) == "b" * MATCHES_MAX
    assert after("a" * TEXT_MAX_BYTES, ("^a", "b")) == "b" + "a" * (TEXT_MAX_BYTES - 1)


UTF8 = st.characters(codec="utf-8")


@given(st.text(UTF8), st.text(UTF8.filter(lambda char: char != "\\"), max_size=5), UTF8)
def test_a_literal_pattern_does_what_replacing_a_text_does(text, by, char):
    assert after(text, (f"\\x{{{ord(char):x}}}", by)) == text.replace(char, by)
