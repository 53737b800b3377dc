"""Clusters: each cause its own, whatever it meets; noise in none. Examples and properties."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.core.clusters import DifferenceSet, group
from mirror.core.model import Kind

METHOD = "shop.v1.Shop/Quote"
A, B, C, D, E = (f"response.{name}" for name in "abcde")


def named(*patterns, kind=Kind.VALUE):
    return frozenset((pattern, kind) for pattern in patterns)


def sets(counts, *, calls=1000):
    """DifferenceSets from {(patterns): n}; what is left of `calls` matched."""
    found = [DifferenceSet(i + 1, named(*p), "", n, 100.0 + i, 200.0 + i) for i, (p, n) in enumerate(counts.items())]
    matched = calls - sum(counts.values())
    return [*found, DifferenceSet(99, frozenset(), "", matched, 0.0, 999.0)]


def clusters(counts, *, calls=1000, noise=()):
    found = group(METHOD, sets(counts, calls=calls), named(A, B, C, D, E) - named(*noise))
    return {tuple(p.removeprefix("response.") for p, _ in one.members): one.n for one in found.clusters}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, {}),
        ({(A,): 41}, {("a",): 41}),
        ({(A, B): 41}, {("a", "b"): 41}),
        ({(A,): 40, (B, C): 30, (A, B, C): 2}, {("a",): 42, ("b", "c"): 32}),
        ({(A,): 40, (B,): 30, (C,): 20, (A, B, C): 1}, {("a",): 41, ("b",): 31, ("c",): 21}),
        ({(A,): 950, (A, B): 50}, {("a",): 1000, ("b",): 50}),
        ({(A,): 880, (A, B): 60, (A, C, D): 60}, {("a",): 1000, ("b",): 60, ("c", "d"): 60}),
        ({(A, B): 41, (A, C): 30}, {("a", "b"): 41, ("a", "c"): 30}),
        ({(A, B): 41, (A, C): 30, (A, B, C): 2}, {("a", "b"): 43, ("a", "c"): 32}),
        ({(A, B): 30, (A, B, C): 11}, {("a", "b"): 30, ("a", "b", "c"): 11}),
        ({(A,): 3, (B,): 2, (A, B): 100}, {("a", "b"): 100, ("a",): 3, ("b",): 2}),
        ({(A,): 160, (B,): 160, (A, B): 640}, {("a",): 800, ("b",): 800}),
    ],
    ids=[
        "nothing",
        "one path",
        "two paths of one cause",
        "two causes meet",
        "three meet once",
        "one in every call",
        "one in every call, two others",
        "two causes share a path",
        "and meet",
        "one that comes with another",
        "one cause, sometimes in part",
        "two common ones that meet by chance",
    ],
)
def test_each_cause_is_a_cluster(counts, expected):
    assert clusters(counts) == expected


def test_noise_is_in_no_cluster_and_joins_what_it_parted():
    counts = {(A,): 20, (A, E): 21, (E,): 400}
    assert clusters(counts, noise=[E]) == {("a",): 41}


def test_statuses_are_told_apart():
    status = frozenset({("status.code", Kind.STATUS)})
    found = group(
        METHOD,
        [
            DifferenceSet(1, status, "NOT_FOUND -> INVALID_ARGUMENT", 12, 1.0, 5.0),
            DifferenceSet(2, status, "OK -> UNKNOWN", 30, 2.0, 9.0),
            DifferenceSet(3, frozenset(), "", 958, 0.0, 9.0),
        ],
        status,
    )
    assert [(one.statuses, one.n, one.first_s, one.last_s) for one in found.clusters] == [
        (("OK -> UNKNOWN",), 30, 2.0, 9.0),
        (("NOT_FOUND -> INVALID_ARGUMENT",), 12, 1.0, 5.0),
    ]
    assert (found.calls, found.left_over) == (1000, 0)
    assert len({one.id for one in found.clusters}) == 2


def test_the_sets_with_the_fewest_others_come_first():
    found = group(METHOD, sets({(A,): 40, (A, B, C): 5, (B,): 30, (C,): 20, (A, B): 4}), named(A, B, C))
    cluster = next(one for one in found.clusters if one.members == ((A, Kind.VALUE),))
    assert cluster.sets == (1, 5, 2)


@given(
    seed=st.integers(0, 10_000),
    rates=st.lists(st.sampled_from([0.01, 0.03, 0.05, 0.1, 0.3, 1.0]), min_size=1, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_independent_causes_are_found_as_they_are(seed, rates):
    """Causes with paths of their own, drawn independently: exactly these clusters, each with all of its calls."""
    chance = Random(seed)
    causes = [named(*(f"response.c{i}.p{j}" for j in range(1 + i % 3))) for i in range(len(rates))]
    seen = {}
    for _ in range(2000):
        here = frozenset().union(*(cause for cause, rate in zip(causes, rates, strict=True) if chance.random() < rate))
        seen[here] = seen.get(here, 0) + 1
    if sum(rate == 1.0 for rate in rates) > 1:  # two that are in every call are one to see
        return
    found = group(
        METHOD,
        [DifferenceSet(i, members, "", n, 0.0, 0.0) for i, (members, n) in enumerate(seen.items())],
        frozenset().union(*causes),
    )
    assert {frozenset(one.members): one.n for one in found.clusters} == {
        cause: sum(n for members, n in seen.items() if cause <= members) for cause in causes
    }
    assert found.left_over == 0
