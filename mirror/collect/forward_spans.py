"""What is forwarded of one judged group: the replicas' spans and those of their outbound calls, without payload, and a `mirror.compare` span beside them. Pure.

All are of one trace, so a tracing backend shows the verdict where the calls are. The IDs follow from the pair key: forwarding
the same pair again makes the same span.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import capture_pb2
from grpc_mirror.v1.otlp_slices_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    SliceRequest,
    SliceResourceSpans,
    SliceScopeSpans,
    Span,
    SpanKind,
    SpanStatus,
    SpanStatusCode,
)
from grpc_mirror.v1.otlp_slices_pb2 import Resource as OtlpResource

from mirror.collect.comparisons import PATH_MAX_CHARS, comparison_id
from mirror.core.compare import value_text
from mirror.core.model import CallRecord, Judged, PairKey, Resource, Role, Verdict

COLLECTOR: Final = Resource("mirror-collector", "", "")
PATHS_MAX: Final = 32  # patterns named in one span


@dataclass(frozen=True, slots=True)
class ForwardOptions:
    """What is forwarded. `web_url` is where the page is, without a trailing slash; empty: no link."""

    matched: bool = False  # also the spans of pairs that are not mismatched
    values: bool = False  # both values of each difference, too
    web_url: str = ""


@dataclass(frozen=True, slots=True)
class OutSpan:
    """One serialised span and whose it is."""

    resource: Resource
    span: bytes


def spans_of(judged: Judged, options: ForwardOptions) -> tuple[OutSpan, ...]:
    """The spans to forward for one judged group; none where its pair is not of interest."""
    outcome = judged.outcomes.get(Role.CANDIDATE)
    if outcome is None or (outcome.verdict is not Verdict.MISMATCHED and not options.matched):
        return ()
    calls = judged.group.calls
    anchor = calls.get(Role.PRIMARY) or next(iter(calls.values()))
    spans = [OutSpan(call.resource, span) for call in calls.values() for span in _kept(call)]
    compare = _compare_span(judged, anchor, options).SerializeToString()
    return (*spans, OutSpan(COLLECTOR, compare))


def _kept(call: CallRecord) -> Iterator[bytes]:
    if call.span:
        yield call.span
    yield from (made.span for made in call.outbound if made.span)


def compare_span_id(key: PairKey) -> bytes:
    """The 8 bytes of the `mirror.compare` span of a pair."""
    text = f"{names.SPAN_COMPARE}\0{key.run}\0{key.method}\0{key.mirror_id}"
    return hashlib.sha256(text.encode()).digest()[:8]


def request_of(spans: Iterable[OutSpan]) -> bytes:
    """The serialised ExportTraceServiceRequest of these spans, grouped by resource."""
    by_resource: dict[Resource, list[bytes]] = {}
    for out in spans:
        by_resource.setdefault(out.resource, []).append(out.span)
    scope = InstrumentationScope(name=names.SCOPE).SerializeToString()
    return SliceRequest(
        resource_spans=[
            SliceResourceSpans(resource=_resource(resource), scope_spans=[SliceScopeSpans(scope=scope, spans=raw)])
            for resource, raw in by_resource.items()
        ]
    ).SerializeToString()


def _compare_span(judged: Judged, anchor: CallRecord, options: ForwardOptions) -> Span:
    capture = capture_pb2.Capture.FromString(anchor.capture)
    outcome = judged.outcomes[Role.CANDIDATE]
    mismatched = outcome.verdict is Verdict.MISMATCHED
    status = SpanStatus(code=SpanStatusCode.SPAN_STATUS_CODE_ERROR) if mismatched else SpanStatus()
    return Span(
        trace_id=anchor.trace_id,
        span_id=compare_span_id(judged.group.key),
        parent_span_id=anchor.span_id,
        name=names.SPAN_COMPARE,
        kind=SpanKind.SPAN_KIND_INTERNAL,
        start_time_unix_nano=capture.start_unix_ns,
        end_time_unix_nano=min(capture.start_unix_ns + capture.duration_ns, 2**64 - 1),
        attributes=list(_attributes(judged, options)),
        status=status,
    )


def _attributes(judged: Judged, options: ForwardOptions) -> Iterator[KeyValue]:
    key, outcome = judged.group.key, judged.outcomes[Role.CANDIDATE]
    yield _text(names.ID, key.mirror_id)
    yield _text(names.RUN, key.run)
    yield _text("mirror.method", key.method)
    yield _text(names.RPC_METHOD, key.method)
    yield _text("mirror.verdict", str(outcome.verdict))
    if outcome.reason:
        yield _text("mirror.reason", outcome.reason)
    patterns = sorted({difference.pattern for difference in outcome.differences})
    if patterns:
        yield _texts("mirror.paths", [pattern[:PATH_MAX_CHARS] for pattern in patterns[:PATHS_MAX]])
        count = max(outcome.difference_count, len(outcome.differences))
        yield KeyValue(key="mirror.differences", value=AnyValue(int_value=count))
    if options.web_url:
        yield _text("mirror.url", f"{options.web_url}/comparisons/{comparison_id(key)}")
    if options.values and outcome.differences:
        lines = (
            f"{str(difference)[:PATH_MAX_CHARS]}: {value_text(difference.left)} -> {value_text(difference.right)}"
            for difference in islice(outcome.differences, PATHS_MAX)
        )
        yield _texts("mirror.values", lines)


def _resource(resource: Resource) -> bytes:
    pairs = (
        (names.SERVICE_NAME, resource.service),
        (names.SERVICE_VERSION, resource.version),
        (names.SERVICE_INSTANCE, resource.instance),
    )
    return OtlpResource(attributes=[_text(key, value) for key, value in pairs if value]).SerializeToString()


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _texts(key: str, values: Iterable[str]) -> KeyValue:
    array = ArrayValue(values=[AnyValue(string_value=value) for value in values])
    return KeyValue(key=key, value=AnyValue(array_value=array))
