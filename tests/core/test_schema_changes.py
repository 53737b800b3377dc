"""Schema changes: what is told of two versions of a response type, where, and how much at most."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from hypothesis import given
from hypothesis import strategies as st

from mirror.core import schema_changes as module
from mirror.core.schema_changes import CHANGES_MAX, PATH_MAX, WORDS_MAX, ChangeKind, schema_changes
from tests.core.compare.shapes import SHOP, new_pool

HEAD = 'syntax = "proto3"; package t; '


def versions(old: str, new: str):
    """The type t.M of both sources, each in a pool of its own."""
    return tuple(new_pool(HEAD + source).FindMessageTypeByName("t.M") for source in (old, new))


def told(old: str, new: str) -> list[str]:
    """Each change in one line; `!` where values cannot be compared."""
    result = schema_changes(*versions(old, new))
    assert (result.count, result.complete) == (len(result.changes), True)
    return [
        f"{c.kind} {c.path} {c.name}: {c.left or '-'} -> {c.right or '-'}{'' if c.comparable else ' !'}"
        for c in result.changes
    ]


CASES = [
    ("nothing", "message M {int32 a = 1;}", "message M {int32 a = 1;}", []),
    ("another order in the file", "message M {int32 a = 1; int32 b = 2;}", "message M {int32 b = 2; int32 a = 1;}", []),
    ("added", "message M {}", "message M {optional int32 a = 1;}", ["field_added response.a t.M.a: - -> optional int32 a = 1 !"]),
    ("removed", "message M {repeated string a = 1;}", "message M {}", ["field_removed response.a t.M.a: repeated string a = 1 -> - !"]),
    ("retyped, still numbers", "message M {int32 a = 1;}", "message M {sint32 a = 1;}", ["retyped response.a t.M.a: int32 a = 1 -> sint32 a = 1"]),
    ("retyped", "message M {int32 a = 1;}", "message M {string a = 1;}", ["retyped response.a t.M.a: int32 a = 1 -> string a = 1 !"]),
    ("renamed", "message M {int32 a = 1;}", "message M {int32 b = 1;}", ["renamed response.b t.M.b: int32 a = 1 -> int32 b = 1"]),
    ("another number", "message M {int32 a = 1;}", "message M {int32 a = 2;}", ["field_added response.a t.M.a: - -> int32 a = 2 !", "field_removed response.a t.M.a: int32 a = 1 -> - !"]),
    ("repeated", "message M {int32 a = 1;}", "message M {repeated int32 a = 1;}", ["repeated response.a t.M.a: int32 a = 1 -> repeated int32 a = 1"]),
    ("single", "message M {repeated int32 a = 1;}", "message M {optional int32 a = 1;}", ["repeated response.a t.M.a: repeated int32 a = 1 -> optional int32 a = 1"]),
    ("presence", "message M {int32 a = 1;}", "message M {optional int32 a = 1;}", ["presence response.a t.M.a: int32 a = 1 -> optional int32 a = 1"]),
    ("into a oneof", "message M {int32 a = 1;}", "message M {oneof o {int32 a = 1;}}", ["oneof response.a t.M.a: int32 a = 1 -> oneof o: int32 a = 1"]),
    ("out of a oneof", "message M {oneof o {int32 a = 1;}}", "message M {optional int32 a = 1;}", ["oneof response.a t.M.a: oneof o: int32 a = 1 -> optional int32 a = 1"]),
    ("to another oneof", "message M {oneof o {int32 a = 1;}}", "message M {oneof p {int32 a = 1;}}", ["oneof response.a t.M.a: oneof o: int32 a = 1 -> oneof p: int32 a = 1"]),
    ("two at once", "message M {int32 a = 1;}", "message M {repeated string b = 1;}", [f"{kind} response.b t.M.b: int32 a = 1 -> repeated string b = 1 !" for kind in ("renamed", "repeated", "retyped")]),
    ("message to text", "message N {} message M {N n = 1;}", "message M {string n = 1;}", ["retyped response.n t.M.n: t.N n = 1 -> string n = 1 !"]),
    ("below a list", "message N {int32 x = 1;} message M {repeated N n = 1;}", "message N {int64 x = 1;} message M {repeated N n = 1;}", ["retyped response.n[*].x t.N.x: int32 x = 1 -> int64 x = 1"]),
    ("below a map", "message N {int32 x = 1;} message M {map<string, N> n = 1;}", "message N {} message M {map<string, N> n = 1;}", ["field_removed response.n[*].x t.N.x: int32 x = 1 -> - !"]),
    ("map values", "message M {map<string, int32> m = 1;}", "message M {map<string, int64> m = 1;}", ["retyped response.m t.M.m: map<string, int32> m = 1 -> map<string, int64> m = 1"]),
    ("map keys", "message M {map<string, int32> m = 1;}", "message M {map<int32, int32> m = 1;}", ["retyped response.m t.M.m: map<string, int32> m = 1 -> map<int32, int32> m = 1 !"]),
    ("map to list", "message N {string key = 1; int32 value = 2;} message M {map<string, int32> m = 1;}", "message N {string key = 1; int32 value = 2;} message M {repeated N m = 1;}", ["retyped response.m t.M.m: map<string, int32> m = 1 -> repeated t.N m = 1 !"]),
    ("another type's name", "message N {int32 x = 1;} message M {N n = 1;}", "message P {int64 x = 1;} message M {P n = 1;}", ["type_name response.n t.P: t.N -> t.P", "retyped response.n.x t.P.x: int32 x = 1 -> int64 x = 1"]),
    ("enum values", "enum E {A = 0; B = 1; C = 2; D = 3;} message M {E e = 1;}", "enum E {A = 0; B = 5; F = 2; G = 9;} message M {repeated E e = 1;}", ["repeated response.e t.M.e: t.E e = 1 -> repeated t.E e = 1", "value_renumbered response.e[*] t.E.B: B = 1 -> B = 5", "value_removed response.e[*] t.E.D: D = 3 -> -", "renamed response.e[*] t.E.F: C = 2 -> F = 2", "value_added response.e[*] t.E.G: - -> G = 9"]),
    ("an alias more", "enum E {A = 0;} message M {E e = 1;}", "enum E {option allow_alias = true; A = 0; B = 0;} message M {E e = 1;}", ["value_added response.e t.E.B: - -> B = 0"]),
    ("enum to number", "enum E {A = 0;} message M {E e = 1;}", "message M {int32 e = 1;}", ["retyped response.e t.M.e: t.E e = 1 -> int32 e = 1"]),
    ("types that hold themselves, at the first place", "message N {M m = 1; int32 x = 2;} message M {M up = 1; repeated N n = 2;}", "message N {M m = 1;} message M {M up = 1; repeated N n = 2; int32 y = 3;}", ["field_removed response.n[*].x t.N.x: int32 x = 2 -> - !", "field_added response.y t.M.y: - -> int32 y = 3 !"]),
    ("types that nothing leads to", "message N {int32 x = 1;} message M {}", "message N {} message M {}", []),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_changes(old, new, expected):
    assert told(old, new) == expected


def test_extensions_are_fields():
    head = 'syntax = "proto2"; package t; message M {extensions 100 to 200;} '
    old, new = (
        new_pool(head + more).FindMessageTypeByName("t.M")
        for more in (
            "extend M {optional int32 x = 100;}",
            "extend M {optional string x = 100; optional int32 y = 101;}",
        )
    )
    assert [(c.kind, c.path, c.name) for c in schema_changes(old, new).changes] == [
        (ChangeKind.RETYPED, "response.(t.x)", "t.x"),
        (ChangeKind.FIELD_ADDED, "response.(t.y)", "t.y"),
    ]


def test_the_place_of_a_stream():
    (change,) = schema_changes(*versions("message M {}", "message M {int32 a = 1;}"), "responses[*]").changes
    assert change.path == "responses[*].a"


def made(*messages: descriptor_pb2.DescriptorProto):
    """The first of these types, in a pool of its own."""
    pool = DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="a.proto", package="t", message_type=messages)
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindMessageTypeByName(f"t.{messages[0].name}")


def message(name: str, *fields: tuple[str, int, str]) -> descriptor_pb2.DescriptorProto:
    """Fields are (name, number, type name or "" for int32)."""
    one = descriptor_pb2.DescriptorProto(name=name)
    for field, number, type_name in fields:
        one.field.add(name=field, number=number, label=1, type=11 if type_name else 5, type_name=type_name or None)
    return one


def test_a_chain_of_more_types_than_anybody_reads():
    """The list is cut, the count is true, deep places go without a path."""
    count = 12_000

    def chain(field: str):
        last = count - 1
        return made(*(message(f"T{n}", ("next", 1, f".t.T{min(n + 1, last)}"), (field, 2, "")) for n in range(count)))

    result = schema_changes(chain("a"), chain("b"))
    assert (len(result.changes), result.count, result.complete) == (CHANGES_MAX, count, True)
    assert [c.path for c in result.changes[:2]] == ["response.b", "response.next.b"]
    assert all(len(c.path) <= PATH_MAX for c in result.changes)
    assert result.changes[-1].path == ""
    assert result.changes[-1].name.startswith("t.T")


def test_what_is_too_large_is_looked_at_in_part(monkeypatch):
    monkeypatch.setattr(module, "MEMBERS_MAX", 100)
    wide = [made(message("M", *((f"{name}{n}", n, "") for n in range(1, 500)))) for name in "ab"]
    result = schema_changes(*wide)
    assert not result.complete
    assert 0 < result.count < 499
    values = [", ".join(f"{name}{n} = {n}" for n in range(300)) for name in "AB"]
    enums = versions(*(f"enum E {{{text.replace(',', ';')};}} message M {{E e = 1;}}" for text in values))
    assert not schema_changes(*enums).complete


def test_names_of_any_length_are_cut():
    long = "n" * 60_000
    (change,) = schema_changes(made(message("M")), made(message("M", (long, 1, "")))).changes
    assert change.path == ""
    assert max(len(change.name), len(change.left), len(change.right)) == WORDS_MAX


def test_the_list_keeps_what_cannot_be_compared():
    """However many harmless changes there are beside it."""
    fields = [(f"a{n}", n, "") for n in range(1, 2000)]
    renamed = [(f"b{n}", n, "") for n in range(1, 2000)]
    result = schema_changes(made(message("M", *fields, ("gone", 5000, ""))), made(message("M", *renamed)))
    assert result.count == 2000
    assert result.changes[0].kind is ChangeKind.FIELD_REMOVED


LINES = [line for line in SHOP.splitlines() if line.startswith("  ") and " = " in line and "oneof" not in line]


@given(st.lists(st.sampled_from(LINES), unique=True, max_size=6))
def test_the_other_way_round_is_the_opposite(lines):
    """What was removed is added; and the same twice is no change."""
    without = SHOP
    for line in lines:
        without = without.replace(f"{line}\n", "")
    left, right = (new_pool(source).FindMessageTypeByName("shop.Order") for source in (SHOP, without))
    there, back = schema_changes(left, right), schema_changes(right, left)
    assert {(c.name, c.left, c.right) for c in there.changes} == {(c.name, c.right, c.left) for c in back.changes}
    assert [c.kind for c in there.changes] == [ChangeKind.FIELD_REMOVED] * len(lines)
    assert schema_changes(left, left).changes == schema_changes(right, right).changes == ()
