"""One captured call as sections that can be read: messages, status, metadata, and the figures around them.

Pure, but for what `SchemaLookup` does. Every section is a tree whose paths are those of the comparer, so that lines
and differences meet. A message whose schema or type is not known stands as base64.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from grpc_mirror.v1.capture_pb2 import (
    CALL_KIND_BIDI_STREAM,
    CALL_KIND_CLIENT_STREAM,
    CALL_KIND_SERVER_STREAM,
    DIRECTION_REQUEST,
    DIRECTION_RESPONSE,
    Capture,
    CapturedMessage,
    Ending,
    MetadataEntry,
    Omission,
)

from mirror.core.status import status_name
from mirror.serve import tree
from mirror.serve.tree import Node
from mirror.serve.words import plural

SchemaLookup: TypeAlias = Callable[[str], DescriptorPool | None]  # by fingerprint; None: not known
_PATHS_SHOWN = 20  # of private values that were taken out
_STREAMED_REQUESTS: Final = (CALL_KIND_CLIENT_STREAM, CALL_KIND_BIDI_STREAM)
_STREAMED_RESPONSES: Final = (CALL_KIND_SERVER_STREAM, CALL_KIND_BIDI_STREAM)
SECTIONS: Final = (
    "response",
    "outbound",
    "status",
    "trailing_metadata",
    "initial_metadata",
    "request",
    "request_metadata",
)


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message of a call. Exactly one of `json` and `base64` is set, neither if it was left out."""

    direction: str  # "request" or "response"
    offset_ns: int
    size: int  # bytes, before anything was left out
    json: Any = None
    base64: str = ""
    omission: str = ""  # why it is not here
    note: str = ""  # why it is base64
    node: Node | None = None


@dataclass(frozen=True, slots=True)
class CallView:
    """What one replica saw of the call. Times in nanoseconds, as captured."""

    method: str
    status: str
    status_message: str
    ending: str
    start_unix_ns: int
    duration_ns: int
    deadline_ns: int
    attempt: int
    request_count: int
    response_count: int
    exception_type: str
    messages: tuple[MessageView, ...]
    sections: dict[str, Node]  # by the names in SECTIONS; those that hold something
    omitted: tuple[str, ...]  # in words, what the capture lacks
    whole: bool = True  # False: without its messages, as is meant for a share of the calls (not sampled)


def view(raw: bytes, schemas: SchemaLookup) -> CallView | None:
    """The view of a serialised Capture; None if there is none or it cannot be read."""
    try:
        capture = Capture.FromString(raw) if raw else None
    except DecodeError:
        return None
    if capture is None:
        return None
    pool = schemas(capture.schema_fingerprint)
    messages = tuple(messages_of(capture, pool))
    return CallView(
        method=capture.method,
        status=status_name(capture.status_code),
        status_message=capture.status_message,
        ending=_word(Ending.Name(capture.ending), "ENDING_"),
        start_unix_ns=capture.start_unix_ns,
        duration_ns=capture.duration_ns,
        deadline_ns=capture.deadline_ns,
        attempt=capture.attempt,
        request_count=capture.request_count,
        response_count=capture.response_count,
        exception_type=capture.exception_type,
        messages=messages,
        sections=dict(_sections(capture, messages, pool)),
        omitted=tuple(_omitted(capture)),
        whole=not capture.not_sampled,
    )


def messages_of(capture: Capture, pool: DescriptorPool | None, *, prefix: str = "") -> Iterable[MessageView]:
    """The messages of a capture in order; `prefix` stands before their paths."""
    counts = {DIRECTION_REQUEST: 0, DIRECTION_RESPONSE: 0}
    for message in capture.messages:
        response = message.direction == DIRECTION_RESPONSE
        name = "response" if response else "request"
        streamed = capture.kind in (_STREAMED_RESPONSES if response else _STREAMED_REQUESTS)
        index = counts.get(message.direction, 0)
        counts[message.direction] = index + 1
        path = f"{prefix}{name}s[{index}]" if streamed else f"{prefix}{name}"
        yield _message(message, name, path, capture.response_type if response else capture.request_type, pool)


def _message(
    message: CapturedMessage, direction: str, path: str, type_name: str, pool: DescriptorPool | None
) -> MessageView:
    size = message.original_size or len(message.body)
    if message.omission:
        why = _word(Omission.Name(message.omission), "OMISSION_")
        node = tree.leaf(path, "", f"left out: {why}, {size:,} bytes")
        return MessageView(direction, message.offset_ns, size, omission=why, node=node)
    try:
        parsed, note = _parse(message.body, type_name, pool), ""
    except LookupError:
        parsed, note = None, f"the schema of {type_name} is not known yet" if type_name else "not a protobuf message"
    except DecodeError:
        parsed, note = None, f"these bytes are no {type_name}"
    if parsed is None:
        text = base64.b64encode(message.body).decode("ascii")
        node = tree.group(path, "", (tree.leaf(path, "base64", text), tree.leaf(path, "note", note)))
        return MessageView(direction, message.offset_ns, size, base64=text, note=note, node=node)
    node = tree.of_message(parsed, path, pool=pool)
    return MessageView(direction, message.offset_ns, size, json=tree.plain(node), node=node)


def _parse(body: bytes, type_name: str, pool: DescriptorPool | None) -> Message:
    if pool is None:
        raise LookupError(type_name)
    return GetMessageClass(pool.FindMessageTypeByName(type_name)).FromString(body)


def _sections(
    capture: Capture, messages: tuple[MessageView, ...], pool: DescriptorPool | None
) -> Iterable[tuple[str, Node]]:
    for name, streamed_kinds in (("response", _STREAMED_RESPONSES), ("request", _STREAMED_REQUESTS)):
        nodes = [m.node for m in messages if m.direction == name and m.node is not None]
        if capture.kind in streamed_kinds or len(nodes) > 1:
            yield name, tree.array(f"{name}s", "", nodes)
        elif nodes:
            yield name, nodes[0]
    yield "status", tree.group("status", "", _status(capture, pool))
    for name, entries in (
        ("trailing_metadata", capture.trailing_metadata),
        ("initial_metadata", () if capture.initial_metadata_unobserved else capture.initial_metadata),
        ("request_metadata", capture.request_metadata),
    ):
        if entries:
            yield name, tree.group(name, "", _metadata(name, entries))


def _status(capture: Capture, pool: DescriptorPool | None) -> Iterable[Node]:
    yield tree.leaf("status.code", "code", status_name(capture.status_code))
    if capture.status_message:
        yield tree.leaf("status.message", "message", capture.status_message)
    if capture.status_details:
        try:
            details = status_pb2.Status.FromString(capture.status_details).details
        except DecodeError:
            yield tree.leaf("status.details", "details", capture.status_details)
            return
        nodes = (tree.of_message(d, f"status.details[{i}]", pool=_pool_for(d, pool)) for i, d in enumerate(details))
        yield tree.array("status.details", "details", nodes)


def _pool_for(detail: Any, pool: DescriptorPool | None) -> DescriptorPool | None:
    """The schema's own pool if it has the detail's type, else the default one (google.rpc's usual details)."""
    try:
        if pool is not None:
            pool.FindMessageTypeByName(detail.type_url.rpartition("/")[2])
    except KeyError:
        return None
    return pool


def _metadata(name: str, entries: Iterable[MetadataEntry]) -> Iterable[Node]:
    values: dict[str, list[Any]] = {}
    for entry in entries:
        text = entry.value if entry.key.endswith("-bin") else entry.value.decode("utf-8", "backslashreplace")
        values.setdefault(entry.key, []).append(text)
    for key, several in sorted(values.items()):
        path = f"{name}[{tree.quoted(key)}]"
        if len(several) == 1:
            yield tree.leaf(path, key, several[0])
        else:
            yield tree.array(path, key, (tree.leaf(f"{path}[{i}]", "", value) for i, value in enumerate(several)))


def _omitted(capture: Capture) -> Iterable[str]:
    for one in capture.omitted:
        side = "request" if one.direction == DIRECTION_REQUEST else "response"
        yield f"{plural(one.messages, side)} ({one.bytes:,} bytes): {_word(Omission.Name(one.reason), 'OMISSION_')}"
    taken = [leaf.path for leaf in capture.private_leaves]
    for message in capture.messages:
        side = "response" if message.direction == DIRECTION_RESPONSE else "request"
        taken += [f"{side}: {leaf.path}" for leaf in message.private_leaves]
    if taken:
        more = f" and {len(taken) - _PATHS_SHOWN:,} more" if len(taken) > _PATHS_SHOWN else ""
        yield f"private, taken out by the service: {', '.join(taken[:_PATHS_SHOWN])}{more}"
    if capture.metadata_truncated:
        yield "metadata went over its limit"
    if capture.initial_metadata_unobserved:
        yield "initial metadata cannot be seen on this server"


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ")
