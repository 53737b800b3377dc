"""primary_only, current_call and outbound(...): what a handler may ask and do, sync and aio, in primaries and shadows."""

import asyncio
import contextvars
import inspect
import threading

import grpc_mirror
import pytest
from google.protobuf import struct_pb2
from grpc_mirror.v1 import capture_pb2

from tests.interceptors.calling import outbound_spans, role
from tests.interceptors.echo import SERVICE, Note
from tests.interceptors.servers import AioEcho, Client, SyncEcho, WriterEcho, handlers, notes, serving

pytestmark = pytest.mark.usefixtures("calls")

CHARGED = []


@grpc_mirror.primary_only(returns=0)
def charge(amount):
    """The shop's charge."""
    CHARGED.append(amount)
    return amount


@grpc_mirror.primary_only(returns=lambda amount: -amount)
async def charge_later(amount):
    return amount


@grpc_mirror.primary_only(returns=("shadow",))
def lines():
    yield "primary"


@grpc_mirror.primary_only()
async def lines_later():
    yield "primary"


class Mailer:
    @staticmethod
    @grpc_mirror.primary_only(returns="kept")
    def send():
        return "sent"


async def collected():
    return [line async for line in lines_later()]


def test_in_a_primary_everything_runs():
    """And keeps its name and flavour."""
    CHARGED.clear()
    assert charge(3) == 3
    assert CHARGED == [3]
    assert asyncio.run(charge_later(3)) == 3
    assert list(lines()) == ["primary"]
    assert asyncio.run(collected()) == ["primary"]
    assert Mailer.send() == "sent"
    assert (charge.__name__, charge.__doc__) == ("charge", "The shop's charge.")
    assert inspect.iscoroutinefunction(charge_later)
    assert inspect.isgeneratorfunction(lines)
    assert inspect.isasyncgenfunction(lines_later)


def test_in_a_shadow_nothing_runs_and_a_value_stands_in():
    """A value as it is, or what a function makes of the arguments; in threads as well."""
    CHARGED.clear()
    with role("candidate"):
        assert charge(3) == 0
        thread = threading.Thread(target=charge, args=(3,))
        thread.start()
        thread.join(10)
        assert asyncio.run(charge_later(3)) == -3
        assert list(lines()) == ["shadow"]
        assert asyncio.run(collected()) == []
        assert Mailer.send() == "kept"
    assert CHARGED == []


def test_primary_only_refuses_what_it_cannot_do():
    """At the decoration, not at the first call in a shadow."""

    async def later():
        return 1

    with pytest.raises(TypeError, match="plain function"):
        grpc_mirror.primary_only(returns=later)
    with pytest.raises(TypeError, match="below it"):
        grpc_mirror.primary_only()(staticmethod(later))


def seen_now():
    call = grpc_mirror.current_call()
    return "none" if call is None else f"{call.id} {call.run} {call.role} {call.method} {call.shadow}"


class SyncTold(SyncEcho):
    def Unary(self, request, context):  # noqa: N802 - gRPC's name
        found = []
        context_here = contextvars.copy_context()
        for target in (lambda: found.append(seen_now()), lambda: found.append(context_here.run(seen_now))):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join(10)
        return Note(text="|".join((seen_now(), *found)))

    def ServerStream(self, request, context):  # noqa: N802 - gRPC's name
        yield Note(text=seen_now())
        yield Note(text=seen_now())


class AioTold(AioEcho):
    async def Unary(self, request, context):  # noqa: N802 - gRPC's name
        empty = await asyncio.get_running_loop().run_in_executor(None, seen_now)
        return Note(text="|".join((seen_now(), empty, await asyncio.to_thread(seen_now))))

    async def ServerStream(self, request, context):  # noqa: N802 - gRPC's name
        yield Note(text=seen_now())
        await asyncio.sleep(0)
        yield Note(text=seen_now())


class WriterTold(WriterEcho):
    async def Unary(self, request, context):  # noqa: N802 - gRPC's name
        return Note(text="|".join((seen_now(), "none", await asyncio.create_task(self.later()))))

    async def later(self):
        return seen_now()

    async def ServerStream(self, request, context):  # noqa: N802 - gRPC's name
        await context.write(Note(text=seen_now()))
        await context.write(Note(text=seen_now()))


TOLD = {"sync": SyncTold, "threads": SyncTold, "aio": AioTold, "aio_writer": WriterTold}


@pytest.mark.parametrize("flavour", list(TOLD))
def test_current_call_is_known_to_handlers_of_every_flavour(flavour, settings):
    """In the handler and its tasks; in a thread only with the context copied; not outside a mirrored call."""
    aio = flavour != "sync"
    make = grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor
    with serving(handlers(TOLD[flavour]()), [make(settings)], aio=aio) as port:
        client = Client(port)
        unary = Note.FromString(client.call("Unary", notes("x"), "me").responses[0]).text
        stream = [Note.FromString(raw).text for raw in client.call("ServerStream", notes("x"), "me").responses]
        outside = Note.FromString(client.call("Unary", notes("x")).responses[0]).text
        client.close()
    assert unary == f"me run primary {SERVICE}/Unary False|none|me run primary {SERVICE}/Unary False"
    assert stream == [f"me run primary {SERVICE}/ServerStream False"] * 2
    assert outside == "none|none|none"
    assert seen_now() == "none"


@pytest.fixture
def handling(settings):
    """Serves one mirrored call whose handler is `work`; gives what it returned."""

    def handle(work, mirror_id="effect"):
        class Worker(SyncEcho):
            def Unary(self, request, context):  # noqa: N802 - gRPC's name
                return Note(text=str(work()))

        with serving(handlers(Worker()), [grpc_mirror.server_interceptor(settings)], aio=False) as port:
            client = Client(port)
            seen = client.call("Unary", notes("x"), mirror_id)
            client.close()
        return Note.FromString(seen.responses[0]).text if seen.responses else seen.message

    return handle


def stripe(policy="block"):
    def work():
        with grpc_mirror.outbound("stripe.charge", request={"amount": 10}, policy=policy) as call:
            call.response({"id": "stand-in" if call.blocked else "ch_1"})
        return "done"

    return work


def struct(body):
    return dict(struct_pb2.Struct.FromString(body))


def test_an_effect_of_a_primary_is_captured(handling, receiver):
    """Request and response as google.protobuf.Struct; no gRPC attribute where it is none."""
    assert handling(stripe()) == "done"
    (one,) = outbound_spans(receiver)
    request, response = one.capture.messages
    assert (struct(request.body), struct(response.body)) == ({"amount": 10}, {"id": "ch_1"})
    assert one.capture.request_type == "google.protobuf.Struct"
    assert one.attributes["mirror.outbound"] == one.span.name == "stripe.charge"
    assert one.attributes["mirror.outbound.policy"] == "sent"
    assert "rpc.system.name" not in one.attributes


def test_an_effect_of_a_shadow_is_refused_before_its_body_runs(handling, receiver):
    """Safe by default: a forgotten `if` charges no card."""
    ran = []

    def work():
        with grpc_mirror.outbound("stripe.charge", request=b"raw"):
            ran.append(True)

    with role("candidate"):
        assert "stripe.charge is blocked, since this is a shadow (MIRROR_ROLE=candidate)" in handling(work)
    (one,) = outbound_spans(receiver)
    assert ran == []
    assert one.attributes["mirror.outbound.policy"] == "blocked"
    assert [message.body for message in one.capture.messages] == [b"raw"]
    receiver.wait_for(lambda: len(receiver.calls) == 2)
    assert {call.capture.blocked_calls for call in receiver.calls} == {0, 1}


@pytest.mark.parametrize(("policy", "told", "answer"), [("ask", "stubbed", "stand-in"), ("allow", "sent", "ch_1")])
def test_a_body_may_be_let_run_in_a_shadow(handling, receiver, policy, told, answer):
    """`ask` leaves the effect to the body's own `if`, `allow` does it."""
    with role("secondary"):
        assert handling(stripe(policy)) == "done"
    (one,) = outbound_spans(receiver)
    assert one.attributes["mirror.outbound.policy"] == told
    assert struct(one.capture.messages[1].body) == {"id": answer}


def test_an_exception_of_the_body_passes_and_only_its_type_is_captured(handling, receiver):
    """Its text may be private."""

    def work():
        with grpc_mirror.outbound("stripe.charge"):
            raise LookupError("card 4242")

    assert "card 4242" in handling(work)
    (one,) = outbound_spans(receiver)
    assert (one.capture.exception_type, one.capture.status_code) == ("LookupError", 2)
    assert one.capture.ending == capture_pb2.ENDING_RAISED
    assert b"4242" not in one.span.SerializeToString()


def test_what_cannot_be_captured_is_no_reason_to_fail(handling, receiver):
    """A mapping that is no JSON: the effect happens, its request has no bytes."""

    def work():
        with grpc_mirror.outbound("queue.put", request={"at": object()}) as call:
            call.response(b"ok")
        return "done"

    assert handling(work) == "done"
    (one,) = outbound_spans(receiver)
    assert one.capture.messages[0].omission == capture_pb2.OMISSION_NOT_SERIALIZABLE


def test_effects_over_the_limit_happen_and_are_counted(handling, receiver, monkeypatch):
    """A handler that loops fills no queue."""
    monkeypatch.setattr("grpc_mirror.tally.OUTBOUND_MAX", 2)
    done = []

    def work():
        for number in range(5):
            with grpc_mirror.outbound("queue.put"):
                done.append(number)

    handling(work)
    grpc_mirror.flush(10)
    assert len(done) == 5
    assert len(outbound_spans(receiver, 2)) == 2
    receiver.wait_for(lambda: any(report.conditions.get("outbound_limit") == 3 for report in receiver.reports))


def test_outside_a_mirrored_call_an_effect_just_happens():
    """Nothing is captured, nothing is refused."""
    with grpc_mirror.outbound("stripe.charge", request={"amount": 1}) as call:
        call.response({"id": 1})
    assert not call.blocked


@pytest.mark.parametrize("arguments", [{"name": ""}, {"name": "a/b"}, {"name": "x", "policy": "alow"}])
def test_wrong_arguments_are_refused(arguments):
    """At the place where they stand, in primaries too."""
    with pytest.raises(ValueError, match="outbound:"):
        grpc_mirror.outbound(**arguments)
