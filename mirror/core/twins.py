"""Calls that hold the same: by far the most pairs, told apart from the rest without decoding a message. Pure.

Of a capture all is left out that is never compared, and the rest is written down. Where two such texts are equal, and
one capture is whole, the long way round (see `calls`) finds nothing that differs under any rules, and nothing that cannot be
compared. Other texts mean nothing: the two may still match.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from grpc_mirror.v1 import capture_pb2

from mirror import native
from mirror.native import Same

MESSAGES_MAX: Final = 1000  # of one capture that is looked at
KEPT: Final = 4  # captures are asked about several times in a row
_ENDED: Final = (capture_pb2.ENDING_RETURNED, capture_pb2.ENDING_RAISED)
_REQUEST: Final = capture_pb2.DIRECTION_REQUEST
# What came before the call and what went on beside it; nobody holds these against each other. By message.
_NOT_COMPARED: Final = {
    "Capture": {"request_metadata", "deadline_ns", "attempt", "exception_type"},
    "CapturedMessage": {"offset_ns"},
}
_PACKAGE: Final = "mirror.essence"


class Essence(NamedTuple):
    """All of a capture that is compared, written down; and when its call began and how long it took."""

    text: bytes
    start_unix_ns: int
    duration_ns: int


def _narrow() -> Any:
    """The class of a Capture that knows nothing of what is not compared: to parse is to leave it out."""
    file = descriptor_pb2.FileDescriptorProto()
    capture_pb2.DESCRIPTOR.CopyToProto(file)
    file.name, file.package = "essence.proto", _PACKAGE
    for message in file.message_type:
        fields = [field for field in message.field if field.name not in _NOT_COMPARED.get(message.name, ())]
        del message.field[:]
        message.field.extend(fields)
        for field in message.field:
            if field.type_name:
                field.type_name = f".{_PACKAGE}.{field.type_name.rpartition('.')[2]}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Capture"))


_Narrow: Final = _narrow()


def same(primary: bytes, shadow: bytes) -> Same | None:
    """What two serialised captures have in common where they hold the same; None: that is not known yet.

    When the primary's call began (unix time), how long it and the shadow's took (all in ns), and the bytes of its responses.
    """
    try:
        ours, theirs = essence(primary), essence(shadow)
        if ours.text != theirs.text:
            return None
        size = response_bytes(primary)
    except DecodeError:
        return None
    return None if size is None else (ours.start_unix_ns, ours.duration_ns, theirs.duration_ns, size)


fastest: Final = native.same or same  # which does the same


@lru_cache(maxsize=KEPT)
def essence(data: bytes) -> Essence:
    """Of a serialised capture. Raises DecodeError."""
    capture = _Narrow.FromString(data)
    capture.DiscardUnknownFields()
    start_unix_ns, duration_ns = capture.start_unix_ns, capture.duration_ns
    capture.ClearField("start_unix_ns")
    capture.ClearField("duration_ns")
    return Essence(capture.SerializePartialToString(), start_unix_ns, duration_ns)


@lru_cache(maxsize=KEPT)
def response_bytes(data: bytes) -> int | None:
    """Of a serialised capture that is whole and whose call came to an end; else None. Raises DecodeError."""
    capture = capture_pb2.Capture.FromString(data)
    messages = capture.messages[:]
    if capture.ending not in _ENDED or capture.omitted or capture.not_sampled or len(messages) > MESSAGES_MAX:
        return None
    requests = size = private = 0
    for message in messages:
        if message.omission or message.hash:
            return None
        if message.direction == _REQUEST:
            requests += 1
        else:
            size += message.original_size
        private += len(message.private_leaves)
    if (requests, len(messages) - requests) != (capture.request_count, capture.response_count):
        return None
    return size if not (private or capture.private_leaves) or _one_key(capture) else None


def _one_key(capture: capture_pb2.Capture) -> bool:
    """Whether its hashes were made with one key at most."""
    leaves = [*capture.private_leaves, *(leaf for message in capture.messages for leaf in message.private_leaves)]
    return len({leaf.key_id for leaf in leaves if leaf.hmac}) <= 1
