"""Methods with large messages: how many of their calls are captured with them, which, and what is told of the others."""

import math
from dataclasses import replace
from types import SimpleNamespace

import grpc_mirror
import pytest
from grpc_mirror.codecs import codecs
from grpc_mirror.sampling import BURST_S, LARGE_BYTES, MethodShare, Sampling
from grpc_mirror.seen import Counted
from grpc_mirror.settings import SettingsError
from grpc_mirror.v1 import capture_pb2
from grpc_mirror.v1.sampling import ALL, place_of
from hypothesis import given
from hypothesis import strategies as st

from tests.interceptors.echo import KINDS
from tests.interceptors.servers import FLAVOURS, Client, handlers, never_ended_by_grpc, notes, serving
from tests.interceptors.test_fidelity import client_of, interceptor_for

LIMIT = 1 << 20
ENDINGS = ("return", "abort", "abort_with_status", "set_code", "raise", "set_and_raise", "unsendable")


def metadata_of(mirror_id):
    return (("x-mirror-run", "run"), ("x-mirror-id", str(mirror_id)))


def served(share, begun_s, seconds, calls_per_s, size):
    """A steady load; returns which calls were captured with their messages, and their bytes."""
    taken, count = [], int(seconds * calls_per_s)
    for number in range(count):
        mirror_id = f"{begun_s}-{number}"
        if share.takes(metadata_of(mirror_id), begun_s + number / calls_per_s):
            share.add(size)
            taken.append(mirror_id)
    return taken, len(taken) * size


@pytest.mark.parametrize(("calls_per_s", "size"), [(100, 200_000), (1000, 200_000), (40, 786_432), (3, 786_432)])
def test_what_a_method_sends_keeps_to_its_limit(calls_per_s, size):
    share, seconds = MethodShare(LIMIT, 0.0), 300
    _, spent = served(share, 0.0, 60, calls_per_s, size)
    assert spent <= LIMIT * (BURST_S + 60 + 10)  # what may be saved up, and what comes before it is known
    _, spent = served(share, 60.0, seconds, calls_per_s, size)
    assert 0.8 * LIMIT * seconds <= spent <= 1.2 * LIMIT * seconds


def test_below_the_limit_all_calls_are_in_and_after_a_rush_they_are_in_again():
    share = MethodShare(LIMIT, 0.0)
    assert len(served(share, 0.0, 100, 5, 200_000)[0]) == 500
    assert len(served(share, 100.0, 60, 500, 200_000)[0]) < 3000
    served(share, 160.0, 60, 2, 200_000)
    assert len(served(share, 220.0, 60, 2, 200_000)[0]) == 120


def test_the_first_of_a_rush_are_all_in():
    """As in somebody's first test."""
    taken, _ = served(MethodShare(LIMIT, 0.0), 0.0, 1, 60, 200_000)
    assert len(taken) == 60


def test_after_a_pause_all_calls_are_in_at_once():
    share = MethodShare(LIMIT, 0.0)
    served(share, 0.0, 60, 500, 200_000)
    assert share.share < 0.1
    assert len(served(share, 600.0, 1, 10, 200_000)[0]) == 10


def test_replicas_with_shares_of_their_own_choose_the_same_calls():
    """Of what the one with the smaller share takes the other takes all; else pairs would go by the product of both."""
    slow, fast = MethodShare(LIMIT, 0.0), MethodShare(LIMIT, 0.0)
    served(slow, 0.0, 60, 500, 200_000)
    served(fast, 0.0, 60, 50, 200_000)
    assert 4 < fast.share / slow.share < 25
    ids = [str(number) for number in range(20_000)]
    chosen = [{one for one in ids if share.takes(metadata_of(one), 60.0)} for share in (slow, fast)]
    assert chosen[0] < chosen[1]
    for share, some in zip((slow, fast), chosen, strict=True):
        assert math.isclose(len(some) / len(ids), share.share, rel_tol=0.3)


@given(st.text(), st.text())
def test_a_calls_place_follows_from_its_mirror_id(one, other):
    assert 0 <= place_of(one) < ALL
    assert (place_of(one) == place_of(other)) == (one.strip() == other.strip())


def test_only_large_calls_count_and_without_a_limit_none():
    assert Sampling(LIMIT).large_bytes == LARGE_BYTES
    assert Sampling(0).large_bytes > 1 << 62


@pytest.mark.parametrize("limit", [-1, 1, 65_535, 1 << 60])
def test_a_limit_that_makes_no_sense_is_refused(limit):
    with pytest.raises(SettingsError, match="method_bytes_per_s"):
        grpc_mirror.Settings(endpoint="c:1", method_bytes_per_s=limit)


def none_of(interceptor):
    """From now on the messages of no call are captured."""
    for kind in KINDS:
        interceptor._observer.sampling.add(f"mirrortest.Echo/{kind}", 0)
    for share in interceptor._observer.heavy.values():
        share._since, share._below = math.inf, 0
    return interceptor


def told(capture):
    """What has to be the same whether or not the messages are captured."""
    same = capture_pb2.Capture.FromString(capture.SerializeToString())
    for name in ("messages", "omitted", "not_sampled", "start_unix_ns", "duration_ns"):
        same.ClearField(name)
    return same


def sums(capture):
    """(messages, bytes) of requests and of responses, captured or counted."""
    found = {capture_pb2.DIRECTION_REQUEST: [0, 0], capture_pb2.DIRECTION_RESPONSE: [0, 0]}
    for message in capture.messages:
        found[message.direction][0] += 1
        found[message.direction][1] += message.original_size
    for one in capture.omitted:
        assert one.reason == capture_pb2.OMISSION_NOT_SAMPLED
        found[one.direction][0] += one.messages
        found[one.direction][1] += one.bytes
    return found


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("kind", KINDS)
def test_of_the_others_all_is_told_but_their_messages(flavour, kind, receiver, settings):
    endings = [one for one in ENDINGS if not never_ended_by_grpc(flavour, kind, one)]
    seen = []
    for name, prepared in (("whole", lambda one: one), ("counted", none_of)):
        with client_of(flavour, [prepared(interceptor_for(flavour, settings))]) as client:
            seen.append([client.call(kind, notes(ending), f"{name} {ending}") for ending in endings])
    assert seen[0] == seen[1]
    for ending in endings:
        whole, counted = (receiver.call(f"{name} {ending}").capture for name in ("whole", "counted"))
        assert (whole.not_sampled, counted.not_sampled) == (False, True)
        assert not counted.messages
        assert told(counted) == told(whole)
        assert sums(counted) == sums(whole)


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_service_is_told_once_of_each_method_and_each_such_call_is_counted(flavour, receiver, settings, caplog):
    interceptor = none_of(interceptor_for(flavour, settings))
    with client_of(flavour, [interceptor]) as client:
        for name in ("a", "b", "c"):
            client.call("Unary", notes("return"), name)
        client.call("Bidi", notes("return"), "d")
    grpc_mirror.flush()
    assert interceptor._observer.counters.read().conditions == {"not_sampled": 4}
    lines = [one.message for one in caplog.records if "MIRROR_METHOD_BYTES_PER_S" in one.message]
    assert len(lines) == 2
    for line, method in zip(lines, ("Unary", "Bidi"), strict=True):
        assert (
            f"messages of mirrortest.Echo/{method} come to more than MIRROR_METHOD_BYTES_PER_S (2097152 bytes" in line
        )


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_rush_of_large_calls_is_thinned_out_and_small_ones_never_are(flavour, receiver, settings):
    interceptor = interceptor_for(flavour, replace(settings, method_bytes_per_s=512 * 1024))
    large = "x" * 100_000
    with client_of(flavour, [interceptor]) as client:
        for number in range(20):
            client.call("Unary", notes(large), f"large {number}")
            client.call("ServerStream", notes("return"), f"small {number}")
        share = interceptor._observer.heavy["mirrortest.Echo/Unary"]
        share._since -= 2  # the second is over
        for number in range(20, 120):
            client.call("Unary", notes(large), f"large {number}")
    grpc_mirror.flush()
    large_ones = [receiver.call(f"large {number}").capture for number in range(120)]
    assert not any(one.not_sampled for one in large_ones[:20])
    assert 20 < sum(one.not_sampled for one in large_ones[20:]) < 100
    assert set(interceptor._observer.heavy) == {"mirrortest.Echo/Unary"}
    assert not any(receiver.call(f"small {number}").capture.not_sampled for number in range(20))


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_stream_of_many_small_messages_is_no_large_call(flavour, receiver, settings):
    """What their objects take in memory is many times what is sent of them."""
    interceptor = interceptor_for(flavour, settings)
    with client_of(flavour, [interceptor]) as client:
        client.call("ClientStream", notes(*["return"] * 200), "small")
        assert receiver.call("small").capture.request_count == 200
        assert not interceptor._observer.heavy
        client.call("ClientStream", notes(*["x" * 200] * 200), "large")
        assert receiver.call("large").capture.request_count == 200
        assert interceptor._observer.heavy.keys() == {"mirrortest.Echo/ClientStream"}


@pytest.mark.usefixtures("calls")
def test_messages_that_are_no_bytes_are_counted_too(receiver, settings):
    """A service without serialisers may hand grpc what it will not send."""
    interceptor = none_of(grpc_mirror.server_interceptor(settings))

    class Raw:
        def Unary(self, request, _context):  # noqa: N802 - as gRPC names it
            return request

    with serving(handlers(Raw(), raw=True), [interceptor], aio=False) as port:
        client = Client(port)
        client.call("Unary", [b"abc"], "raw")
        client.close()
    assert sums(receiver.call("raw").capture) == {1: [1, 3], 2: [1, 3]}


@pytest.mark.usefixtures("calls")
def test_what_is_counted_of_a_stream_is_what_would_be_captured():
    """Bytes of a class of somebody's own have a size; what is no bytes has none."""

    class Chunk(bytes):
        __slots__ = ()

    observer = SimpleNamespace(free_bytes=-1, budget=SimpleNamespace(reserve=None))
    recorder = SimpleNamespace(
        observer=observer,
        requests=Counted(10),
        responses=Counted(10),
        start_ns=0,
        finished=False,
        unsendable=None,
        room=0,
    )
    raw = SimpleNamespace(request_deserializer=None, response_serializer=None)
    for codec in codecs(recorder, raw, print):
        for message in (b"abc", Chunk(b"abcd"), bytearray(b"xx"), None, b""):
            codec(message)
    for seen in (recorder.requests, recorder.responses):
        seen.release()
        assert (seen.count, seen.omitted_bytes) == (5, 7)
