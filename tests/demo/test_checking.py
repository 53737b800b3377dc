"""What the demo calls found, missed and false, told by small examples."""

import pytest
from mirror_demo.checking import Finding, check
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
