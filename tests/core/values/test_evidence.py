"""E_values: a mean of means, two-sided, mergeable; and what simulations with seeds make of it."""

from __future__ import annotations

from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulated import values as simulated
from mirror.core.evalue import log_e
from mirror.core.noise import Evidence, State, judge, log_e_star
from mirror.core.values.evidence import SHARES, log_e_of, log_e_values, strongest
from mirror.core.values.labels import DECLARED, DISTANCE, Label

LABELS: list[Label] = [(family, name) for family, names in DECLARED.items() for name in names]
EMPTY: Label = ("class", "empty")
few = st.integers(0, 60)
votes = st.dictionaries(
    st.sampled_from(LABELS), st.lists(st.tuples(few, few), min_size=1, max_size=3), min_size=1, max_size=8
)


def test_the_shares_of_all_labels_sum_to_one():
    assert sum(SHARES[family] * len(names) for family, names in DECLARED.items()) == pytest.approx(1)


def test_without_votes_there_is_no_evidence():
    assert log_e_values({}) == pytest.approx(0)
    assert log_e_values({EMPTY: [(0, 0)]}) == pytest.approx(0)
    assert strongest({}) is None


def test_a_mean_over_families_of_the_mean_over_declared_labels():
    one, other = [(9, 1)], [(0, 7)]
    e_one = (exp(log_e_star(one)) + exp(log_e_star([(1, 9)]))) / 2
    e_other = (exp(log_e_star(other)) + exp(log_e_star([(7, 0)]))) / 2
    families, classes = len(DECLARED), len(DECLARED["class"])
    expected = ((e_one + e_other + classes - 2) / classes + families - 1) / families
    assert exp(log_e_values({EMPTY: one, ("class", "hex"): other})) == pytest.approx(expected)
    assert strongest({EMPTY: one, ("class", "hex"): other}) == (("class", "hex"), 0, 7)


@given(votes)
def test_a_change_in_either_direction_is_one_but_distance_is_asked_in_one(found):
    swapped = {label: [(noise, raw) for raw, noise in hours] for label, hours in found.items()}
    two_sided = {label: hours for label, hours in found.items() if label != DISTANCE}
    assert log_e_values(two_sided) == pytest.approx(log_e_values({one: swapped[one] for one in two_sided}))
    assert log_e_of(DISTANCE, [(0, 20)]) < 0 < log_e_of(DISTANCE, [(20, 0)])


@given(votes, st.sampled_from(LABELS), few)
def test_a_pure_label_only_adds_evidence(found, label, more):
    pure = {**found, label: [(5, 0)]}
    assert log_e_values({**found, label: [(5 + more, 0)]}) >= log_e_values(pure) - 1e-12


@given(votes)
def test_the_mean_is_never_over_the_strongest_label_nor_under_its_share(found):
    label, _, _ = strongest(found)
    best = log_e_of(label, found[label])
    share = SHARES[label[0]]
    assert best + log(share) - 1e-9 <= log_e_values(found) <= max(best, 0) + 1e-9


@given(votes)
def test_labels_without_votes_change_nothing_and_neither_does_the_order(found):
    more = {label: [(0, 0)] for label in LABELS[:5]} | dict(reversed(found.items()))
    assert log_e_values(more) == pytest.approx(log_e_values(found), abs=1e-9)


@given(st.integers(1, 400))
def test_expected_evidence_of_fair_votes_is_one(n):
    """Exactly: the mean over all outcomes of n fair votes of one label."""
    weight, mean = 0.5**n, 0.0
    for raw in range(n + 1):
        mean += weight * exp(log_e(raw, n - raw))
        weight = weight * (n - raw) / (raw + 1) if raw < n else 0
    assert mean == pytest.approx(1, rel=1e-6)


def judged(hours, *, d, previous=None, rank=100):
    return judge(previous, Evidence(d=d, n=500, rank=rank, labels={EMPTY: hours}), alpha=0.05)


def test_states_follow_as_for_other_kinds():
    assert judged([(0, 0)], d=1).state is State.NOISY
    assert judged([(16, 0)], d=16).state is State.SUSPECT
    found = judged([(30, 0)], d=30)
    assert (found.state, found.blind, found.control_worse) == (State.REGRESSED, False, False)
    assert "the value is empty, by 30 votes for the candidate and 0 for the secondary" in found.words
    assert judged([(0, 30)], d=30).state is State.REGRESSED  # a value that the candidate lacks is a change too
    assert judged([(30, 30)], d=60, previous=State.REGRESSED).state is State.REGRESSED
    assert "stays" in judged([(30, 30)], d=60, previous=State.REGRESSED).words


FAULTS = {
    "empty": (simulated.uuid_text, simulated.empty, 40),
    "constant": (simulated.uuid_text, simulated.constant, 40),
    "empty in 10%": (simulated.uuid_text, simulated.in_share(0.1, simulated.empty), 500),
    "upper half lost": (simulated.uniform, simulated.lower_half, 100),
    "an hour late": (simulated.clock, simulated.later(3600), 40),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_within(name):
    """By call, at rank 100 and alpha 5%, in 19 of 20 runs at least."""
    draw, spoil, within = FAULTS[name]
    found = [simulated.run(seed, draw, spoil, calls=within) for seed in range(20)]
    assert sum(one.regressed_at is None for one in found) <= 1


NULLS = (
    simulated.uuid_text,
    simulated.mixed_text,
    simulated.uniform,
    simulated.normal,
    simulated.clock,
    simulated.coin,
)


@pytest.mark.parametrize("draw", NULLS, ids=lambda draw: draw.__name__)
def test_alike_builds_are_never_regressed(draw):
    """At rank 1 and alpha 5%, looked at every 20 calls: by Ville at most 1 in 20 ever reaches 20; here none does."""
    found = [simulated.run(seed, draw, simulated.nothing, calls=600, look_every=20, rank=1) for seed in range(20)]
    assert not any(one.regressed_at for one in found)
    assert sum(one.most >= log(20) for one in found) <= 1


def test_a_slower_candidate_is_no_change_of_its_clock():
    slow = simulated.later(0.005)
    found = [simulated.run(seed, simulated.clock, slow, calls=2000, look_every=100, rank=1) for seed in range(5)]
    assert max(one.most for one in found) < log(10)
