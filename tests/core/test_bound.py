"""Bounds on the rate of unexplained calls, and how those are counted. Values in tables are the facts' own."""

from math import comb, exp, log, log1p

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.bound import lower, unexplained, upper
from mirror.core.evalue import GRID, log_sum_exp
from mirror.core.model import Kind

alphas = st.sampled_from([0.05, 0.01, 0.005, 0.2])


@st.composite
def shares(draw):
    n = draw(st.integers(1, 100_000))
    return draw(st.one_of(st.integers(0, n), st.integers(0, min(n, 30)))), n


@pytest.mark.parametrize(("n", "expected"), [(1_000, 3.870e-3), (10_000, 3.876e-4), (100_000, 3.877e-5)])
def test_upper_bound_where_nothing_was_seen(n, expected):
    assert upper(0, n, 0.05) == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize(
    ("x", "expected"), [(1, 7.3), (2, 9.4), (3, 11.4), (5, 15.1), (10, 23.1), (100, 134), (1000, 1105)]
)
def test_upper_bound_as_a_number_of_calls(x, expected):
    assert 1e6 * upper(x, 1_000_000, 0.05) == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize(("x", "n"), [(0, 3_875), (1, 7_311), (2, 9_427), (5, 15_059), (10, 23_118)])
def test_triples_for_a_budget_of_a_thousandth(x, n):
    assert upper(x, n, 0.05) <= 0.001 < upper(x, n - 1, 0.05)


def upper_side(p, x, n):
    """The left side of the equation that defines U."""
    terms = [
        log(s) + (x * log1p(-d) if x else 0) - n * log1p(-p * d) for d, s in GRID if (d < 1 or not x) and p * d < 1
    ]
    return log_sum_exp(terms)


def lower_side(p, x, n):
    ratios = [2.0**j for j in range(-6, 14)]
    return log_sum_exp([x * log1p(r) - n * log1p(p * r) for r in ratios]) - log(20)


@given(shares(), alphas)
def test_upper_solves_its_equation_above_the_share_seen(share, alpha):
    x, n = share
    bound = upper(x, n, alpha)
    assert x / n <= bound <= 1
    if bound < 1:
        assert upper_side(bound, x, n) == pytest.approx(-log(alpha), abs=1e-6)
    else:
        assert upper_side(1 - 1e-9, x, n) <= -log(alpha) + 1e-3


@given(shares(), alphas)
def test_lower_solves_its_equation_below_the_share_seen(share, alpha):
    x, n = share
    bound = lower(x, n, alpha)
    assert 0 <= bound <= x / n
    if bound > 0:
        assert lower_side(bound, x, n) == pytest.approx(-log(alpha), abs=1e-6)
    elif x:
        assert lower_side(0, x, n) <= -log(alpha) + 1e-9


@given(shares(), alphas)
def test_bounds_rise_with_what_was_seen_and_tighten_with_triples(share, alpha):
    x, n = share
    assert upper(x, n + 1, alpha) <= upper(x, n, alpha) + 1e-12
    if x < n:
        assert upper(x, n, alpha) <= upper(x + 1, n, alpha) + 1e-12
        assert lower(x, n, alpha) <= lower(x + 1, n, alpha) + 1e-12


def test_no_triples_bound_nothing():
    assert upper(0, 0, 0.05) == 1
    assert lower(0, 0, 0.05) == 0


@pytest.mark.parametrize(("x", "n", "alpha"), [(2, 1, 0.05), (-1, 5, 0.05), (1, 5, 0.0), (1, 5, 1.0)])
def test_nonsense_is_refused(x, n, alpha):
    for bound in (upper, lower):
        with pytest.raises(ValueError, match="a bound needs"):
            bound(x, n, alpha)


def test_upper_misses_a_constant_rate_rarely_at_a_single_look():
    """Exact for one look: the chance that U(x, 400) lies below the true rate is far under alpha."""
    n, p = 400, 0.02
    missed = sum(exp(log(comb(n, x)) + x * log(p) + (n - x) * log1p(-p)) for x in range(n) if upper(x, n, 0.05) < p)
    assert missed < 0.05


PRICE, CLOCK, NAME = ("response.price", Kind.VALUE), ("response.at", Kind.VALUE), ("response.name", Kind.MISSING)


def test_a_triple_counts_if_any_of_its_paths_is_not_explained_now():
    signatures = {frozenset({PRICE}): 5, frozenset({PRICE, CLOCK}): 3, frozenset({CLOCK}): 100}
    assert unexplained(signatures, {CLOCK}, {}) == 8


def test_what_was_left_out_counts_again_once_noise_does_not_explain_it():
    assert unexplained({}, {CLOCK}, {CLOCK: 40, NAME: 7}) == 7


signature_counts = st.dictionaries(
    st.frozensets(st.sampled_from([PRICE, CLOCK, NAME]), min_size=1), st.integers(0, 50), max_size=7
)


@given(signature_counts, st.frozensets(st.sampled_from([PRICE, CLOCK, NAME])), st.sampled_from([PRICE, CLOCK, NAME]))
def test_explaining_more_never_counts_more(signatures, explained, one_more):
    assert unexplained(signatures, explained | {one_more}, {}) <= unexplained(signatures, explained, {})
    assert unexplained(signatures, set(), {}) == sum(signatures.values())
    assert unexplained(signatures, {PRICE, CLOCK, NAME}, {}) == 0
