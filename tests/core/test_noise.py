"""The e-value, its restarts and weights, and the states of a hypothesis. Values in tables are the facts' own."""

from itertools import product
from math import comb, exp, inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.evalue import log_e_star_reaches, log_sum_exp
from mirror.core.evalue import votes_needed as of_a_clean_path
from mirror.core.noise import Evidence, State, judge, log_e, log_e_star, may_leave_out, weight

ALPHA = 0.01
counts = st.integers(0, 5000)
hours = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=40)
sparse_hours = st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 3]), st.sampled_from([0, 0, 0, 1])), max_size=40)


@pytest.mark.parametrize(
    ("b", "c", "expected"),
    [
        (0, 0, 1.0),
        (1, 0, 1.6),
        (2, 0, 2.6),
        (4, 0, 8.1),
        (5, 0, 15),
        (1, 1, 0.54),
        (4, 1, 1.3),
        (8, 1, 7.5),
        (8, 2, 2.5),
        (10, 3, 2.4),
    ],
)
def test_e_of_a_few_votes(b, c, expected):
    assert exp(log_e(b, c)) == pytest.approx(expected, rel=0.03)


@given(counts, counts)
def test_e_rises_with_raw_votes_and_falls_with_noise_votes(b, c):
    assert log_e(b + 1, c) > log_e(b, c) > log_e(b, c + 1)


@given(counts, counts)
def test_e_is_no_evidence_unless_raw_votes_lead(b, c):
    assert log_e(min(b, c), max(b, c)) <= 1e-12


@pytest.mark.parametrize(("b", "c"), [(500, 2500), (0, 1100)])
def test_a_candidate_less_noisy_than_the_secondary_is_never_regressed(b, c):
    """A mixture computed as a difference of near-equal numbers got these wrong."""
    assert log_e(b, c) < -10


def test_millions_of_votes_neither_overflow_nor_vanish():
    assert log_e(3_000_000, 0) == pytest.approx(3_000_000 * log(2) + log(0.25))
    assert -inf < log_e(0, 3_000_000) < -90_000


@pytest.mark.parametrize("votes", [1, 5, 40, 200])
@pytest.mark.parametrize(("q", "at_most"), [(0.5, 1.0), (0.45, 1.0), (0.1, 1.0)])
def test_e_is_expected_to_be_one_under_the_null_and_less_below_it(votes, q, at_most):
    """The whole guarantee rests on this: exact, by summing over the binomial distribution."""
    expected = sum(comb(votes, b) * q**b * (1 - q) ** (votes - b) * exp(log_e(b, votes - b)) for b in range(votes + 1))
    assert expected <= at_most + 1e-9
    assert q < 0.5 or expected == pytest.approx(1.0)


def naive_log_e_star(votes):
    """The definition, word by word."""
    total = len(votes)
    terms = [-log(total + 1)]
    for s in range(total):
        b, c = sum(v[0] for v in votes[s:]), sum(v[1] for v in votes[s:])
        terms.append(log_e(b, c) - log((s + 1) * (s + 2)))
    return log_sum_exp(terms)


@given(st.one_of(hours, sparse_hours))
def test_e_star_is_its_definition(votes):
    assert log_e_star(votes) == pytest.approx(naive_log_e_star(votes), abs=1e-9)


def test_e_star_is_its_definition_where_one_hour_drowns_the_others():
    votes = [(4000, 0)] * 10 + [(0, 9000)] * 10 + [(70_000, 3)] * 2
    assert log_e_star(votes) == pytest.approx(naive_log_e_star(votes), rel=1e-12)


@given(sparse_hours, st.integers(1, 50))
def test_hours_without_votes_change_nothing_once_they_pass(votes, empty):
    assert log_e_star([*votes, *[(0, 0)] * empty]) == pytest.approx(log_e_star(votes), abs=1e-12)


def test_e_star_is_expected_to_be_one_under_the_null():
    """Three hours of two fair votes each, all 64 ways that they can fall."""
    hour = [(2, 0), (1, 1), (1, 1), (0, 2)]
    assert sum(exp(log_e_star(votes)) for votes in product(hour, repeat=3)) / 64 == pytest.approx(1.0)


@given(st.one_of(hours, sparse_hours), st.floats(0, 60))
def test_the_short_cut_decides_like_the_value(votes, goal):
    assert log_e_star_reaches(votes, goal) == (log_e_star(votes) >= goal)


@pytest.mark.parametrize(
    ("rank", "alpha", "expected"), [(1, 0.05, 14), (1000, 0.05, 21), (1, 0.01, 16), (100, 0.01, 19)]
)
def test_votes_that_a_clean_path_takes_to_be_regressed(rank, alpha, expected):
    assert of_a_clean_path(rank, alpha) == expected


@pytest.mark.parametrize(("rank", "expected"), [(1, 90), (100, 528), (300, 2_224), (1_000, 13_388)])
def test_weight_of_a_rank(rank, expected):
    assert 1 / weight(rank) == pytest.approx(expected, rel=0.01)


def test_weights_of_all_ranks_stay_within_one():
    assert sum(map(weight, range(1, 100_000))) < 1


def test_ranks_count_from_one():
    with pytest.raises(ValueError, match="from 1, got 0"):
        weight(0)


def votes_needed(alpha, rank, noise_votes):
    return next(b for b in range(200) if log_e_star([(b, noise_votes)]) + log(weight(rank)) >= -log(alpha))


@pytest.mark.parametrize(
    ("alpha", "rank", "expected"),
    [
        (0.05, 1, [14, 19, 22, 31, 60]),
        (0.05, 1000, [21, 27, 31, 40, 72]),
        (0.01, 1, [16, 22, 25, 34, 64]),
        (0.01, 100, [19, 25, 28, 37, 68]),
    ],
)
def test_raw_only_votes_until_regressed(alpha, rank, expected):
    """Beside 0, 1, 2, 5 and 20 noise-only votes, in the first hour."""
    assert [votes_needed(alpha, rank, c) for c in (0, 1, 2, 5, 20)] == expected


def test_restarts_find_what_starts_late():
    """After 720 balanced votes in 12 hours, then raw-only ones alone: regressed after 23, without restarts after 143."""
    past, goal = [(30, 30)] * 12, -log(ALPHA) - log(weight(1))
    assert next(b for b in range(200) if log_e_star([*past, (b, 0)]) >= goal) == 23
    assert next(b for b in range(200) if log_e(360 + b, 360) >= goal) == 143


def evidence(b=0, c=0, d=0, n=1000, rank=1):
    """By call: each discordant triple is a vote, all in the first hour."""
    return Evidence(b, c, d, n, b, c, ((b, c),), rank)


@pytest.mark.parametrize(
    ("previous", "counts", "expected"),
    [
        (None, Evidence(), State.UNSEEN),
        (None, evidence(), State.CLEAN),
        (State.CLEAN, evidence(b=1), State.SUSPECT),  # at the first raw-only call
        (None, evidence(c=1), State.NOISY),
        (None, evidence(d=1), State.NOISY),
        (None, evidence(b=1, c=1), State.NOISY),
        (State.SUSPECT, evidence(b=1, c=1), State.NOISY),  # the secondary showed it too, E* <= 1
        (State.SUSPECT, evidence(b=6, c=1), State.SUSPECT),  # E* is over 1: it stays
        (State.NOISY, evidence(b=6, c=1), State.NOISY),  # but below 10 it does not come back
        (State.NOISY, evidence(b=12, c=1), State.SUSPECT),
        (State.SUSPECT, evidence(b=1), State.SUSPECT),
        (State.CLEAN, evidence(b=15), State.SUSPECT),
        (State.CLEAN, evidence(b=16), State.REGRESSED),
        (State.REGRESSED, evidence(b=16, c=900), State.REGRESSED),  # latched
    ],
)
def test_state_follows_from_counts_and_the_state_before(previous, counts, expected):
    assert judge(previous, counts, alpha=ALPHA).state is expected


def test_votes_without_a_rank_never_regress():
    assert judge(None, evidence(b=100, rank=0), alpha=ALPHA).state is State.SUSPECT


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 3)), max_size=30))
def test_regressed_is_latched_and_suspect_leaves_only_by_noise(steps):
    """Whatever comes: regressed stays; suspect turns noisy only with noise seen and E* at most 1; never back to clean."""
    b = c = d = 0
    state = None
    for more_b, more_c, more_d in steps:
        b, c, d = b + more_b, c + more_c, d + more_d
        result = judge(state, evidence(b, c, d, n=2000), alpha=ALPHA)
        if state is State.REGRESSED:
            assert result.state is State.REGRESSED
        if state is State.SUSPECT and result.state is State.NOISY:
            assert c + d >= 1
            assert result.log_e_star <= 0
        if state in (State.SUSPECT, State.NOISY):
            assert result.state not in (State.CLEAN, State.UNSEEN)
        state = result.state


@pytest.mark.parametrize(
    ("counts", "explained"),
    [
        (evidence(b=3, c=0, d=1), True),
        (evidence(b=4, c=0, d=1), False),
        (evidence(b=6, c=1), True),
        (evidence(b=7, c=1), False),
        (evidence(), False),  # nothing to explain
    ],
)
def test_noise_explains_up_to_three_times_itself_plus_three(counts, explained):
    assert judge(State.NOISY, counts, alpha=ALPHA).explained is explained


def test_a_suspect_is_not_explained():
    assert not judge(State.CLEAN, evidence(b=2), alpha=ALPHA).explained


@pytest.mark.parametrize(("noise", "left_out"), [(9, False), (10, True)])
def test_a_path_leaves_the_signatures_once_ten_triples_explain_it(noise, left_out):
    counts = evidence(b=noise, d=noise - 4, c=4)
    assert may_leave_out(judge(None, counts, alpha=ALPHA), counts) is left_out


@pytest.mark.parametrize(("both", "blind"), [(900, False), (901, True)])
def test_over_nine_tenths_noise_is_blind(both, blind):
    result = judge(None, evidence(d=both), alpha=ALPHA)
    assert result.blind is blind
    assert result.noise_rate == both / 1000


def test_a_secondary_that_differs_more_is_said():
    result = judge(None, evidence(b=1, c=40), alpha=ALPHA)
    assert result.control_worse
    assert "noise estimate here is in doubt" in result.words
    assert not judge(None, evidence(b=30, c=40), alpha=ALPHA).control_worse


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_the_excess_lies_in_its_interval(b, c, d, neither):
    result = judge(None, evidence(b, c, d, n=b + c + d + neither), alpha=ALPHA)
    assert -1 <= result.excess_low <= result.excess <= result.excess_high <= 1


def test_regressed_in_words():
    words = judge(None, evidence(b=17, c=0, n=3000), alpha=ALPHA).words
    assert words == (
        "raw-only in 17, noise-only in 0 and both in 0 of 3,000 triples: if both builds behaved alike, so strong a sign "
        "would ever appear here in at most 1 of 20,721 runs"
    )


def test_a_latched_state_says_that_it_is_latched():
    assert "earlier look" in judge(State.REGRESSED, evidence(b=20, c=300), alpha=ALPHA).words
    assert "earlier look" not in judge(State.REGRESSED, evidence(b=20), alpha=ALPHA).words


def test_a_suspect_without_noise_in_words():
    """Shown: the chance, the triples, and the upper bound of the noise rate."""
    words = judge(None, evidence(b=3, n=1000), alpha=0.05).words
    assert words == (
        "3 raw-only votes and no noise yet in 1,000 triples: the chance that noise alone would look so is at most 1 of 8; "
        "the rate of noise is at most 0.39%"
    )


def test_strong_evidence_in_words_stays_readable():
    assert judge(None, evidence(b=300), alpha=ALPHA).words.endswith("in at most 1 of 10^89 runs")
