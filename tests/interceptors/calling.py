"""A service whose handlers call another one, sync and aio: front -> back, both echoes, the front's channel with our interceptor.

`front(...)` yields a client of the front and the back's echo. The front's Unary makes the calls that the test gives it.
"""

# ruff: noqa: N802 - gRPC names handlers after their methods

import contextlib

import grpc
import grpc_mirror
import pytest
from grpc_mirror import shadow

from tests.interceptors.echo import SERVICE, Note
from tests.interceptors.servers import AioEcho, Client, SyncEcho, handlers, serving

FLAVOURS = ("sync", "aio")
METHOD = f"{SERVICE}/Unary"


@contextlib.contextmanager
def role(name):
    """This process under another MIRROR_ROLE."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRROR_ROLE", name)
        shadow.is_shadow.cache_clear()
        yield
    shadow.is_shadow.cache_clear()


class Back(SyncEcho):
    """Counts what reaches it, and keeps each call's metadata."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def end(self, text, context):
        self.seen.append((text, dict(context.invocation_metadata())))
        super().end(text, context)


class Front(SyncEcho):
    def __init__(self, work, channel):
        super().__init__()
        self.work, self.channel = work, channel

    def Unary(self, request, context):
        return self.work(Stubs(self.channel), request, context)


class AioFront(AioEcho):
    def __init__(self, work, open_channel):
        super().__init__()
        self.work, self.open_channel = work, open_channel

    async def Unary(self, request, context):
        async with self.open_channel() as channel:
            return await self.work(Stubs(channel), request, context)


class Stubs:
    """The four kinds of call to the back."""

    def __init__(self, channel):
        codecs = {"request_serializer": Note.SerializeToString, "response_deserializer": Note.FromString}
        self.unary = channel.unary_unary(f"/{SERVICE}/Unary", **codecs)
        self.client_stream = channel.stream_unary(f"/{SERVICE}/ClientStream", **codecs)
        self.server_stream = channel.unary_stream(f"/{SERVICE}/ServerStream", **codecs)
        self.bidi = channel.stream_stream(f"/{SERVICE}/Bidi", **codecs)


@contextlib.contextmanager
def front(flavour, work, settings, *, policies=None, back_interceptors=(), **client):
    """`work(stubs, request, context)` is the front's handler; a coroutine function where `flavour` is aio."""
    back = Back()
    with serving(handlers(back), back_interceptors, aio=False) as back_port:
        target = f"127.0.0.1:{back_port}"
        if flavour == "sync":
            plain = grpc.insecure_channel(target)
            channel = grpc.intercept_channel(plain, grpc_mirror.client_interceptor(policies, **client))
            echo, interceptor, close = Front(work, channel), grpc_mirror.server_interceptor(settings), plain.close
        else:
            ours = grpc_mirror.aio_client_interceptors(policies, **client)
            echo = AioFront(work, lambda: grpc.aio.insecure_channel(target, interceptors=ours))
            interceptor, close = grpc_mirror.aio_server_interceptor(settings), lambda: None
        with serving(handlers(echo), [interceptor], aio=flavour != "sync") as port:
            one = Client(port)
            yield one, back
            one.close()
        close()


def outbound_spans(receiver, count=1):
    """The captures of outbound calls, in the order in which they began."""

    def found():
        return [one for one in receiver.calls if "mirror.outbound" in one.attributes]

    receiver.wait_for(lambda: len(found()) >= count)
    return sorted(found(), key=lambda one: one.span.start_time_unix_nano)
