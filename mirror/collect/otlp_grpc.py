"""OTLP over gRPC: the TraceService's Export, taken as raw bytes.

The exporters differ in what they heed when they are pushed back: RetryInfo goes out both in the rich status and in a trailer of
its own. It opens one socket and decides nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_mirror.v1.otlp_slices_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse

from mirror.collect.access import Denied, Scope
from mirror.collect.addresses import Address, PortInUseError, bind
from mirror.collect.guard import Guard
from mirror.collect.lookup import SERVICE as LOOK_UP
from mirror.collect.reading import READ_MAX_S, CrowdedError, Reading, SlowError
from mirror.collect.receive import Accepted, Busy, Failed, Malformed, Reply, Taker

SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
PROTOCOL: Final = "grpc"
HANDSHAKE_TIMEOUT_MS: Final = 10_000
CONNECTIONS_MAX: Final = 10_000  # each is a file: of the 16,384 that the collector asks for, the others need some too
_SLOW: Final = f"the request did not come within {READ_MAX_S:.0f} s"
IDLE_MAX_MS: Final = 900_000  # without a call; the client connects anew with its next one


def response_of(reply: Accepted) -> ExportTraceServiceResponse:
    """The answer to a request that was taken; `partial_success` is set only where spans were rejected."""
    if not reply.rejected_spans:
        return ExportTraceServiceResponse()
    partial = ExportTracePartialSuccess(rejected_spans=reply.rejected_spans, error_message=reply.message)
    return ExportTraceServiceResponse(partial_success=partial)


def retry_trailers(busy: Busy) -> tuple[tuple[str, bytes], ...]:
    """RetryInfo in the rich status, where the OTLP specification puts it, and alone, where Python's exporter reads it."""
    info = RetryInfo(retry_delay=Duration(seconds=busy.retry_after_s))
    packed = AnyMessage()
    packed.Pack(info)
    status = Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message=busy.message, details=[packed])
    return (
        ("grpc-status-details-bin", status.SerializeToString()),
        ("google.rpc.retryinfo-bin", info.SerializeToString()),
    )


class _Gate(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in its stubs only
    """Turns calls away by their metadata, before anything of their message is read; whatever the method."""

    def __init__(self, guard: Guard, receiver: Taker) -> None:
        self._guard = guard
        self._receiver = receiver

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """See grpc.aio.ServerInterceptor."""
        metadata = handler_call_details.invocation_metadata or ()
        authorization = [str(value) for key, value in metadata if key == "authorization"]
        looks_up = handler_call_details.method.startswith(f"/{LOOK_UP}/")
        denied = self._guard.denial(self._guard.to_look_up if looks_up else Scope.WRITE, authorization)
        if denied is None:
            return await continuation(handler_call_details)
        self._receiver.refused(PROTOCOL, denied.reason)
        return grpc.stream_unary_rpc_method_handler(_answer(denied))


def _answer(denied: Denied) -> Callable[[Any, grpc.aio.ServicerContext[Any, Any]], Awaitable[Any]]:
    code = grpc.StatusCode.PERMISSION_DENIED if denied.known else grpc.StatusCode.UNAUTHENTICATED

    async def answer(_requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(code, denied.message)

    return answer


class GrpcListener:
    """A gRPC server for one address.

    `message_max_bytes` bounds a request, before and after decompression; `reading_max_bytes`, about, all that are read at a time.
    `more`: services beside OTLP's. `guard`: who may call any of them, and whether by TLS; None: anybody, in plain.
    """

    def __init__(
        self,
        receiver: Taker,
        *,
        message_max_bytes: int,
        reading_max_bytes: int,
        more: Sequence[grpc.GenericRpcHandler[bytes, bytes]] = (),
        guard: Guard | None = None,
    ) -> None:
        self._receiver = receiver
        self._guard = guard
        self._message_max_bytes = message_max_bytes
        self._reading = Reading(reading_max_bytes, message_max_bytes=message_max_bytes)
        self._more = tuple(more)
        self._server: grpc.aio.Server | None = None

    async def start(self, address: Address) -> Address:
        """Listen; returns the address with the port that was really taken. Raises PortInUseError."""
        guard = self._guard
        server = grpc.aio.server(
            interceptors=[] if guard is None else [_Gate(guard, self._receiver)],
            options=[
                ("grpc.max_receive_message_length", self._message_max_bytes),
                ("grpc.so_reuseport", 0),  # else a second collector would silently share the port
                ("grpc.max_concurrent_streams", 256),
                ("grpc.http2.bdp_probe", 0),  # else a connection reads ahead by megabytes what nobody may read yet
                ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
                ("grpc.max_allowed_incoming_connections", CONNECTIONS_MAX),
                ("grpc.max_connection_idle_ms", IDLE_MAX_MS),
            ],
        )
        bind("otlp_grpc", address).close()  # gRPC does not say why it cannot; this does
        export = grpc.stream_unary_rpc_method_handler(self._export)  # of one: so it is read when it may be
        traces = grpc.method_handlers_generic_handler(SERVICE, {"Export": export})
        server.add_generic_rpc_handlers((traces, *self._more))
        try:
            credentials = None if guard is None else guard.grpc_credentials()
            if credentials is None:
                port = server.add_insecure_port(str(address))
            else:
                port = server.add_secure_port(str(address), credentials)
        except RuntimeError as error:
            raise PortInUseError("otlp_grpc", address, "gRPC could not bind to it") from error
        await server.start()
        self._server = server
        return address.with_port(port)

    async def stop(self, grace_s: float) -> None:
        """Take no new requests; those under way have `grace_s` to end."""
        if self._server is not None:
            await self._server.stop(grace_s)

    async def _export(self, _requests: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Holds no body: abort's exception, this frame and `context` hold each other until garbage is collected."""
        reply = await self._reply(context)
        match reply:
            case Accepted():
                return response_of(reply).SerializeToString()
            case Malformed(message):
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
            case Busy(message):
                trailers = retry_trailers(reply)
                await context.abort(grpc.StatusCode.UNAVAILABLE, message, trailing_metadata=trailers)
            case Failed(message):
                await context.abort(grpc.StatusCode.INTERNAL, message)
            case None:
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _SLOW)
        raise AssertionError("abort raises")

    async def _reply(self, context: grpc.aio.ServicerContext[bytes, bytes]) -> Reply | None:
        """None: the request did not come in time."""
        try:
            body = await self._reading.read(context.read, _size)
        except CrowdedError:
            self._receiver.refused(PROTOCOL, "queue_full")
            return Busy("too much is being read at this moment", full=True)
        except SlowError:
            self._receiver.refused(PROTOCOL, "timeout")
            return None
        if not isinstance(body, bytes):
            self._receiver.refused(PROTOCOL, "malformed")
            return Malformed("the request holds no message")
        return await self._receiver.receive(body, PROTOCOL)


def _size(message: object) -> int:
    """Of what was read: the end of the stream is no message."""
    return len(message) if isinstance(message, bytes) else 0
