"""The fields of a request as plain values: all shapes of message, bounds, and nothing that redaction took out."""

from __future__ import annotations

import json

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_mirror.v1 import capture_pb2
from hypothesis import given
from hypothesis import strategies as st

from mirror.core import request_fields as module
from mirror.core.request_fields import RequestFields, request_fields
from tests.core.protoc import descriptor_set

PROTO = """
syntax = "proto3";
package t;
import "google/protobuf/any.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Tier { NONE = 0; GOLD = 1; }
message Item { string sku = 1; int64 quantity = 2; repeated string tags = 3; Item bundled = 4; }
message Ask {
  string customer = 1;
  optional int32 age = 2;
  Tier tier = 3;
  repeated Item items = 4;
  map<string, string> labels = 5;
  google.protobuf.Timestamp at = 6;
  google.protobuf.BoolValue news = 7;
  oneof delivery { string courier = 8; Item pickup = 9; }
  bytes seal = 10;
  google.protobuf.Any extra = 11;
  double weight = 12;
  repeated int32 numbers = 13;
}
"""


@pytest.fixture(scope="module")
def ask():
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptor_set(PROTO, "--include_imports")).file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Ask"))


def capture(*messages, kind=capture_pb2.CALL_KIND_UNARY, **more):
    made = capture_pb2.Capture(kind=kind, request_type="t.Ask", request_count=len(messages), **more)
    for one in messages:
        made.messages.add(direction=capture_pb2.DIRECTION_REQUEST, body=one.SerializeToString())
    return made


def fields(made, ask):
    return request_fields(made.SerializeToString(), lambda _schema, _name: ask)


def test_set_and_unset_fields_of_every_shape(ask):
    one = ask(customer="vip-1", tier=1, courier="DHL", seal=b"123", weight=float("nan"))
    one.items.add(sku="a", quantity=3, tags=["x", "y"])
    one.items.add(sku="b")
    one.labels["shop"] = "lyon"
    one.at.FromSeconds(1_700_000_000)
    one.news.value = False
    one.extra.Pack(ask())
    found = fields(capture(one), ask)
    assert found.values == {
        "request.customer": ("vip-1",),
        "request.age": (None,),
        "request.tier": ("GOLD",),
        "request.items[*].sku": ("a", "b"),
        "request.items[*].quantity": (3, 0),
        "request.items[*].tags[*]": ("x", "y"),
        "request.items[*].bundled": (None,),
        'request.labels["shop"]': ("lyon",),
        "request.at": (1_700_000_000,),
        "request.news": (False,),
        "request.courier": ("DHL",),
        "request.pickup": (None,),
        "request.extra": ("t.Ask",),
        "request.weight": ("nan",),
    }
    assert found.counts == {
        "request.items": 2,
        "request.items[*].tags": 2,
        "request.labels": 1,
        "request.seal": 3,
        "request.numbers": 0,
    }
    assert RequestFields.from_json(found.to_json()) == found


def test_a_stream_is_one_set_of_values_and_a_number_of_messages(ask):
    made = capture(ask(customer="a"), ask(customer=""), kind=capture_pb2.CALL_KIND_BIDI_STREAM)
    made.request_count = 7
    found = fields(made, ask)
    assert found.values["requests[*].customer"] == ("a", "")
    assert found.counts["requests"] == 7


def test_captured_metadata_is_there_but_for_bytes(ask):
    made = capture(ask())
    made.request_metadata.add(key="x-tenant", value=b"eu")
    made.request_metadata.add(key="x-blob-bin", value=b"\x00")
    found = fields(made, ask)
    assert found.values['request_metadata["x-tenant"]'] == ("eu",)
    assert not any("blob" in path for path in found.values)


def test_what_was_taken_out_is_named_and_has_no_value_nor_has_what_lies_below(ask):
    made = capture(ask(customer="x", courier="y"))
    for path in ("customer", "items[3]", "pickup.bundled"):
        made.messages[0].private_leaves.add(path=path, hmac=b"h" * 32)
    made.private_leaves.add(path='request_metadata["x-user"]', hmac=b"h" * 32)
    found = fields(made, ask)
    assert found.private == {
        "request.customer",
        "request.items[*]",
        "request.pickup.bundled",
        'request_metadata["x-user"]',
    }
    assert "request.customer" not in found.values
    assert not any(path.startswith("request.items[*]") for path in found.values)
    assert found.values["request.courier"] == ("y",)


def test_what_cannot_be_read_has_no_fields(ask):
    def unknown(_schema, _name):
        raise ValueError("the schema is not known")

    assert request_fields(capture(ask(customer="x")).SerializeToString(), unknown) is None
    assert request_fields(b"\xff\xff", lambda _s, _n: ask) is None
    broken = capture(ask())
    broken.messages[0].body = b"\x0a\xff"
    assert fields(broken, ask) is None
    omitted = capture(ask())
    omitted.messages[0].omission = capture_pb2.OMISSION_MESSAGE_TOO_LARGE
    assert fields(omitted, ask) == RequestFields()


def test_many_values_keep_what_is_empty_the_ends_and_the_first(ask):
    found = fields(capture(ask(numbers=[*range(49, 0, -1), 0])), ask)
    assert found.values["request.numbers[*]"] == (0, 49, 48, 47, 46, 45, 44, 43)
    assert found.counts["request.numbers"] == 50


def test_a_long_list_leaves_room_for_the_fields_behind_it(ask):
    one = ask(weight=1.5)
    for number in range(1000):
        one.items.add(sku=f"s{number}")
    found = fields(capture(one), ask)
    assert found.values["request.weight"] == (1.5,)
    assert found.counts["request.items"] == 1000


@given(
    items=st.lists(st.text(max_size=300), max_size=60),
    labels=st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=30),
    depth=st.integers(0, 40),
)
def test_whatever_is_sent_is_bounded(ask, items, labels, depth):
    one = ask()
    for sku in items:
        one.items.add(sku=sku)
    for key, value in labels.items():
        one.labels[key] = value
    inner = one.pickup
    for _ in range(depth):
        inner = inner.bundled
    inner.sku = "deep"
    found = fields(capture(one), ask)
    assert len(found.values) <= module.PATHS_MAX
    assert all(len(values) <= module.VALUES_MAX for values in found.values.values())
    assert all(len(v) <= module.TEXT_MAX for values in found.values.values() for v in values if isinstance(v, str))
    assert RequestFields.from_json(found.to_json()) == found
    assert len(json.loads(found.to_json())["v"]) == len(found.values)
