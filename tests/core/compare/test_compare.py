"""What it means for two messages to differ: one row for each rule of meaning in the docstring of `compare`."""

from __future__ import annotations

import pytest

from mirror.core.compare import CompareOptions, Lists, compare, value_text
from mirror.core.path import render
from tests.core.compare.shapes import kind, order


def found(left, right, options=None, **more):
    """Each difference as `path kind`."""
    result = compare(left, right, options=options or CompareOptions(), **more)
    assert result.count == len(result.differences)
    return [f"{render(d.path).removeprefix('response.')} {d.kind}" for d in result.differences]


A = 'items {sku: "a" price: 1 count: 1} '
B = 'items {sku: "b" price: 2 count: 2} '
C = 'items {sku: "c" price: 3 count: 3} '
D = 'items {sku: "d" price: 4 count: 4} '
CARD = 'detail {[type.googleapis.com/shop.Card] {number: "%s"}} '

CASES = [
    # (what it shows, left, right, expected)
    ("nothing set", "", "", []),
    ("plain scalar by value", 'id: "1"', 'id: "2"', ["id value"]),
    ("plain scalar: unset is its default", "id: ''", "", []),
    ("plain scalar: set on one side", "", 'id: "2"', ["id added"]),
    ("optional: unset is not default", "", "gift: 0", ["gift added"]),
    ("optional: missing", "gift: 3", "", ["gift missing"]),
    ("optional: by value", "gift: 3", "gift: 4", ["gift value"]),
    ("enum", "state: 7", "state: PAID", ["state value"]),
    ("enum: its first value is its default", "state: NEW", "state: PAID", ["state added"]),
    ("unknown enum number", "state: PAID", "state: 7", ["state value"]),
    ("message: one difference, not one a field", 'main {sku: "x" count: 1}', "", ["main missing"]),
    ("empty message is not unset", "", "main {}", ["main added"]),
    ("within a message", 'main {sku: "x"}', 'main {sku: "y"}', ["main.sku value"]),
    ("recursive type", 'parent {parent {id: "x"}}', 'parent {parent {id: "y"}}', ["parent.parent.id value"]),
    ("list by position", "numbers: [1, 2, 3]", "numbers: [1, 5, 3]", ["numbers[1] value"]),
    ("list: element lost", "numbers: [1, 2, 3, 4]", "numbers: [1, 3, 4]", ["numbers[1] missing"]),
    ("list: element more", "numbers: [1, 2]", "numbers: [0, 1, 2]", ["numbers[0] added"]),
    ("list: another order", "numbers: [1, 2, 3]", "numbers: [3, 1, 2]", ["numbers order"]),
    ("list: equal elements are counted", "numbers: [1, 1, 2]", "numbers: [1, 2, 2]", ["numbers[1] value"]),
    ("messages: one field", A + B, A + B.replace("2", "9", 1), ["items[1].price value"]),
    ("messages: lost in the middle", A + B + C + D, A + C + D, ["items[1] missing"]),
    ("messages: another order", A + B + C, B + A + C, ["items order"]),
    (
        "messages: another order, one changed",
        A + B + C,
        B + A + C.replace("3", "9", 1),
        ["items order", "items[2].price value"],
    ),
    ("messages: lost, and another order", A + B + C + D, B + A + D, ["items order", "items[2] missing"]),
    ("map entry changed", 'labels {key: "k" value: "1"}', 'labels {key: "k" value: "2"}', ['labels["k"] value']),
    ("map entry lost", 'labels {key: "k" value: "1"}', "", ['labels["k"] missing']),
    (
        "map of messages",
        "by_number {key: 3 value {count: 1}}",
        "by_number {key: 3 value {count: 2}}",
        ["by_number[3].count value"],
    ),
    ("map has no order", 'labels {key: "a"} labels {key: "b"}', 'labels {key: "b"} labels {key: "a"}', []),
    ("oneof: another branch", 'card {number: "1"}', 'cash: "1"', ["card missing", "cash added"]),
    ("any: unpacked", CARD % "1", CARD % "2", ["detail.(shop.Card).number value"]),
    ("any: another type", CARD % "1", 'detail {[type.googleapis.com/shop.Item] {sku: "1"}}', ["detail value"]),
    ("any: the host means nothing", CARD % "1", (CARD % "1").replace("type.googleapis.com", "example.com"), []),
    (
        "any: nobody knows the type",
        'detail {type_url: "x/n.N" value: "1"}',
        'detail {type_url: "x/n.N" value: "2"}',
        ["detail.value value"],
    ),
    (
        "any: not decodable",
        r'detail {type_url: "x/shop.Card" value: "\377"}',
        CARD % "1",
        ["detail.type_url value", "detail.value value"],
    ),
    ("timestamp is one value", "created {seconds: 1 nanos: 5}", "created {seconds: 2 nanos: 6}", ["created value"]),
    ("timestamp unset", "created {}", "", ["created missing"]),
    ("duration is one value", "took {nanos: 1}", "took {nanos: 2}", ["took value"]),
    ("wrapper: unset is not zero", "", "discount {}", ["discount added"]),
    ("wrapper", "discount {value: 1}", "discount {value: 2}", ["discount.value value"]),
    ("NaN equals NaN", "total: nan rates: nan", "total: nan rates: nan", []),
    ("NaN differs from numbers", "total: nan", "total: 1", ["total value"]),
    ("-0.0 equals 0.0", "total: -0.0 rates: [0.0, 1] main {price: -0.0}", "total: 0.0 rates: [-0.0, 1] main {}", []),
    ("infinities", "total: inf ratio: -inf", "total: inf ratio: inf", ["ratio value"]),
    ("bytes", 'blob: "a"', 'blob: "b"', ["blob value"]),
    ("order of the report is that of the numbers", 'total: 1 id: "x"', "", ["id missing", "total missing"]),
]


@pytest.mark.parametrize(("left", "right", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_meaning(left, right, expected):
    """Every row, and its mirror image with added and missing exchanged."""
    assert found(order(left), order(right)) == expected
    back = found(order(right), order(left))
    assert bool(back) == bool(expected)
    if "another order" not in left and len(expected) <= 1 and "[" not in "".join(expected):
        assert back == [e.replace("missing", "A").replace("added", "missing").replace("A", "added") for e in expected]


def test_struct_is_compared_by_its_values():
    left, right = order(), order()
    left.extra.update({"a": 1, "b": [1, 2, {"c": None}], "d": True})
    right.extra.update({"a": "1", "b": [1, 2, {"c": 0}], "d": True})
    assert found(left, right) == [
        'extra.fields["a"] value',
        'extra.fields["b"].list_value.values[2].struct_value.fields["c"] value',
    ]


def test_equal_any_with_other_bytes_is_the_same():
    """The sender's encoder may order map entries as it likes."""
    inner = [b"B\x06\n\x01a\x12\x01x", b"B\x06\n\x01b\x12\x01y"]
    left, right = order(), order()
    left.detail.type_url = right.detail.type_url = "x/shop.Order"
    left.detail.value, right.detail.value = inner[0] + inner[1], inner[1] + inner[0]
    assert left != right
    assert found(left, right) == []


def test_unknown_fields_go_by_number_and_index_whatever_their_order():
    two, three = b"\xa0\x06\x01", b"\xaa\x06\x01x"  # 100: varint 1; 101: "x"
    make = kind().FromString
    assert found(make(two + three), make(three + two)) == []
    assert found(make(two + two), make(two + b"\xa0\x06\x02")) == ["100[1] value"]
    assert found(make(two), make(b"")) == ["100[0] missing"]
    assert found(make(b"\xa3\x06\x08\x01\xa4\x06"), make(b"\xa3\x06\x08\x02\xa4\x06")) == ["100[0].1[0] value"]


def test_nan_may_differ_from_nan():
    """Only where the options say so; then `==` does not cut messages with floats short."""
    message = order("main {price: nan} rates: nan")
    strict = CompareOptions(nan_equal=False)
    assert found(message, message, strict) == ["main.price value", "rates[0] value"]
    assert found(order('id: "1"'), order('id: "1"'), strict) == []


def test_lists_can_go_strictly_by_position():
    assert found(order("numbers: [1, 2, 3]"), order("numbers: [2, 3]"), CompareOptions(lists=Lists.LIST)) == [
        "numbers[0] value",
        "numbers[1] value",
        "numbers[2] missing",
    ]


def test_enums_show_their_names():
    difference = compare(order("state: PAID"), order("state: 7")).differences[0]
    assert (difference.left, difference.right) == (1, 7)
    assert [value_text(difference.left), value_text(difference.right)] == ["PAID", "7 (unknown number)"]


def test_values_as_text():
    """Short, on one line, and empty only for nothing."""
    assert value_text(None) == ""
    assert value_text("") == '""'
    assert value_text('a"b') == '"a\\"b"'
    assert value_text(b"\x01\xff") == "0x01ff (2 bytes)"
    assert value_text(True) == "true"
    assert value_text(order("created {seconds: 1}").created) == "1970-01-01T00:00:01Z"
    assert value_text(order("main {count: 1}").main) == "{count: 1}"
    assert value_text(order(f'id: "{"x" * 20_000}"')) == "(shop.Order, 20004 bytes)"
    assert len(value_text("x" * 1000)) == 200


def test_the_true_count_is_kept():
    """What is cut is the list; each further pattern and kind stays in it once."""
    left = order("numbers: [" + ",".join(["1"] * 50) + "] total: 1")
    right = order("numbers: [" + ",".join(["2"] * 50) + "] total: 2")
    result = compare(left, right, options=CompareOptions(differences_max=10))
    assert result.count == 51
    assert [d.pattern for d in result.differences] == ["response.numbers[*]"] * 10 + ["response.total"]
