"""Calls that hold the same: by far the most pairs, told apart from the rest without decoding a message. Pure.

Of a capture all is cleared that is never compared, and what is left is written down. Where two such texts are equal, and
one capture is whole, the long way round (see `calls`) finds nothing that differs under any rules, and nothing that cannot be
compared. Other texts mean nothing: the two may still match.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from grpc_mirror.v1 import capture_pb2

MESSAGES_MAX: Final = 1000  # of one capture that is looked at
KEPT: Final = 4  # captures are asked about several times in a row
_ENDED: Final = (capture_pb2.ENDING_RETURNED, capture_pb2.ENDING_RAISED)
# How long it took and what came before the call; nobody holds these against each other.
_NOT_COMPARED: Final = ("request_metadata", "deadline_ns", "attempt", "start_unix_ns", "duration_ns", "exception_type")


class Essence(NamedTuple):
    """All of a capture that is compared, written down; and when its call began and how long it took."""

    text: bytes
    start_unix_ns: int
    duration_ns: int


@lru_cache(maxsize=KEPT)
def essence(data: bytes) -> Essence:
    """Of a serialised capture. Raises DecodeError."""
    capture = capture_pb2.Capture.FromString(data)
    start_unix_ns, duration_ns = capture.start_unix_ns, capture.duration_ns
    for name in _NOT_COMPARED:
        capture.ClearField(name)
    for message in capture.messages:
        message.ClearField("offset_ns")
    return Essence(capture.SerializePartialToString(), start_unix_ns, duration_ns)


@lru_cache(maxsize=KEPT)
def response_bytes(data: bytes) -> int | None:
    """Of a serialised capture that is whole and whose call came to an end; else None. Raises DecodeError."""
    capture = capture_pb2.Capture.FromString(data)
    messages = capture.messages
    if capture.ending not in _ENDED or capture.omitted or len(messages) > MESSAGES_MAX:
        return None
    requests = size = 0
    for message in messages:
        if message.omission or message.hash:
            return None
        if message.direction == capture_pb2.DIRECTION_REQUEST:
            requests += 1
        else:
            size += message.original_size
    if (requests, len(messages) - requests) != (capture.request_count, capture.response_count):
        return None
    return size if _one_key(capture) else None


def _one_key(capture: capture_pb2.Capture) -> bool:
    """Whether its hashes were made with one key at most."""
    leaves = [*capture.private_leaves, *(leaf for message in capture.messages for leaf in message.private_leaves)]
    return len({leaf.key_id for leaf in leaves if leaf.hmac}) <= 1
