"""The signed mark of a shadow: genuine and current, or not heeded; only where a service opts in, and for that call alone."""

import time

import grpc_mirror
import pytest
from grpc_mirror.settings import SettingsError
from grpc_mirror.shadow_header import LIFETIME_S, SKEW_MAX_S, sign, verify
from hypothesis import given
from hypothesis import strategies as st

from tests.interceptors.calling import FLAVOURS, front, role
from tests.interceptors.echo import SERVICE, Note
from tests.interceptors.servers import ECHOES, AioEcho, Client, SyncEcho, WriterEcho, handlers, notes, serving

KEY = "0123456789abcdef0123"
keys = st.text(min_size=1, max_size=40)
times = st.floats(0, 4e9)


@given(
    keys,
    st.text(st.characters(codec="utf-8"), max_size=256),
    times,
    st.floats(-SKEW_MAX_S, LIFETIME_S + SKEW_MAX_S - 1),
)
def test_what_was_signed_is_believed_while_it_lives(key, mirror_id, now_s, later_s):
    text = sign(key, mirror_id, now_s)
    assert text.isascii()
    assert text.isprintable()
    assert verify(key, text, now_s + later_s) == mirror_id


@given(keys, keys, times)
def test_another_key_is_not_believed(key, other, now_s):
    assert (verify(other, sign(key, "id", now_s), now_s) is None) == (key != other)


@given(times, st.floats(1, 1e6))
def test_it_is_neither_believed_after_its_time_nor_before(now_s, far_s):
    text = sign(KEY, "id", now_s)
    assert verify(KEY, text, now_s + LIFETIME_S + SKEW_MAX_S + far_s) is None
    assert verify(KEY, text, now_s - SKEW_MAX_S - far_s) is None


@given(st.data())
def test_a_changed_text_is_not_believed(data):
    text = sign(KEY, "id", 1000.0)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.characters()) + text[place + 1 :]
    assert (verify(KEY, changed, 1000.0) is None) == (changed != text)


@given(st.text(max_size=300))
def test_any_text_is_refused_without_an_error(text):
    assert verify(KEY, text, 0.0) is None


def test_without_a_key_nobody_can_be_trusted():
    with pytest.raises(SettingsError, match="MIRROR_SHADOW_KEY"):
        grpc_mirror.Settings(trust_shadow=True)
    with pytest.raises(SettingsError, match="shorter than 16"):
        grpc_mirror.Settings(shadow_key="short")
    assert KEY not in repr(grpc_mirror.Settings(shadow_key=KEY))


def told():
    call = grpc_mirror.current_call()
    return f"{grpc_mirror.is_shadow_call()} {grpc_mirror.is_shadow()} {call.id if call and call.shadow else '-'}"


class SyncTold(SyncEcho):
    def Unary(self, request, context):  # noqa: N802 - gRPC's name
        return Note(text=told())

    def ServerStream(self, request, context):  # noqa: N802 - gRPC's name
        yield Note(text=told())


class AioTold(AioEcho):
    async def Unary(self, request, context):  # noqa: N802 - gRPC's name
        return Note(text=told())

    async def ServerStream(self, request, context):  # noqa: N802 - gRPC's name
        yield Note(text=told())


class WriterTold(WriterEcho):
    async def Unary(self, request, context):  # noqa: N802 - gRPC's name
        return Note(text=told())

    async def ServerStream(self, request, context):  # noqa: N802 - gRPC's name
        await context.write(Note(text=told()))


TOLD = {"sync": SyncTold, "threads": SyncTold, "aio": AioTold, "aio_writer": WriterTold}


@pytest.mark.parametrize("captured", [False, True])
@pytest.mark.parametrize("flavour", list(ECHOES))
def test_a_marked_call_is_a_shadows_and_no_other_is(flavour, captured, settings):
    """Captured or not; for that call alone; a forged mark is ignored; the process stays what it is."""
    aio = flavour != "sync"
    make = grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor
    arguments = {"endpoint": settings.endpoint if captured else "", "flush_on_sigterm": False}
    interceptor = make(trust_shadow=True, shadow_key=KEY, **arguments)
    genuine, forged = sign(KEY, "up", time.time()), sign("another key of 16", "up", time.time())
    with serving(handlers(TOLD[flavour]()), [interceptor], aio=aio) as port:
        client = Client(port)
        got = [
            Note.FromString(client.call(kind, notes("x"), "own" * captured, metadata=metadata).responses[0]).text
            for kind in ("Unary", "ServerStream")
            for metadata in ((("x-mirror-shadow", genuine),), (("x-mirror-shadow", forged),), ())
        ]
        client.close()
    assert got == [f"True False {'own' if captured else 'up'}", "False False -", "False False -"] * 2


def test_without_opting_in_the_mark_means_nothing(settings):
    with serving(handlers(SyncTold()), [grpc_mirror.server_interceptor(settings)], aio=False) as port:
        client = Client(port)
        mark = (("x-mirror-shadow", sign(KEY, "up", time.time())),)
        seen = client.call("Unary", notes("x"), "own", metadata=mark)
        client.close()
    assert Note.FromString(seen.responses[0]).text == "False False -"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_shadow_marks_its_calls_and_the_trusting_service_blocks_its_own(flavour, settings):
    """From end to end: the candidate's allowed call reaches a service of a primary deployment, which knows."""
    heard = []
    trusting = grpc_mirror.server_interceptor(trust_shadow=True, shadow_key=KEY, flush_on_sigterm=False)

    class Heeding(grpc_mirror.server.ServerInterceptor):
        def intercept_service(self, continuation, details):
            return trusting.intercept_service(continuation, details)

    def sync(stubs, request, _context):
        return stubs.unary(request)

    async def aio(stubs, request, _context):
        return await stubs.unary(request)

    with (
        role("candidate"),
        front(
            flavour,
            sync if flavour == "sync" else aio,
            settings,
            policies={f"{SERVICE}/*": "allow"},
            back_interceptors=[Heeding(None)],
            shadow_key=KEY,
        ) as (client, back),
    ):
        back.end = lambda _text, _context: heard.append(grpc_mirror.current_call())
        assert client.call("Unary", notes("x"), "chain").responses
    (call,) = heard
    assert (call.id, call.shadow, call.method) == ("chain", True, f"{SERVICE}/Unary")
