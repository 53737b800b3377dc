"""Figures as people read them."""

import math

import pytest

from mirror.core.run_facts import MethodFacts, MinuteFacts
from mirror.serve import chart, words


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0, "0%"),
        (0.38, "38%"),
        (0.042, "4.2%"),
        (0.0012, "0.12%"),
        (0.00003877, "0.0039%"),
        (1, "100%"),
        (-0.02, "-2.0%"),
        (math.nan, "-"),
        (None, "-"),
    ],
)
def test_rates_have_the_places_that_say_something(rate, text):
    assert words.percent(rate) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7_500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
        (None, "-"),
        (math.inf, "never at this rate"),
    ],
)
def test_spans_have_two_units(seconds, text):
    assert words.span(seconds) == text


@pytest.mark.parametrize(("at", "text"), [(100, "just now"), (60, "40 s ago"), (0, "-"), (None, "-")])
def test_how_long_ago(at, text):
    assert words.ago(at, 100) == text


def test_counted_reasons_become_words():
    assert words.reason("incomparable.client_ended") == "incomparable (client ended)"
    assert words.reason("late") == "late"


def _method(*minutes):
    return MethodFacts(method="m", minutes=tuple(MinuteFacts(*one) for one in minutes))


def test_a_chart_adds_up_methods_and_keeps_empty_minutes():
    made = chart.minutes([_method((10, 100, 1, 0), (12, 50, 0, 0)), _method((10, 100, 0, 3))])
    assert [bool(column.triples) for column in made.columns] == [True, False, True]
    assert "200 triples, only the candidate differs in 1, only the secondary in 3" in made.columns[0].text
    assert made.columns[0].raw >= 1  # one wrong call in 200 is seen


def test_a_long_run_has_a_bounded_chart():
    made = chart.minutes([_method((1, 5, 0, 0), (100_000, 5, 0, 0))])
    assert len(made.columns) <= chart.COLUMNS_MAX


def test_a_run_without_closed_minutes_has_no_chart():
    assert chart.minutes([_method()]).columns == ()
