"""From one OTLP request to the messages of the topic, as the OpenTelemetry Collector's Kafka exporter writes them. Pure.

Its format with `encoding: otlp_proto` and `partition_traces_by_id: true`: a message holds the spans of one trace as a serialised
TracesData, and its key is the trace ID in hex. All calls of a pair are of one trace, so they meet in one partition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError
from grpc_mirror.v1.otlp_slices_pb2 import SliceRequest, SliceResourceSpans, SliceScopeSpans, Span

from mirror.collect.slices import BadBatch

REJECTIONS: Final[Mapping[str, str]] = {
    "malformed_span": "not a protobuf Span",
    "trace_id": "the trace ID is not 16 bytes, or all zero",
    "too_large": "larger than a message of the Kafka topic may be",
}
_MARK: Final = b"mirror."  # every attribute of ours holds it
_ID_FIRST: Final = b"\x0a\x10"  # the field trace_id with its 16 bytes, where nearly every span begins
_NONE: Final = bytes(16)


class Message(NamedTuple):
    """One message of the topic."""

    key: bytes  # the trace ID as 32 hex characters
    value: bytes  # a serialised TracesData
    spans: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What one request came to."""

    messages: tuple[Message, ...]
    ordinary: int = 0  # spans that are not ours: they are left out
    rejected: Mapping[str, int] = field(default_factory=dict)  # spans, by a key of REJECTIONS

    @property
    def spans(self) -> int:
        """How many spans the messages hold."""
        return sum(message.spans for message in self.messages)


class _Place(NamedTuple):
    """A span and where it stood."""

    resource: SliceResourceSpans
    scope: SliceScopeSpans
    span: bytes


def cut(body: bytes, *, message_max_bytes: int) -> Cut:
    """The messages of one serialised ExportTraceServiceRequest, each at most `message_max_bytes`. Raises BadBatch."""
    try:
        request = SliceRequest.FromString(body)
    except DecodeError:
        raise BadBatch("the body is not a serialised ExportTraceServiceRequest") from None
    traces: dict[bytes, list[_Place]] = {}
    rejected: Counter[str] = Counter()
    ordinary = 0
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for raw in scope.spans:
                if _MARK not in raw:
                    ordinary += 1
                    continue
                trace_id, reason = _trace_id(raw)
                if reason:
                    rejected[reason] += 1
                else:
                    traces.setdefault(trace_id, []).append(_Place(resource, scope, raw))
    messages: list[Message] = []
    for trace_id, places in traces.items():
        key = trace_id.hex().encode()
        for message in _fitting(key, places, message_max_bytes):
            if message is None:
                rejected["too_large"] += 1
            else:
                messages.append(message)
    return Cut(tuple(messages), ordinary, dict(rejected))


def _trace_id(raw: bytes) -> tuple[bytes, str]:
    """The trace ID of a serialised Span, or why it has none."""
    if raw.startswith(_ID_FIRST) and len(raw) >= 18:
        found = raw[2:18]  # without decoding payloads; what else is wrong, the workers find
    else:
        try:
            found = Span.FromString(raw).trace_id
        except DecodeError:
            return b"", "malformed_span"
    return (found, "") if len(found) == 16 and found != _NONE else (b"", "trace_id")


def _fitting(key: bytes, places: list[_Place], max_bytes: int) -> Iterator[Message | None]:
    """One trace's spans in as few messages as are allowed; None for each span that does not fit into any."""
    value = _data(places)
    if len(value) <= max_bytes:
        yield Message(key, value, len(places))
    elif len(places) == 1:
        yield None
    else:
        half = len(places) // 2
        yield from _fitting(key, places[:half], max_bytes)
        yield from _fitting(key, places[half:], max_bytes)


def _data(places: Iterable[_Place]) -> bytes:
    """TracesData of spans, those of one resource and scope side by side."""
    made = SliceRequest()
    of_resource: dict[int, SliceResourceSpans] = {}
    of_scope: dict[int, SliceScopeSpans] = {}
    for resource, scope, raw in places:
        spans = of_scope.get(id(scope))
        if spans is None:
            holder = of_resource.get(id(resource))
            if holder is None:
                holder = made.resource_spans.add(resource=resource.resource, schema_url=resource.schema_url)
                of_resource[id(resource)] = holder
            spans = holder.scope_spans.add(scope=scope.scope, schema_url=scope.schema_url)
            of_scope[id(scope)] = spans
        spans.spans.append(raw)
    return made.SerializeToString()
