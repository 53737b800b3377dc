"""What reads as an unset field does."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.compare.presence import is_default
from tests.core.compare.shapes import order


@pytest.mark.parametrize(
    ("value", "default", "expected"),
    [
        (0, 0, True),
        (1, 0, False),
        (0.0, 0.0, True),
        (-0.0, 0.0, True),
        (math.nan, 0.0, False),
        (math.nan, math.nan, True),
        (False, False, True),
        (True, False, False),
        ("", "", True),
        ("a", "", False),
        ("a", "a", True),
        (b"", b"", True),
        (b"\x00", b"", False),
        (7, 7, True),
        (0, 7, False),
        ((), None, True),
        ((1,), None, False),
        ({}, None, True),
    ],
)
def test_scalars_and_containers(value, default, expected):
    assert is_default(value, default) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ('id: ""', True),
        ('id: "a"', False),
        ("gift: 0", False),
        ("main {}", False),
        ("items {}", False),
        ('labels {key: "" value: ""}', False),
        ("created {}", False),
        ("ratio: -0.0", False),
    ],
)
def test_a_message_is_empty_if_nothing_of_it_would_be_sent(text, expected):
    """A field with presence that is set to its default is sent."""
    assert is_default(order(text), None) is expected


def test_a_wrapper_around_the_default_is_empty():
    made = order("discount {value: 0}")
    assert is_default(made.discount, None)
    assert is_default(order("created {seconds: 0}").created, None)
    assert is_default(made.numbers, None)
    assert is_default(made.labels, None)
    assert not is_default(order("numbers: 0").numbers, None)


def test_an_unknown_field_is_something():
    message = order("")
    message.MergeFromString(b"\xc8\x3e\x01")
    assert not is_default(message, None)


@given(st.integers() | st.floats() | st.text() | st.binary() | st.booleans() | st.none())
def test_a_default_is_its_own(value):
    assert is_default(value, value)
