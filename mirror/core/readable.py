"""Whether what two captures hold of their messages can be held against each other at all. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from grpc_mirror.v1 import capture_pb2

_PRIVATE: Final = (capture_pb2.OMISSION_PRIVATE, capture_pb2.OMISSION_REDACTION_FAILED)


@dataclass(frozen=True, slots=True)
class Held:
    """What one side's captures hold: messages, what was taken out beside them, and how many messages there really were."""

    messages: Sequence[capture_pb2.CapturedMessage]
    beside: Sequence[capture_pb2.PrivateLeaf]
    count: int


def why_unreadable(left: Held, right: Held) -> str:
    """What is missing without which the messages cannot be compared; empty if nothing is.

    Hashes made with different keys: `redaction_key`. Messages left out whose hashes are not the same on both sides, or of
    which there is no hash: `too_large` (`not_serializable` for those without bytes, `private` where redaction left them
    out).
    """
    keys = [_key_ids(side) for side in (left, right)]
    if all(keys) and len(keys[0] | keys[1]) > 1:
        return "redaction_key"
    omitted = [message for message in (*left.messages, *right.messages) if message.omission]
    if any(m.omission == capture_pb2.OMISSION_NOT_SERIALIZABLE and not m.hash for m in omitted):
        return "not_serializable"
    if any(side.count > len(side.messages) for side in (left, right)):  # missing without a trace of their own
        return "too_large"
    if omitted and (not all(m.hash for m in omitted) or _hashes(left.messages) != _hashes(right.messages)):
        return "private" if any(m.omission in _PRIVATE for m in omitted) else "too_large"
    return ""


def _key_ids(side: Held) -> set[str]:
    found = {message.key_id for message in side.messages if message.hash}
    leaves = [*side.beside, *(leaf for message in side.messages for leaf in message.private_leaves)]
    return found | {leaf.key_id for leaf in leaves if leaf.hmac}


def _hashes(messages: Iterable[capture_pb2.CapturedMessage]) -> Counter[tuple[bytes, str]]:
    return Counter((message.hash, message.key_id) for message in messages if message.omission)
