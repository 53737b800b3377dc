"""Request drift: whether the shadow was asked something else than the primary. Pure.

Envoy sends both the same bytes, so requests differ only where something on the way changed one of them; then the answers
are to different questions. Drift is only told where it can be shown: messages that both captures hold, decoded as far as
both schemas know them, and private leaves by hashes made with one key. Other bytes of the same message are none, nor is
anything that redaction may have taken out of one side alone. Of requests left out of a capture equal hashes are equal
requests; other hashes may be other bytes of the same, and say nothing.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError, Message
from grpc_mirror.v1 import capture_pb2

from mirror.core.answers import types_of
from mirror.core.compare.engine import Comparer
from mirror.core.compare.walk import Types, Walk
from mirror.core.model import Difference
from mirror.core.path import Field, Index, Path
from mirror.core.private import EMPTY, private_values, steps_of
from mirror.core.rules import Place
from mirror.core.schemas import SchemaBook, SchemaError
from mirror.core.streams import Body, compare_bodies
from mirror.core.windows import stream_of

REQUEST: Final = Field("request")
REQUESTS: Final = Field("requests")
UNREAD_NOTE: Final = "cannot be decoded as the request's type"
_ONE_REQUEST: Final = (capture_pb2.CALL_KIND_UNARY, capture_pb2.CALL_KIND_SERVER_STREAM)
_Pair = tuple[Path, capture_pb2.CapturedMessage, capture_pb2.CapturedMessage]


def one_request(capture: capture_pb2.Capture) -> bool:
    """Whether the call has just one request."""
    return capture.kind in _ONE_REQUEST


def unequal_requests(left: capture_pb2.Capture, right: capture_pb2.Capture) -> list[_Pair]:
    """The requests whose captured bytes or private leaves are not the same, with their paths: those to be decoded.

    Of a stream the first belongs to the first and so on; what only one side saw of it is not looked at.
    """
    found: list[_Pair] = []
    ours, theirs = _requests(left), _requests(right)
    for place, one in ours.items():
        other = theirs.get(place)
        if other is None or one.omission or other.omission:
            continue
        if one.body != other.body or list(one.private_leaves) != list(other.private_leaves):
            found.append(((REQUEST,) if one_request(left) else (REQUESTS, Index(place)), one, other))
    return found


def request_drift(
    schemas: SchemaBook, left: capture_pb2.Capture, right: capture_pb2.Capture, comparer: Comparer, types: Types
) -> tuple[Difference, ...]:
    """How the shadow's requests differ from the primary's; empty where they do not, or nobody can tell.

    Differences have paths `request...` or `requests[i]...`, and rules at these paths apply. Never raises.
    """
    pairs = unequal_requests(left, right)
    if not pairs or not (left.request_type and right.request_type):
        return ()
    try:
        kinds = types_of(schemas, left, right, "request_type", own=True)
    except SchemaError:
        return ()

    def look(walk: Walk) -> None:
        for path, one, other in pairs:
            _compare(walk, one, other, path, kinds, comparer.rules.walk(path))

    hidden = [(*path, *steps_of(text)) for path, one, other in pairs for text in _one_sided(one, other)]
    return tuple(
        found
        for found in comparer.run(look, types=types).differences
        if not found.note.startswith("too complex") and not any(_touch(found.path, path) for path in hidden)
    )


def _requests(capture: capture_pb2.Capture) -> dict[int, capture_pb2.CapturedMessage]:
    """By their place in the stream; nothing where some are left out and nobody can tell which."""
    found = [message for message in capture.messages if message.direction == capture_pb2.DIRECTION_REQUEST]
    stream = stream_of(capture, capture_pb2.DIRECTION_REQUEST, len(found))
    return {} if stream is None else {stream.place(position): one for position, one in enumerate(found)}


def _compare(  # noqa: PLR0913, PLR0917 - two messages, and where they stand
    walk: Walk,
    one: capture_pb2.CapturedMessage,
    other: capture_pb2.CapturedMessage,
    path: Path,
    kinds: tuple[type[Message], type[Message]],
    place: Place,
) -> None:
    left, right = (_common(message.body, kinds) for message in (one, other))
    if left is None and right is None:
        return  # neither can be read
    ours, theirs = _private(one), _private(other)
    both = {text for text in ours.keys() & theirs.keys() if _told(ours[text], theirs[text])}
    first, second = (
        Body(message, captured.body, captured.body, UNREAD_NOTE, {text: leaves[text][0] for text in both})
        for message, captured, leaves in ((left, one, ours), (right, other, theirs))
    )
    compare_bodies(walk, first, second, path, place)


def _common(body: bytes, kinds: tuple[type[Message], type[Message]]) -> Message | None:
    """What both types know of a message: a side that redacts has nothing else. None: it cannot be decoded."""
    one, other = kinds
    try:
        message = one.FromString(body)
        message.DiscardUnknownFields()
        if one is not other:
            message = other.FromString(message.SerializePartialToString())
            message.DiscardUnknownFields()
    except (DecodeError, RecursionError):
        return None
    return message


def _private(message: capture_pb2.CapturedMessage) -> dict[str, tuple[bytes, str]]:
    values = private_values(message.private_leaves)
    return {leaf.path: (values[leaf.path], leaf.key_id) for leaf in message.private_leaves}


def _told(one: tuple[bytes, str], other: tuple[bytes, str]) -> bool:
    """Whether two leaves can be held against each other: made with one key, or an empty one, which needs none."""
    return one[1] == other[1] or EMPTY in (one[0], other[0])


def _one_sided(one: capture_pb2.CapturedMessage, other: capture_pb2.CapturedMessage) -> set[str]:
    """Paths of leaves that only one side took out."""
    return {leaf.path for leaf in one.private_leaves} ^ {leaf.path for leaf in other.private_leaves}


def _touch(one: Path, other: Path) -> bool:
    """Whether one of the two lies at or below the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
