"""Real listeners on port 0, for tests; not a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager

import grpc
from grpc_mirror.v1 import otlp_slices_pb2

from mirror.collect.addresses import Address, bind, port_of
from mirror.collect.counters import Counters
from mirror.collect.guard import Guard
from mirror.collect.hosting import Host
from mirror.collect.intake import Intake
from mirror.collect.otlp_grpc import GrpcListener
from mirror.collect.otlp_http import http_app
from mirror.collect.receive import Receiver
from mirror.collect.slices import Slicer

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOCAL = Address("127.0.0.1", 0)


class Listeners:
    """A receiver with both listeners, whose intake the test reads."""

    def __init__(
        self,
        *,
        message_max_bytes: int = 1 << 20,
        queue_max_bytes: int = 1 << 20,
        reading_max_bytes: int = 8 << 20,
        guard: Guard | None = None,
    ) -> None:
        self.guard = guard
        self.counters = Counters()
        self.intake = Intake(queue_max_bytes)
        self.message_max_bytes = message_max_bytes
        self.reading_max_bytes = reading_max_bytes
        self.receiver = Receiver(Slicer(), self.intake, self.counters, clock=lambda: 100.0)
        self.grpc_address = self.http_address = LOCAL

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Listeners]:
        listener = GrpcListener(
            self.receiver,
            message_max_bytes=self.message_max_bytes,
            reading_max_bytes=self.reading_max_bytes,
            guard=self.guard,
        )
        self.grpc_address = await listener.start(LOCAL)
        bound = bind("otlp_http", LOCAL)
        self.http_address = LOCAL.with_port(port_of(bound))
        app = http_app(
            self.receiver,
            message_max_bytes=self.message_max_bytes,
            reading_max_bytes=self.reading_max_bytes,
            guard=self.guard,
        )
        context = self.guard.http_context("otlp_http", self.counters) if self.guard else None
        host = Host(app, bound, context, closed=self.counters.closed("otlp_http"))
        await host.start()
        try:
            yield self
        finally:
            await host.stop()
            await listener.stop(0)


def with_listeners(listeners: Listeners, use: Callable[[Listeners], Awaitable[None]]) -> None:
    """Run `use` while the listeners listen."""

    async def run() -> None:
        async with listeners.running():
            await use(listeners)

    asyncio.run(run())


class OtlpEndpoint:
    """A tracing backend over gRPC that keeps what it gets."""

    def __init__(self) -> None:
        self.requests: list[otlp_slices_pb2.ExportTraceServiceRequest] = []

    @property
    def spans(self) -> list[tuple[str, otlp_slices_pb2.Span]]:
        """(service name, span) of everything that came."""
        return [
            (resource_spans.resource.attributes[0].value.string_value, span)
            for request in self.requests
            for resource_spans in request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    def export(
        self, request: otlp_slices_pb2.ExportTraceServiceRequest, _context: grpc.ServicerContext
    ) -> otlp_slices_pb2.ExportTraceServiceResponse:
        self.requests.append(request)
        return otlp_slices_pb2.ExportTraceServiceResponse()

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[str]:
        """Its address while it listens."""
        server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
        handler = grpc.unary_unary_rpc_method_handler(
            self.export,
            request_deserializer=otlp_slices_pb2.ExportTraceServiceRequest.FromString,
            response_serializer=otlp_slices_pb2.ExportTraceServiceResponse.SerializeToString,
        )
        service = EXPORT.split("/")[1]
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
        taken = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        try:
            yield f"127.0.0.1:{taken}"
        finally:
            server.stop(0).wait()
