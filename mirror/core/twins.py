"""Two captures that hold the same: by far the most pairs, told apart from the rest without decoding a message. Pure.

It says yes only where the long way round (see `calls`) finds nothing that differs under any rules, and nothing that cannot
be compared. No means nothing: the two may still match.
"""

from __future__ import annotations

from typing import Final

from grpc_mirror.v1 import capture_pb2

from mirror.core.outcomes import Compared

MESSAGES_MAX: Final = 1000  # of one capture that are held against the other's
_ENDED: Final = (capture_pb2.ENDING_RETURNED, capture_pb2.ENDING_RAISED)


def same_calls(left: capture_pb2.Capture, right: capture_pb2.Capture) -> Compared | None:
    """That nothing differs, with the sizes of the responses; None: that is not known yet. NaN counts as equal to NaN."""
    if not (_ended_alike(left, right) and _said_alike(left, right)):
        return None
    ours, theirs = left.messages, right.messages
    if len(ours) != len(theirs) or len(ours) > MESSAGES_MAX:
        return None
    requests = size = 0
    keys = {leaf.key_id for leaf in left.private_leaves if leaf.hmac}
    for one, other in zip(ours, theirs, strict=True):
        if one.direction != other.direction or one.body != other.body or one.omission or other.omission:
            return None
        if one.private_leaves or other.private_leaves:
            if one.private_leaves != other.private_leaves:
                return None
            keys.update(leaf.key_id for leaf in one.private_leaves if leaf.hmac)
        if one.direction == capture_pb2.DIRECTION_REQUEST:
            requests += 1
        else:
            size += one.original_size
    whole = (requests, len(ours) - requests)
    counts = {whole, (left.request_count, left.response_count), (right.request_count, right.response_count)}
    if len(counts) > 1 or len(keys) > 1:
        return None
    theirs_size = sum(each.original_size for each in theirs if each.direction != capture_pb2.DIRECTION_REQUEST)
    return Compared(sizes=(size, theirs_size))


def _ended_alike(left: capture_pb2.Capture, right: capture_pb2.Capture) -> bool:
    return (
        left.status_code == right.status_code
        and left.ending == right.ending
        and left.ending in _ENDED
        and left.status_message == right.status_message
        and left.status_details == right.status_details
    )


def _said_alike(left: capture_pb2.Capture, right: capture_pb2.Capture) -> bool:
    """The same types under the same schema, and the same beside the messages."""
    return (
        left.kind == right.kind
        and left.schema_fingerprint == right.schema_fingerprint
        and left.request_type == right.request_type
        and left.response_type == right.response_type
        and not (left.omitted or right.omitted)
        and left.trailing_metadata == right.trailing_metadata
        and left.initial_metadata == right.initial_metadata
        and left.initial_metadata_unobserved == right.initial_metadata_unobserved
        and left.private_leaves == right.private_leaves
    )
