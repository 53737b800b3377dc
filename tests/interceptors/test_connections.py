"""Endings that come from outside of a call: the server stops, the connection breaks; and compression, which no capture shows."""

# ruff: noqa: N802 - gRPC names handlers after their methods

import contextlib
import socket
import threading

import grpc
import grpc_mirror
import pytest
from grpc_mirror.v1 import capture_pb2

from tests.interceptors.echo import KINDS, SERVICE, Note
from tests.interceptors.servers import ECHOES, FLAVOURS, AioEcho, Client, SyncEcho, WriterEcho, handlers, notes, serving

CANCELLED = grpc.StatusCode.CANCELLED.value[0]
GZIP = (("grpc.default_compression_algorithm", int(grpc.Compression.Gzip)),)


def interceptor_for(flavour, settings):
    return (grpc_mirror.server_interceptor if flavour == "sync" else grpc_mirror.aio_server_interceptor)(settings)


class Proxy:
    """Forwards TCP connections to a port until it is cut: then both ends see a connection that is reset."""

    def __init__(self, port):
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listening]
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)

    def cut(self):
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def assert_cut_off(capture, requests):
    assert (capture.ending, capture.status_code) == (capture_pb2.ENDING_CLIENT_CANCELLED, CANCELLED)
    asked = [m.body for m in capture.messages if m.direction == capture_pb2.DIRECTION_REQUEST]
    assert asked == requests
    assert not capture.trailing_metadata


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_whose_connection_breaks(receiver, settings, flavour, kind):
    """The server has nobody left to send a status to."""
    echo, requests = ECHOES[flavour](), notes("hang")
    with serving(handlers(echo), [interceptor_for(flavour, settings)], aio=flavour != "sync") as port:
        proxy = Proxy(port)
        client = Client(proxy.port)
        call = client.start(kind, requests, f"broken {kind}")
        assert echo.started.acquire(timeout=20)
        proxy.cut()
        assert client.see(kind, call).code is grpc.StatusCode.UNAVAILABLE
        assert_cut_off(receiver.call(f"broken {kind}").capture, requests)
        if isinstance(echo, SyncEcho):
            echo.released.set()
        client.close()


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_is_cut_off_by_the_servers_end(receiver, settings, flavour, kind):
    """It did not end within the grace that the server gave it."""
    echo, requests = ECHOES[flavour](), notes("hang")
    with contextlib.ExitStack() as stopping:
        port = stopping.enter_context(
            serving(handlers(echo), [interceptor_for(flavour, settings)], aio=flavour != "sync")
        )
        client = Client(port)
        call = client.start(kind, requests, f"stopped {kind}")
        assert echo.started.acquire(timeout=20)
        if isinstance(echo, SyncEcho):
            threading.Timer(3, echo.released.set).start()  # after the grace, so that the thread ends
        stopping.close()
    assert client.see(kind, call).code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
    client.close()
    assert_cut_off(receiver.call(f"stopped {kind}").capture, requests)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_unknown_method_leaves_no_capture(receiver, settings, flavour):
    """There is no handler: the server answers, and a method that nobody has cannot be compared."""
    interceptor = interceptor_for(flavour, settings)
    with serving(handlers(ECHOES[flavour]()), [interceptor], aio=flavour != "sync") as port:
        client = Client(port)
        with pytest.raises(grpc.RpcError) as error:
            client.channel.unary_unary(f"/{SERVICE}/Nothing")(b"", metadata=(("x-mirror-id", "unknown"),))
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
        client.call("Unary", notes("x"), "known")
        client.close()
    receiver.call("known")
    counts = interceptor._observer.counters.read()
    assert (counts.captured, counts.dropped, counts.conditions) == (1, {}, {})


class Compressing:
    """Handlers that say how their responses are compressed."""

    def end(self, text, context):
        context.set_compression(grpc.Compression.Deflate if text == "deflate" else grpc.Compression.Gzip)
        context.disable_next_message_compression()
        return super().end("return", context)


class SyncCompressing(Compressing, SyncEcho):
    def ServerStream(self, request, context):
        self.end(request.text, context)
        for number in range(3):
            yield Note(text=request.text * 100, number=number)


class AioCompressing(Compressing, AioEcho):
    async def ServerStream(self, request, context):
        await self.end(request.text, context)
        for number in range(3):
            yield Note(text=request.text * 100, number=number)


class WriterCompressing(Compressing, WriterEcho):
    async def ServerStream(self, request, context):
        await self.end(request.text, context)
        for number in range(3):
            await context.write(Note(text=request.text * 100, number=number))


COMPRESSING = {
    "sync": SyncCompressing,
    "threads": SyncCompressing,
    "aio": AioCompressing,
    "aio_writer": WriterCompressing,
}


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("kind", ["Unary", "ClientStream", "ServerStream"])
@pytest.mark.parametrize("text", ["gzip", "deflate"])
def test_compression_both_ways_shows_in_no_capture(receiver, settings, flavour, kind, text):
    """By channel and by server, and as a handler sets it: for all responses, and not for the next one."""
    generic, mirror_id = handlers(COMPRESSING[flavour]()), f"{text} {kind}"
    interceptors = [interceptor_for(flavour, settings)]
    with serving(generic, interceptors, aio=flavour != "sync", options=GZIP) as port:
        client = Client(port, compression=grpc.Compression.Gzip if text == "gzip" else grpc.Compression.Deflate)
        requests = [Note(text=text, blob=b"z" * 5_000).SerializeToString()]
        seen = client.call(kind, requests, mirror_id)
        client.close()
    assert (seen.code, len(seen.responses)) == (grpc.StatusCode.OK, 3 if kind == "ServerStream" else 1)
    capture = receiver.call(mirror_id).capture
    assert [m.body for m in capture.messages if m.direction == capture_pb2.DIRECTION_REQUEST] == requests
    assert [m.body for m in capture.messages if m.direction == capture_pb2.DIRECTION_RESPONSE] == seen.responses
