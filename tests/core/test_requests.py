"""Request drift: told where the shadow was demonstrably asked something else, and never invented."""

from __future__ import annotations

import pytest
from grpc_mirror.v1 import capture_pb2
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.model import Role, Verdict
from mirror.core.path import render
from mirror.core.private import EMPTY
from mirror.core.rules import Ignore
from tests.core.compare.shapes import SHOP, order, rule, schema
from tests.core.test_calls import FINGERPRINT, SCHEMA, capture, comparer, omitted, outcome, record

BIDI, CLIENT_STREAM = capture_pb2.CALL_KIND_BIDI_STREAM, capture_pb2.CALL_KIND_CLIENT_STREAM


def asked(*requests, type_name="shop.Order", answer='id: "1"', **told) -> capture_pb2.Capture:
    """A call with these requests: text of an Order, bytes, or a CapturedMessage."""
    made = capture(
        *([answer] if answer is not None else []), request_count=told.pop("request_count", len(requests)), **told
    )
    made.request_type = type_name
    for request in requests:
        if isinstance(request, capture_pb2.CapturedMessage):
            made.messages.append(request)
        else:
            body = request if isinstance(request, bytes) else order(request).SerializeToString()
            made.messages.add(body=body, original_size=len(body))
        made.messages[-1].direction = capture_pb2.DIRECTION_REQUEST
    return made


def redacted(text: str, **leaves: tuple[bytes, str]) -> capture_pb2.CapturedMessage:
    """A request from which leaves were taken out: path (`__` for a dot) to hash and key; EMPTY of an empty value."""
    made = capture_pb2.CapturedMessage(body=order(text).SerializeToString())
    for path, (hmac, key_id) in leaves.items():
        told = {"empty": True} if hmac == EMPTY else {"hmac": hmac, "key_id": key_id}
        made.private_leaves.add(path=path.replace("__", "."), **told)
    return made


def drift(left, right, *rules, **more) -> list[str]:
    """Each difference as `path kind`; the verdict is checked beside."""
    result = outcome(left, right, *rules, **more)
    assert (result.reason == "request_drift") == bool(result.drift) == (result.verdict is Verdict.INCOMPARABLE)
    assert not (result.drift and (result.differences or result.difference_count or result.hypotheses))
    return [f"{render(d.path)} {d.kind}" for d in result.drift]


def test_a_request_that_something_changed_makes_the_pair_incomparable():
    """Whatever came of it: the answers are to different questions."""
    left = asked('id: "1" size: 5')
    assert drift(left, left) == []
    assert drift(left, asked('id: "2" size: 5')) == ["request.id value"]
    assert drift(left, asked('id: "2"', answer='id: "9"')) == ["request.id value", "request.size missing"]
    assert drift(left, asked('id: "2" size: 5', answer=None, status_code=5)) == ["request.id value"]
    cut_off = asked('id: "2" size: 5', answer=None, ending=capture_pb2.ENDING_DEADLINE_EXCEEDED)
    assert drift(left, cut_off) == ["request.id value"]


def test_other_bytes_of_the_same_message_are_no_drift():
    one, other = b"\n\x01a\xa8\x01\x05", b"\xa8\x01\x05\n\x01a"
    assert drift(asked(one), asked(other)) == []
    entries = [order(f'labels {{key: "{key}" value: "x"}}').SerializeToString() for key in "ab"]
    assert drift(asked(entries[0] + entries[1]), asked(entries[1] + entries[0])) == []


def test_streamed_requests_belong_together_by_position():
    left = asked('id: "1"', 'id: "2"', 'id: "3"', kind=BIDI)
    assert drift(left, asked('id: "1"', 'id: "x"', 'id: "3"', kind=BIDI)) == ["requests[1].id value"]
    more = asked('id: "1"', 'id: "2"', 'id: "3"', 'id: "4"', kind=BIDI)
    assert drift(left, more) == []
    assert outcome(more, left).reason == "request_cut_short"


def test_rules_excuse_what_is_expected_to_change_on_the_way():
    left, right = asked('id: "1" main {trace: "a"}'), asked('id: "1" main {trace: "b"}')
    assert drift(left, right) == ["request.main.trace value"]
    assert drift(left, right, rule(Ignore, "request.main.trace")) == []
    assert drift(left, right, rule(Ignore, "request")) == []
    assert drift(left, right, rule(Ignore, "response")) == ["request.main.trace value"]


NEWER = SHOP.replace("bool open = 25;", "bool open = 25; string coupon = 26;")


def test_what_only_one_schema_knows_says_nothing():
    """A side that redacts drops fields that it does not know."""
    newer, serialized = schema(NEWER)
    with_coupon = order('id: "1"').SerializeToString() + b"\xd2\x01\x01x"
    book = (SCHEMA, serialized)
    assert drift(asked('id: "1"'), asked(with_coupon, fingerprint=newer), book=book) == []
    assert drift(asked(with_coupon, fingerprint=newer), asked('id: "1"'), book=book) == []
    other = order('id: "2"').SerializeToString() + b"\xd2\x01\x01x"
    assert drift(asked('id: "1"'), asked(other, fingerprint=newer), book=book) == ["request.id value"]
    assert drift(asked('id: "1"'), asked(with_coupon)) == []


K, L = "k", "l"


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ((b"1", K), (b"1", K), []),
        ((b"1", K), (b"2", K), ["request.card.number value"]),
        ((b"1", K), (b"2", L), []),
        ((b"1", K), (b"", ""), []),
        ((EMPTY, ""), (EMPTY, ""), []),
        ((EMPTY, ""), (b"1", K), ["request.card.number value"]),
        ((b"", ""), (EMPTY, ""), ["request.card.number value"]),
    ],
)
def test_private_leaves_of_requests(left, right, expected):
    pair = [asked(redacted('id: "1" card {}', card__number=leaf)) for leaf in (left, right)]
    assert drift(*pair) == expected


def test_a_leaf_that_one_side_alone_took_out_says_nothing():
    """Deployments may redact by other settings."""
    plain, private = asked('card {number: "1"}'), asked(redacted("card {}", card__number=(b"1", K)))
    assert drift(plain, private) == drift(private, plain) == []
    assert drift(asked('id: "1" card {number: "1"}'), private) == ["request.id missing"]
    assert drift(asked('id: "1"'), asked(redacted("", card__number=(b"1", K)))) == ["request.id missing"]


def test_requests_left_out_of_a_capture_are_never_drift():
    """Other hashes may be other bytes of the same message; of one side alone nobody can tell."""
    for left, right in ((b"x", b"x"), (b"x", b"y"), (b"x", b"")):
        assert drift(asked(omitted(left)), asked(omitted(right))) == []
    assert drift(asked(omitted(b"x")), asked('id: "1"')) == []
    assert drift(asked(request_count=1), asked('id: "1"')) == []


def test_what_cannot_be_read_is_no_drift_but_against_what_can():
    assert drift(asked(b"\xff"), asked(b"\xfe")) == []
    assert drift(asked('id: "1"'), asked(b"\xff")) == ["request value"]
    assert drift(asked(b"1", type_name=""), asked(b"2", type_name="")) == []
    assert outcome(asked('id: "1"'), asked('id: "2"'), book=()).verdict is Verdict.MATCHED
    assert drift(asked('id: "1"', type_name="shop.Nope"), asked('id: "2"', type_name="shop.Nope")) == []


def test_a_pair_waits_for_the_schema_of_requests_that_differ():
    engine = comparer(book=())
    left, right = record(asked('id: "1"')), record(asked('id: "2"'), Role.CANDIDATE)
    assert engine.missing_schemas(left, right) == {FINGERPRINT}
    failed = record(asked('id: "2"', status_code=5), Role.CANDIDATE)
    assert engine.missing_schemas(left, failed) == {FINGERPRINT}
    assert engine.missing_schemas(left, left) == frozenset()


def test_request_types_of_two_names_meet_by_number():
    left, right = asked('id: "1"'), asked(order('number: "1"', "shop.Card").SerializeToString(), type_name="shop.Card")
    assert drift(left, right) == []
    assert drift(asked('id: "2"'), right) != []


@given(st.binary(max_size=200), st.binary(max_size=200), st.sampled_from([BIDI, CLIENT_STREAM, 0, 9, 1]))
def test_no_bytes_raise(one, other, kind):
    left, right = asked(one, other, kind=kind), asked(other, one, kind=kind)
    assert comparer().compare(record(left), record(right)).verdict in Verdict
    same = comparer().compare(record(left), record(asked(one, other, kind=kind)))
    assert same.verdict is Verdict.MATCHED
