"""The bound of a run of whose methods not all calls are looked at: by how many calls there were, not by how many were judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.bound import lower, upper
from mirror.core.strata import least, most, strata
from mirror.core.verdict import decide
from tests.core.test_verdict import POLICY, codes, method, run

LIST, GET = "shop.v1.Shop/List", "shop.v1.Shop/Get"


def thinned(name=LIST, *, judged, of, unexplained=0, **reasons):
    """A method of whose calls a share is judged."""
    left_out = {"incomparable.not_sampled": of - judged} | reasons
    return method(
        name,
        judged,
        unexplained=unexplained,
        pairs=of + sum(reasons.values()),
        incomparable=of - judged + sum(reasons.values()),
        reasons=left_out,
    )


@given(st.integers(0, 20), st.integers(0, 50_000))
def test_where_all_calls_are_looked_at_it_is_the_plain_bound(x, n):
    facts = run(method(triples=n // 2, unexplained=min(x, n // 2)), method(GET, n - n // 2))
    assert len(strata(facts)) == 1
    assert most(facts, 0.05) == upper(min(x, n // 2), n, 0.05)
    assert least(facts, 0.05) == lower(min(x, n // 2), n, 0.05)


def test_the_judged_calls_of_one_method_do_not_stand_for_those_of_another():
    """Of 900,000 calls 18,000 were judged, and 50 differ: a quarter of a percent of the calls, whatever else there was."""
    facts = run(thinned(judged=18_000, of=900_000, unexplained=50), method(GET, 100_000))
    assert upper(50, 118_000, 0.05) < POLICY.budget  # as it would be, added up
    assert most(facts, 0.05) > 0.9 * 50 / 18_000
    report = decide(facts, POLICY)
    assert (report.verdict, codes(report)) == ("inconclusive", ["over_budget"])


def test_a_method_of_which_little_is_judged_holds_the_pass_until_enough_is():
    few = decide(run(thinned(judged=600, of=60_000), method(GET, 100_000)), POLICY)
    assert (few.verdict, codes(few)) == ("inconclusive", ["more_triples"])
    assert few.eta_s > 0
    assert decide(run(thinned(judged=6_000, of=60_000), method(GET, 100_000)), POLICY).verdict == "pass"


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 20), st.integers(1, 100)), min_size=1, max_size=4),
    st.integers(1, 5000),
)
def test_the_rates_as_seen_lie_between_the_bounds(heavy, light):
    methods = [
        thinned(f"a.B/{i}", judged=n, of=n * times + 1, unexplained=min(x, n)) for i, (n, x, times) in enumerate(heavy)
    ]
    facts = run(*methods, method(GET, light))
    found = strata(facts)
    whole = sum(one.calls for one in found)
    seen = sum(one.calls * one.x / one.n for one in found) / whole
    assert least(facts, 0.05) <= seen + 1e-12
    assert seen <= most(facts, 0.05) + 1e-12 <= 1 + 2e-12


def test_nothing_judged_bounds_nothing():
    assert most(run(thinned(judged=0, of=1000)), 0.05) == 1.0
    assert least(run(thinned(judged=0, of=1000)), 0.05) == 0.0
    assert decide(run(thinned(judged=0, of=1000)), POLICY).verdict == "inconclusive"


@pytest.mark.parametrize("reason", ["too_large", "schema"])
def test_what_cannot_be_compared_is_a_share_of_what_was_looked_at(reason):
    """53 of 290, not of 11,340: a candidate whose answers are too large to be captured was wrong in all of these."""
    facts = run(thinned(judged=237, of=11_340 - 53, **{f"incomparable.{reason}": 53}), method(GET, 4000))
    assert "incomparable" in codes(decide(facts, POLICY))
