"""The load brings what the seeds need: enough of each condition, evenly thrown coins, the same calls for the same seed."""

import pytest
from mirror_demo import catalog, plan, seeds

CONDITIONS = {
    "GetProduct": lambda r: (
        catalog.is_bulky(r["number"])
        or catalog.is_preorder(r["number"])
        or r["number"] % 100 in {42, *range(80, 88), *range(90, 96)}
    ),
    "Quote": lambda r: r["customer"].startswith("business-") or any(i["quantity"] >= 10 for i in r["items"]),
    "PlaceOrder": lambda r: (
        r["express"]
        or r["reference"].startswith(("GIFT-", "AGAIN-"))
        or r["cart"]["customer"].startswith("vip-")
        or any(i["product"] == catalog.SOLD_OUT for i in r["cart"]["items"])
    ),
    "RefundOrder": lambda r: r["number"] % 10 == 9,
    "GetOrder": lambda r: r["number"] >= catalog.FIRST_UNKNOWN_ORDER or r["number"] % 10 in {3, 7},
    "ListProducts": lambda r: r["limit"] >= 20,
    "TrackParcel": lambda r: r["parcel"] % 10 == 5,
}


@pytest.mark.parametrize("calls", [3000, 3001, 4567, 10_000])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_condition_comes_at_least_ten_times(calls, seed):
    made = plan.make(calls, seed)
    assert len(made) == calls
    for each in seeds.SEEDS:
        assert sum(call.seed == each.name for call in made) >= 10, each.name


def test_one_in_a_hundred_is_one_in_a_hundred_of_its_method():
    products = [call for call in plan.make(3000, 1) if call.method == "GetProduct"]
    assert sum(catalog.is_anniversary(call.requests[0]["number"]) for call in products) == -(-len(products) // 100)


def test_the_same_seed_makes_the_same_calls_and_another_makes_others():
    assert plan.make(500, 3) == plan.make(500, 3)
    assert plan.make(500, 3) != plan.make(500, 4)


@pytest.mark.parametrize("calls", [1, 7, 50])
def test_a_short_plan_is_a_plan(calls):
    assert len(plan.make(calls, 1)) == calls


def test_only_the_calls_of_a_seed_meet_its_condition():
    for call in plan.make(3000, 5):
        if call.method in CONDITIONS:
            assert CONDITIONS[call.method](call.requests[0]) == bool(call.seed), call


def test_the_coin_falls_evenly_all_the_way():
    """After any number of calls candidate and secondary have differed alone equally often, give or take one."""
    raw_only = noise_only = 0
    for call in plan.make(3000, 9):
        if call.method == "CheckStock":
            product = call.requests[0]["product"]
            candidate, secondary = (
                catalog.shelf(role, product) != catalog.shelf("primary", product) for role in ("candidate", "secondary")
            )
            raw_only += candidate and not secondary
            noise_only += secondary and not candidate
            assert abs(raw_only - noise_only) <= 1
    assert raw_only >= 29
