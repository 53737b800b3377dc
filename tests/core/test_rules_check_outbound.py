"""Rules about the calls that a service makes, held against what is known of their requests."""

from __future__ import annotations

import pytest

from mirror.core.rules import Ignore, KeyedList, Schema, Status, Tolerance, UnorderedList, check_rule
from tests.core.protoc import SHOP
from tests.core.test_rules_check import at, message

CHARGE = "pay.v1.Pay/Charge"


@pytest.fixture(scope="module")
def known():
    quote = message(SHOP, "t.Quote")
    return Schema(quote, streamed=False, outbound={CHARGE: (quote,)})


@pytest.mark.parametrize(
    "path",
    [
        "outbound",
        "outbound[*]",
        f'outbound["{CHARGE}"]',
        f'outbound["{CHARGE}"][0]',
        f'outbound["{CHARGE}"][*].request',
        f'outbound["{CHARGE}"][*].request.total',
        f'outbound["{CHARGE}"][*].requests[0].total',
        "outbound[*][*].request.total",
        "outbound[*][*].**",
    ],
)
def test_valid(known, path):
    assert check_rule(at(Ignore, path), known).status is Status.VALID


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (f'outbound["{CHARGE}"][0].request.totl', 'has no "totl"; did you mean "total"?'),
        (f'outbound["{CHARGE}"].request', "is repeated; say"),
        ("outbound.request", 'say whom the calls go to: outbound["pkg.Service/Method"]'),
        (f'outbound["{CHARGE}"][0].amount', f'its request is at outbound["{CHARGE}"][0].request'),
    ],
)
def test_unknown(known, path, problem):
    found = check_rule(at(Ignore, path), known)
    assert found.status is Status.UNKNOWN
    assert problem in found.problem


def test_of_a_call_that_was_not_seen_yet_nothing_is_wrong(known):
    for path in ('outbound["mail.send"][*].request.to', "outbound[*][*].request.nowhere"):
        assert check_rule(at(Tolerance, path, absolute=1.0), known).status is Status.PENDING


def test_a_rule_must_fit_the_request(known):
    text = check_rule(at(Tolerance, f'outbound["{CHARGE}"][*].request.by_flag[true]', absolute=1.0), known)
    assert (text.status, "a tolerance needs a number" in text.problem) == (Status.MISUSED, True)
    assert check_rule(at(UnorderedList, f'outbound["{CHARGE}"]'), known).status is Status.VALID
    keyed = check_rule(at(KeyedList, f'outbound["{CHARGE}"]', by=("id",)), known)
    assert (keyed.status, keyed.problem) == (Status.MISUSED, "calls have no key; say unordered")
