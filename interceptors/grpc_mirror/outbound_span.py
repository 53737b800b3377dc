"""What a capture and its span say of a call that the service made. Pure; runs in the sender's thread."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

from grpc_mirror.propagation import KIND_INTERNAL
from grpc_mirror.records import Outbound
from grpc_mirror.sinks.otlp import SpanData
from grpc_mirror.v1 import attributes, capture_pb2

KIND_CLIENT = 3  # OTLP's SpanKind
_POLICIES = {
    capture_pb2.OUTBOUND_POLICY_SENT: "sent",
    capture_pb2.OUTBOUND_POLICY_BLOCKED: "blocked",
    capture_pb2.OUTBOUND_POLICY_STUBBED: "stubbed",
    capture_pb2.OUTBOUND_POLICY_RECORDED: "recorded",
}


def outbound_of(outbound: Outbound, messages: Iterable[capture_pb2.CapturedMessage]) -> capture_pb2.Outbound:
    """What identifies the call, given the messages as they are captured, with what is private taken out."""
    return capture_pb2.Outbound(
        served_method=outbound.served_method,
        policy=outbound.policy,
        index=outbound.position,
        request_hash=request_hash(messages),
        ordinal=outbound.ordinal,
        served_span_id=outbound.served_span_id,
        after_end=outbound.after_end,
    )


def request_hash(messages: Iterable[capture_pb2.CapturedMessage]) -> bytes:
    """The hash of the requests among captured messages, as capture.proto documents it."""
    digest = hashlib.sha256()

    def add(part: bytes) -> None:
        digest.update(struct.pack(">Q", len(part)) + part)

    for message in messages:
        if message.direction != capture_pb2.DIRECTION_REQUEST:
            continue
        add(message.body)
        add(message.hash)
        add(struct.pack(">Q", len(message.private_leaves)))
        for leaf in message.private_leaves:
            add(leaf.path.encode())
            add(leaf.hmac)
            add(b"\1" if leaf.empty else b"\0")
    return digest.digest()


def outbound_span(span: SpanData, outbound: Outbound, identity: capture_pb2.Outbound) -> SpanData:
    """The span of an outbound call, made from one that was built as for a served call.

    It stands below the span that was current when it was made where that is of the same trace, else below the served
    call's.
    """
    below_current = span.kind == KIND_INTERNAL
    alike = tuple(
        pair
        for pair in span.alike
        if pair[0] != attributes.SERVER_ADDRESS and (outbound.grpc or pair[0] != attributes.RPC_SYSTEM)
    )
    return span._replace(
        kind=KIND_CLIENT,
        parent_span_id=span.parent_span_id if below_current else outbound.served_span_id,
        attributes=(
            *span.attributes,
            (attributes.OUTBOUND_REQUEST_HASH, identity.request_hash.hex()),
            (attributes.OUTBOUND_ORDINAL, identity.ordinal),
        ),
        alike=(
            *alike,
            (attributes.OUTBOUND, span.name),
            (attributes.OUTBOUND_POLICY, _POLICIES[outbound.policy]),
            (attributes.OUTBOUND_SERVED, outbound.served_method),
        ),
        links=(),
    )
