"""Echo servers of every flavour that grpc knows, and a client that tells what it saw of one call.

The handlers do what the first request's text says, see `ENDINGS`. Flavours: `sync` (grpc.server), `aio` (coroutines and
async generators), `aio_writer` (coroutines with context.read and context.write), `threads` (plain functions on an aio server).
"""

# ruff: noqa: N802 - gRPC names handlers after their methods

import asyncio
import contextlib
import threading
from concurrent import futures
from typing import NamedTuple

import grpc

from tests.interceptors.echo import KINDS, SERVICE, Note

FLAVOURS = ("sync", "aio", "aio_writer", "threads")
# How a handler ends, by the text of the first request; `hang` waits for `Echo.released`.
ENDINGS = ("return", "abort", "abort_with_status", "set_code", "raise", "set_and_raise", "unsendable")
RICH = b"\x08\x05\x12\x04none"  # a serialised google.rpc.Status: code 5, message "none"
TRAILING = (("t", "1"), ("t", "2"), ("raw-bin", b"\0\xff"))
STREAMED = ("one", "two")


class RichStatus(grpc.Status):
    def __init__(self, code, details, trailing_metadata):
        self.code = code
        self.details = details
        self.trailing_metadata = trailing_metadata


STATUS = RichStatus(grpc.StatusCode.NOT_FOUND, "none", (*TRAILING, ("grpc-status-details-bin", RICH)))


class Unsendable:
    """Not a message: the serialiser refuses it."""


def reply(text, suffix="!"):
    return Unsendable() if text == "unsendable" else Note(text=text + suffix, number=len(text))


class SyncEcho:
    def __init__(self):
        self.released = threading.Event()
        self.started = threading.Semaphore(0)

    def end(self, text, context):
        context.set_trailing_metadata(TRAILING)
        if text == "abort":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "nope")
        if text == "abort_with_status":
            context.abort_with_status(STATUS)
        if text in ("set_code", "set_and_raise"):
            context.set_code(grpc.StatusCode.FAILED_PRECONDITION)
            context.set_details("half")
        if text in ("raise", "set_and_raise"):
            raise ValueError("oops")
        if text == "hang":
            self.started.release()
            self.released.wait(30)

    def Unary(self, request, context):
        self.end(request.text, context)
        return reply(request.text)

    def ClientStream(self, requests, context):
        texts = [request.text for request in requests]
        self.end(texts[0] if texts else "", context)
        return reply(texts[0] if texts else "", str(len(texts)))

    def ServerStream(self, request, context):
        for text in STREAMED:
            yield Note(text=text)
        self.end(request.text, context)
        yield reply(request.text)

    def Bidi(self, requests, context):
        first = None
        for request in requests:
            first = first or request.text
            yield Note(text=request.text + "?")
            if first == "hang":
                break
        self.end(first or "", context)
        yield reply(first or "")


class AioEcho:
    def __init__(self):
        self.released = None
        self.started = threading.Semaphore(0)

    async def end(self, text, context):
        context.set_trailing_metadata(TRAILING)
        if text == "abort":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "nope")
        if text == "abort_with_status":
            await context.abort_with_status(STATUS)
        if text in ("set_code", "set_and_raise"):
            context.set_code(grpc.StatusCode.FAILED_PRECONDITION)
            context.set_details("half")
        if text in ("raise", "set_and_raise"):
            raise ValueError("oops")
        if text == "hang":
            self.started.release()
            await asyncio.sleep(30)

    async def Unary(self, request, context):
        await self.end(request.text, context)
        return reply(request.text)

    async def ClientStream(self, requests, context):
        texts = [request.text async for request in requests]
        await self.end(texts[0] if texts else "", context)
        return reply(texts[0] if texts else "", str(len(texts)))

    async def ServerStream(self, request, context):
        for text in STREAMED:
            yield Note(text=text)
        await self.end(request.text, context)
        yield reply(request.text)

    async def Bidi(self, requests, context):
        first = None
        async for request in requests:
            first = first or request.text
            yield Note(text=request.text + "?")
            if first == "hang":
                break
        await self.end(first or "", context)
        yield reply(first or "")


class WriterEcho(AioEcho):
    async def ClientStream(self, _requests, context):
        texts = []
        while (request := await context.read()) is not grpc.aio.EOF:
            texts.append(request.text)
        await self.end(texts[0] if texts else "", context)
        return reply(texts[0] if texts else "", str(len(texts)))

    async def ServerStream(self, request, context):
        for text in STREAMED:
            await context.write(Note(text=text))
        await self.end(request.text, context)
        await context.write(reply(request.text))

    async def Bidi(self, _requests, context):
        first = None
        while (request := await context.read()) is not grpc.aio.EOF:
            first = first or request.text
            await context.write(Note(text=request.text + "?"))
            if first == "hang":
                break
        await self.end(first or "", context)
        await context.write(reply(first or ""))


ECHOES = {"sync": SyncEcho, "threads": SyncEcho, "aio": AioEcho, "aio_writer": WriterEcho}


def handlers(echo, *, raw=False):
    """A generic handler for an echo; `raw`: handlers without (de)serialisers, which work on bytes."""
    codecs = {} if raw else {"request_deserializer": Note.FromString, "response_serializer": Note.SerializeToString}
    makers = (
        grpc.unary_unary_rpc_method_handler,
        grpc.stream_unary_rpc_method_handler,
        grpc.unary_stream_rpc_method_handler,
        grpc.stream_stream_rpc_method_handler,
    )
    methods = {
        kind: make(getattr(echo, kind), **codecs)
        for kind, make in zip(KINDS, makers, strict=True)
        if hasattr(echo, kind)
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


class DaemonThreads(futures.Executor):
    """A daemon thread for each task, for plain handlers on aio servers.

    grpc leaves the thread of a stream whose client has gone waiting for ever; an ordinary pool's would keep the process from ending.
    """

    def submit(self, fn, /, *args, **kwargs):
        future = futures.Future()

        def run():
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - as a pool does
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future


@contextlib.contextmanager
def aio_loop():
    """An event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


@contextlib.contextmanager
def serving(generic, interceptors, *, aio, options=()):
    """A server on port 0; yields its port."""
    if not aio:
        server = grpc.server(futures.ThreadPoolExecutor(32), interceptors=interceptors, options=options)
        server.add_generic_rpc_handlers((generic,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield port
        # Bounded: grpc itself sometimes never ends a call whose streamed request could not be decoded.
        server.stop(1).wait(5)
        return
    with aio_loop() as run:

        async def start():
            server = grpc.aio.server(interceptors=interceptors, options=options, migration_thread_pool=DaemonThreads())
            server.add_generic_rpc_handlers((generic,))
            port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            return server, port

        server, port = run(start())
        yield port
        run(server.stop(1))


def never_ended_by_grpc(flavour, kind, ending):
    """A bug of grpc's own: plain functions on an aio server, streamed responses, abort; the client waits for ever now and then."""
    return flavour == "threads" and ending.startswith("abort") and kind in ("ServerStream", "Bidi")


class Seen(NamedTuple):
    """What a client saw of one call."""

    code: grpc.StatusCode
    message: str
    responses: list
    trailing: tuple


class Client:
    """Raw-bytes stubs of the four kinds, so that a test sees what went over the wire."""

    def __init__(self, port, **options):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", **options)
        make = (
            self.channel.unary_unary,
            self.channel.stream_unary,
            self.channel.unary_stream,
            self.channel.stream_stream,
        )
        self.stubs = {kind: one(f"/{SERVICE}/{kind}") for kind, one in zip(KINDS, make, strict=True)}

    def start(self, kind, requests, mirror_id="", metadata=(), **kwargs):
        """Begin a call without waiting for its end."""
        if mirror_id:
            metadata = (("x-mirror-id", mirror_id), ("x-mirror-run", "run"), *metadata)
        argument = iter(requests) if kind in ("ClientStream", "Bidi") else requests[0]
        stub = self.stubs[kind]
        if kind in ("Unary", "ClientStream"):
            return stub.future(argument, metadata=metadata, **kwargs)
        return stub(argument, metadata=metadata, **kwargs)

    def see(self, kind, call):
        """What came of a call that was begun."""
        responses = []
        with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
            if kind in ("Unary", "ClientStream"):
                responses.append(call.result())
            else:
                responses.extend(call)
        trailing = tuple((key, value) for key, value in call.trailing_metadata() or ())
        return Seen(call.code(), call.details(), responses, trailing)

    def call(self, kind, requests, mirror_id="", metadata=(), **kwargs):
        return self.see(kind, self.start(kind, requests, mirror_id, metadata, **kwargs))

    def close(self):
        self.channel.close()


def notes(*texts):
    """Serialised requests."""
    return [Note(text=text).SerializeToString() for text in texts]
