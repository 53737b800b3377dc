"""What only proto2 has: required fields, declared defaults, groups, extensions, closed enums."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from mirror.core.compare import compare
from mirror.core.path import render
from mirror.core.rules import Ignore
from tests.core.compare.shapes import _pool, kind, rule, rules

SOURCE = """
syntax = "proto2";
package old;
enum E { A = 1; B = 2; }
message M {
  required int32 must = 1;
  optional int32 five = 2 [default = 5];
  optional group Part = 3 { optional string x = 1; }
  repeated group Parts = 4 { optional string x = 1; }
  optional E e = 5;
  extensions 100 to max;
}
message X { optional int32 n = 1; extend M { optional X inside = 103; } }
extend M { optional int32 number = 100; repeated string texts = 101; optional X x = 102; }
"""


def message(text):
    return text_format.Parse(text, kind(SOURCE, "old.M")(), descriptor_pool=_pool(SOURCE))


CASES = [
    ("required and missing", "must: 0", "", ["must missing"]),
    ("set to its default is not unset", "five: 5", "", ["five missing"]),
    ("group", 'Part {x: "1"}', 'Part {x: "2"}', ["part.x value"]),
    ("repeated group", 'Parts {x: "1"} Parts {}', 'Parts {x: "2"}', ["parts[1] missing", "parts[0].x value"]),
    ("extension", "[old.number]: 1", "[old.number]: 2", ["(old.number) value"]),
    ("extension missing", "[old.number]: 0", "", ["(old.number) missing"]),
    ("repeated extension", '[old.texts]: "a" [old.texts]: "b"', '[old.texts]: "a"', ["(old.texts)[1] missing"]),
    ("message extension", "[old.x] {n: 1}", "[old.x] {n: 2}", ["(old.x).n value"]),
    ("extension of a scope", "[old.X.inside] {n: 1}", "", ["(old.X.inside) missing"]),
]


@pytest.mark.parametrize(("left", "right", "expected"), [r[1:] for r in CASES], ids=[r[0] for r in CASES])
def test_meaning(left, right, expected):
    result = compare(message(left), message(right))
    assert sorted(f"{render(d.path).removeprefix('response.')} {d.kind}" for d in result.differences) == sorted(
        expected
    )


def test_a_closed_enums_unknown_number_is_an_unknown_field():
    left = kind(SOURCE, "old.M").FromString(b"\x28\x07")
    (difference,) = compare(left, message("")).differences
    assert str(difference) == "response.5[0]: missing"


def test_rules_at_extensions():
    result = compare(message("[old.x] {n: 1}"), message("[old.x] {n: 2}"), rules(rule(Ignore, "response.(old.x).n")))
    assert result.same
    assert result.ignored_count == 1


def test_messages_without_their_required_fields_can_be_elements():
    """They cannot be serialised as whole messages; their keys are made all the same."""
    source = 'syntax = "proto2"; package q; message N {required int32 a = 1; optional int32 b = 2;} message M {repeated N n = 1;}'
    made = kind(source, "q.M")
    left, right = made(n=[{"b": 1}, {"b": 2}]), made(n=[{"b": 2}, {"b": 1}])
    assert [str(d) for d in compare(left, right).differences] == ["response.n: order"]
