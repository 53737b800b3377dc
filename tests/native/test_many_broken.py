"""Soak: millions of broken requests and captures, of which the compiled parts say what the Python says. Run by `make soak`."""

from __future__ import annotations

import random

import pytest
from google.protobuf.message import DecodeError
from grpc_mirror.v1 import capture_pb2

from mirror import native
from mirror.collect.slices import NATIVE, Slicer
from mirror.core import twins
from tests.collect.otlp import call_span, capture, request
from tests.native.test_cutting import cut

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]
WHOLE, BROKEN_OF_EACH = 20_000, 50
ODD_BYTES = [0, 1, 2, 3, 0x0A, 0x7F, 0x80, 0xFF]
LEAF = capture_pb2.PrivateLeaf(path="a", hmac=b"h", key_id="k")
OTHER_LEAF = capture_pb2.PrivateLeaf(path="b", hmac=b"i", key_id="l")
ENTRY = capture_pb2.MetadataEntry(key="k", value=b"\xff")


def broken(whole: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, put in or taken out."""
    made = bytearray(whole)
    for _ in range(chance.randrange(1, 4)):
        at, byte = chance.randrange(len(made) or 1), chance.choice([*ODD_BYTES, chance.randrange(256)])
        match chance.randrange(8):
            case 0:
                made.insert(at, byte)
            case 1:
                del made[at : at + 1]
            case 2 if chance.randrange(8) == 0:
                del made[at:]
            case _:
                made[at : at + 1] = bytes([byte])
    return bytes(made)


def of_a_call(chance: random.Random) -> bytes:
    """A capture, of whatever kind."""
    messages = [
        capture_pb2.CapturedMessage(
            direction=chance.choice([1, 2, 2]),
            body=chance.randbytes(chance.randrange(3)),
            offset_ns=chance.randrange(300),
            original_size=chance.randrange(3),
            private_leaves=chance.choice([[], [], [LEAF], [OTHER_LEAF]]),
        )
        for _ in range(chance.randrange(4))
    ]
    return capture(
        messages=messages,
        ending=chance.choice([1, 1, 2, 3]),
        request_count=sum(one.direction == 1 for one in messages),
        response_count=sum(one.direction == 2 for one in messages),
        start_unix_ns=chance.randrange(1 << 62),
        attempt=chance.randrange(3),
        status_code=chance.choice([0, 5, -1]),
        status_message=chance.choice(["", "no", "né"]),
        request_metadata=chance.choice([[], [ENTRY]]),
        private_leaves=chance.choice([[], [], [LEAF]]),
        omitted=chance.choice([[], [], [capture_pb2.Omitted(messages=2)]]),
        exception_type=chance.choice(["", "E"]),
    )


def test_requests_are_cut_alike() -> None:
    chance, compiled, python, calls = random.Random(7), Slicer(cutter=NATIVE), Slicer(cutter=None), 0
    for _ in range(WHOLE):
        roles = chance.choices(["primary", "candidate"], k=chance.randrange(1, 3))
        spans = [call_span(f"m{n}", role, data=of_a_call(chance)) for n, role in enumerate(roles)]
        whole = request(*spans).SerializeToString()
        for body in (whole, *(broken(whole, chance) for _ in range(BROKEN_OF_EACH))):
            found = cut(compiled, body)
            assert found == cut(python, body), body.hex()
            calls += 0 if isinstance(found, str) else len(found.calls)
    assert calls > WHOLE * BROKEN_OF_EACH / 10  # many are read in spite of what is broken


def test_captures_are_held_against_each_other_alike() -> None:
    assert native.same is not None
    chance, same = random.Random(7), 0
    for _ in range(WHOLE):
        whole = of_a_call(chance)
        other = capture_pb2.Capture.FromString(whole)
        other.start_unix_ns, other.duration_ns, other.attempt = 5, 7, 9
        assert native.same(whole, other.SerializeToString()) == twins.same(whole, other.SerializeToString())
        for _ in range(BROKEN_OF_EACH):
            left = broken(whole, chance)
            right = left if chance.randrange(2) else broken(left, chance)
            found = native.same(left, right)
            if found and _captures(left, right):
                assert found == twins.same(left, right), (left.hex(), right.hex())
                same += 1
    assert same > WHOLE


def _captures(*data: bytes) -> bool:
    try:
        return all(capture_pb2.Capture.FromString(one) is not None for one in data)
    except DecodeError:
        return False  # no record holds such
