"""Calls that hold the same are told apart without decoding; that must never say more than the long way round would."""

from __future__ import annotations

import pytest
from grpc_mirror.v1 import capture_pb2
from hypothesis import event, given, settings
from hypothesis import strategies as st

from mirror.core.calls import CallComparer
from mirror.core.model import Role, Verdict
from mirror.core.rules import RuleSet
from mirror.core.schemas import SchemaBook
from mirror.core.twins import essence, response_bytes
from tests.core.compare.shapes import order
from tests.core.test_calls import capture, comparer, record

REQUEST, RESPONSE = capture_pb2.DIRECTION_REQUEST, capture_pb2.DIRECTION_RESPONSE
BODIES = [b"", order("id: 'a'").SerializeToString(), order("id: 'b'").SerializeToString(), b"\xff"]

leaves = st.lists(
    st.builds(
        capture_pb2.PrivateLeaf,
        path=st.sampled_from(["id", 'trailing_metadata["k"]']),
        hmac=st.sampled_from([b"", b"h"]),
        key_id=st.sampled_from(["k1", "k2"]),
    ),
    max_size=2,
)
messages = st.builds(
    capture_pb2.CapturedMessage,
    direction=st.sampled_from([REQUEST, RESPONSE]),
    body=st.sampled_from(BODIES),
    offset_ns=st.integers(0, 3),
    original_size=st.integers(0, 9),
    omission=st.sampled_from([0] * 9 + [capture_pb2.OMISSION_MESSAGE_TOO_LARGE]),
    hash=st.sampled_from([b"", b"x"]),
    private_leaves=leaves,
)


@st.composite
def captures(draw) -> capture_pb2.Capture:
    made = capture(
        kind=draw(st.sampled_from([1, 2, 3, 4])),
        ending=draw(st.sampled_from([1] * 9 + [2, 3, 4, 5])),
        status_code=draw(st.sampled_from([0, 0, 5])),
        status_details=draw(st.sampled_from([b"", b"\xff"])),
        metadata=draw(st.lists(st.sampled_from([("k", b"1"), ("k", b"2"), ("date", b"3")]), max_size=2)),
        start_unix_ns=draw(st.integers(0, 2)),
        private_leaves=draw(leaves),
        omitted=draw(st.sampled_from([[]] * 9 + [[{"reason": 3, "direction": 2, "messages": 1}]])),
        blocked_calls=draw(st.sampled_from([0] * 9 + [1])),
        not_sampled=draw(st.sampled_from([False] * 9 + [True])),
    )
    made.messages.extend(draw(st.lists(messages, max_size=3)))
    counted = [sum(each.direction == side for each in made.messages) for side in (REQUEST, RESPONSE)]
    more = draw(st.sampled_from([(0, 0)] * 9 + [(1, 0), (0, 1)]))
    made.request_count, made.response_count = (n + extra for n, extra in zip(counted, more, strict=True))
    return made


@given(captures(), captures(), st.sampled_from([True, True, True, False]))
@settings(max_examples=300)
def test_twins_match_the_long_way_round_too(left, other, same):
    right = capture_pb2.Capture.FromString(left.SerializeToString()) if same else other
    right.start_unix_ns, right.duration_ns, right.deadline_ns = 17, 18, 19
    primary, shadow = record(left), record(right, Role.CANDIDATE)
    if essence(primary.capture).text != essence(shadow.capture).text or response_bytes(primary.capture) is None:
        event("no twins")
        return
    event("twins")
    found = comparer().compare(primary, shadow)
    assert found == comparer(nan_equal=False).compare(primary, shadow)  # which asks about no twins
    assert found.verdict is Verdict.MATCHED


def test_twins_need_no_schema():
    made = record(capture("id: 'a'"))
    unknown = CallComparer(SchemaBook(), RuleSet())
    assert unknown.missing_schemas(made, made) == frozenset()
    assert unknown.compare(made, made).verdict is Verdict.MATCHED


@pytest.mark.parametrize("name", ["status_message", "status_details", "schema_fingerprint", "response_type"])
def test_what_is_compared_is_in_the_essence(name):
    one, other = capture("id: 'a'"), capture("id: 'a'")
    value = getattr(other, name)
    setattr(other, name, b"x" if isinstance(value, bytes) else "x")
    assert essence(one.SerializeToString()).text != essence(other.SerializeToString()).text


def test_what_stays_out_of_the_essence_is_never_compared():
    made = capture("id: 'a'", start_unix_ns=1, duration_ns=2, deadline_ns=3, attempt=4, exception_type="E")
    made.request_metadata.add(key="k", value=b"v")
    made.messages[0].offset_ns = 5
    assert essence(made.SerializeToString()).text == essence(capture("id: 'a'").SerializeToString()).text
