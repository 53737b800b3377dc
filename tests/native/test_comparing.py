"""The compiled comparison of two captures says of them what the Python says, or nothing."""

from __future__ import annotations

import random

from google.protobuf.message import DecodeError
from grpc_mirror.v1 import capture_pb2
from hypothesis import event, given, settings
from hypothesis import strategies as st

from mirror import native
from mirror.core import twins
from tests.core.test_twins import captures


def compiled(primary: bytes, shadow: bytes) -> native.Same | None:
    assert native.same is not None
    return native.same(primary, shadow)


@given(captures(), captures(), st.booleans())
@settings(max_examples=400)
def test_of_what_protobuf_wrote_both_say_the_same(left, other, same) -> None:
    right = capture_pb2.Capture.FromString(left.SerializeToString()) if same else other
    right.start_unix_ns, right.duration_ns, right.deadline_ns, right.attempt = 17, 18, 19, 2
    right.exception_type = "Other"
    right.request_metadata.add(key="k", value=b"v")
    for message in right.messages:
        message.offset_ns += 7
    primary, shadow = left.SerializeToString(), right.SerializeToString()
    found = compiled(primary, shadow)
    event("twins" if found else "no twins")
    assert found == twins.same(primary, shadow)


@given(captures(), st.randoms(use_true_random=False), st.integers(1, 3))
@settings(max_examples=600, deadline=None)
def test_of_odd_bytes_it_says_nothing_that_python_does_not(left, chance: random.Random, changes: int) -> None:
    """Such as protobuf reads: others are in no record. A field written twice, or at another place, may be left to Python."""
    sides = [bytearray(left.SerializeToString()) for _ in range(2)]
    for _ in range(changes):
        at, byte = chance.randrange(len(sides[0])), chance.choice([0, 1, 2, 3, 8, 18, chance.randrange(256)])
        for side in sides if chance.randrange(2) else sides[:1]:
            side[at] = byte
    primary, shadow = map(bytes, sides)
    try:
        for side in (primary, shadow):
            capture_pb2.Capture.FromString(side)
    except DecodeError:
        event("no captures")
        return
    found = compiled(primary, shadow)
    event("twins" if found else "no twins")
    if found:
        assert found == twins.same(primary, shadow)


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_of_any_bytes_it_says_at_most_that_they_are_no_twins(one: bytes, other: bytes) -> None:
    assert compiled(one, other) is None  # no such bytes tell of an ending and of a response
