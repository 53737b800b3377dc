"""Calls of aio servers end when their task is done: they leave nothing to the garbage collector, and tasks of others do not mislead us."""

import asyncio
import gc

import grpc
import grpc_mirror
import pytest
from grpc_mirror.v1 import capture_pb2

from tests.interceptors.servers import AioEcho, Client, handlers, notes, serving

pytestmark = pytest.mark.usefixtures("calls")


class InATaskOfItsOwn(grpc.aio.ServerInterceptor):
    """Runs handlers so, as those do that bound their time."""

    async def intercept_service(self, continuation, handler_call_details):
        handler = await asyncio.wait_for(continuation(handler_call_details), 10)
        if handler.request_streaming or handler.response_streaming:
            return handler

        async def apart(request, context):
            return await asyncio.create_task(handler.unary_unary(request, context))

        return grpc.unary_unary_rpc_method_handler(apart, handler.request_deserializer, handler.response_serializer)


@pytest.mark.parametrize("ending", ["return", "abort", "raise"])
@pytest.mark.parametrize("theirs_first", [True, False])
def test_handlers_that_others_run_in_a_task_of_their_own_are_captured_as_ever(receiver, settings, ending, theirs_first):
    ours = grpc_mirror.aio_server_interceptor(settings)
    found = []
    for name, interceptors in (
        ("alone", [ours]),
        ("both", [InATaskOfItsOwn(), ours] if theirs_first else [ours, InATaskOfItsOwn()]),
    ):
        with serving(handlers(AioEcho()), interceptors, aio=True) as port:
            client = Client(port)
            client.call("Unary", notes(ending), name)
            client.close()
        found.append(receiver.call(name).capture)
    alone, both = found
    assert both.ending == alone.ending
    assert both.status_code == alone.status_code
    assert [one.body for one in both.messages] == [one.body for one in alone.messages]
    assert (both.ending == capture_pb2.ENDING_RAISED) == (ending == "raise")


def alive(kind):
    return sum(type(one).__name__ == kind for one in gc.get_objects())


@pytest.mark.parametrize("kind", ["Unary", "ServerStream", "Bidi"])
def test_a_call_leaves_nothing_to_the_garbage_collector(receiver, settings, kind):
    """Its context, and all that hangs on that, would else live until it runs, and it would run the longer."""
    with serving(handlers(AioEcho()), [grpc_mirror.aio_server_interceptor(settings)], aio=True) as port:
        client = Client(port)
        client.call(kind, notes("return"), "warm")
        receiver.call("warm")
        gc.collect()
        gc.disable()
        try:
            before = alive("_ServicerContext")
            for number in range(20):
                client.call(kind, notes("return"), str(number))
            receiver.call("19")
            assert alive("_ServicerContext") - before <= 2  # of the last, which may be under way
        finally:
            gc.enable()
        client.close()
