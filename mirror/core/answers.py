"""What two calls with one status code answered, held against each other: details, metadata and messages. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from fnmatch import fnmatchcase
from typing import Final

from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_mirror.v1 import capture_pb2

from mirror.core.compare.elements import Messages
from mirror.core.compare.lists import compare_sequences
from mirror.core.compare.walk import Walk, unless_ignored
from mirror.core.model import Kind
from mirror.core.path import Field, Key, Path
from mirror.core.private import compare_private, private_values
from mirror.core.rules import Ignore, MethodRules, Place
from mirror.core.schemas import SchemaBook
from mirror.core.streams import Body, compare_bodies, compare_cut_streams, compare_stream
from mirror.core.windows import Stream, is_cut, stream_of

MESSAGE: Final[Path] = (Field("status"), Field("message"))
DETAILS: Final[Path] = (Field("status"), Field("details"))
RESPONSE: Final = Field("response")
RESPONSES: Final = Field("responses")
STANDARD_DETAILS: Final = error_details_pb2.DESCRIPTOR.name  # imported so that its types are in the default pool
_ONE_RESPONSE: Final = (capture_pb2.CALL_KIND_UNARY, capture_pb2.CALL_KIND_CLIENT_STREAM)


def responses(capture: capture_pb2.Capture) -> list[capture_pb2.CapturedMessage]:
    """What the server sent, in order."""
    return [message for message in capture.messages if message.direction == capture_pb2.DIRECTION_RESPONSE]


def streams_of(
    left: capture_pb2.Capture, right: capture_pb2.Capture, ours: Sized, theirs: Sized
) -> tuple[Stream, Stream] | None:
    """Which of the responses, `ours` and `theirs` as captured, they were; None: one lacks some, and nobody can tell which."""
    one = stream_of(left, capture_pb2.DIRECTION_RESPONSE, len(ours))
    other = stream_of(right, capture_pb2.DIRECTION_RESPONSE, len(theirs))
    return None if one is None or other is None else (one, other)


def same_messages(left: capture_pb2.Capture, right: capture_pb2.Capture) -> bool:
    """Whether both sent the same bytes under the same schema: then no schema is needed to know that they match."""
    ours, theirs = responses(left), responses(right)
    return (
        left.schema_fingerprint == right.schema_fingerprint
        and left.response_type == right.response_type
        and len(ours) == len(theirs)
        and left.response_count == right.response_count
        and all(content_of(one) == content_of(other) for one, other in zip(ours, theirs, strict=True))
    )


def content_of(message: capture_pb2.CapturedMessage) -> tuple[object, ...]:
    """What is equal only where nothing tells two messages of one type apart."""
    leaves = sorted((leaf.path, leaf.hmac, leaf.key_id, leaf.empty) for leaf in message.private_leaves)
    return message.body, message.omission, message.hash, message.key_id, leaves


class Answers:
    """Two answers with one status code, and the rules of their method."""

    def __init__(
        self, schemas: SchemaBook, left: capture_pb2.Capture, right: capture_pb2.Capture, rules: MethodRules
    ) -> None:
        self._schemas = schemas
        self._left = left
        self._right = right
        self._rules = rules

    def look(self, walk: Walk) -> None:
        """Put all that differs into the walk's sink; raises SchemaError where messages differ and have no schema."""
        left, right = self._left, self._right
        if walk.options.status_message and left.status_message != right.status_message:
            ignore = self._rules.ignoring(MESSAGE)
            rule = ignore.id if ignore else ""
            walk.add(MESSAGE, Kind.VALUE, left.status_message, right.status_message, rule=rule)
        if left.status_details != right.status_details:
            compare_details(walk, left.status_details, right.status_details, self._place(DETAILS))
        if not (left.initial_metadata_unobserved or right.initial_metadata_unobserved):
            self._metadata(walk, "initial_metadata")
        self._metadata(walk, "trailing_metadata")
        self._private(walk)
        if not (same_messages(left, right) and walk.options.nan_equal):
            self._messages(walk)

    def _place(self, path: Path) -> Place:
        return self._rules.walk(path)

    def _private(self, walk: Walk) -> None:
        """What was taken out beside the messages, as far as it is compared at all."""
        left, right = self._left, self._right
        if not (left.private_leaves or right.private_leaves):
            return
        unobserved = left.initial_metadata_unobserved or right.initial_metadata_unobserved
        partial = left.metadata_truncated or right.metadata_truncated
        ours, theirs = private_values(left.private_leaves), private_values(right.private_leaves)
        compared = {path for path in ours.keys() | theirs.keys() if self._compares(walk, path, unobserved=unobserved)}
        if partial:
            compared = {path for path in compared if "_metadata[" not in path or (path in ours and path in theirs)}
        ours, theirs = ({path: side[path] for path in compared if path in side} for side in (ours, theirs))
        compare_private(walk, ours, theirs, (), self._place(()))

    def _compares(self, walk: Walk, path: str, *, unobserved: bool) -> bool:
        name, _, rest = path.partition("[")
        if name == "trailing_metadata":
            key = rest.removesuffix("]").strip('"')
            return not any(fnmatchcase(key, pattern) for pattern in walk.options.trailing_metadata_ignore)
        if name == "status.message":
            return walk.options.status_message
        return path.startswith("status.details") or (name == "initial_metadata" and not unobserved)

    def _metadata(self, walk: Walk, name: str) -> None:
        """By key, each key's values sorted. Of metadata that was cut short, only keys that both sides have."""
        ours = _values(getattr(self._left, name), walk.options.trailing_metadata_ignore)
        theirs = _values(getattr(self._right, name), walk.options.trailing_metadata_ignore)
        partial = self._left.metadata_truncated or self._right.metadata_truncated
        for key in sorted(ours.keys() & theirs.keys() if partial else ours.keys() | theirs.keys()):
            one, other = ours.get(key), theirs.get(key)
            if one == other:
                continue
            kind = Kind.ADDED if one is None else Kind.MISSING if other is None else Kind.VALUE
            path = Field(name), Key(key)
            ignore = self._rules.ignoring(path)
            walk.add(path, kind, _shown(one), _shown(other), rule=ignore.id if ignore else "")

    def _messages(self, walk: Walk) -> None:
        ours, theirs = self._bodies()
        if self._left.kind in _ONE_RESPONSE and self._right.kind in _ONE_RESPONSE:
            path, place = (RESPONSE,), self._place((RESPONSE,))
            if ours and theirs:
                compare_bodies(walk, ours[0], theirs[0], path, place)
            elif ours:
                walk.lonely(path, place, Kind.MISSING, ours[0].content)
            elif theirs:
                walk.lonely(path, place, Kind.ADDED, theirs[0].content)
        else:
            path, place = (RESPONSES,), self._place((RESPONSES,))
            streams = streams_of(self._left, self._right, ours, theirs)
            if not is_cut(streams):
                unless_ignored(walk, path, place, lambda walk, place: compare_stream(walk, ours, theirs, path, place))
                return
            unless_ignored(
                walk, path, place, lambda walk, place: compare_cut_streams(walk, (ours, theirs), streams, path, place)
            )

    def _bodies(self) -> tuple[list[Body], list[Body]]:
        """Both sides' messages. What a wider schema of the other side cannot read is read by the sender's own."""
        left, right = self._left, self._right
        if not (left.response_type and right.response_type):
            return bodies(responses(left), None), bodies(responses(right), None)
        types = types_of(self._schemas, left, right, "response_type")
        ours, theirs = (bodies(responses(side), type_) for side, type_ in zip((left, right), types, strict=True))
        if any(body.unread for body in (*ours, *theirs)):
            own = types_of(self._schemas, left, right, "response_type", own=True)
            if own != types:
                return bodies(responses(left), own[0]), bodies(responses(right), own[1])
        return ours, theirs


def types_of(
    schemas: SchemaBook, left: capture_pb2.Capture, right: capture_pb2.Capture, field: str, *, own: bool = False
) -> tuple[type[Message], type[Message]]:
    """The classes for the messages of two captures; `field`: request_type or response_type. Raises SchemaError.

    Of one type those under which fields meet best, of two types and with `own` each side's own.
    """
    ours, theirs = getattr(left, field), getattr(right, field)
    if ours == theirs:
        find = schemas.own_classes if own else schemas.classes
        return find(left.schema_fingerprint, right.schema_fingerprint, ours)
    one = schemas.own_classes(left.schema_fingerprint, left.schema_fingerprint, ours)
    other = schemas.own_classes(right.schema_fingerprint, right.schema_fingerprint, theirs)
    return one[0], other[0]


def bodies(messages: Iterable[capture_pb2.CapturedMessage], type_: type[Message] | None) -> list[Body]:
    """Captured messages decoded, as far as that can be; `type_` None: they are no protobuf messages."""
    return [_body(message, type_) for message in messages]


def compare_details(walk: Walk, left: bytes, right: bytes, place: Place) -> None:
    """The details of two google.rpc.Status, as a list of Anys. Standard types are known, others by the schemas."""
    try:
        ours, theirs = status_pb2.Status.FromString(left), status_pb2.Status.FromString(right)
    except DecodeError:
        ignore = place.find(Ignore)
        rule = ignore.id if ignore else ""
        walk.add(DETAILS, Kind.VALUE, left, right, rule=rule, note="cannot be decoded as google.rpc.Status")
        return

    def look(walk: Walk, place: Place) -> None:
        gated = walk.options.nan_equal
        compare_sequences(Messages(walk, list(ours.details), list(theirs.details), DETAILS, place, gated=gated))

    unless_ignored(walk, DETAILS, place, look)


def _body(message: capture_pb2.CapturedMessage, type_: type[Message] | None) -> Body:
    if message.omission:
        shown = f"({message.original_size} bytes, left out of the capture)"
        return Body(None, (message.key_id, message.hash), shown, "left out of the capture")
    private = private_values(message.private_leaves)
    if type_ is None:
        return Body(None, message.body, message.body, "no protobuf message", private)
    try:
        return Body(type_.FromString(message.body), private=private, size=len(message.body))
    except (DecodeError, RecursionError) as error:
        name = type_.DESCRIPTOR.full_name
        return Body(None, message.body, message.body, f"cannot be decoded as {name}: {_reason(error)}", private)


def _reason(error: Exception) -> str:
    """The decoder's words without the type's name, which stands before them anyway."""
    return str(error).rpartition("': ")[2][:200]


def _values(entries: Iterable[capture_pb2.MetadataEntry], ignored: tuple[str, ...]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for entry in entries:
        if not any(fnmatchcase(entry.key, pattern) for pattern in ignored):
            found.setdefault(entry.key, []).append(entry.value)
    for values in found.values():
        values.sort()
    return found


def _shown(values: list[bytes] | None) -> str | bytes | tuple[str | bytes, ...] | None:
    if values is None:
        return None
    decoded = tuple(_text(value) for value in values)
    return decoded[0] if len(decoded) == 1 else decoded


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
