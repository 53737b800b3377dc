"""The processes that the benchmark of the interceptors starts: a server of each variant, and what takes their exports.

Usage: servers.py serve sync|aio bare|ours|contrib ENDPOINT, or servers.py receive ready|slow|hanging. Each prints its port and
serves until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"
SERVICE = "mirrorbench.Echo"
SLOW_S = 2.0


def note_class() -> Any:
    """The message of both ways, made here so that nothing needs to be generated."""
    file = descriptor_pb2.FileDescriptorProto(name="mirrorbench/echo.proto", package="mirrorbench", syntax="proto3")
    message = file.message_type.add(name="Note")
    message.field.add(name="text", number=1, type=9, label=1)
    message.field.add(name="number", number=2, type=5, label=1)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("mirrorbench.Note"))


_NOTE: list[Any] = []


def note_class_once() -> Any:
    """`note_class`, whose file a pool takes only once."""
    if not _NOTE:
        _NOTE.append(note_class())
    return _NOTE[0]


def usage(dropped: Callable[[], dict[str, int]]) -> bytes:
    """What this process has used so far."""
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return json.dumps({"cpu_s": time.process_time(), "peak_mib": peak_kib / 1024, "dropped": dropped()}).encode()


def interceptors(program: str, endpoint: str, *, aio: bool) -> tuple[list[Any], Callable[[], dict[str, int]]]:
    """The interceptors of a server, and how to ask what they have dropped."""
    if program == "ours":
        import grpc_mirror  # noqa: PLC0415 - only this program loads it

        make = grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor
        ours = make(endpoint=endpoint)
        return [ours], lambda: ours._observer.counters.read().dropped  # noqa: SLF001 - for the report only
    if program == "contrib":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.instrumentation.grpc import aio_server_interceptor, server_interceptor  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
        return [(aio_server_interceptor if aio else server_interceptor)(tracer_provider=provider)], dict
    return [], dict


def handlers(behaviors: dict[str, Any], dropped: Callable[[], dict[str, int]], *, aio: bool) -> Any:
    """The service under test and the method that tells what it has used."""
    note = note_class_once()
    codecs = {"request_deserializer": note.FromString, "response_serializer": note.SerializeToString}

    def used(_request: bytes, _context: Any) -> bytes:
        return usage(dropped)

    async def used_aio(request: bytes, context: Any) -> bytes:
        return used(request, context)

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "unary": grpc.unary_unary_rpc_method_handler(behaviors["unary"], **codecs),
            "stream": grpc.stream_stream_rpc_method_handler(behaviors["stream"], **codecs),
            "used": grpc.unary_unary_rpc_method_handler(used_aio if aio else used),
        },
    )


def serve_sync(program: str, endpoint: str) -> None:
    """Serve until killed; prints the port."""
    note = note_class_once()

    def unary(request: Any, _context: Any) -> Any:
        return note(text=request.text, number=1)

    def stream(requests: Iterator[Any], _context: Any) -> Iterator[Any]:
        for request in requests:
            yield note(text=request.text, number=1)

    chain, dropped = interceptors(program, endpoint, aio=False)
    server = grpc.server(futures.ThreadPoolExecutor(10), interceptors=chain)
    server.add_generic_rpc_handlers((handlers({"unary": unary, "stream": stream}, dropped, aio=False),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


async def serve_aio(program: str, endpoint: str) -> None:
    """Serve until killed; prints the port."""
    note = note_class_once()

    async def unary(request: Any, _context: Any) -> Any:
        return note(text=request.text, number=1)

    async def stream(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield note(text=request.text, number=1)

    chain, dropped = interceptors(program, endpoint, aio=True)
    server = grpc.aio.server(interceptors=chain)
    server.add_generic_rpc_handlers((handlers({"unary": unary, "stream": stream}, dropped, aio=True),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


async def receive(mode: str) -> None:
    """Take exports until killed: answer them at once, late or never. Prints the port."""

    async def export(_raw: bytes, _context: Any) -> bytes:
        if mode != "ready":
            await asyncio.sleep(SLOW_S if mode == "slow" else 3600)
        return b""

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 64 << 20)])
    handler = grpc.unary_unary_rpc_method_handler(export)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(EXPORT, {"Export": handler}),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    """Be one of the processes."""
    if sys.argv[1] == "receive":
        asyncio.run(receive(sys.argv[2]))
    elif sys.argv[2] == "aio":
        asyncio.run(serve_aio(*sys.argv[3:5]))
    else:
        serve_sync(*sys.argv[3:5])


if __name__ == "__main__":
    main()
