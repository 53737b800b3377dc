"""Messages of streams as the compiled part writes them: the bytes that Python writes, and what is left to it."""

from types import SimpleNamespace

import pytest
from grpc_mirror import capture, native
from grpc_mirror.capture import BOTH
from grpc_mirror.seen import Message
from grpc_mirror.settings import Settings
from grpc_mirror.sinks.otlp import ALONE_BYTES
from grpc_mirror.v1 import capture_pb2
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("compiled")
SETTINGS = Settings(endpoint="c:1", message_max_bytes=20_000, capture_max_bytes=60_000)
PUBLIC = SimpleNamespace(public=BOTH, hash=lambda digest, _direction: (digest, ""))
SIZES = st.one_of(
    st.integers(0, 300), st.sampled_from([127, 128, 16_383, ALONE_BYTES, ALONE_BYTES + 1, 20_000, 20_001])
)
OFFSETS = st.one_of(st.integers(0, 1000), st.integers(0, 1 << 30))


@st.composite
def directions(draw):
    """The messages of one direction, in the order of time."""
    offsets = sorted(draw(st.lists(OFFSETS, max_size=8)))
    made = []
    for offset in offsets:
        size = draw(SIZES)
        body = None if draw(st.integers(0, 9)) == 0 else bytes([size % 251]) * size
        made.append(Message(offset, size, body, capture_pb2.OMISSION_CAPTURE_FULL if body is None else 0, b""))
    return tuple(made)


def written(requests, responses):
    return capture.messages_of(requests, responses, SETTINGS, PUBLIC, "")


@given(directions(), directions())
def test_the_bytes_are_those_of_python(requests, responses):
    with pytest.MonkeyPatch.context() as patch:
        found = written(requests, responses)
        patch.setattr(capture, "_NATIVE", None)
        assert b"".join(found) == b"".join(written(requests, responses))


def test_small_ones_are_written_together_and_a_large_body_is_no_copy():
    large = bytes(ALONE_BYTES)
    requests = (Message(1, 2, b"ab"), Message(3, len(large), large), Message(5, 1, b"c"))
    found = written(requests, (Message(2, 2, b"de"), Message(6, 0, b"")))
    assert len(found) == 3
    assert found[1] is large
    messages = capture_pb2.Capture.FromString(b"".join(found)).messages
    assert [message.body for message in messages] == [b"ab", b"de", large, b"c", b""]


def test_what_is_out_of_order_is_left_to_python():
    part = native.part("encoding")
    backwards = (Message(5, 1, b"a"), Message(3, 1, b"b"))
    assert part.messages(backwards, (), 100, 100, 100) == ([], 0, 0, 100)
    messages = capture_pb2.Capture.FromString(b"".join(written(backwards, ()))).messages
    assert [message.body for message in messages] == [b"b", b"a"]


@pytest.mark.parametrize(
    ("messages", "taken"),
    [
        ([(1, b"a"), (2, None), (3, b"b")], 1),
        ([(1, b"a" * 11)], 0),
        ([(1, b"a" * 9), (2, b"b" * 9), (3, b"c" * 9)], 2),
        ([(1, bytearray(b"a"))], 0),
        ([(1 << 28, b"a")], 0),
    ],
)
def test_the_first_that_is_not_as_usual_ends_it(messages, taken):
    """Without a body, over the limit of one, over the room of all, no bytes, later than its varint allows for."""
    given_messages = tuple(Message(offset, 0, body) for offset, body in messages)
    pieces, asked, answered, room = native.part("encoding").messages((), given_messages, 20, 10, 100)
    assert (asked, answered) == (0, taken)
    assert room == 20 - sum(len(body) for _, body in messages[:taken])
    assert len(pieces) == min(1, taken)


@pytest.mark.parametrize(
    "wrong", [((1,), ()), (((1, 2),), ()), ((Message(-1, 0, b""),), (Message(0, 0, b""),)), ((), ("x",))]
)
def test_what_are_no_messages_is_handed_back(wrong):
    assert native.part("encoding").messages(*wrong, 10, 10, 10) == ([], 0, 0, 10)
