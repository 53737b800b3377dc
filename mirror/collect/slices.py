"""OTLP bytes in, call records out: cuts a batch into spans and reads those that are ours. Pure.

A request is parsed under SliceRequest, which declares spans as bytes: spans that do not mention `mirror.` are counted and
skipped without being decoded, so whole traces may be sent here. What is kept are bytes and frozen records, never a
protobuf submessage: one of those pins its whole batch in memory.

Where the compiled cutter is installed it does that for calls as interceptors write them, and hands back what is otherwise.

A request that is no OTLP raises BadBatch. A single span of ours that cannot be used is rejected by a counted reason,
and the others of its batch go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from google.protobuf.message import DecodeError
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1.otlp_slices_pb2 import KeyValue, SliceRequest
from grpc_mirror.v1.otlp_slices_pb2 import Resource as OtlpResource

from mirror.collect.batch import Batch
from mirror.collect.cutting import Cut
from mirror.collect.heads import Heads
from mirror.collect.span_fields import NAME_MAX_CHARS, WANTED
from mirror.core.model import Resource
from mirror.native import Cutter, new_cutter

RESOURCES_MAX: Final = 4096  # distinct resources interned at a time
RESOURCE_MAX_BYTES: Final = 16 << 10  # larger ones are decoded each time, not kept

NATIVE: Final = new_cutter(names.ID, names.CAPTURE, WANTED) if new_cutter else None


class BadBatch(ValueError):  # noqa: N818 - the sender's, not ours: it says what the body is
    """The request as a whole is not OTLP; its text says what is wrong and holds no payload."""


class Slicer:
    """Cuts requests. Holds nothing but the interned resources, at most RESOURCES_MAX, and what attributes mean that repeat.

    `keep_spans`: keep each call's span, less its payload attributes, for forwarding. `cutter`: the compiled one; None: without.
    """

    def __init__(self, *, keep_spans: bool = False, cutter: Cutter | None = NATIVE) -> None:
        self._keep_spans = keep_spans
        self._cutter = cutter
        self._resources: dict[bytes, Resource] = {}
        self._heads = Heads(WANTED)

    def slice(self, body: bytes, *, arrived_s: float) -> Batch:
        """Cut one serialised ExportTraceServiceRequest that arrived at `arrived_s` (unix seconds).

        Raises BadBatch if it is not one.
        """
        cut = Cut(self._heads, arrived_s, keep_spans=self._keep_spans)
        found = self._cutter.cut(body) if self._cutter is not None else None
        if found is not None:
            for raw, spans in found:
                cut.found(body, spans, partial(self._resource, raw))
            return cut.batch()
        try:
            request = SliceRequest.FromString(body)
        except DecodeError:
            raise BadBatch("the body is not a serialised ExportTraceServiceRequest") from None
        for resource_spans in request.resource_spans:
            raw = resource_spans.resource
            for scope_spans in resource_spans.scope_spans:
                cut.spans(scope_spans.spans, partial(self._resource, raw))
        return cut.batch()

    def _resource(self, raw: bytes) -> Resource:
        known = self._resources.get(raw)
        if known is None:
            known = _read_resource(raw)
            if len(self._resources) >= RESOURCES_MAX:
                self._resources.clear()  # costs a decode each again; the records keep theirs
            if len(raw) <= RESOURCE_MAX_BYTES:
                self._resources[raw] = known
        return known


def _read_resource(raw: bytes) -> Resource:
    try:
        attributes: Iterable[KeyValue] = OtlpResource.FromString(raw).attributes
    except DecodeError:
        raise BadBatch("a resource of the body is not a serialised Resource") from None
    text = {item.key: item.value.string_value[:NAME_MAX_CHARS] for item in attributes}
    service = text.get(names.SERVICE_NAME, "")
    return Resource(service, text.get(names.SERVICE_VERSION, ""), text.get(names.SERVICE_INSTANCE, ""))
