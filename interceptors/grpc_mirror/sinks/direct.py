"""The direct sink: spans as hand-written OTLP, the cheapest way from a call to the collector, over gRPC or HTTP as the settings say."""

from __future__ import annotations

from collections.abc import Sequence

from grpc_mirror.settings import Settings
from grpc_mirror.sinks import otlp
from grpc_mirror.sinks.over_grpc import GrpcChannel
from grpc_mirror.sinks.over_http import HttpChannel
from grpc_mirror.sinks.transport import Channel, SendResult


class DirectTransport:
    """One export request a batch."""

    def __init__(self, settings: Settings, resource: Sequence[tuple[str, str]]) -> None:
        self._channel = channel_of(settings)
        self._resource = otlp.resource_bytes(resource)

    def encode(self, span: otlp.SpanData) -> tuple[list[bytes], int]:
        """A serialised Span, in pieces."""
        return otlp.span_item(span)

    def send(self, items: Sequence[Sequence[bytes]], timeout_s: float) -> SendResult:
        """Export serialised spans."""
        return self._channel.send(otlp.request_pieces(self._resource, items), timeout_s)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def abort(self) -> None:
        """Close it under an export."""
        self._channel.close()


def channel_of(settings: Settings) -> Channel:
    """A connection to the endpoint of the settings."""
    return HttpChannel(settings) if settings.over_http else GrpcChannel(settings)
