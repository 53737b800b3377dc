"""Schemas that call their fields as protobuf calls its methods, or their types as its well-known ones."""

from __future__ import annotations

import pytest

from mirror.core.compare import compare, value_text
from tests.core.compare.shapes import kind

METHODS = (
    *("ListFields", "HasField", "CopyFrom", "DiscardUnknownFields", "SerializePartialToString", "SerializeToString"),
    *("FromString", "MergeFrom", "ByteSize", "ToJsonString", "Extensions", "HasExtension", "WhichOneof"),
)
FIELDS = " ".join(
    f'optional int32 {name} = {number} [json_name = "j{number}"];' for number, name in enumerate(METHODS, 1)
)
EVIL = f"""
    syntax = "proto3"; package e;
    message M {{ {FIELDS} repeated M kids = 50 [json_name = "kids"]; M kid = 51 [json_name = "kid"]; }}
"""


def test_fields_called_as_methods_are_fields():
    evil = kind(EVIL, "e.M")
    set_all = b"".join(bytes([number << 3, 5]) for number in range(1, len(METHODS) + 1))
    found = compare(evil.FromString(set_all), evil())
    assert [difference.pattern for difference in found.differences] == [f"response.{name}" for name in METHODS]


def test_elements_and_values_of_such_messages_can_be_aligned_and_shown():
    evil = kind(EVIL, "e.M")
    kids = [b"\x92\x03\x02\x08" + bytes([n]) for n in range(4)]
    found = compare(evil.FromString(b"".join(kids)), evil.FromString(b"".join(kids[1:]) + b"\xa0\x1f\x01"))
    assert {difference.kind for difference in found.differences} == {"missing", "added"}
    assert all(value_text(difference.left) is not None for difference in found.differences)
    lonely = compare(evil.FromString(b"\x9a\x03\x02\x08\x01"), evil()).differences[0]
    assert value_text(lonely.left) == "(e.M, 2 bytes)"


@pytest.mark.parametrize("name", ["Timestamp", "Duration", "Any"])
def test_types_that_only_have_the_name_of_a_well_known_one_go_field_by_field(name):
    source = f"""
        syntax = "proto3"; package google.protobuf;
        message {name} {{ string foo = 1; }}
        message Holder {{ {name} held = 1; repeated {name} list = 2; }}
    """
    holder = kind(source, "google.protobuf.Holder")
    left, right = holder(held={"foo": "x"}, list=[{"foo": "a"}]), holder(held={"foo": "y"})
    found = compare(left, right)
    assert [difference.pattern for difference in found.differences] == ["response.held.foo", "response.list[*]"]
    assert value_text(found.differences[1].left)


FURTHER = [
    ("Timestamp", "int64 seconds = 1; int32 nanos = 2; string {} = 3;"),
    ("Duration", "int64 seconds = 1; int32 nanos = 2; string {} = 3;"),
    ("Any", "string type_url = 1; bytes value = 2; string {} = 3;"),
    ("FieldMask", "repeated string paths = 1; string {} = 3;"),
    ("Value", "oneof kind {{ int32 number_value = 1; string {} = 3; }}"),
]


@pytest.mark.parametrize("field", ["zone", "ToJsonString", "WhichOneof"])
@pytest.mark.parametrize(("name", "fields"), FURTHER, ids=[name for name, _ in FURTHER])
def test_a_well_known_type_with_a_further_field_is_compared_in_that_too(name, fields, field):
    source = f"""
        syntax = "proto3"; package google.protobuf;
        message {name} {{ {fields.format(field)} }} message Holder {{ {name} held = 1; }}
    """
    holder = kind(source, "google.protobuf.Holder")
    one, other = (holder.FromString(b"\x0a\x03\x1a\x01" + end) for end in (b"a", b"b"))
    assert [difference.pattern for difference in compare(one, other).differences] == [f"response.held.{field}"]
    assert value_text(compare(one, holder()).differences[0].left)
