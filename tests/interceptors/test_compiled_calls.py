"""Compiled unary calls leave plain ones written already, and all else to Python."""

# ruff: noqa: N802 - gRPC names handlers after their methods

import contextlib
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import grpc
import grpc_mirror
import pytest
from grpc_mirror import native
from grpc_mirror.compiled_calls import AIO_UNARY, SYNC_UNARY
from grpc_mirror.counters import Counters
from grpc_mirror.holding import HoldBudget
from grpc_mirror.observer import Observer
from grpc_mirror.records import CallRecord, Plain
from grpc_mirror.settings import Settings
from grpc_mirror.sinks import sender
from grpc_mirror.sinks.queue import QUEUE

from tests.interceptors.echo import Note
from tests.interceptors.servers import AioEcho, Client, SyncEcho, handlers, notes, serving

pytestmark = pytest.mark.usefixtures("compiled")
SPAN = getattr(native.part("encoding"), "Span", None)


@pytest.fixture
def queued(monkeypatch):
    """The classes of what is queued, in their order."""
    found = []

    class Noting(QUEUE):
        def put(self, record):
            found.append(type(record))
            return super().put(record)

    monkeypatch.setattr(sender, "QUEUE", Noting)
    return found


class Plainly(SyncEcho):
    """The echo sends metadata, so its calls are not plain."""

    def Unary(self, request, _context):
        return Note(text=request.text)


class AioPlainly(AioEcho):
    async def Unary(self, request, _context):
        return Note(text=request.text)


@contextlib.contextmanager
def client_of(flavour, settings):
    aio = flavour == "aio"
    make = grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor
    with serving(handlers(AioPlainly() if aio else Plainly()), [make(settings)], aio=aio) as port:
        client = Client(port)
        yield client
        client.close()


def served(flavour, settings, receiver, before=lambda _name: None):
    """Four calls, each of which has arrived before the next."""
    with client_of(flavour, settings) as client:
        for name in ("first", "second", "third", "fourth"):
            before(name)
            client.call("Unary", notes("x"), name)
            receiver.call(name)
    return [receiver.call(name) for name in ("first", "second", "third", "fourth")]


@pytest.mark.parametrize("flavour", ["sync", "aio"])
def test_once_a_method_is_known_its_calls_are_written_where_they_end(receiver, settings, queued, flavour):
    found = served(flavour, settings, receiver)
    assert queued == [Plain, SPAN, SPAN, SPAN]
    captures = [one.capture for one in found]
    assert all(capture.start_unix_ns and capture.duration_ns for capture in captures)
    for capture in captures:
        capture.ClearField("start_unix_ns")
        capture.ClearField("duration_ns")
        for message in capture.messages:
            message.ClearField("offset_ns")
    assert all(capture == captures[0] for capture in captures)
    assert len({one.span.span_id for one in found}) == 4


@pytest.mark.parametrize("flavour", ["sync", "aio"])
def test_a_module_loaded_since_may_hold_private_types_so_the_sender_looks_first(
    receiver, settings, queued, flavour, monkeypatch
):
    def load(name):
        if name == "third":
            monkeypatch.setitem(sys.modules, "loaded_meanwhile", ModuleType("loaded_meanwhile"))

    served(flavour, settings, receiver, load)
    assert queued == [Plain, SPAN, Plain, SPAN]


@pytest.mark.parametrize("change", [{"redact": "on"}, {"metadata": ("tenant",)}, {"private": ("request.text",)}])
def test_what_may_have_something_private_to_tell_is_never_written_there(receiver, settings, queued, change):
    served("sync", replace(settings, **change), receiver)
    assert set(queued) <= {Plain, CallRecord}


def call_of(kind, sink, **codecs):
    settings = Settings(endpoint="collector:4317", service_name="shop")
    handler = grpc.unary_unary_rpc_method_handler(lambda request, _context: request, **codecs)
    observer = Observer(settings, Counters(), HoldBudget(1 << 20), sink)
    return kind(observer, handler, "a.B/C", (("x-mirror-id", "1"), ("authorization", "secret")))


@pytest.mark.parametrize("kind", [SYNC_UNARY, AIO_UNARY])
def test_a_call_that_never_began_is_counted(kind):
    call = call_of(kind, SimpleNamespace(put=None))
    counters = call.observer.counters
    del call
    assert counters.read().conditions == {"not_started": 1}


def test_a_sink_without_an_encoder_gets_the_call_as_it_is():
    records = []
    call = call_of(SYNC_UNARY, SimpleNamespace(put=records.append))
    state = SimpleNamespace(code=None, details=None, trailing_metadata=None, statused=True)
    callbacks = []
    context = SimpleNamespace(_state=state, time_remaining=lambda: 2.0, add_callback=lambda f: not callbacks.append(f))
    call.response_serializer(call.unary_unary(call.request_deserializer(b"hi"), context))
    callbacks[0]()
    callbacks[0]()
    (record,) = records
    assert (record.request, record.response, record.metadata) == (b"hi", b"hi", (("x-mirror-id", "1"),))
    assert record.response_ns >= record.request_ns > 0
    assert 2 * 10**9 <= record.deadline_ns < 3 * 10**9
    assert call.request is call.response is None


def test_a_message_that_cannot_be_read_raises_what_the_service_raised():
    def refuse(_raw):
        raise ValueError("no")

    records = []
    call = call_of(SYNC_UNARY, SimpleNamespace(put=records.append), request_deserializer=refuse)
    with pytest.raises(ValueError, match="no"):
        call.request_deserializer(b"hi")
    (record,) = records
    assert record.outcome.code == grpc.StatusCode.INTERNAL.value[0]


def test_a_response_that_cannot_be_sent_raises_what_the_service_raised():
    call = call_of(SYNC_UNARY, SimpleNamespace(put=None), response_serializer=Note.SerializeToString)
    with pytest.raises(TypeError):
        call.response_serializer("no note")
    assert isinstance(call.unsendable, TypeError)
    call.finished = True
