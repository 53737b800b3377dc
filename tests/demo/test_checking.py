"""What the demo calls found, missed and false, told by small examples."""

import pytest
from mirror_demo.checking import Finding, Group, check, check_groups
from mirror_demo.seeds import Seed

ID_EMPTY = Seed("id_empty", "", "PlaceOrder", (("response.receipt", "value"),), "", 0.1)
ONEOF = Seed("oneof", "", "PlaceOrder", (("response.courier", "missing"), ("response.pickup", "added")), "", 0.1)


def finding(pattern, kind, method="shop.v1.Shop/PlaceOrder", state="regressed"):
    return Finding(method, pattern, kind, state)


def names(checked):
    return [f.seed for f in checked.found], [s.name for s in checked.missed], [f.pattern for f in checked.false]


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], ([], ["id_empty", "oneof"], [])),
        ([finding("response.receipt", "value")], (["id_empty"], ["oneof"], [])),
        ([finding("response.receipt", "value", state="suspect")], (["id_empty"], ["oneof"], [])),
        ([finding("response.receipt", "missing")], ([], ["id_empty", "oneof"], ["response.receipt"])),
        (
            [finding("response.receipt", "value", "shop.v1.Shop/Quote")],
            ([], ["id_empty", "oneof"], ["response.receipt"]),
        ),
        ([finding("response.pickup", "added")], (["oneof"], ["id_empty"], [])),
        ([finding("(any)", "any")], ([], ["id_empty", "oneof"], [])),
        ([finding("(any)", "any", "shop.v1.Shop/CheckStock")], ([], ["id_empty", "oneof"], ["(any)"])),
    ],
    ids=[
        "nothing",
        "regressed",
        "suspect",
        "other kind",
        "other method",
        "one of two places",
        "any where seeded",
        "any elsewhere",
    ],
)
def test_findings_against_seeds(findings, expected):
    assert names(check(findings, [ID_EMPTY, ONEOF])) == expected


def test_without_seeds_everything_is_false():
    assert names(check([finding("(any)", "any"), finding("response.receipt", "value")], [])) == (
        [],
        [],
        ["(any)", "response.receipt"],
    )


GIFT = Seed("id_empty", "", "PlaceOrder", (("response.receipt", "value"),), "", 0.1, "request.reference")
ALWAYS = Seed("newer", "", "PlaceOrder", (("response.segment", "added"),), "", 1.0)


def group(*members, calls=20, path="", method="shop.v1.Shop/PlaceOrder"):
    return Group(method, frozenset(members), calls, path, path and f"{path} begins with GIFT-")


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([], ([], ["id_empty", "newer"], 0)),
        ([group(("response.receipt", "value"), path="request.reference")], (["id_empty"], ["newer"], 0)),
        ([group(("response.receipt", "value"), path="request.express")], ([], ["id_empty", "newer"], 0)),
        ([group(("response.receipt", "value"))], ([], ["id_empty", "newer"], 0)),
        ([group(("response.receipt", "value"), calls=3)], (["id_empty"], ["newer"], 0)),
        ([group(("response.segment", "added"))], (["newer"], ["id_empty"], 0)),
        ([group(("response.segment", "added"), path="request.express")], ([], ["id_empty", "newer"], 0)),
        ([group(("response.receipt", "value"), ("response.segment", "added"))], ([], ["id_empty", "newer"], 1)),
        ([group(("response.receipt", "value"), method="shop.v1.Shop/Quote")], ([], ["id_empty", "newer"], 1)),
    ],
    ids=[
        "nothing",
        "with its condition",
        "with another condition",
        "without a condition",
        "too few calls to tell",
        "in every call",
        "in every call, and yet a condition",
        "two faults in one",
        "other method",
    ],
)
def test_clusters_against_seeds(groups, expected):
    found = check_groups(groups, [GIFT, ALWAYS])
    assert ([g.seed for g in found.named], [s.name for s in found.unnamed], len(found.false)) == expected
