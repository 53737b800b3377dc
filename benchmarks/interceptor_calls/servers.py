"""The processes that the benchmark of the interceptors starts: a server of each variant, and what takes their exports.

One variant has no interceptor, keeps the bodies of calls and sends them, in batches as ours: what any capture of them costs.
Usage: servers.py serve sync|aio bare|ours|ours-whole|ours-grpc|contrib|sends ENDPOINT BYTES_A_SECOND, or servers.py receive|receive-http ready|slow|hanging.
Each prints its port and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import os
import resource
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent import futures
from typing import Any, NamedTuple

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"
SERVICE = "mirrorbench.Echo"
COLLECT = b"collect"  # asks for what was used after a full garbage collection
SLOW_S = 2.0
# Of what `sends` sends: the settings that ours has by default, and what it sends beside the messages.
CAPTURE_BYTES, BATCH_BYTES, TICK_S, AGE_S, SPAN_BYTES = 768 * 1024, 512 * 1024, 0.2, 1.0, 400


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


class Counts(NamedTuple):
    """What an interceptor of ours has counted."""

    dropped: dict[str, int] = {}  # noqa: RUF012 - nobody changes it
    not_sampled: int = 0


def usage(counted: Callable[[], Counts]) -> bytes:
    """What this process has used so far."""
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"cpu_s": time.process_time(), "peak_mib": peak_kib / 1024, **counted()._asdict()}
    return json.dumps(found).encode()


class Sends:
    """Keeps the bodies of calls and sends them, from a thread and in batches as ours, over HTTP; and does nothing else with them."""

    def __init__(self, endpoint: str) -> None:
        self._kept: deque[bytes] = deque()
        self._room = CAPTURE_BYTES  # of the call under way: here they come one after the other
        self._connection = http.client.HTTPConnection(endpoint)
        threading.Thread(target=self._run, daemon=True).start()

    def codecs(self, note: Any) -> dict[str, Any]:
        """A deserialiser and a serialiser that keep what they see."""

        def request(raw: bytes) -> Any:
            self._keep(raw)
            return note.FromString(raw)

        def response(message: Any) -> bytes:
            raw = bytes(message.SerializeToString())
            self._keep(raw)
            return raw

        return {"request_deserializer": request, "response_serializer": response}

    def call(self) -> None:
        """A call is over."""
        self._kept.append(bytes(SPAN_BYTES))
        self._room = CAPTURE_BYTES

    def _keep(self, raw: bytes) -> None:
        if len(raw) <= self._room:
            self._room -= len(raw)
            self._kept.append(raw)

    def _run(self) -> None:
        batch: list[bytes] = []
        size, began = 0, time.monotonic()
        while True:
            time.sleep(TICK_S)
            while self._kept:
                batch.append(self._kept.popleft())
                size += len(batch[-1])
                if size >= BATCH_BYTES:
                    self._send(batch, size)
                    batch, size, began = [], 0, time.monotonic()
            if batch and time.monotonic() - began >= AGE_S:
                self._send(batch, size)
                batch, size, began = [], 0, time.monotonic()

    def _send(self, batch: list[bytes], size: int) -> None:
        self._connection.request("POST", "/v1/traces", batch, {"Content-Length": str(size)})
        self._connection.getresponse().read()


def interceptors(program: str, endpoint: str, limit: int, *, aio: bool) -> tuple[list[Any], Callable[[], Counts]]:
    """The interceptors of a server, and how to ask what they have counted. `limit`: bytes a second of a method, where there is one."""
    if program in ("ours", "ours-whole", "ours-grpc"):
        import grpc_mirror  # noqa: PLC0415 - only this program loads it

        make = grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor
        ours = make(
            endpoint=endpoint,
            protocol="grpc" if program == "ours-grpc" else "http/protobuf",
            method_bytes_per_s=limit if program == "ours" else 0,
        )

        def counted() -> Counts:
            found = ours._observer.counters.read()  # noqa: SLF001 - for the report only
            return Counts(found.dropped, found.conditions.get("not_sampled", 0))

        return [ours], counted
    if program == "contrib":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.instrumentation.grpc import aio_server_interceptor, server_interceptor  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        provider = TracerProvider()
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
        return [(aio_server_interceptor if aio else server_interceptor)(tracer_provider=provider)], Counts
    return [], Counts


def handlers(behaviors: dict[str, Any], counted: Callable[[], Counts], sends: Sends | None, *, aio: bool) -> Any:
    """The service under test and the method that tells what it has used."""
    note = note_class_once()
    codecs = {"request_deserializer": note.FromString, "response_serializer": note.SerializeToString}
    if sends is not None:
        codecs = sends.codecs(note)

    def used(request: bytes, _context: Any) -> bytes:
        if request == COLLECT:
            gc.collect()
        return usage(counted)

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


def serve_sync(program: str, endpoint: str, limit: str) -> None:
    """Serve until killed; prints the port."""
    note = note_class_once()

    sends = Sends(endpoint) if program == "sends" else None

    def unary(request: Any, _context: Any) -> Any:
        if sends is not None:
            sends.call()
        return note(text=request.text, number=1)

    def stream(requests: Iterator[Any], _context: Any) -> Iterator[Any]:
        for request in requests:
            yield note(text=request.text, number=1)
        if sends is not None:
            sends.call()

    chain, counted = interceptors(program, endpoint, int(limit), aio=False)
    server = grpc.server(futures.ThreadPoolExecutor(10), interceptors=chain)
    server.add_generic_rpc_handlers((handlers({"unary": unary, "stream": stream}, counted, sends, aio=False),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


async def serve_aio(program: str, endpoint: str, limit: str) -> None:
    """Serve until killed; prints the port."""
    note = note_class_once()

    sends = Sends(endpoint) if program == "sends" else None

    async def unary(request: Any, _context: Any) -> Any:
        if sends is not None:
            sends.call()
        return note(text=request.text, number=1)

    async def stream(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield note(text=request.text, number=1)
        if sends is not None:
            sends.call()

    chain, counted = interceptors(program, endpoint, int(limit), aio=True)
    server = grpc.aio.server(interceptors=chain)
    server.add_generic_rpc_handlers((handlers({"unary": unary, "stream": stream}, counted, sends, aio=True),))
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


async def receive_http(mode: str) -> None:
    """The same over HTTP."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"

    async def exports(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                request = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break  # the client has gone
            left = int(request.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            while left:
                left -= len(await reader.read(min(left, 1 << 20)))
            if mode != "ready":
                await asyncio.sleep(SLOW_S if mode == "slow" else 3600)
            writer.write(head)
        writer.close()

    server = await asyncio.start_server(exports, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Be one of the processes."""
    if sys.argv[1].startswith("receive"):
        # It is elsewhere where it matters: here it must not take a core from the server at the wrong moment.
        os.nice(19)
    if sys.argv[1] == "receive-http":
        asyncio.run(receive_http(sys.argv[2]))
    elif sys.argv[1] == "receive":
        asyncio.run(receive(sys.argv[2]))
    elif sys.argv[2] == "aio":
        asyncio.run(serve_aio(*sys.argv[3:6]))
    else:
        serve_sync(*sys.argv[3:6])


if __name__ == "__main__":
    main()
