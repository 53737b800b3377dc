"""Handlers that end in ways that nobody recommends and services have: the client sees what it saw without us, and so does the capture."""

from dataclasses import replace
from functools import partial

import grpc
import grpc_mirror
import pytest

from tests.interceptors.echo import SERVICE, Note
from tests.interceptors.servers import Client, notes, serving

pytestmark = pytest.mark.usefixtures("calls")

NOT_FOUND = grpc.StatusCode.NOT_FOUND
METHODS = [name for name in dir(grpc.ServicerContext) if not name.startswith("_")]
CAPITALS, ACCENTS = (("X-Total", "1"),), (("why", "f\u00fcr"),)


def abort_again(context):
    """A handler whose catch-all answers every exception with an abort of its own."""
    try:
        context.abort(NOT_FOUND, "gone")
    except Exception:
        context.abort(grpc.StatusCode.INTERNAL, "failed")
        raise


def abort_wrapped(context):
    try:
        context.abort(NOT_FOUND, "gone")
    except Exception as error:
        raise RuntimeError("wrapped") from error


def abort_swallowed(context):
    try:
        context.abort(NOT_FOUND, "gone")
    except Exception:  # noqa: BLE001 - as such services do
        return Note(text="all is well")


def bare_rpc_error(_context):
    raise grpc.RpcError("of the handler's own")


def nothing(_context):
    return None


def capitals(context):
    context.set_trailing_metadata(CAPITALS)
    return Note(text="total")


def capitals_at_the_start(context):
    context.send_initial_metadata(CAPITALS)
    return Note(text="total")


def accents(context):
    context.set_trailing_metadata(ACCENTS)
    return Note(text="why")


def capitals_of_an_error(context):
    context.set_trailing_metadata(CAPITALS)
    context.abort(NOT_FOUND, "gone")


async def again(context):
    try:
        await context.abort(NOT_FOUND, "gone")
    except BaseException:
        await context.abort(grpc.StatusCode.INTERNAL, "failed")
        raise


async def wrapped(context):
    try:
        await context.abort(NOT_FOUND, "gone")
    except BaseException as error:
        raise RuntimeError("wrapped") from error


async def swallowed(context):
    try:
        await context.abort(NOT_FOUND, "gone")
    except BaseException:  # noqa: BLE001 - as such services do
        return Note(text="all is well")


async def failed_later(context):
    await swallowed(context)
    raise ValueError("later")


async def aio_capitals(context):
    return capitals(context)


async def aio_capitals_of_an_error(context):
    context.set_trailing_metadata(CAPITALS)
    await context.abort(NOT_FOUND, "gone")


PLAIN = (
    abort_again,
    abort_wrapped,
    abort_swallowed,
    bare_rpc_error,
    nothing,
    capitals,
    accents,
    capitals_of_an_error,
)
AIO = (again, wrapped, swallowed, failed_later, aio_capitals, aio_capitals_of_an_error)
# Of plain functions on aio servers only unary ones: grpc itself leaves aborted streams without an end now and then.
CASES = [
    *(("sync", kind, work) for kind in ("Unary", "ServerStream") for work in PLAIN),
    *(("aio", kind, work) for kind in ("Unary", "ServerStream") for work in AIO),
    *(("threads", "Unary", work) for work in PLAIN),
]


def handler_of(flavour, kind, work):
    """The echo service with one method, which does `work`; of a stream the second response."""

    async def awaiting(_request, context):
        return await work(context)

    async def generating(_request, context):
        yield Note(text="first")
        yield await work(context)

    def plain(_request, context):
        return work(context)

    def iterating(_request, context):
        yield Note(text="first")
        yield work(context)

    unary, stream = (awaiting, generating) if flavour == "aio" else (plain, iterating)
    codecs = {"request_deserializer": Note.FromString, "response_serializer": Note.SerializeToString}
    made = (
        grpc.unary_unary_rpc_method_handler(unary, **codecs)
        if kind == "Unary"
        else grpc.unary_stream_rpc_method_handler(stream, **codecs)
    )
    return grpc.method_handlers_generic_handler(SERVICE, {kind: made})


def seen_by_a_client(flavour, kind, work, interceptors, until=lambda: None):
    """`until`: waits for what is to come before the server ends; grpc answers some calls before their handlers are done."""
    with serving(handler_of(flavour, kind, work), interceptors, aio=flavour != "sync") as port:
        client = Client(port)
        seen = client.call(kind, notes("x"), "odd", timeout=20)
        until()
        client.close()
    return seen


@pytest.mark.parametrize(
    ("flavour", "kind", "work"), CASES, ids=[f"{flavour}-{kind}-{work.__name__}" for flavour, kind, work in CASES]
)
def test_the_client_and_the_capture_see_what_the_client_saw_without_us(receiver, settings, flavour, kind, work):
    make = grpc_mirror.server_interceptor if flavour == "sync" else grpc_mirror.aio_server_interceptor
    expected = seen_by_a_client(flavour, kind, work, [])
    captured = partial(receiver.call, "odd")
    assert seen_by_a_client(flavour, kind, work, [make(settings)], captured) == expected
    capture = captured().capture
    assert (capture.status_code, capture.status_message) == (expected.code.value[0], expected.message)
    assert [message.body for message in capture.messages if message.direction == 2] == expected.responses


def test_initial_metadata_that_grpc_refuses_is_told_where_it_is_captured(receiver, settings):
    """By an allowlist of metadata; else nobody watches a context send it."""
    watching = grpc_mirror.server_interceptor(replace(settings, metadata=("x-total",)))
    expected = seen_by_a_client("sync", "Unary", capitals_at_the_start, [])
    assert seen_by_a_client("sync", "Unary", capitals_at_the_start, [watching]) == expected
    assert expected.code is grpc.StatusCode.INTERNAL
    assert receiver.call("odd").capture.status_code == expected.code.value[0]


def test_a_plain_handler_on_an_aio_server_is_given_a_context_with_what_grpcs_own_has(receiver, settings):
    """Helpers that serve both flavours ask a context what it can do."""

    def asks(context):
        return Note(text=" ".join(name for name in METHODS if hasattr(context, name)))

    expected = seen_by_a_client("threads", "Unary", asks, [])
    assert seen_by_a_client("threads", "Unary", asks, [grpc_mirror.aio_server_interceptor(settings)]) == expected
    receiver.call("odd")


@pytest.mark.parametrize("given", [[Note(text="a")], None, 3], ids=["list", "none", "number"])
def test_what_is_given_for_a_stream_and_is_no_iterator_fails_in_the_same_words(receiver, settings, given):
    """On sync servers, which ask it for the next response; the status that the client is told names what is wrong."""
    codecs = {"request_deserializer": Note.FromString, "response_serializer": Note.SerializeToString}
    made = grpc.unary_stream_rpc_method_handler(lambda _request, _context: given, **codecs)
    handler, seen = grpc.method_handlers_generic_handler(SERVICE, {"ServerStream": made}), []
    for interceptors in ([], [grpc_mirror.server_interceptor(settings)]):
        with serving(handler, interceptors, aio=False) as port:
            client = Client(port)
            seen.append(client.call("ServerStream", notes("x"), "none", timeout=20))
            client.close()
    assert seen[0] == seen[1]
    assert "is not an iterator" in seen[0].message
    assert receiver.call("none").capture.status_message == seen[0].message
