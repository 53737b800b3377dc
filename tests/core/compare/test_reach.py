"""Where no rule can meet anything below a place, the place is as good as one without rules; in doubt it is not."""

from __future__ import annotations

import pytest

from mirror.core.compare.reach import meets_message
from mirror.core.path import Field
from mirror.core.rules import Ignore, NormalisedText, UnorderedList
from tests.core.compare.shapes import kind, order, rule, rules

RESPONSE = (Field("response"),)


def meets(*made):
    """Whether rules at these paths meet anything in an Order that stands at `response`."""
    return meets_message(rules(*made).walk(RESPONSE), order().DESCRIPTOR, order().DESCRIPTOR)


@pytest.mark.parametrize(
    "path",
    [
        "response",
        "response.id",
        "response.main.sku",
        "response.items[*].tags[*]",
        "response.items[3].sku",
        'response.labels["env"]',
        "response.**",
        "response.*.nope",
        "response.240[0]",
        "response.detail.(shop.Card).number",
        "response.detail.nope",
    ],
)
def test_a_rule_at_what_is_there_or_may_be_there_meets_it(path):
    assert meets(rule(Ignore, path))


@pytest.mark.parametrize(
    "path",
    [
        "response.nope",
        "response.main.nope",
        "response.id.nope",
        "response.items[*].nope",
        "response.labels[*].nope",
        "response.numbers[*].nope",
        "status.code",
        "responses[*].id",
    ],
)
def test_a_rule_for_another_type_or_another_place_meets_nothing(path):
    assert not meets(rule(Ignore, path))


def test_of_several_rules_one_that_meets_something_is_enough():
    far = rule(UnorderedList, "response.main.nope"), rule(NormalisedText, "response.nope", case=True)
    assert not meets(*far)
    assert meets(*far, rule(Ignore, "response.id"))


SWAPPED = (
    kind('syntax = "proto3"; package t; message M {M a = 1; M b = 2; int32 x = 3;}', "t.M").DESCRIPTOR,
    kind('syntax = "proto3"; package t; message M {M b = 1; M a = 2; int32 y = 3; int32 z = 4;}', "t.M").DESCRIPTOR,
)


@pytest.mark.parametrize("path", ["response.a.x", "response.a.y", "response.a.z", "response.b.a.z"])
def test_of_two_schemas_a_rule_may_mix_the_names_of_both(path):
    assert meets_message(rules(rule(Ignore, path)).walk(RESPONSE), *SWAPPED)


def test_names_that_were_exchanged_do_not_make_the_search_endless():
    """Each step leads to two fields: 2 to the power of 90 ways, but only 90 places."""
    assert not meets_message(rules(rule(Ignore, "response" + ".a" * 90 + ".nope")).walk(RESPONSE), *SWAPPED)
