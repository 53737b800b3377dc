"""Of how many calls the messages were looked at, and what a verdict says of the others."""

from hypothesis import given
from hypothesis import strategies as st

from mirror.core.model import Role
from mirror.core.sampled import sampled
from mirror.core.verdict import decide
from tests.core.test_strata import GET, LIST, thinned
from tests.core.test_verdict import POLICY, method, run

_COUNTS = st.integers(0, 10_000)


@given(_COUNTS, _COUNTS, _COUNTS, _COUNTS)
def test_looked_at_and_not_sampled_are_all_pairs(whole, unlooked, silent, one_sided):
    """A candidate that did not answer a call that nobody looks at was not looked at either; what is one-sided is not beside them."""
    reasons = {
        "incomparable.not_sampled": unlooked,
        "incomplete.candidate_not_sampled": silent,
        "only_candidate.not_sampled": min(one_sided, unlooked),
        "incomparable.too_large": whole,
        "no_triple.incomparable_not_sampled": unlooked + silent,
    }
    found = sampled(whole + unlooked + silent, reasons)
    assert (found.looked_at, found.not_sampled, found.silent) == (whole, unlooked + silent, silent)
    assert 0 <= found.share <= 1
    assert found.one_sided.get(Role.CANDIDATE, 0) == min(one_sided, unlooked)


def test_where_all_calls_are_looked_at_there_is_nothing_to_say():
    found = sampled(500, {"incomparable.client_ended": 3, "incomplete.candidate": 2})
    assert (found.looked_at, found.not_sampled, found.share, found.one_sided) == (500, 0, 1.0, {})
    assert not any("not looked at" in spot for spot in decide(run(method(GET, 500)), POLICY).blind_spots)


def test_a_verdict_names_the_methods_of_which_most_was_not_looked_at_with_what_was():
    many = [thinned(f"{LIST}{n}", judged=100 * n, of=1_000) for n in (1, 2, 3, 4, 5)]
    (spot,) = [one for one in decide(run(*many), POLICY).blind_spots if "not looked at" in one]
    assert spot.startswith("3,500 pairs were not looked at: ")
    assert "Looked at were 100 of 1,000 of shop.v1.Shop/List1, 200 of 1,000 of shop.v1.Shop/List2, 300 of" in spot
    assert spot.endswith("shop.v1.Shop/List3 and those of 2 more methods.")
    silent = thinned(judged=100, of=400, **{"incomplete.candidate_not_sampled": 50})
    (spot,) = [one for one in decide(run(silent), POLICY).blind_spots if "not looked at" in one]
    assert spot.startswith("350 pairs were not looked at: ")
    assert spot.endswith("Looked at were 100 of 450 of shop.v1.Shop/List.")
