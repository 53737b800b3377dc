"""What rules excuse: never a difference more, and each excused one under the rule's id where values really differ."""

from __future__ import annotations

import pytest

from mirror.core.compare import compare
from mirror.core.path import render
from mirror.core.rules import (
    Ignore,
    KeyedList,
    NormalisedText,
    Presence,
    TimeWindow,
    Tolerance,
    UnorderedList,
    ValueClass,
)
from tests.core.compare.shapes import order, rule, rules

UUIDS = ("00112233-4455-6677-8899-aabbccddeeff", "99112233-4455-6677-8899-AABBCCDDEEFF")


def outcome(left, right, *made):
    """(what counts, what is excused), each as `path kind`."""
    result = compare(order(left), order(right), rules(*made))
    assert all(d.rule == "r" for d in result.ignored)
    assert result.ignored_count == len(result.ignored)
    return tuple(
        [f"{render(d.path).removeprefix('response.')} {d.kind}" for d in kept]
        for kept in (result.differences, result.ignored)
    )


IGNORE = [
    ("a leaf", "response.id", 'id: "1"', 'id: "2"', ([], ["id value"])),
    ("a leaf that is the same", "response.id", 'id: "1"', 'id: "1"', ([], [])),
    ("presence", "response.gift", "gift: 1", "", ([], ["gift missing"])),
    ("a subtree is one", "response.main", 'main {sku: "1" count: 1}', 'main {sku: "2"}', ([], ["main value"])),
    ("a subtree equal but for NaN and -0.0", "response.main", "main {price: -0.0}", "main {price: 0.0}", ([], [])),
    ("a list is one", "response.numbers", "numbers: [1, 2]", "numbers: [3]", ([], ["numbers value"])),
    ("a list of which one element differs", "response.numbers", "numbers: [1, 2]", "numbers: [1, 3]", ([], ["numbers value"])),
    ("a list of which all elements differ", "response.rates", "rates: [1, 2]", "rates: [3, 4]", ([], ["rates value"])),
    ("a list of times", "response.times", "times {seconds: 1}", "times {seconds: 2}", ([], ["times value"])),
    ("a map of which one value differs", "response.scores", 'scores {key: "k" value: 1}', 'scores {key: "k" value: 2}', ([], ["scores value"])),
    ("a map is one", "response.labels", 'labels {key: "k"}', "", ([], ["labels value"])),
    ("an entry", 'response.labels["k"]', 'labels {key: "k"} labels {key: "l"}', "", (['labels["l"] missing'], ['labels["k"] missing'])),
    ("below every element", "response.items[*].trace", 'items {trace: "1"} items {sku: "a"}', 'items {trace: "2"} items {sku: "b"}', (["items[1].sku value"], ["items[0].trace value"])),
    ("one element", "response.items[1]", 'items {sku: "1"} items {sku: "2"}', 'items {sku: "3"} items {sku: "4"}', (["items[0].sku value"], ["items[1] value"])),
    ("at any depth", "response.**.sku", 'main {sku: "1"} parent {items {sku: "2"}}', 'main {sku: "3"} parent {items {sku: "4"}}', ([], ["main.sku value", "parent.items[0].sku value"])),
    ("inside an Any", "response.detail.(shop.Card).number", 'detail {[x/shop.Card] {number: "1"}}', 'detail {[x/shop.Card] {number: "2"}}', ([], ["detail.(shop.Card).number value"])),
    ("part of a timestamp", "response.created.nanos", "created {seconds: 1 nanos: 1}", "created {seconds: 2 nanos: 2}", (["created.seconds value"], ["created.nanos value"])),
]  # fmt: skip


@pytest.mark.parametrize(("path", "left", "right", "expected"), [r[1:] for r in IGNORE], ids=[r[0] for r in IGNORE])
def test_ignore(path, left, right, expected):
    assert outcome(left, right, rule(Ignore, path)) == expected


def test_what_a_rule_excuses_in_every_element_is_no_order():
    """Excused elements are unequal and yet the same: they have not moved."""
    left, right = (
        'items {sku: "1" trace: "a"} items {sku: "2" trace: "b"}',
        'items {sku: "1" trace: "c"} items {sku: "2" trace: "d"}',
    )
    expected = ["items[0].trace value", "items[1].trace value"]
    assert outcome(left, right, rule(Ignore, "response.items[*].trace")) == ([], expected)
    numbers = ["numbers[0] value", "numbers[1] value"]
    assert outcome("numbers: [1, 50]", "numbers: [2, 51]", rule(Tolerance, "response.numbers", absolute=1)) == (
        [],
        numbers,
    )


def test_ignored_noise_does_not_hide_order_or_loss():
    """Elements belong together as if the ignored field were not there."""
    ignore = rule(Ignore, "response.items[*].trace")
    left = "".join(f'items {{sku: "{sku}" trace: "left {sku}"}}' for sku in "abcd")
    swapped = "".join(f'items {{sku: "{sku}" trace: "right {sku}"}}' for sku in "acbd")
    shorter = "".join(f'items {{sku: "{sku}" trace: "right {sku}"}}' for sku in "acd")
    assert outcome(left, swapped, ignore)[0] == ["items order"]
    assert outcome(left, shorter, ignore)[0] == ["items[1] missing"]


TOLERANCE = [
    ("absolute", {"absolute": 0.5}, "total: 1", "total: 1.5", True),
    ("absolute, beyond", {"absolute": 0.5}, "total: 1", "total: 1.51", False),
    ("relative", {"relative": 0.01}, "total: 100", "total: 99", True),
    ("the larger of both", {"relative": 0.01, "absolute": 5}, "total: 100", "total: 95", True),
    ("never infinite", {"absolute": 1e308}, "total: inf", "total: 1", False),
    ("never NaN", {"absolute": 1e308}, "total: nan", "total: 1", False),
]


@pytest.mark.parametrize(("own", "left", "right", "excused"), [r[1:] for r in TOLERANCE], ids=[r[0] for r in TOLERANCE])
def test_tolerance(own, left, right, excused):
    expected = ([], ["total value"]) if excused else (["total value"], [])
    assert outcome(left, right, rule(Tolerance, "response.total", **own)) == expected


def test_tolerance_is_computed_in_the_fields_own_type():
    """The float next to 0.1 is larger than 0.1; so is the tolerance, once it is a float."""
    assert outcome("ratio: 0", "ratio: 0.1", rule(Tolerance, "response.ratio", absolute=0.1)) == ([], ["ratio added"])


def test_tolerance_at_integers_lists_maps_and_wrappers():
    """A leaf rule at a list, a map or a wrapper holds for the values in it; so does one at their elements."""
    for path, left, right, at in (
        ("response.size", "size: 9007199254740993", "size: 9007199254740992", "size"),
        ("response.rates", "rates: [1, 2]", "rates: [1, 2.5]", "rates[1]"),
        ("response.rates[*]", "rates: [1, 2]", "rates: [1, 2.5]", "rates[1]"),
        ("response.scores", 'scores {key: "a" value: 1}', 'scores {key: "a" value: 2}', 'scores["a"]'),
        ("response.discount", "discount {value: 1}", "discount {value: 2}", "discount.value"),
        ("response.discount.value", "discount {value: 1}", "discount {value: 2}", "discount.value"),
    ):
        assert outcome(left, right, rule(Tolerance, path, absolute=1)) == ([], [f"{at} value"])


@pytest.mark.parametrize("path", ["response.**", "response.**.*", "response.*.*", "response.created.*"])
def test_a_tolerance_under_wildcards_does_not_open_a_timestamp(path):
    """It is one value and no number; else 1 % would be half a year."""
    made = rule(Tolerance, path, relative=0.01)
    assert outcome("created {seconds: 2000000000}", "created {seconds: 2000000001}", made) == (["created value"], [])


def test_tolerance_leaves_enums_and_booleans_alone():
    made = rule(Tolerance, "response.*", absolute=10)
    assert outcome("state: NEW open: true", "state: PAID open: false", made) == (["state added", "open missing"], [])


def test_time_windows():
    made = rule(TimeWindow, "response.**", within_s=1.5)
    near = "created {seconds: 10 nanos: 1} took {seconds: 1} times {seconds: 1}"
    assert outcome(near, "created {seconds: 11 nanos: 500000001} took {nanos: 1} times {seconds: 2}", made) == (
        [],
        ["created value", "took value", "times[0] value"],
    )
    assert outcome("created {seconds: 10}", "created {seconds: 11 nanos: 500000001}", made) == (["created value"], [])
    assert outcome("created {seconds: 10}", "", made) == (["created missing"], [])


VALUES = [
    ("uuid", f'id: "{UUIDS[0]}"', f'id: "{UUIDS[1]}"', True),
    ("uuid", f'id: "{UUIDS[0]}"', 'id: ""', False),
    ("uuid", 'id: "a"', 'id: "b"', False),
    ("timestamp", 'id: "2026-01-31T10:00:00Z"', 'id: "2026-02-01T10:00:00.123+02:00"', True),
    ("timestamp", 'id: "2026-01-31T10:00:00Z"', 'id: "2026-02-31T10:00:00Z"', False),
    ("timestamp", "size: 1700000000", "size: 1700000001000", True),
    ("timestamp", "created {seconds: 1700000000}", "created {seconds: 1800000000}", True),
    ("timestamp", "created {seconds: 1700000000}", "created {}", False),
    ("non_empty", 'id: "a"', 'id: "b"', True),
    ("non_empty", 'id: "a"', "", False),
    ("same_length", 'blob: "ab"', 'blob: "cd"', True),
    ("same_length", 'blob: "ab"', 'blob: "c"', False),
    ("same_sign", "size: -1", "size: -7", True),
    ("same_sign", "total: -1", "total: 1", False),
    ("same_sign", "total: nan", "total: 1", False),
]


@pytest.mark.parametrize(("name", "left", "right", "excused"), VALUES)
def test_value_classes(name, left, right, excused):
    counted, ignored = outcome(left, right, rule(ValueClass, "response.*", name=name))
    assert (len(counted), len(ignored)) == ((0, 1) if excused else (1, 0))


def test_unordered_lists():
    made = rule(UnorderedList, "response.numbers")
    assert outcome("numbers: [1, 2, 3]", "numbers: [3, 1, 2]", made) == ([], ["numbers order"])
    assert outcome("numbers: [1, 2, 3]", "numbers: [1, 2, 3]", made) == ([], [])
    assert outcome("numbers: [1, 2, 3]", "numbers: [3, 1, 4]", made) == (
        ["numbers[2] added", "numbers[1] missing"],
        ["numbers order"],
    )
    assert outcome("numbers: [1, 1, 2]", "numbers: [2, 1, 2]", made)[0] == ["numbers[2] added", "numbers[1] missing"]


def test_unordered_messages_pair_by_likeness():
    """An element that changed a little is the same element changed, not one lost and one more."""
    made = rule(UnorderedList, "response.items")
    left = 'items {sku: "a" price: 1 count: 1} items {sku: "b" price: 2 count: 2}'
    right = 'items {sku: "b" price: 2 count: 9} items {sku: "a" price: 1 count: 1}'
    assert outcome(left, right, made) == (["items[1].count value"], ["items order"])


def test_unordered_under_tolerance_finds_the_largest_matching():
    """1.0 could take either, 0.5 only the first."""
    made = [rule(UnorderedList, "response.rates"), rule(Tolerance, "response.rates[*]", absolute=0.5)]
    assert outcome("rates: [1.0, 0.5]", "rates: [0.75, 1.5]", *made)[0] == []


def test_keyed_lists():
    """By one key or several; what has no partner is missing or added; elements of one key are safe."""
    made = rule(KeyedList, "response.items", by=("sku",))
    left = 'items {sku: "a" count: 1} items {sku: "b" count: 2} items {sku: "c"}'
    right = 'items {sku: "c"} items {sku: "b" count: 3} items {sku: "d"}'
    assert outcome(left, right, made) == (
        ["items[1].count value", "items[2] added", "items[0] missing"],
        ["items order"],
    )
    twice = 'items {sku: "a" count: 1} items {sku: "a" count: 2}'
    swapped = 'items {sku: "a" count: 2} items {sku: "a" count: 1}'
    assert outcome(twice, swapped, made)[0] == []
    both = rule(KeyedList, "response.items", by=("sku", "count"))
    assert outcome(twice, 'items {sku: "a" count: 3} items {sku: "a" count: 1}', both)[0] == [
        "items[0] added",
        "items[1] missing",
    ]


def test_a_key_that_no_schema_has_leaves_a_list_a_list():
    made = rule(KeyedList, "response.items", by=("nope",))
    assert outcome('items {sku: "a"}', 'items {sku: "b"}', made) == (["items[0].sku value"], [])


def test_rules_elsewhere_change_nothing():
    made = [rule(Ignore, f"response.other{n}.x[*].y") for n in range(50)]
    assert outcome('main {sku: "1"}', 'main {sku: "2"}', *made) == (["main.sku value"], [])


PRESENCE = [
    ("optional scalar at its default", "response.gift", "", "gift: 0", ([], ["gift added"])),
    ("optional scalar set to more", "response.gift", "", "gift: 1", (["gift added"], [])),
    ("empty message", "response.main", "main {}", "", ([], ["main missing"])),
    ("message with something in it", "response.main", "main {count: 1}", "", (["main missing"], [])),
    ("wrapper of zero", "response.discount", "", "discount {}", ([], ["discount added"])),
    ("elements are not fields", "response.**", "items {}", "", (["items[0] missing"], [])),
    ("entries neither", "response.**", "by_number {key: 1 value {}}", "", (["by_number[1] missing"], [])),
]


@pytest.mark.parametrize(("path", "left", "right", "expected"), [r[1:] for r in PRESENCE], ids=[r[0] for r in PRESENCE])
def test_presence(path, left, right, expected):
    """Unset equals default where the rule says so, and nowhere else."""
    assert outcome(left, right, rule(Presence, path)) == expected


def test_text_is_normalised_also_in_lists_and_maps():
    """A rule that names the container is about the values in it."""
    lower = {"case": "ignore"}
    for path, left, right, at in (
        ("response.id", 'id: "A"', 'id: "a"', "id"),
        ("response.labels", 'labels {key: "k" value: "A"}', 'labels {key: "k" value: "a"}', 'labels["k"]'),
        ("response.main.tags", 'main {tags: "A"}', 'main {tags: "a"}', "main.tags[0]"),
    ):
        assert outcome(left, right, rule(NormalisedText, path, **lower)) == ([], [f"{at} value"])


def test_in_any_order_an_element_may_be_needed_for_another_than_its_equal():
    """Within a tolerance of 0.1, 1.0 is the same as 0.9 and 1.0, and 1.1 only as 1.0: so 1.0 goes to 0.9."""
    unordered = rule(UnorderedList, "response.rates")
    near = rule(Tolerance, "response.rates[*]", absolute=0.11)
    assert outcome("rates: [1.0, 1.1]", "rates: [1.0, 0.9]", unordered, near)[0] == []
