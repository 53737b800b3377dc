"""Redaction of messages: nothing private is left, what is public stays, equal values leave equal hashes."""

import hashlib
import re
import subprocess
import sys

import pytest
from grpc_mirror import canonical, private_plan
from grpc_mirror.seen import digest_of
from grpc_mirror.v1 import capture_pb2
from hypothesis import given
from hypothesis import strategies as st

from tests.interceptors import vault
from tests.interceptors.redacting import KEY, REQUEST, RESPONSE, SECRET, holder, leaves, left, nested, redact, redactor
from tests.interceptors.vault import Card, Flags, Old, Plain, Safe

text = st.text(max_size=20)
secrets = st.text(st.characters(codec="utf-8"), max_size=12).map(lambda tail: SECRET + tail)


@given(secrets, text, st.integers(0, 2))
def test_nothing_private_is_left_and_all_that_is_public(secret, public, depth):
    body = redact(vault.safe(secret, public, depth=depth))
    assert not body.omission
    assert SECRET.encode() not in body.body
    assert not any(SECRET in leaf.path for leaf in body.leaves)
    expected = vault.safe("", public, depth=depth)
    expected.ClearField("open_way")  # the private member of the oneof had taken its place
    child = expected
    while child.HasField("child"):
        child = child.child
        child.ClearField("open_way")
    payloads = Safe.FromString(body.body), expected
    for made in payloads:
        made.payload.value = left_in(made.payload)
    assert payloads[0].text == payloads[1].text
    assert without_payloads(payloads[0]) == without_payloads(payloads[1])


def left_in(any_message):
    card = Card.FromString(any_message.value)
    assert not card.p_number
    return card.SerializeToString()


def without_payloads(made):
    copy = Safe.FromString(made.SerializeToString())
    one = copy
    while True:
        one.ClearField("payload")
        if not one.HasField("child"):
            return copy
        one = one.child


@given(secrets, text)
def test_proto2_groups_required_fields_and_extensions(secret, public):
    body = redact(vault.old(secret, public))
    assert SECRET.encode() not in body.body
    made = Old.FromString(body.body)
    assert (made.text, made.group.text) == (public, public)
    assert {leaf.path for leaf in body.leaves} == {
        "p_key",
        "group.p_inner",
        "child.p_key",
        "(vault.p_extra)",
        "(vault.card_extra).p_number",
    }


def test_every_scalar_is_taken_out_and_only_text_is_hashed():
    made = vault.safe(SECRET, "open", depth=0)
    found = leaves(made)
    for name in vault.SCALARS.values():
        assert bool(found[f"p_{name}"].hmac) is (name in ("string", "bytes")), name
    # Of messages those that can hold text.
    assert found["p_plain"].hmac
    assert found["p_any"].hmac
    assert not found["p_flags"].hmac
    assert not found["p_level"].hmac
    assert str(vault.NUMBER) not in str(left(made))


def test_few_values_are_hashed_where_that_is_asked_for():
    one, other = Safe(p_int32=1, p_bool=True), Safe(p_int32=2)
    ours, theirs = leaves(one, hash_few_values=True), leaves(other, hash_few_values=True)
    assert ours["p_int32"].hmac != theirs["p_int32"].hmac
    assert ours["p_bool"].hmac != theirs["p_bool"].hmac
    assert ours["p_level"].hmac == theirs["p_level"].hmac


def test_being_there_does_not_tell_a_bool():
    """Of a bool without presence, only true would be set."""
    assert leaves(Safe(p_bool=True)).keys() == leaves(Safe(p_bool=False)).keys()
    assert leaves(Safe(p_bool=True))["p_bool"] == leaves(Safe())["p_bool"]


def test_unset_and_empty_stay_visible():
    unset, empty, full = (leaves(made) for made in (Safe(), Safe(p_maybe=""), Safe(p_maybe=SECRET)))
    assert "p_maybe" not in unset
    assert (empty["p_maybe"].empty, empty["p_maybe"].hmac) == (True, b"")
    assert (full["p_maybe"].empty, len(full["p_maybe"].hmac)) == (False, 32)
    assert leaves(Safe(p_plain=Plain()))["p_plain"].empty
    assert not leaves(Safe(p_flags=Flags()))["p_flags"].empty, "that all bools are false is not told"
    assert "p_perhaps" not in unset
    assert leaves(Safe(p_perhaps=False))["p_perhaps"] == leaves(Safe(p_perhaps=True))["p_perhaps"]


def test_without_a_key_values_go_without_a_hash():
    one = redactor(redaction_key="")
    body = one.call(Safe.DESCRIPTOR, None).body(Safe(p_string=SECRET).SerializeToString(), REQUEST)
    assert SECRET.encode() not in body.body
    assert [leaf.hmac for leaf in body.leaves if leaf.path == "p_string"] == [b""]
    assert one.unhashed


@given(st.dictionaries(text, text, max_size=6), st.randoms())
def test_equal_values_have_equal_hashes_whatever_their_encoding(labels, random):
    """A message in pieces is one message: so the entries of its maps, and its fields, come in any order."""
    pieces = []
    for key, value in labels.items():
        pieces.append(Safe(p_labels={key: value}).SerializeToString())
        pieces.append(Safe(p_plain=Plain(labels={key: value})).SerializeToString())
    shuffled = random.sample(pieces, len(pieces))
    ours, theirs = (redact(Safe(), raw=b"".join(each)) for each in (pieces, shuffled))
    assert ours == theirs
    if labels:
        packed = (Safe(p_any=holder(Plain(labels=labels))), Safe())
        packed[1].p_any.type_url = packed[0].p_any.type_url
        packed[1].p_any.value = b"".join(
            Plain(labels={key: labels[key]}).SerializeToString() for key in reversed(labels)
        )
        assert leaves(packed[0])["p_any"] == leaves(packed[1])["p_any"]


def test_integers_count_by_value_not_by_bytes():
    """Plain(number=1) with its varint in one byte and in two."""
    short, long = b"\x10\x01", b"\x10\x81\x00"
    prefix = b"\xca\x02"  # p_plain, length-delimited
    found = [redact(Safe(), raw=prefix + bytes((len(raw),)) + raw).leaves for raw in (short, long)]
    assert found[0] == found[1]


def test_other_values_types_and_keys_have_other_hashes():
    def hmac(made, path, **more):
        return leaves(made, **more)[path].hmac

    values = [
        hmac(Safe(p_string="a"), "p_string"),
        hmac(Safe(p_string="b"), "p_string"),
        hmac(Safe(p_bytes=b"a"), "p_bytes"),
        hmac(Safe(p_texts=["a"]), "p_texts"),
        hmac(Safe(p_texts=["a", "a"]), "p_texts"),
        hmac(Safe(p_labels={"a": "a"}), "p_labels"),
        hmac(Safe(p_plain=Plain(text="a")), "p_plain"),
        hmac(Safe(p_string="a"), "p_string", redaction_key="another key of tests"),
        hmac(Safe(p_int32=1), "p_int32", hash_few_values=True),
        hmac(Safe(p_bool=True), "p_bool", hash_few_values=True),
    ]
    assert len(set(values)) == len(values)
    assert (
        hmac(Safe(p_string="a"), "p_string") == hmac(Safe(p_way="a"), "p_way") == hmac(Card(p_number="a"), "p_number")
    )
    few = {"hash_few_values": True}
    assert hmac(Safe(p_double=0.5), "p_double", **few) == hmac(Safe(p_float=0.5), "p_float", **few)
    assert hmac(Safe(p_double=-0.0), "p_double", **few) == hmac(Safe(), "p_double", **few)
    assert hmac(Safe(p_double=float("nan")), "p_double", **few) == hmac(Safe(p_float=float("nan")), "p_float", **few)


def test_another_process_makes_the_same_hashes():
    script = (
        "from tests.interceptors.redacting import leaves\n"
        "from tests.interceptors import vault\n"
        "print(leaves(vault.safe('one', 'open'))['p_labels'].hmac.hex())"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == leaves(vault.safe("one", "other"))["p_labels"].hmac.hex()


def test_the_key_and_its_id():
    one, other = canonical.KeyedHash(KEY), canonical.KeyedHash(KEY + "!")
    assert one.key_id == canonical.KeyedHash(KEY).key_id != other.key_id
    assert re.fullmatch("[0-9a-f]{16}", one.key_id)
    plain = [hashlib.sha256(KEY.encode()).hexdigest(), KEY.encode().hex()]
    assert not any(one.key_id in text for text in plain)


@pytest.mark.parametrize("depth", [0, 1, 31, 32, 61, 62, 63, 64, 65, 90])
def test_unknown_fields_go_at_any_depth(depth):
    """DiscardUnknownFields of protobuf itself leaves those below the 62nd message."""
    raw = nested(vault.unknown(SECRET), depth)
    assert SECRET.encode() in raw
    assert SECRET.encode() not in redact(Safe(), raw=raw).body


def test_unknown_fields_go_in_an_any_and_in_extensions():
    made = Safe()
    made.payload.Pack(Plain(text="open"))
    made.payload.value += vault.unknown(SECRET)
    body = redact(made)
    assert SECRET.encode() not in body.body
    assert Plain.FromString(Safe.FromString(body.body).payload.value).text == "open"
    chain = Old(p_key="x")
    chain.Extensions[vault.extension("old_extra")].Extensions[vault.extension("old_extra")].MergeFromString(
        vault.unknown(SECRET)
    )
    assert SECRET.encode() not in redact(chain).body


def test_types_without_anything_private_leave_as_they_are():
    """Not even parsed: these bytes are no message."""
    assert redact(Plain(), raw=b"\xff\xff").body == b"\xff\xff"
    assert redact(Plain(), raw=b"\xff\xff", redact="on").omission == capture_pb2.OMISSION_REDACTION_FAILED
    unknown = Plain(text="open").SerializeToString() + vault.unknown(SECRET)
    assert redact(Plain(), raw=unknown).body == unknown
    assert redact(Plain(), raw=unknown, redact="on").body == Plain(text="open").SerializeToString()


def test_switched_off_everything_leaves_as_it_is():
    raw = vault.safe(SECRET, "open").SerializeToString()
    assert redact(Safe(), raw=raw, redact="off") == (raw, (), 0)


@pytest.mark.parametrize("raw", [b"\xff" + SECRET.encode(), b"\x0a\x7f" + SECRET.encode()])
def test_what_cannot_be_redacted_is_dropped_and_counted(raw):
    notices = []
    body = redact(Safe(), raw=raw, notices=notices)
    assert (body.body, body.leaves, body.omission) == (b"", (), capture_pb2.OMISSION_REDACTION_FAILED)
    assert notices == ["redaction_failed"]


def test_a_fault_of_ours_drops_the_body(monkeypatch):
    notices = []

    def broken(*_):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(canonical, "field_value", broken)
    body = redact(Safe(p_string=SECRET), notices=notices)
    assert (body.body, body.omission, notices) == (b"", capture_pb2.OMISSION_REDACTION_FAILED, ["redaction_failed"])


def test_a_plan_that_could_not_be_made_is_made_anew(monkeypatch):
    one = redactor()
    with monkeypatch.context() as patch:
        patch.setattr(private_plan, "_conclude", lambda _new: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            one.call(Safe.DESCRIPTOR, None)
    body = one.call(Safe.DESCRIPTOR, None).body(Safe(p_string=SECRET).SerializeToString(), REQUEST)
    assert SECRET.encode() not in body.body


def test_more_leaves_than_a_capture_takes_leave_the_body_out():
    made = Safe()
    for _ in range(1001):
        made.cards.add(p_number="x")
    assert redact(made).omission == capture_pb2.OMISSION_MESSAGE_TOO_LARGE
    assert redact(Safe(cards_by_name={"k" * 900: Card(p_number="x")}), message_max_bytes=800).omission


class TestHashesOfWholeBodies:
    """Of a body that is left out: keyed where there is a key; without one nothing that could be tried out."""

    def hashed(self, kind, **more):
        raw = kind(**({"text": SECRET} if kind is Plain else {})).SerializeToString()
        return redactor(**more).call(kind.DESCRIPTOR, kind.DESCRIPTOR).hash(digest_of(raw), REQUEST), digest_of(raw)

    def test_with_a_key(self):
        (made, key_id), plain = self.hashed(Safe)
        assert made != plain
        assert key_id == canonical.KeyedHash(KEY).key_id
        assert self.hashed(Plain)[0][1] == key_id

    def test_without_a_key(self):
        assert self.hashed(Safe, redaction_key="")[0] == (b"", "")
        made, plain = self.hashed(Plain, redaction_key="")
        assert made == (plain, "")
        assert self.hashed(Plain, redaction_key="", redact="on")[0] == (b"", "")


def test_a_body_that_is_no_message_leaves_only_where_nothing_is_private():
    raw = SECRET.encode()
    assert redactor().call(None, None).body(raw, REQUEST).body == raw
    for one in (redactor(redact="on").call(None, None), redactor("request.x").call(None, None)):
        assert one.body(raw, REQUEST) == (b"", (), capture_pb2.OMISSION_PRIVATE)
    assert redactor().call(Safe.DESCRIPTOR, None).body(raw, RESPONSE).omission == capture_pb2.OMISSION_PRIVATE
