"""Where something private is: in what an Any holds, in extensions, under an option, under a path pattern."""

import os
import subprocess
import sys
from pathlib import Path

import grpc_mirror
import grpc_tools
import pytest
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from grpc_mirror import private_plan
from grpc_mirror.v1 import capture_pb2, privacy_pb2
from grpc_tools import protoc

from tests.interceptors import vault
from tests.interceptors.echo import Note
from tests.interceptors.redacting import REQUEST, SECRET, holder, leaves, left, redact, redactor
from tests.interceptors.vault import Card, Flags, Plain, Safe


class TestAny:
    """A message type that holds an Any is looked into, whether or not it has private fields of its own."""

    def test_a_known_type_is_redacted_like_a_message(self):
        made = holder(Card(p_number=SECRET, note="open"))
        assert list(leaves(made)) == ["(vault.Card).p_number"]
        assert Card.FromString(left(made).value) == Card(note="open")

    def test_one_within_another(self):
        made = holder(holder(holder(Card(p_number=SECRET))))
        (path,) = leaves(made)
        assert path == "(google.protobuf.Any).(google.protobuf.Any).(vault.Card).p_number"

    def test_what_holds_nothing_private_leaves_byte_for_byte(self):
        made = holder(Plain(text="open"))
        made.value += vault.unknown("kept")
        assert redact(made).body == made.SerializeToString()

    @pytest.mark.parametrize("raw", [b"\x0a\x06" + SECRET.encode(), SECRET.encode()])
    def test_an_unknown_type_is_hashed_whole(self, raw):
        made = any_pb2.Any(type_url="type.googleapis.com/no.Such", value=raw)
        notices = []
        (leaf,) = redact(made, notices=notices).leaves
        assert (leaf.path, len(leaf.hmac)) == ("(no.Such)", 32)
        assert redact(made).body == any_pb2.Any(type_url="type.googleapis.com/no.Such").SerializeToString()
        assert notices == ["any_type_unknown"]

    @pytest.mark.parametrize("url", [SECRET + "/no.Such", "type.googleapis.com/" + SECRET + "@x", "", SECRET + " "])
    def test_a_name_that_is_none_goes_as_well(self, url):
        made = Safe(payload=any_pb2.Any(type_url=url, value=b"x"))
        body = redact(made)
        assert SECRET.encode() not in body.body
        assert "payload" in {leaf.path for leaf in body.leaves}

    def test_bytes_that_are_no_message_of_their_type_are_hashed_whole(self):
        made = any_pb2.Any(type_url="type.googleapis.com/vault.Card", value=b"\xff" + SECRET.encode())
        assert list(leaves(made)) == ["(vault.Card)"]
        assert not left(made).value

    def test_nested_without_end_it_is_dropped(self):
        made = Card(p_number=SECRET)
        for _ in range(250):
            made = holder(made)
        body = redact(made)
        assert (body.body, body.omission) == (b"", capture_pb2.OMISSION_REDACTION_FAILED)


def test_extensions_are_looked_for_in_each_message():
    """The type alone does not tell: a module that is loaded later may extend it."""
    file = descriptor_pb2.FileDescriptorProto(name="vault/ext.proto", package="vault", syntax="proto2")
    bare = file.message_type.add(name="Bare")
    bare.extension_range.add(start=1, end=9)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    one = redactor()
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("vault.Bare"))
    raw = b"\x0a\x06" + SECRET.encode()
    call = one.call(kind.DESCRIPTOR, None)
    assert not call.strict
    late = descriptor_pb2.FileDescriptorProto(name="vault/late.proto", package="vault", syntax="proto2")
    late.dependency.append("vault/ext.proto")
    vault.add(late, 1, "p_late", 9, extendee=".vault.Bare")
    pool.AddSerializedFile(late.SerializeToString())
    body = one.call(kind.DESCRIPTOR, None).body(raw, REQUEST)
    assert (body.body, [leaf.path for leaf in body.leaves]) == (b"", ["(vault.p_late)"])


def test_our_option_counts_whether_or_not_its_proto_is_loaded():
    assert privacy_pb2.private.number == 57642
    options = descriptor_pb2.FieldOptions()
    options.Extensions[privacy_pb2.private] = True
    assert options.SerializeToString() == vault.PRIVATE_OPTION
    field = Card.DESCRIPTOR.fields_by_name["p_number"]
    assert private_plan.has_private_option(field)
    assert not private_plan.has_private_option(Card.DESCRIPTOR.fields_by_name["note"])
    file = descriptor_pb2.FileDescriptorProto(name="vault/known.proto", package="vault", syntax="proto3")
    file.dependency.append("grpc_mirror/v1/privacy.proto")
    known = file.message_type.add(name="Known")
    vault.add(known, 2, "p_even", 9)
    no = vault.add(known, 3, "public", 9)
    no.options.Extensions[privacy_pb2.private] = False
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    fields = descriptor_pool.Default().FindMessageTypeByName("vault.Known").fields_by_name
    assert [private_plan.has_private_option(fields[name]) for name in ("p_even", "public")] == [True, False]


MADE = Plain(text="t", number=3, labels={"a": "1", "b.c": "2"})


@pytest.mark.parametrize(
    ("pattern", "paths", "rest"),
    [
        ("request.text", ["text"], Plain(number=3, labels=MADE.labels)),
        ("requests[*].text", ["text"], Plain(number=3, labels=MADE.labels)),
        ("request.number", ["number"], Plain(text="t", labels=MADE.labels)),
        ("request.labels", ["labels"], Plain(text="t", number=3)),
        ("request.labels[*]", ['labels["a"]', 'labels["b.c"]'], Plain(text="t", number=3)),
        ('request.labels["b.c"]', ['labels["b.c"]'], Plain(text="t", number=3, labels={"a": "1"})),
        ('*.labels["a"]', ['labels["a"]'], Plain(text="t", number=3, labels={"b.c": "2"})),
        ("**.text", ["text"], Plain(number=3, labels=MADE.labels)),
        ("request.*", ["labels", "number", "text"], Plain()),
        ("request.**", None, None),
        ("response.text", [], MADE),
        ("request.text.more", [], MADE),
        ("trailing_metadata.text", [], MADE),
    ],
)
def test_path_patterns(pattern, paths, rest):
    body = redact(MADE, pattern)
    if paths is None:
        assert (body.body, body.omission) == (b"", capture_pb2.OMISSION_PRIVATE)
        return
    assert sorted(leaf.path for leaf in body.leaves) == paths
    assert Plain.FromString(body.body) == rest


def test_patterns_reach_through_lists_recursion_any_and_extensions():
    made = Safe(child=Safe(child=Safe(text="deep")), text="top")
    made.payload.Pack(Plain(text=SECRET))
    made.cards.extend([Card(note="a"), Card(note="b")])
    text_paths = {path for path in leaves(made, "request.**.text") if path.endswith("text")}
    assert text_paths == {"text", "child.child.text", "payload.(vault.Plain).text"}
    assert {p for p in leaves(made, "request.child.child.text") if p.endswith("text")} == {"child.child.text"}
    assert "payload.(vault.Plain).text" in leaves(made, "request.payload.(vault.Plain).text")
    assert "payload.(vault.Plain)" in leaves(made, "request.payload.(vault.Plain)")
    assert [card.note for card in left(made, "request.cards[1].note").cards] == ["a", ""]
    # Elements of a list are emptied, so that the others keep their places.
    assert [card.note for card in left(made, "request.cards[0]").cards] == ["", "b"]
    old = vault.old(SECRET, "open")
    assert "(vault.card_extra)" in leaves(old, "request.(vault.card_extra)")


def test_a_timestamp_is_taken_out_without_a_hash():
    made = timestamp_pb2.Timestamp(seconds=vault.NUMBER)
    found = leaves(holder(made), "request.(google.protobuf.Timestamp).seconds")
    assert [(leaf.path, leaf.hmac) for leaf in found.values()] == [("(google.protobuf.Timestamp).seconds", b"")]


def test_patterns_that_named_nothing_are_known():
    one = redactor("request.text", "request.txet", "response.text", "**.nothing", 'trailing_metadata["x"]')
    assert one.unmatched() == ()
    one.call(Plain.DESCRIPTOR, Flags.DESCRIPTOR)
    assert one.unmatched() == ("request.txet", "response.text")


PROTO = """
syntax = "proto3";
package compiled;
import "grpc_mirror/v1/privacy.proto";
message Customer { string email = 1 [(mirror.v1.private) = true]; string name = 2; string phone = 3 [debug_redact = true]; }
"""


def test_a_services_own_proto_finds_the_option_in_the_installed_package(tmp_path):
    """Compiled as the README says, loaded by a process of its own."""
    package = Path(grpc_mirror.__file__).parent.parent
    Path(tmp_path, "customer.proto").write_text(PROTO)
    builtin = Path(grpc_tools.__file__).parent / "_proto"
    includes = [f"-I{folder}" for folder in (tmp_path, package, builtin)]
    assert protoc.main(["protoc", *includes, f"--python_out={tmp_path}", "customer.proto"]) == 0
    script = (
        "import customer_pb2\n"
        "from grpc_mirror.private_plan import has_private_option\n"
        "print([has_private_option(f) for f in customer_pb2.Customer.DESCRIPTOR.fields])"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(package)])}
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60, env=env
    )
    assert run.stdout.strip() == "[True, False, True]", run.stderr


def test_a_pattern_for_one_type_leaves_the_others_alone():
    one = redactor("request.text")
    assert one.call(Note.DESCRIPTOR, Plain.DESCRIPTOR).strict
    assert not one.call(Flags.DESCRIPTOR, Flags.DESCRIPTOR).strict
