"""Pairs whose sides have other schemas: whose names are told, and that equal bytes decide nothing."""

from __future__ import annotations

import pytest
from google.protobuf import any_pb2

from tests.core.compare.shapes import SHOP, order, schema
from tests.core.test_calls import SCHEMA, capture, comparer, found, record


def test_two_schemas_where_one_holds_the_other():
    """A field that only the candidate knows is named."""
    newer, serialized = schema(SHOP.replace("bool open = 25;", "bool open = 25; string coupon = 26;"))
    right = capture(order('id: "1"').SerializeToString() + b"\xd2\x01\x01x", fingerprint=newer)
    assert found(capture('id: "1"'), right, book=(SCHEMA, serialized)) == ["response.coupon added"]
    assert found(capture('id: "1"'), capture('id: "1"', fingerprint=newer), book=(SCHEMA, serialized)) == []
    assert comparer().missing_schemas(record(capture()), record(right)) == {newer}


def test_two_schemas_with_a_retyped_field():
    """The bytes are equal, the values are not."""
    newer, serialized = schema(SHOP.replace("int64 size = 22;", "sint64 size = 22;"))
    left, right = capture("size: 2"), capture("size: 2", fingerprint=newer)
    assert left.messages[0].body == right.messages[0].body
    assert found(left, right, book=(SCHEMA, serialized)) == ["response.size value"]


# Each version has one field that the other lacks (26 and 27), and the third has retyped one.
OURS = SHOP.replace("bool open = 25;", "bool open = 25; string coupon = 26;")
THEIRS = SHOP.replace("bool open = 25;", "bool open = 25; string voucher = 27;")
RETYPED = THEIRS.replace("int64 size = 22;", "sint64 size = 22;")
COUPON, VOUCHER = b"\xd2\x01\x01x", b"\xda\x01\x01y"


@pytest.mark.parametrize("newer", [THEIRS, RETYPED], ids=["put together", "each side by its own, widened"])
@pytest.mark.parametrize("turned", [False, True], ids=["primary", "candidate"])
def test_a_field_that_one_schema_knows_has_its_name_on_both_sides(newer, turned):
    """Also what a side passes on without knowing it: one difference under the name, or none, never two."""
    one, other = schema(OURS), schema(newer)
    body = order('id: "1"').SerializeToString()

    def differing(left: bytes, right: bytes) -> list[str]:
        sides = [capture(left, fingerprint=one[0]), capture(right, fingerprint=other[0])]
        return found(*(sides[::-1] if turned else sides), book=(one[1], other[1]))

    assert differing(body, body) == []
    lost, more = ("added", "missing") if turned else ("missing", "added")
    assert differing(body + COUPON, body) == [f"response.coupon {lost}"]
    assert differing(body, body + VOUCHER) == [f"response.voucher {more}"]
    assert differing(body + COUPON, body + VOUCHER) == [f"response.coupon {lost}", f"response.voucher {more}"]
    assert differing(body + COUPON + VOUCHER, body + VOUCHER + COUPON) == []
    assert differing(body + COUPON, body + COUPON.replace(b"x", b"z")) == ["response.coupon value"]


def test_what_the_wider_schema_cannot_read_is_read_by_its_senders():
    """A field that the sender does not know may hold anything."""
    newer, serialized = schema(OURS)
    odd = order('id: "1"').SerializeToString() + b"\xd2\x01\x01\xff"
    differing = found(capture(odd), capture('id: "1"', fingerprint=newer), book=(SCHEMA, serialized))
    assert differing == ["response.26[0] missing"]


@pytest.mark.parametrize(
    ("old", "new", "text", "path"),
    [
        ("int32 count = 3;", "sint32 count = 3;", "items {count: 2}", "response.items[0].count"),
        ("int32 count = 3;", "sint32 count = 3;", "by_number {key: 1 value {count: 2}}", "response.by_number[1].count"),
        ("repeated int32 numbers", "repeated sint32 numbers", "numbers: 2", "response.numbers[0]"),
        ("string cash = 11;", "bytes cash = 11;", "", ""),
    ],
)
def test_equal_bytes_of_a_retyped_field_decide_nothing(old, new, text, path):
    """An int32 of 2 and a sint32 of 1 are the same byte."""
    newer, serialized = schema(SHOP.replace(old, new))
    left, right = capture(text), capture(text, fingerprint=newer)
    assert left.messages[0].body == right.messages[0].body
    assert found(left, right, book=(SCHEMA, serialized)) == ([f"{path} value"] if path else [])


def test_equal_bytes_of_a_retyped_field_inside_an_any():
    newer, serialized = schema(
        SHOP.replace("message Card { string number = 1; }", "message Card { string number = 1; sint32 left = 2; }")
    )
    older, before = schema(
        SHOP.replace("message Card { string number = 1; }", "message Card { string number = 1; int32 left = 2; }")
    )
    packed = any_pb2.Any(type_url="x/shop.Card", value=b"\x10\x02").SerializeToString()
    body = b"b" + bytes([len(packed)]) + packed
    left, right = capture(body, fingerprint=older), capture(body, fingerprint=newer)
    assert found(left, right, book=(before, serialized)) == ["response.detail.(shop.Card).left value"]
