"""Messages as trees: the JSON that the API answers and the paths that lines carry."""

import json

import pytest
from google.protobuf import any_pb2, descriptor_pb2, duration_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.path import PathPattern
from mirror.serve import tree
from tests.serve.shopdata import message


def _paths(node):
    return [node.path, *(path for child in node.children for path in _paths(child))]


def test_a_message_becomes_json_with_enums_by_name_and_well_known_times():
    order = message("Order")
    order.status = 1
    order.created.FromJsonString("2026-11-23T10:00:00.5Z")
    order.items.add(sku="a", price=1.5)
    order.labels['it"s'] = "x"
    assert tree.plain(tree.of_message(order, "response")) == {
        "status": "STATUS_PAID",
        "items": [{"sku": "a", "price": 1.5}],
        "created": "2026-11-23T10:00:00.500Z",
        "labels": {'it"s': "x"},
    }


def test_paths_are_those_of_the_comparer():
    order = message("Order")
    order.items.add(price=1.0)
    order.labels['k"ey'] = "x"
    paths = _paths(tree.of_message(order, "responses[3]"))
    assert "responses[3].items[0].price" in paths
    assert 'responses[3].labels["k\\"ey"]' in paths
    for path in paths:
        PathPattern.parse(path)


def test_an_any_is_unpacked_and_one_of_an_unknown_type_stands_as_base64():
    packed = any_pb2.Any()
    packed.Pack(duration_pb2.Duration(seconds=2))
    assert tree.plain(tree.of_message(packed, "details"))["value"] == "2s"
    known = any_pb2.Any()
    known.Pack(wrappers_pb2.StringValue(value="x"))
    assert _paths(tree.of_message(known, "d"))[-1] == "d.(google.protobuf.StringValue).value"
    foreign = any_pb2.Any(type_url="type.googleapis.com/who.Knows", value=b"\x01")
    assert tree.plain(tree.of_message(foreign, "d")) == {"@type": "type.googleapis.com/who.Knows", "value": "AQ=="}


def test_unknown_fields_stand_under_their_numbers():
    raw = message("Order").__class__.FromString(b"\xa2\x06\x01x")  # field 100, length-delimited
    node = tree.of_message(raw, "response")
    assert tree.plain(node) == {"100": ["eA=="]}
    assert node.children[0].children[0].path == "response.100[0]"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(float("nan"), "NaN"), (float("-inf"), "-Infinity"), (2**60, str(2**60)), (7, 7), (b"\x00", "AA=="), (True, True)],
)
def test_values_that_json_cannot_say_are_text(value, shown):
    assert tree.leaf("p", "k", value).value == shown


def test_a_timestamp_out_of_range_is_shown_by_its_fields():
    assert tree.plain(tree.of_message(timestamp_pb2.Timestamp(seconds=2**55), "t")) == {"seconds": str(2**55)}


def test_a_deep_message_is_cut_and_says_so():
    value = struct_pb2.Value()
    inner = value
    for _ in range(60):  # each level is two messages deep
        inner = inner.list_value.values.add()
    inner.number_value = 1
    assert "too large" in json.dumps(tree.plain(tree.of_message(value, "v")))


def test_a_wide_message_is_cut_and_says_so():
    made = descriptor_pb2.FileDescriptorProto(public_dependency=range(tree.NODES_MAX + 1))
    assert "too large" in json.dumps(tree.plain(tree.of_message(made, "v")))


@given(st.binary(max_size=200))
def test_any_bytes_that_parse_can_be_shown(raw):
    kind = message("Order").__class__
    try:
        parsed = kind.FromString(raw)
    except Exception:  # noqa: BLE001 - only what parses matters here
        return
    json.dumps(tree.plain(tree.of_message(parsed, "response")))
