"""Primary and candidate built from different .proto versions: fields meet by number, and bytes never decide."""

from __future__ import annotations

import pytest

from mirror.core.compare import compare
from mirror.core.path import render
from mirror.core.rules import Ignore, KeyedList
from tests.core.compare.shapes import kind, rule, rules

HEAD = 'syntax = "proto3"; package t; '


def _versions(old: str, new: str):
    """The class of message M in two schemas, each in a pool of its own."""
    return (kind(f"{HEAD}/* {side} */ {source}", "t.M") for side, source in (("old", old), ("new", new)))


def found(old, new, left, right, *made):
    ours, theirs = _versions(old, new)
    assert ours.DESCRIPTOR is not theirs.DESCRIPTOR
    result = compare(ours(**left), theirs(**right), rules(*made))
    return [f"{render(d.path).removeprefix('response.')} {d.kind}" for d in result.differences]


CASES = [
    ("the same schema twice", "message M {int32 a = 1;}", "message M {int32 a = 1;}", {"a": 1}, {"a": 1}, []),
    ("a new field, set", "message M {int32 a = 1;}", "message M {int32 a = 1; int32 b = 2;}", {"a": 1}, {"a": 1, "b": 2}, ["b added"]),
    ("a new field, not set", "message M {int32 a = 1;}", "message M {int32 a = 1; int32 b = 2;}", {"a": 1}, {"a": 1}, []),
    ("a field that went", "message M {int32 a = 1; repeated int32 b = 2;}", "message M {int32 a = 1;}", {"b": [1]}, {}, ["b missing"]),
    ("a new name", "message M {int32 a = 1;}", "message M {int32 b = 1;}", {"a": 1}, {"b": 2}, ["b value"]),
    ("wider integers, equal", "message M {int32 a = 1;}", "message M {int64 a = 1;}", {"a": -1}, {"a": -1}, []),
    ("another encoding, equal by accident in bytes", "message M {int32 a = 1;}", "message M {sint32 a = 1;}", {"a": 2}, {"a": 1}, ["a value"]),
    ("float to double", "message M {float a = 1;}", "message M {double a = 1;}", {"a": 0.1}, {"a": 0.1}, []),
    ("string to bytes", "message M {string a = 1;}", "message M {bytes a = 1;}", {"a": "é"}, {"a": "é".encode()}, []),
    ("integer to string", "message M {int32 a = 1;}", "message M {string a = 1;}", {"a": 1}, {"a": "1"}, ["a value"]),
    ("integer to string, one side only", "message M {int32 a = 1;}", "message M {string a = 1;}", {"a": 1}, {}, ["a missing"]),
    ("integer to string, not set", "message M {int32 a = 1;}", "message M {string a = 1;}", {}, {}, []),
    ("single to repeated", "message M {string a = 1;}", "message M {repeated string a = 1;}", {"a": "x"}, {"a": ["x"]}, []),
    ("single to repeated, more", "message M {optional string a = 1;}", "message M {repeated string a = 1;}", {"a": "x"}, {"a": ["x", "y"]}, ["a[1] added"]),
    ("plain to optional, default", "message M {int32 a = 1;}", "message M {optional int32 a = 1;}", {}, {"a": 0}, []),
    ("plain to optional, unset", "message M {int32 a = 1;}", "message M {optional int32 a = 1;}", {"a": 5}, {}, ["a missing"]),
    ("plain to optional, by value", "message M {int32 a = 1;}", "message M {optional int32 a = 1;}", {"a": 5}, {"a": 6}, ["a value"]),
    ("enums by number", "enum E {X = 0; Y = 1;} message M {E a = 1;}", "enum E {X = 0; Z = 1;} message M {E a = 1;}", {"a": 1}, {"a": 1}, []),
    ("nested", "message N {int32 x = 1;} message M {N n = 1;}", "message N {int64 x = 1;} message M {N n = 1;}", {"n": {"x": 1}}, {"n": {"x": 2}}, ["n.x value"]),
    ("message to string", "message N {int32 x = 1;} message M {N n = 1;}", "message M {string n = 1;}", {"n": {}}, {}, ["n missing"]),
    ("lists of messages", "message N {int32 x = 1;} message M {repeated N n = 1;}", "message N {int64 x = 1;} message M {repeated N n = 1;}", {"n": [{"x": 1}, {"x": 2}]}, {"n": [{"x": 2}, {"x": 1}]}, ["n order"]),
    ("lists of messages, equal", "message N {int32 x = 1;} message M {repeated N n = 1;}", "message N {int64 x = 1;} message M {repeated N n = 1;}", {"n": [{"x": 1}, {"x": 2}, {"x": 2}]}, {"n": [{"x": 1}, {"x": 2}, {"x": 2}]}, []),
    ("lists of messages, partly moved", "message N {int32 x = 1;} message M {repeated N n = 1;}", "message N {int64 x = 1;} message M {repeated N n = 1;}", {"n": [{"x": 1}, {"x": 2}, {"x": 3}]}, {"n": [{"x": 1}, {"x": 3}, {"x": 2}]}, ["n order"]),
    ("map values", "message M {map<string, int32> m = 1;}", "message M {map<string, int64> m = 1;}", {"m": {"a": 1, "b": 2}}, {"m": {"a": 1, "b": 3}}, ['m["b"] value']),
    ("map keys", "message M {map<string, int32> m = 1;}", "message M {map<int32, int32> m = 1;}", {"m": {"1": 1}}, {"m": {1: 1}}, ["m value"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "left", "right", "expected"), [r[1:] for r in CASES], ids=[r[0] for r in CASES])
def test_fields_meet_by_number(old, new, left, right, expected):
    assert found(old, new, left, right) == expected


def test_a_retyped_field_says_so():
    ours, theirs = _versions("message M {int32 a = 1;}", "message M {string a = 1;}")
    (difference,) = compare(ours(a=1), theirs(a="1")).differences
    assert difference.note == "the type changed from int32 to string"


def test_rules_may_use_either_name_of_a_renamed_field():
    old, new = "message M {int32 a = 1;}", "message M {int32 b = 1;}"
    for name in "ab":
        assert found(old, new, {"a": 1}, {"b": 2}, rule(Ignore, f"response.{name}")) == []


def test_keyed_lists_across_schemas():
    old = "message N {string k = 1; int32 x = 2;} message M {repeated N n = 1;}"
    new = "message N {string k = 1; int64 x = 2;} message M {repeated N n = 1;}"
    left = {"n": [{"k": "a", "x": 1}, {"k": "b", "x": 2}]}
    right = {"n": [{"k": "b", "x": 2}, {"k": "a", "x": 3}]}
    assert found(old, new, left, right, rule(KeyedList, "response.n", by=("k",))) == ["n[0].x value"]


@pytest.mark.parametrize("path", ["response.a.y", "response.b.y"])
def test_in_a_renamed_message_a_new_field_is_ignored_under_either_name_of_the_message(path):
    old = "message N {int32 x = 1;} message M {N a = 1;}"
    new = "message N {int32 x = 1; int32 y = 2;} message M {N b = 1;}"
    assert found(old, new, {"a": {"x": 1}}, {"b": {"x": 1, "y": 1}}, rule(Ignore, path)) == []


@pytest.mark.parametrize("by", ["k.id", "key.name"])
def test_a_key_may_have_the_name_of_either_schema(by):
    old = "message K {int32 id = 1;} message N {K k = 1; int32 x = 2;} message M {repeated N n = 1;}"
    new = "message K {int32 name = 1;} message N {K key = 1; int32 x = 2;} message M {repeated N n = 1;}"
    left = {"n": [{"k": {"id": 1}, "x": 1}, {"k": {"id": 2}, "x": 2}]}
    right = {"n": [{"key": {"name": 2}, "x": 2}, {"key": {"name": 1}, "x": 3}]}
    assert found(old, new, left, right, rule(KeyedList, "response.n", by=(by,))) == ["n[0].x value"]
