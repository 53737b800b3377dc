"""Mirror headers, role and trace parent of one call. Pure: metadata in, frozen records out.

The trace id of a capture span is that of the inbound W3C `traceparent`; without one it is the first 16 bytes of
SHA-256 over the UTF-8 text of `x-mirror-id`. So all replicas' spans of one request share a trace, whatever
instrumentation each of them has.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from grpc_mirror.v1 import attributes

ID_MAX_CHARS = 256
_LABEL_MAX_CHARS = 256
TRACE_STATE_MAX_CHARS = 512
# Version ff and ids of zeros are invalid.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
HEADERS = frozenset(
    {
        attributes.HEADER_ID,
        attributes.HEADER_RUN,
        attributes.HEADER_ROLE,
        attributes.HEADER_EXPECT,
        attributes.HEADER_ATTEMPT,
        "traceparent",
        "tracestate",
    }
)

_BASE = int.from_bytes(os.urandom(8), "big")
_MIX = 0x9E3779B97F4A7C15  # odd, so that different seeds have different ids
SPAN_ID_SEEDS = _BASE, _MIX
_MASK = 0xFFFFFFFFFFFFFFFF
_make = tuple.__new__

KIND_INTERNAL = 1  # OTLP's SpanKind
KIND_SERVER = 2


class SpanRef(NamedTuple):
    """A span by its ids."""

    trace_id: bytes  # 16 bytes
    span_id: bytes  # 8 bytes
    flags: int  # W3C trace flags


class Labels(NamedTuple):
    """What the headers say of a mirrored call."""

    mirror_id: str
    run: str
    role: str  # of the header; the deployment's setting wins over it
    expect: tuple[str, ...]  # shadows that will come
    attempt: int  # 0: unknown
    parent: SpanRef | None  # the inbound traceparent
    trace_state: str


class Placement(NamedTuple):
    """Where the capture span stands in the trace."""

    trace_id: bytes
    parent_span_id: bytes  # empty: a root
    kind: int
    flags: int
    link: SpanRef | None  # a current span of another trace


def is_mirrored(metadata: Iterable[tuple[str, Any]]) -> bool:
    """Whether a call carries `x-mirror-id`. All that a call which is not mirrored costs."""
    for key, _ in metadata:  # noqa: SIM110 - any() over a generator costs three times as much
        if key == attributes.HEADER_ID:
            return True
    return False


def read_labels(metadata: Iterable[tuple[str, Any]]) -> Labels:
    """The labels of a call that carries `x-mirror-id`. Of a repeated header the first counts.

    Values that make no sense are left out, never guessed.
    """
    found: dict[str, str] = {}
    for key, value in metadata:
        if key in HEADERS and key not in found and isinstance(value, str):
            found[key] = value.strip()
    get = found.get
    return Labels(
        get(attributes.HEADER_ID, ""),
        *_routed(
            get(attributes.HEADER_RUN, ""),
            get(attributes.HEADER_ROLE, ""),
            get(attributes.HEADER_EXPECT, ""),
            get(attributes.HEADER_ATTEMPT, ""),
        ),
        parse_traceparent(get("traceparent", "")),
        get("tracestate", "")[:TRACE_STATE_MAX_CHARS],
    )


@lru_cache(maxsize=256)
def _routed(run: str, role: str, expect: str, attempt: str) -> tuple[str, str, tuple[str, ...], int]:
    """The labels that the calls of a route have alike."""
    return run[:_LABEL_MAX_CHARS], role.lower()[:_LABEL_MAX_CHARS], _expected(expect), _attempt(attempt)


def role_of(setting: str, header: str) -> tuple[str, str]:
    """(the role of this call, the condition to count or nothing).

    The deployment's setting wins; without it the header labels the capture, and without either it is a primary's. A shadow
    without the setting is worth a condition: nothing that it does is blocked.
    """
    if setting:
        return setting, "role_conflict" if header and header != setting else ""
    if header in attributes.ROLES:
        return header, "" if header == attributes.PRIMARY else "role_unset"
    return attributes.PRIMARY, "role_invalid" if header else ""


def parse_traceparent(text: str) -> SpanRef | None:
    """A W3C trace context header, level 1: version-traceid-parentid-flags. None where it is invalid."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None or (len(text) > 55 and text.startswith("00")):
        return None
    raw = bytes.fromhex(text[:55].replace("-", " "))
    return _make(SpanRef, (raw[1:17], raw[17:25], raw[25]))


def derived_trace_id(mirror_id: str) -> bytes:
    """The trace id of a call without a traceparent: SHA-256 over the id's UTF-8 text, the first 16 bytes."""
    return hashlib.sha256(mirror_id.encode("utf-8", "replace")).digest()[:16]


def place(labels: Labels, current: SpanRef | None) -> Placement:
    """Where the capture span of a call stands, given the span that is current in its handler.

    Below a current span of the same trace it is INTERNAL; else it is a SERVER span below the remote parent (or a
    root). A current span of another trace is linked.
    """
    remote = labels.parent
    trace_id = remote.trace_id if remote else derived_trace_id(labels.mirror_id)
    if current is not None and current.trace_id == trace_id:
        return Placement(trace_id, current.span_id, KIND_INTERNAL, current.flags, None)
    parent_span_id, flags = (remote.span_id, remote.flags) if remote else (b"", 0)
    return Placement(trace_id, parent_span_id, KIND_SERVER, flags, current)


def _expected(text: str) -> tuple[str, ...]:
    named = {part.strip().lower() for part in text.split(",")}
    return tuple(role for role in (attributes.CANDIDATE, attributes.SECONDARY) if role in named)


def _attempt(text: str) -> int:
    return min(int(text), 0xFFFFFFFF) if text.isascii() and text.isdecimal() and len(text) < 11 else 0


def span_id_of(start_ns: int) -> bytes:
    """The id of our span of a call, by when it started on this process's clock: known to all who ask, whenever they ask."""
    return ((start_ns + _BASE) * _MIX & _MASK or 1).to_bytes(8, "big")
