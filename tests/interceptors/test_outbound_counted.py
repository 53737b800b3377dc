"""A served call says how many calls it made, and each of these which served call it is of: whoever joins them need not guess."""

import contextvars
import dataclasses
import threading

import grpc_mirror
import pytest

from tests.interceptors.calling import outbound_spans
from tests.interceptors.echo import Note
from tests.interceptors.servers import AioEcho, Client, SyncEcho, handlers, notes, serving


def effects(names):
    for name in names:
        with grpc_mirror.outbound(name, request={"n": 1}):
            pass


class SyncFront(SyncEcho):
    def __init__(self, work):
        super().__init__()
        self.work = work

    def Unary(self, request, context):  # noqa: N802 - gRPC's name
        self.work()
        return Note(text="done")


class AioFront(AioEcho):
    def __init__(self, work):
        super().__init__()
        self.work = work

    async def Unary(self, request, context):  # noqa: N802 - gRPC's name
        self.work()
        return Note(text="done")


@pytest.fixture(params=["sync", "aio"])
def serve(request, settings, receiver):
    """Serves one mirrored call whose handler runs `work`; gives its capture's span and those of the calls it made."""

    def handle(work, calls):
        aio = request.param == "aio"
        make = grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor
        echo = (AioFront if aio else SyncFront)(work)
        with serving(handlers(echo), [make(settings)], aio=aio) as port:
            client = Client(port)
            client.call("Unary", notes("x"), "m")
            client.close()
        receiver.wait_for(lambda: any("mirror.outbound" not in one.attributes for one in receiver.calls))
        (served,) = (one for one in receiver.calls if "mirror.outbound" not in one.attributes)
        return served, outbound_spans(receiver, calls) if calls else []

    return handle


def test_a_served_call_counts_the_calls_that_it_began(serve):
    served, made = serve(lambda: effects(["pay", "mail", "pay"]), 3)
    assert (served.capture.outbound_calls, served.capture.outbound_omitted) == (3, 0)
    assert {one.capture.outbound.served_span_id for one in made} == {served.span.span_id}
    assert sorted((one.capture.method, one.capture.outbound.index) for one in made) == [
        ("mail", 0),
        ("pay", 0),
        ("pay", 1),
    ]
    assert not any(one.capture.outbound.after_end for one in made)


def test_one_that_made_none_says_nothing(serve):
    served, _ = serve(lambda: None, 0)
    assert served.capture.outbound_calls == 0


def test_calls_over_the_limit_are_counted_apart(serve, monkeypatch):
    monkeypatch.setattr("grpc_mirror.tally.OUTBOUND_MAX", 2)
    served, _ = serve(lambda: effects(["pay"] * 5), 2)
    assert (served.capture.outbound_calls, served.capture.outbound_omitted) == (2, 3)


@pytest.mark.parametrize("before", [[], ["first"]])
def test_a_call_begun_after_the_served_one_had_ended_says_so(settings, receiver, before):
    """A task that a handler leaves behind: chance decides whether it comes in time, so nobody waits for it."""
    ended, threads = threading.Event(), []

    def work():
        effects(before)
        context = contextvars.copy_context()
        threads.append(threading.Thread(target=lambda: ended.wait(20) and context.run(effects, ["late"])))
        threads[0].start()

    with serving(handlers(SyncFront(work)), [grpc_mirror.server_interceptor(settings)], aio=False) as port:
        client = Client(port)
        client.call("Unary", notes("x"), "m")
        receiver.wait_for(lambda: any("mirror.outbound" not in one.attributes for one in receiver.calls))
        ended.set()
        threads[0].join(20)
        client.close()
    (served,) = (one for one in receiver.calls if "mirror.outbound" not in one.attributes)
    made = outbound_spans(receiver, len(before) + 1)
    assert served.capture.outbound_calls == len(before)
    assert {one.capture.method: one.capture.outbound.after_end for one in made} == {"late": True} | dict.fromkeys(
        before, False
    )


def test_an_outbound_call_does_not_wait_for_its_batch_as_long_as_others_do(settings, receiver):
    """A shadow may ask what came of it, and waits for a fraction of a second only."""
    slow = dataclasses.replace(settings, batch_age_s=3600.0)
    with serving(
        handlers(SyncFront(lambda: effects(["pay"]))), [grpc_mirror.server_interceptor(slow)], aio=False
    ) as port:
        client = Client(port)
        client.call("Unary", notes("x"), "m")
        assert outbound_spans(receiver)  # without a flush
        client.close()
