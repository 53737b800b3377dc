"""OTLP over a gRPC channel of our own. Shell: opens sockets, in the sender's thread only.

The channel is made by grpc's own function, not by what an instrumentation library may have put in its place: the
export of a call must not become a call to be traced.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from grpc_mirror.settings import Settings
from grpc_mirror.sinks import otlp
from grpc_mirror.sinks.transport import SendResult
from grpc_mirror.v1 import otlp_slices_pb2
from grpc_mirror.wire import any_values, fields

# Of the OTLP specification; RESOURCE_EXHAUSTED only where the receiver says when to come back.
_RETRYABLE = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS", "RESOURCE_EXHAUSTED"}
)
_RETRY_INFO = "google.rpc.RetryInfo"
_RETRY_INFO_KEY = "google.rpc.retryinfo-bin"
_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),  # the sender retries, and counts
    ("grpc.max_reconnect_backoff_ms", 5000),
)


class OtlpChannel:
    """Sends serialised export requests to one receiver."""

    def __init__(self, settings: Settings) -> None:
        self._timeout_s = settings.export_timeout_s
        self._metadata = (("authorization", f"Bearer {settings.bearer}"),) if settings.bearer else None
        self._channel = open_channel(settings)
        self._export = self._channel.unary_unary(
            otlp.METHOD, response_deserializer=otlp_slices_pb2.ExportTraceServiceResponse.FromString
        )

    def send(self, request: bytes) -> SendResult:
        """Export one request and say what came of it."""
        try:
            answer = self._export(request, timeout=self._timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            return failure(error)
        partial = answer.partial_success
        return SendResult(ok=True, rejected=max(0, int(partial.rejected_spans)), reason=partial.error_message)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


class DirectTransport:
    """Spans as hand-written OTLP, the cheapest way from a call to the collector."""

    def __init__(self, settings: Settings, resource: Sequence[tuple[str, str]]) -> None:
        self._channel = OtlpChannel(settings)
        self._resource = otlp.resource_bytes(resource)

    def encode(self, span: otlp.SpanData) -> tuple[list[bytes], int]:
        """A serialised Span, in pieces."""
        return otlp.span_item(span)

    def send(self, items: Sequence[Sequence[bytes]]) -> SendResult:
        """Export serialised spans."""
        return self._channel.send(otlp.request_of_items(self._resource, items))

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


def failure(error: Any) -> SendResult:
    """Whether an export that failed is worth another try, and when (OTLP specification, section Failures)."""
    name = error.code().name
    delay_s = _retry_delay_s(error.trailing_metadata() or ())
    retryable = name in _RETRYABLE and (name != "RESOURCE_EXHAUSTED" or delay_s is not None)
    return SendResult(ok=False, retryable=retryable, retry_after_s=delay_s, reason=name)


def _retry_delay_s(trailers: Any) -> float | None:
    """The delay of a google.rpc.RetryInfo, which comes in the rich status or in a trailer of its own."""
    infos = []
    for key, value in trailers:
        if key == _RETRY_INFO_KEY:
            infos.append(value)
        elif key == "grpc-status-details-bin":
            infos += [detail for name, detail in any_values(value) if name == _RETRY_INFO]
    for info in infos:
        try:
            duration = dict(fields(bytes(dict(fields(info)).get(1, b""))))
        except (ValueError, TypeError):
            continue
        return int(duration.get(1, 0)) + int(duration.get(2, 0)) / 1e9
    return None


def open_channel(settings: Settings) -> Any:
    """A channel to the endpoint of the settings, which nothing of the service's watches."""
    if not settings.secure:
        return _original(grpc.insecure_channel)(settings.target, options=_OPTIONS)
    roots = Path(settings.ca_file).read_bytes() if settings.ca_file else None
    credentials = grpc.ssl_channel_credentials(root_certificates=roots)
    return _original(grpc.secure_channel)(settings.target, credentials, options=_OPTIONS)


def _original(function: Any) -> Any:
    """Grpc's own function under what instrumentation has wrapped around it."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function
