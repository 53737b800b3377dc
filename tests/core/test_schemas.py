"""The book of schemas: what it takes in, what it refuses and in which words, and which class reads which side."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2, timestamp_pb2
from grpc_mirror.v1 import schema_pb2
from hypothesis import given
from hypothesis import strategies as st

from mirror.core import schemas
from mirror.core.schemas import SchemaBook, SchemaError, fingerprint_of
from tests.core.compare.shapes import SHOP, schema

HEAD = 'syntax = "proto3"; package t; '


def made(*files: descriptor_pb2.FileDescriptorProto) -> bytes:
    """A Schema of these files, with its right fingerprint."""
    serialized = [file.SerializeToString() for file in files]
    fingerprint = fingerprint_of(dict(zip((file.name for file in files), serialized, strict=True)))
    return schema_pb2.Schema(fingerprint=fingerprint, files=serialized).SerializeToString()


def file(name: str, *imports: str) -> descriptor_pb2.FileDescriptorProto:
    return descriptor_pb2.FileDescriptorProto(name=name, dependency=imports)


def book(*sources: str):
    """A book with these schemas, and their fingerprints."""
    kept = SchemaBook()
    return kept, *(kept.add(schema(HEAD + source)[1]) for source in sources)


def test_a_schema_is_known_by_its_fingerprint():
    fingerprint, serialized = schema(SHOP)
    kept = SchemaBook()
    assert not kept.known(fingerprint)
    assert kept.add(serialized) == fingerprint
    assert kept.add(serialized) == fingerprint
    assert kept.known(fingerprint)
    left, right = kept.classes(fingerprint, fingerprint, "shop.Order")
    assert left is right
    assert left.DESCRIPTOR.file.pool is kept.pool(fingerprint)
    assert left(id="x").SerializeToString() == b"\n\x01x"


def test_files_may_come_in_any_order_and_twice():
    a, b = file("a.proto", "b.proto"), file("b.proto")
    assert SchemaBook().add(made(a, b, b))


def test_protobufs_own_files_are_supplied_where_left_out():
    kept = SchemaBook()
    fingerprint = kept.add(made(file("a.proto", "google/protobuf/timestamp.proto", "google/protobuf/type.proto")))
    assert kept.classes(fingerprint, fingerprint, "google.protobuf.Timestamp")


def test_protobufs_own_files_may_be_the_senders():
    """An older copy of them is as good."""
    theirs = descriptor_pb2.FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
    theirs.options.Clear()
    kept = SchemaBook()
    fingerprint = kept.add(made(theirs))
    assert kept.classes(fingerprint, fingerprint, "google.protobuf.Timestamp")


WRONG = [
    ("no Schema", b"\xff", "not a mirror.v1.Schema"),
    ("another fingerprint", schema_pb2.Schema(fingerprint="00").SerializeToString(), "says its fingerprint is '00', but"),
    ("no file", schema_pb2.Schema(files=[b"\xff"]).SerializeToString(), "file 0 of the schema is not a FileDescriptorProto"),
    ("a file is missing", made(file("a.proto", "b.proto")), "'a.proto' imports 'b.proto', which is not in the schema"),
    ("imports in a circle", made(file("a.proto", "b.proto"), file("b.proto", "a.proto")), "in a circle"),
    ("imports itself", made(file("a.proto", "a.proto")), "in a circle"),
    ("invalid descriptor", made(descriptor_pb2.FileDescriptorProto(name="a.proto", syntax="proto9")), "the file 'a.proto' of the schema cannot be built"),
    ("two files of one name", schema_pb2.Schema(files=[b"\n\x01a", b"\n\x01a\x12\x01p"]).SerializeToString(), "two different files 'a'"),
]  # fmt: skip


@pytest.mark.parametrize(("serialized", "words"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_said(serialized, words):
    with pytest.raises(SchemaError, match=words.replace("(", r"\(")):
        SchemaBook().add(serialized)


def test_double_types_are_refused():
    first, second = (descriptor_pb2.FileDescriptorProto(name=name) for name in ("a.proto", "b.proto"))
    first.message_type.add(name="M")
    second.message_type.add(name="M")
    with pytest.raises(SchemaError, match=r"b\.proto"):
        SchemaBook().add(made(first, second))


@given(st.binary(max_size=300))
def test_bytes_that_are_no_schema_are_refused_in_words(serialized):
    with pytest.raises(SchemaError, match=r".+"):
        SchemaBook().add(serialized or b"\n")


def test_unknown_schemas_and_types_are_said():
    kept, fingerprint = book("message M {}")
    with pytest.raises(SchemaError, match=r"'nope' is not known"):
        kept.classes("nope", fingerprint, "t.M")
    with pytest.raises(SchemaError, match=r"no message type 't\.N'"):
        kept.classes(fingerprint, fingerprint, "t.N")


def test_the_book_has_limits(monkeypatch):
    """The schema used longest ago goes; a single one is never refused for room."""
    monkeypatch.setattr(schemas, "SCHEMAS_MAX", 2)
    kept, first, second = book("message A {}", "message B {}")
    kept.classes(first, first, "t.A")
    third = kept.add(schema(HEAD + "message C {}")[1])
    assert [kept.known(each) for each in (first, second, third)] == [True, False, True]
    monkeypatch.setattr(schemas, "BOOK_MAX_BYTES", 10)
    fourth = kept.add(schema(HEAD + "message D {}")[1])
    assert [kept.known(each) for each in (first, third, fourth)] == [False, False, True]
    monkeypatch.setattr(schemas, "SCHEMA_MAX_BYTES", 10)
    with pytest.raises(SchemaError, match="at most 10 are taken"):
        kept.add(schema(HEAD + "message E {}")[1])


SUPERSETS = [
    ("a field more", "message M {int32 a = 1;}", "message M {int32 a = 1; int32 b = 2;}", True),
    ("a field more below", "message N {} message M {N n = 1;}", "message N {int32 x = 1;} message M {N n = 1;}", True),
    ("an enum value more", "enum E {A = 0;} message M {E e = 1;}", "enum E {A = 0; B = 1;} message M {E e = 1;}", True),
    ("retyped elsewhere", "message M {} message N {int32 a = 1;}", "message M {} message N {sint32 a = 1;}", True),
    ("retyped", "message M {int32 a = 1;}", "message M {sint32 a = 1;}", False),
    ("retyped below", "message N {int32 a = 1;} message M {N n = 1;}", "message N {sint32 a = 1;} message M {N n = 1;}", False),
    ("retyped in a map", "message M {map<string, int32> m = 1;}", "message M {map<string, sint32> m = 1;}", False),
    ("renamed", "message M {int32 a = 1;}", "message M {int32 b = 1;}", False),
    ("presence", "message M {int32 a = 1;}", "message M {optional int32 a = 1;}", False),
    ("now in a oneof", "message M {optional int32 a = 1; optional int32 b = 2;}", "message M {oneof o {int32 a = 1; int32 b = 2;}}", False),
    ("repeated", "message M {int32 a = 1;}", "message M {repeated int32 a = 1;}", False),
    ("each has a field of its own", "message M {int32 a = 1;}", "message M {int32 b = 2;}", True),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "one_class"), [row[1:] for row in SUPERSETS], ids=[row[0] for row in SUPERSETS])
def test_one_class_reads_both_where_one_schema_holds_the_other(old, new, one_class):
    kept, before, after = book(old, new)
    there, back = kept.classes(before, after, "t.M"), kept.classes(after, before, "t.M")
    assert (there[0] is there[1]) == (back[0] is back[1]) == one_class
    if not one_class:
        assert [c.DESCRIPTOR.file.pool for c in there] == [kept.pool(before), kept.pool(after)]


def test_where_an_any_may_hold_it_every_type_of_the_files_counts():
    source = 'import "google/protobuf/any.proto"; message M {google.protobuf.Any x = 1;} message N {%s a = 1;}'
    kept, before, after = book(source % "int32", source % "sint32")
    left, right = kept.classes(before, after, "t.M")
    assert left is not right


def test_a_file_whose_name_is_not_utf8_is_refused() -> None:
    file = b"\x0a\x02\xff\xfe"
    with pytest.raises(SchemaError, match="not UTF-8"):
        SchemaBook().add(schema_pb2.Schema(fingerprint="0" * 32, files=[file]).SerializeToString())


WIDENED = [
    ("a field of its own each", "message M {int32 a = 1; string b = 2;}", "message M {int32 a = 1; string c = 3;}", True),
    ("below", "message N {int32 x = 1; int32 l = 2;} message M {N n = 1;}", "message N {int32 x = 1; int32 r = 3;} message M {N n = 1;}", True),
    ("a type of its own each", "message L {int32 x = 1;} message M {L l = 1;}", "message R {int32 x = 1;} message M {R r = 2;}", True),
    ("nested types", "message M {message L {} enum E {A = 0;} L l = 1; E e = 4;}", "message M {message R {} enum E {A = 0; B = 1;} R r = 2; E e = 4;}", True),
    ("oneofs", "message M {oneof o {int32 a = 1; int32 l = 2;} optional int32 p = 5;}", "message M {oneof o {int32 a = 1; int32 r = 3;} oneof q {int32 s = 4;} optional int32 t = 6;}", True),
    ("enum values", "enum E {A = 0; L = 1;} message M {E e = 1;}", "enum E {A = 0; R = 2;} message M {E e = 1;}", True),
    ("what the other reserved", "message M {int32 l = 1; reserved 2;}", "message M {int32 r = 2; reserved 1, 5 to 9;}", True),
    ("one number for two fields", "message M {int32 l = 1; int32 p = 3;}", "message M {string l = 1; int32 q = 4;}", False),
    ("one name for two fields", "message M {int32 l = 1; int32 p = 3;}", "message M {int32 l = 2; int32 q = 4;}", False),
    ("a message here, an enum there", "message T {} message M {T l = 1; int32 p = 3;}", "enum T {A = 0;} message M {T l = 1; int32 q = 4;}", False),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "one_class"), [row[1:] for row in WIDENED], ids=[row[0] for row in WIDENED])
def test_where_each_has_what_the_other_lacks_both_get_all_of_it(old, new, one_class):
    """In either order: all fields of a side keep their meaning, and it knows those that only the other has."""
    kept, before, after = book(old, new)
    for sides in ((before, after), (after, before)):
        made = kept.classes(*sides, "t.M")
        assert (made[0] is made[1]) == one_class
        for side, other, kind in zip(sides, sides[::-1], made, strict=True):
            mine, theirs = kept.descriptor(side, "t.M"), kept.descriptor(other, "t.M")
            assert schemas.holds(kind.DESCRIPTOR, mine)
            unclaimed = {f.number for f in theirs.fields if f.name not in mine.fields_by_name} - {
                *mine.fields_by_number
            }
            assert unclaimed <= {*kind.DESCRIPTOR.fields_by_number}
        assert [c.DESCRIPTOR for c in kept.own_classes(*sides, "t.M")] == [kept.descriptor(s, "t.M") for s in sides]


def test_what_cannot_be_put_together_stays_each_sides_own(monkeypatch):
    """Enum values share the scope around their enum; and schemas may be too large."""
    clash = "enum E {A = 0;} message M {E e = 1; int32 l = 2;}", "enum F {A = 0;} message M {F e = 1; int32 r = 3;}"
    kept, before, after = book(*clash)
    assert kept.classes(before, after, "t.M") == kept.own_classes(before, after, "t.M")
    monkeypatch.setattr(schemas, "MERGED_MAX_BYTES", 10)
    kept, before, after = book("message M {int32 l = 1;}", "message M {int32 r = 2;}")
    assert kept.classes(before, after, "t.M") == kept.own_classes(before, after, "t.M")


def test_schemas_put_together_are_forgotten_with_their_parts(monkeypatch):
    monkeypatch.setattr(schemas, "MERGED_MAX", 2)
    sources = [f"message M {{int32 f{n} = {n};}}" for n in range(1, 6)]
    kept, *versions = book(*sources)
    pairs = [(a, b) for a in versions for b in versions if a != b]
    for pair in pairs:
        left, right = kept.classes(*pair, "t.M")
        assert left is right
        assert len(kept._merged) <= 2
        assert len([slot for slot in kept._classes if slot[:2] in pairs]) <= 4
    monkeypatch.setattr(schemas, "SCHEMAS_MAX", 1)
    kept.add(schema(HEAD + "message C {}")[1])
    assert not kept._merged


def test_a_type_that_moved_to_another_file_is_not_defined_twice():
    def version(*places: str, field: str) -> bytes:
        one = file("a.proto", *(["b.proto"] if "b.proto" in places else []))
        two = file("b.proto")
        one.package = two.package = "t"
        moved = {"a.proto": one, "b.proto": two}[places[-1]].message_type.add(name="N")
        moved.field.add(name=field, number=len(field), type=5, label=1)
        made_type = one.message_type.add(name="M")
        made_type.field.add(name="n", number=1, type=11, label=1, type_name=".t.N")
        return made(*([two, one] if "b.proto" in places else [one]))

    kept = SchemaBook()
    before, after = kept.add(version("a.proto", field="x")), kept.add(version("b.proto", field="yy"))
    for sides in ((before, after), (after, before)):
        ours, theirs = kept.classes(*sides, "t.M")
        for side, kind in zip(sides, (ours, theirs), strict=True):
            assert schemas.holds(kind.DESCRIPTOR, kept.descriptor(side, "t.M"))


def test_types_that_lead_on_through_thousands_of_others_are_refused_in_words():
    """Protobuf makes the class of each within that of the last, and runs out of stack."""
    chain = " ".join(f"message T{n} {{ T{n + 1} next = 1; }}" for n in range(3000))
    fingerprint, serialized = schema(f'syntax = "proto3"; package t; {chain} message T3000 {{}}')
    book = SchemaBook()
    book.add(serialized)
    with pytest.raises(SchemaError, match=r"the fields of 't\.T0' lead on through too many types"):
        book.classes(fingerprint, fingerprint, "t.T0")
