"""Outbound calls: what a shadow's may do, and what is captured of everybody's. Real servers, sync and aio channels."""

import asyncio
import dataclasses

import grpc
import grpc_mirror
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_mirror.answers import WatchedStream
from grpc_mirror.v1 import capture_pb2

from tests.interceptors.calling import FLAVOURS, METHOD, front, outbound_spans, role
from tests.interceptors.echo import SERVICE, Note
from tests.interceptors.servers import notes

HELLO = Note(text="hello")


def texts(capture):
    return [Note.FromString(message.body).text for message in capture.messages]


def calls_each_kind(flavour):
    """A handler that makes one call of each kind and tells what it got."""

    def sync(stubs, _request, _context):
        got = [stubs.unary(HELLO), stubs.client_stream(iter([HELLO, HELLO]))]
        return Note(text=" ".join(n.text for n in (*got, *stubs.server_stream(HELLO), *stubs.bidi(iter([HELLO])))))

    async def aio(stubs, _request, _context):
        got = [await stubs.unary(HELLO), await stubs.client_stream(iter([HELLO, HELLO]))]
        got += [note async for note in stubs.server_stream(HELLO)]
        bidi = stubs.bidi()
        await bidi.write(HELLO)
        await bidi.done_writing()
        while (note := await bidi.read()) is not grpc.aio.EOF:
            got.append(note)
        return Note(text=" ".join(note.text for note in got))

    return sync if flavour == "sync" else aio


def tells_errors(flavour):
    """A handler that makes one call of each kind and tells each one's status."""

    def status(error):
        return f"{error.code().name}: {error.details()}"

    def sync(stubs, _request, _context):
        told = []
        for call in (
            lambda: stubs.unary(HELLO),
            lambda: stubs.client_stream(iter([HELLO])),
            lambda: list(stubs.server_stream(HELLO)),
            lambda: list(stubs.bidi(iter([HELLO]))),
            lambda: stubs.unary.future(HELLO).result(),
            lambda: stubs.unary.with_call(HELLO),
        ):
            try:
                call()
            except grpc.RpcError as error:  # noqa: PERF203 - one status of each
                told.append(status(error))
        return Note(text="|".join(told))

    async def aio(stubs, _request, _context):
        told = []

        async def reads(call):
            return [note async for note in call]

        for call in (
            lambda: stubs.unary(HELLO),
            lambda: stubs.client_stream(iter([HELLO])),
            lambda: reads(stubs.server_stream(HELLO)),
            lambda: reads(stubs.bidi(iter([HELLO]))),
            lambda: stubs.bidi().read(),
            stubs.client_stream,
        ):
            try:
                await call()
            except grpc.RpcError as error:  # noqa: PERF203 - one status of each
                told.append(status(error))
        return Note(text="|".join(told))

    return sync if flavour == "sync" else aio


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_primary_makes_its_calls_and_each_is_captured(flavour, receiver, settings):
    """All four kinds; what the front's client gets is the same with and without a mirrored call."""
    with front(flavour, calls_each_kind(flavour), settings) as (client, back):
        plain = client.call("Unary", notes("x"))
        mirrored = client.call("Unary", notes("x"), "four kinds")
        assert plain == mirrored
        assert Note.FromString(plain.responses[0]).text == "hello! hello2 one two hello! hello? hello!"
        assert len(back.seen) == 8
        unary, upload, download, bidi = (one.capture for one in outbound_spans(receiver, 4))
    assert texts(unary) == ["hello", "hello!"]
    assert texts(upload) == ["hello", "hello", "hello2"]
    assert texts(download) == ["hello", "one", "two", "hello!"]
    assert sorted(texts(bidi)) == ["hello", "hello!", "hello?"]
    for capture in (unary, upload, download, bidi):
        assert (capture.status_code, capture.ending) == (0, capture_pb2.ENDING_RETURNED)
        assert capture.outbound.policy == capture_pb2.OUTBOUND_POLICY_SENT
        assert capture.outbound.served_method == METHOD
        assert capture.request_type == capture.response_type == "mirrortest.Note"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_what_identifies_an_outbound_call(flavour, receiver, settings):
    """Equal requests differ by their ordinal, others by their hash; the span stands below the served one, in its trace."""
    wanted = ("same", "same", "other")

    def sync(stubs, _request, _context):
        return [stubs.unary(Note(text=text)) for text in wanted][-1]

    async def aio(stubs, _request, _context):
        return [await stubs.unary(Note(text=text)) for text in wanted][-1]

    settings = dataclasses.replace(settings, metadata=("who",))
    with front(flavour, sync if flavour == "sync" else aio, settings) as (client, _back):
        client.call("Unary", notes("x"), "identity", metadata=(("who", "me"),))
        spans = outbound_spans(receiver, 3)
        receiver.wait_for(lambda: len(receiver.calls) == 4)
    (served,) = [one for one in receiver.calls if "mirror.outbound" not in one.attributes]
    hashes = [one.attributes["mirror.outbound.request_hash"] for one in spans]
    assert hashes[0] == hashes[1] != hashes[2]
    assert [one.attributes.get("mirror.outbound.ordinal", 0) for one in spans] == [0, 1, 0]
    assert [one.capture.outbound.index for one in spans] == [0, 1, 2]
    assert served.capture.request_metadata
    for one in spans:
        assert not one.capture.request_metadata, "that of the served call is not the outbound one's"
        assert one.attributes["mirror.id"] == "identity"
        assert one.attributes["mirror.outbound"] == one.attributes["rpc.method"] == METHOD
        assert one.attributes["mirror.outbound.policy"] == "sent"
        assert one.span.parent_span_id == served.span.span_id
        assert (one.span.trace_id, one.span.kind) == (served.span.trace_id, 3)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_outbound_capture_does_not_wait_for_the_served_call(flavour, receiver, settings):
    """It is at the collector while the handler still runs."""

    def await_it():
        assert outbound_spans(receiver)
        return Note(text="came")

    def sync(stubs, request, _context):
        stubs.unary(request)
        return await_it()

    async def aio(stubs, request, _context):
        await stubs.unary(request)
        return await asyncio.to_thread(await_it)

    with front(flavour, sync if flavour == "sync" else aio, settings) as (client, _back):
        seen = client.call("Unary", notes("x"), "at once")
    assert Note.FromString(seen.responses[0]).text == "came"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_failed_call_is_captured_with_its_status_and_reaches_the_handler_as_it_is(flavour, receiver, settings):
    """Status, text and rich details; of other trailing metadata nothing is kept."""

    def told(error):
        return Note(text=f"{error.code().name} {error.details()}")

    def sync(stubs, _request, _context):
        try:
            return stubs.unary(Note(text="abort_with_status"))
        except grpc.RpcError as error:
            return told(error)

    async def aio(stubs, _request, _context):
        try:
            return await stubs.unary(Note(text="abort_with_status"))
        except grpc.RpcError as error:
            return told(error)

    with front(flavour, sync if flavour == "sync" else aio, settings) as (client, _back):
        seen = client.call("Unary", notes("x"), "failed")
        capture = outbound_spans(receiver)[0].capture
    assert Note.FromString(seen.responses[0]).text == "NOT_FOUND none"
    assert (capture.status_code, capture.status_message) == (5, "none")
    assert capture.status_details
    assert not capture.trailing_metadata


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_stream_that_its_caller_leaves_is_captured_as_cancelled(flavour, receiver, settings):
    """With what was read of it until then."""

    def sync(stubs, request, _context):
        call = stubs.server_stream(request)
        first = next(call)
        call.cancel()
        return first

    async def aio(stubs, request, _context):
        call = stubs.server_stream(request)
        first = await call.read()
        call.cancel()
        return first

    with front(flavour, sync if flavour == "sync" else aio, settings) as (client, back):
        client.call("Unary", notes("hang"), "left")
        capture = outbound_spans(receiver)[0].capture
        back.released.set()
    assert texts(capture)[:2] == ["hang", "one"]
    assert (capture.status_code, capture.ending) == (1, capture_pb2.ENDING_CLIENT_CANCELLED)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_shadow_calls_nobody_without_a_policy(flavour, receiver, settings):
    """Every kind ends with one clear status; the captures say what would have been sent, the served one how many were refused."""
    with role("candidate"), front(flavour, tells_errors(flavour), settings) as (client, back):
        seen = client.call("Unary", notes("x"), "blocked")
        spans = outbound_spans(receiver, 6)
        receiver.wait_for(lambda: len(receiver.calls) == 7)
    told = Note.FromString(seen.responses[0]).text.split("|")
    assert len(told) == 6
    for text, kind in zip(told, ("Unary", "ClientStream", "ServerStream", "Bidi"), strict=False):
        assert text.startswith(f"FAILED_PRECONDITION: grpc-mirror: the call of {SERVICE}/{kind} is blocked")
        assert "MIRROR_ROLE=candidate" in text
        assert "MIRROR_OUTBOUND_ALLOW" in text
    assert back.seen == []
    assert {one.attributes["mirror.outbound.policy"] for one in spans} == {"blocked"}
    assert texts(spans[0].capture) == ["hello"]
    assert spans[0].capture.status_code == 9
    (served,) = [one for one in receiver.calls if "mirror.outbound" not in one.attributes]
    assert served.capture.blocked_calls == 6


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_shadow_may_be_given_answers(flavour, receiver, settings):
    """stub: messages, functions and iterables in place of whom the call would have reached; captured as stubbed."""
    policies = {
        f"{SERVICE}/Unary": grpc_mirror.stub(Note(text="stub")),
        f"{SERVICE}/ClientStream": grpc_mirror.stub(Note(text="upload")),
        f"{SERVICE}/ServerStream": grpc_mirror.stub(lambda request: [Note(text=request.text + str(i)) for i in (1, 2)]),
        f"{SERVICE}/Bidi": grpc_mirror.stub([Note(text="a"), Note(text="b")]),
    }
    work = calls_each_kind(flavour)
    with role("secondary"), front(flavour, work, settings, policies=policies) as (client, back):
        seen = client.call("Unary", notes("x"), "stubbed")
        spans = outbound_spans(receiver, 4)
        receiver.wait_for(lambda: len(receiver.calls) == 5)
    assert Note.FromString(seen.responses[0]).text == "stub upload hello1 hello2 a b"
    assert back.seen == []
    assert {one.attributes["mirror.outbound.policy"] for one in spans} == {"stubbed"}
    assert texts(spans[0].capture) == ["hello", "stub"]
    assert texts(spans[2].capture) == ["hello", "hello1", "hello2"]
    (served,) = [one for one in receiver.calls if "mirror.outbound" not in one.attributes]
    assert served.capture.blocked_calls == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_stub_gives_each_call_a_message_of_its_own(flavour, settings):
    """A handler that changes what it got changes no other call's answer."""

    def sync(stubs, request, _context):
        got = stubs.unary(request)
        got.number += 1
        return got

    async def aio(stubs, request, _context):
        got = await stubs.unary(request)
        got.number += 1
        return got

    policies = {"*": grpc_mirror.stub(Note(text="fresh"))}
    work = sync if flavour == "sync" else aio
    with role("candidate"), front(flavour, work, settings, policies=policies) as (client, _back):
        numbers = [Note.FromString(client.call("Unary", notes("x"), f"m{i}").responses[0]).number for i in range(2)]
    assert numbers == [1, 1]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("kind", ["unary", "server_stream"])
@pytest.mark.parametrize(
    "answer",
    [Timestamp(), lambda _request: Timestamp(), lambda _request: None],
    ids=["of a pattern", "of a function", "of a function without a result"],
)
def test_a_stub_of_another_type_reaches_nobody(flavour, kind, answer, receiver, settings):
    """What can't be known at the start fails at the first call, in the shadow, with a text that says which stub it is."""
    told = []

    def sync(stubs, request, _context):
        with pytest.raises(TypeError) as error:
            next(stubs.server_stream(request)) if kind == "server_stream" else stubs.unary(request)
        told.append(str(error.value))
        return request

    async def aio(stubs, request, _context):
        with pytest.raises(TypeError) as error:
            await (anext(aiter(stubs.server_stream(request))) if kind == "server_stream" else stubs.unary(request))
        told.append(str(error.value))
        return request

    if kind == "server_stream" and callable(answer):
        gave, answer = answer, lambda request: [gave(request)]
    work = sync if flavour == "sync" else aio
    policies = {"mirrortest.*": grpc_mirror.stub(answer)}
    with role("candidate"), front(flavour, work, settings, policies=policies) as (client, _back):
        assert client.call("Unary", notes("x"), "misfit").responses
        capture = outbound_spans(receiver)[0].capture
    assert capture.exception_type == "TypeError"
    assert "answers with mirrortest.Note, not with" in told[0]
    assert f"{SERVICE}/{'Unary' if kind == 'unary' else 'ServerStream'}" in told[0]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_stub_of_another_type_does_not_harm_a_primary(flavour, settings):
    def sync(stubs, request, _context):
        return stubs.unary(request)

    async def aio(stubs, request, _context):
        return await stubs.unary(request)

    work = sync if flavour == "sync" else aio
    with front(flavour, work, settings, policies={"*": grpc_mirror.stub(Timestamp())}) as (client, _back):
        assert Note.FromString(client.call("Unary", notes("x"), "primary").responses[0]).text == "x!"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_stub_that_raises_reaches_the_caller(flavour, receiver, settings):
    """The service's own errors of its stand-in are not swallowed, and captured by their type."""

    def answer(_request):
        raise LookupError("no such card")

    def sync(stubs, request, _context):
        with pytest.raises(LookupError):
            stubs.unary(request)
        return request

    async def aio(stubs, request, _context):
        with pytest.raises(LookupError):
            await stubs.unary(request)
        return request

    work = sync if flavour == "sync" else aio
    policies = {"*": grpc_mirror.stub(answer)}
    with role("candidate"), front(flavour, work, settings, policies=policies) as (client, _back):
        assert client.call("Unary", notes("x"), "raises").responses
        capture = outbound_spans(receiver)[0].capture
    assert (capture.status_code, capture.exception_type) == (2, "LookupError")
    assert capture.status_message == ""


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_shadow_makes_the_calls_that_are_allowed_and_signs_them(flavour, settings):
    """By a policy or by MIRROR_OUTBOUND_ALLOW; with a key they carry the shadow's mark."""
    key = "k" * 32
    arguments = {"outbound_allow": (f"{SERVICE}/*",), "shadow_key": key}
    work = calls_each_kind(flavour)
    with role("candidate"), front(flavour, work, settings, **arguments) as (client, back):
        seen = client.call("Unary", notes("x"), "allowed")
    assert Note.FromString(seen.responses[0]).text == "hello! hello2 one two hello! hello? hello!"
    assert len(back.seen) == 4
    assert all("x-mirror-shadow" in metadata for _text, metadata in back.seen)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_outside_a_mirrored_call_a_shadow_is_guarded_all_the_same(flavour, settings):
    """A call without x-mirror-id is served by a shadow too, say a health probe or a timer."""
    work = tells_errors(flavour)
    with role("candidate"), front(flavour, work, settings) as (client, back):
        seen = client.call("Unary", notes("x"))
    assert Note.FromString(seen.responses[0]).text.count("FAILED_PRECONDITION") == 6
    assert back.seen == []


def test_a_stream_that_another_interceptor_gives_as_a_generator_is_passed_on():
    """It has no status: read to its end it went well, left before it was cancelled."""
    seen = []

    class Watch:
        def response(self, message):
            seen.append(message)

        def finish(self, code, *_rest):
            seen.append(code)

    stream = WatchedStream((number for number in (10, 11)), Watch())
    assert list(stream) == [10, 11]
    assert seen == [10, 11, 0]
    del stream  # the real watch heeds only the first end
    seen.clear()
    stream = WatchedStream((number for number in (10, 11)), Watch())
    assert next(stream) == 10
    del stream
    assert seen == [10, 1]
