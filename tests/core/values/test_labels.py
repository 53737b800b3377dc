"""What is looked at in one value: classes, lengths, magnitudes, times, repetition and quantiles."""

from __future__ import annotations

import math

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.model import Hashed
from mirror.core.values.labels import DECLARED, Family, class_of, labels_of, number_of, shows, slack_of, text_of
from mirror.core.values.memory import FIRST, RECENT, PathMemory

START_NS = 1_700_000_000 * 10**9
UUID = "7e0c1a52-8f1f-4f5b-9d3a-2f6f4f7f0a11"
values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.builds(Timestamp, seconds=st.integers(-(10**9), 10**9))
)  # fmt: skip


def stamp(seconds: float) -> Timestamp:
    return Timestamp(seconds=START_NS // 10**9 + math.floor(seconds))


def of(family: Family, value, past: PathMemory | None = None) -> set[str]:
    return {name for found, name in labels_of(value, past or PathMemory(), START_NS) if found == family}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "unset"), ("", "empty"), (b"", "empty"), (0, "zero"), (0.0, "zero"), (-0.0, "zero"), (False, "zero"), (True, "other"), (-3, "negative"),
        (-0.5, "negative"), (7, "other"), (math.nan, "nan"), (math.inf, "infinite"), (-math.inf, "infinite"), (UUID, "uuid"), (UUID.upper(), "uuid"),
        ("deadbeef", "hex"), ("42", "decimal_text"), ("-1.5", "decimal_text"), ("2026-11-26T04:20:00Z", "timestamp_text"), ("hello", "other"),
        ("1" * 1000, "other"), (Hashed(b"x" * 32), "other"), (Hashed(b""), "other"), (Hashed(b"", empty=True), "empty"), (Timestamp(), "other"),
        (StringValue(), "other"), ((), "empty"), (("a", "b"), "other"), (b"\x00", "other"),
    ],
)  # fmt: skip
def test_a_value_is_of_one_class(value, expected):
    assert class_of(value) == expected
    assert of(Family.CLASS, value) == {expected}


@pytest.mark.parametrize(
    ("text", "expected"), [("", "0"), ("a", "1"), ("abc", "2"), ("x" * 36, "6"), ("x" * 10**5, "15")]
)
def test_lengths_go_by_log2(text, expected):
    assert of(Family.LENGTH, text) == of(Family.LENGTH, text.encode()) == {expected}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "1s"), (-1, "1s"), (1, "1s"), (30, "+1min"), (-30, "-1min"), (3000, "+1h"), (3700, "+1d"), (-3700, "-1d"), (10**6, "+beyond")],
)  # fmt: skip
def test_times_go_by_their_distance_from_the_primarys_start(seconds, expected):
    assert of(Family.TIME, stamp(seconds)) == {expected}
    assert not {name for family, name in labels_of(stamp(seconds), PathMemory(), 0) if family == Family.TIME}


def test_magnitudes_are_told_beside_the_primarys_first_number():
    past = PathMemory()
    assert of(Family.MAGNITUDE, 100.0, past) == set()  # nothing to hold it against yet
    past.learn(100.0, ())
    assert [of(Family.MAGNITUDE, n, past) for n in (64.0, 127, 128.0, 63, -64.0, 1e-9, 1e9, 0)] == [
        {"++0"}, {"++0"}, {"++1"}, {"+-1"}, {"-+0"}, {"+-4"}, {"++3"}, set()
    ]  # fmt: skip


def test_quantiles_are_of_the_primarys_first_hundred_numbers_and_then_fixed():
    past = PathMemory()
    for n in range(1, FIRST):
        past.learn(n, (10**6, 10**6))
    assert of(Family.QUANTILE, 10**9, past) == set()
    past.learn(FIRST, ())
    assert past.thresholds == (10, 50, 90)
    past.learn(10**6, ())
    assert past.thresholds == (10, 50, 90)
    found = [of(Family.QUANTILE, n, past) for n in (10, 11, 51, 91)]
    assert found == [set(), {"over_10"}, {"over_10", "over_50"}, {"over_10", "over_50", "over_90"}]


def test_repeated_is_among_the_last_values_of_any_role():
    past = PathMemory()
    past.learn("first", ("second", "third"))
    assert [past.repeated(v) for v in ("first", "second", "third", "fourth", None)] == [True, True, True, False, False]
    for n in range(RECENT - 2):
        past.learn(f"more {n}", ())
    assert [past.repeated(v) for v in ("first", "second", "third")] == [False, True, True]
    past.learn(1, (Timestamp(seconds=5),))
    assert past.repeated(Timestamp(seconds=5))
    assert not past.repeated(True)  # 1 == True, and is another value


def test_of_private_values_only_equality_emptiness_and_repetition_can_be_seen():
    past = PathMemory()
    past.learn(Hashed(b"a" * 32), (Hashed(b""), Hashed(b"", empty=True)))
    assert labels_of(Hashed(b"a" * 32), past, START_NS) == {("class", "other"), ("repeated", "yes")}
    assert labels_of(Hashed(b"b" * 32), past, START_NS) == {("class", "other")}
    assert labels_of(Hashed(b""), past, START_NS) == {
        ("class", "other")
    }  # without a hash nobody knows whether it is the same
    assert ("class", "empty") in labels_of(Hashed(b"", empty=True), past, START_NS)


def test_numbers_and_their_slack():
    assert number_of(Duration(seconds=2, nanos=5)) == 2_000_000_005
    assert [number_of(v) for v in (True, "7", None, math.nan, StringValue())] == [None] * 5
    assert (slack_of(stamp(0)), slack_of(100.0), slack_of(Duration(seconds=1))) == pytest.approx((1e9, 1e-7, 1.0))


@given(values, values)
def test_every_label_is_declared_and_has_words(value, first):
    past = PathMemory()
    past.learn(first, (value,))
    for family, name in labels_of(value, past, START_NS):
        assert name in DECLARED[family]
        assert text_of((family, name))


def test_a_family_has_at_most_sixteen_labels_with_words_of_their_own():
    for family, names in DECLARED.items():
        assert 1 <= len(names) <= 16
        assert len({text_of((family, name)) for name in names}) == len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("votes", "told"),
    [
        ({(Family.CLASS, "empty"): 1, (Family.CLASS, "uuid"): -1}, True),
        ({(Family.TIME, "+1h"): 1}, True),
        (
            {(Family.CLASS, "empty"): -1, (Family.CLASS, "uuid"): 1},
            True,
        ),  # the secondary's is empty, and the candidate's is not
        ({(Family.CLASS, "uuid"): -1}, False),
        ({(Family.LENGTH, "3"): 1, (Family.MAGNITUDE, "++1"): 1, (Family.QUANTILE, "over_90"): 1}, False),
        ({}, False),
    ],
)
def test_one_call_shows_a_class_or_time_of_its_own_and_no_length_or_size(votes, told):
    assert shows(votes) is told
