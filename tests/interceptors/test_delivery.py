"""What becomes of batches that a collector does not take: every call is sent, waits, or is dropped for a reason that is counted."""

import gc
import threading
import time
import tracemalloc
from dataclasses import replace

import grpc
import pytest
from grpc_mirror.sinks import delivery
from grpc_mirror.sinks.queue import ANY_BYTES, NEVER_BYTES
from grpc_mirror.v1 import attributes
from grpc_mirror.wire import bytes_field, int_field

from tests.interceptors.receiver import Receiver
from tests.interceptors.test_sender import record

KIB = 1024
MIB = 1024 * KIB


def retry_info(seconds, nanos=0):
    """The trailer of a google.rpc.Status with a google.rpc.RetryInfo."""
    duration = int_field(1, seconds) + int_field(2, nanos)
    detail = bytes_field(1, b"type.googleapis.com/google.rpc.RetryInfo")
    detail += bytes_field(2, bytes_field(1, duration))
    return (("grpc-status-details-bin", int_field(1, 14) + bytes_field(3, detail)),)


def refusing(times, code, trailers=()):
    """An answer that refuses so many exports, and the times at which exports came."""
    came = []

    def answer(_request, context):
        came.append(time.monotonic())
        if len(came) <= times:
            context.set_trailing_metadata(trailers)
            context.abort(code, "not now")

    return answer, came


def adds_up(sender):
    counts = sender.counts()
    return counts.captured == counts.sent + sum(counts.dropped.values()) + counts.waiting


def test_a_collector_that_never_answers_costs_bounded_memory_and_counted_drops(silent, settings, sending):
    """Fifty megabytes are offered; a queue of one and a batch in hand are kept."""
    sender, _ = sending(replace(settings, endpoint=silent, queue_max_bytes=MIB))
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(500):
            sender.put(record(str(number), b"\x0a\xfa\x9f\x06" + bytes(100 * KIB)))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    counts = sender.counts()
    assert kept < 8 * MIB
    assert (counts.captured, counts.sent, list(counts.dropped)) == (500, 0, ["queue_full"])
    assert 0 < counts.waiting < 30
    assert adds_up(sender)
    assert not sender.shutdown(0.2)
    ended = sender.counts()
    assert (ended.captured, ended.sent, ended.waiting) == (500, 0, 0)
    assert ended.dropped == {**counts.dropped, "shutdown": counts.waiting}


def test_a_slow_collector_gets_what_it_can_take(settings, sending):
    """Each export is held until the test lets it go; at the end nothing is unaccounted for."""
    allowed = threading.Semaphore(0)
    with Receiver(lambda *_: allowed.acquire(timeout=20) and None) as receiver:
        sender, _ = sending(replace(settings, endpoint=receiver.endpoint, queue_max_calls=20))
        sender.put(record("first"))
        receiver.wait_for(lambda: receiver.peers)
        for number in range(100):
            sender.put(record(str(number)))
        allowed.release(100)
        assert sender.flush(20)
        counts = sender.counts()
        assert (counts.captured, counts.sent, counts.dropped) == (101, 21, {"queue_full": 80})
        assert len(receiver.calls) == 21


def test_the_receiver_says_by_retryinfo_when_to_come_back(settings, sending):
    """In the rich status; neither our own shorter pauses nor a flush bring the next try forward."""
    answer, came = refusing(1, grpc.StatusCode.UNAVAILABLE, retry_info(0, 700_000_000))
    with Receiver(answer) as receiver:
        sender, _ = sending(replace(settings, endpoint=receiver.endpoint))
        sender.put(record("again"))
        receiver.wait_for(lambda: receiver.peers)
        assert not sender.flush(0.01)
        receiver.call("again")
        assert came[1] - came[0] >= 0.7
        assert sender.flush(20)
        assert sender.counts().sent == 1


def test_a_receiver_that_asks_for_years_is_tried_again_before(settings, sending, monkeypatch):
    monkeypatch.setattr(delivery, "RETRY_AFTER_MAX_S", 0.05)
    answer, _ = refusing(1, grpc.StatusCode.RESOURCE_EXHAUSTED, retry_info(10**9))
    with Receiver(answer) as receiver:
        sender, _ = sending(replace(settings, endpoint=receiver.endpoint))
        sender.put(record("again"))
        assert receiver.call("again")


@pytest.mark.parametrize("detail", [b"\xff", b"\x0a\x02\xff\xff", b"\x08\x01", bytes_field(1, bytes_field(1, b"x"))])
def test_a_malformed_retryinfo_is_none(settings, sending, detail):
    """UNAVAILABLE is worth another try without it."""
    answer, _ = refusing(1, grpc.StatusCode.UNAVAILABLE, (("google.rpc.retryinfo-bin", detail),))
    with Receiver(answer) as receiver:
        sender, counters = sending(replace(settings, endpoint=receiver.endpoint))
        sender.put(record("again"))
        assert receiver.call("again")
        assert counters.read().conditions == {}


def test_a_batch_that_goes_on_failing_is_dropped_and_the_pauses_go_on(settings, sending, monkeypatch):
    """The next batch does not start with the shortest pause: the collector is as dead as it was."""
    pauses = []
    monkeypatch.setattr(delivery, "pause_s", lambda attempt: pauses.append(attempt) or 0.02)
    answer, came = refusing(10**6, grpc.StatusCode.UNAVAILABLE)
    with Receiver(answer) as receiver:
        sender, _ = sending(replace(settings, endpoint=receiver.endpoint, retry_max_s=0.1))
        for number in range(2):
            before = len(came)
            sender.put(record(str(number)))
            assert sender.flush(20)
            assert len(came) > before + 1
        assert sender.counts().dropped == {"export_failed": 2}
        assert pauses == list(range(len(pauses)))


def test_pauses_double_up_to_five_seconds_and_are_not_all_alike():
    for attempt, most in ((0, 0.25), (1, 0.5), (3, 2.0), (5, 5.0), (10**9, 5.0)):
        found = {delivery.pause_s(attempt) for _ in range(50)}
        assert most / 2 <= min(found) < max(found) <= most


def test_a_poisonous_batch_is_sent_once_dropped_and_counted(settings, sending):
    """What comes after it is delivered, with the schema that was lost with it."""
    answer, came = refusing(1, grpc.StatusCode.INVALID_ARGUMENT)
    with Receiver(answer) as receiver:
        sender, _ = sending(replace(settings, endpoint=receiver.endpoint, batch_age_s=3600.0))
        sender.put(record("poison"))
        assert sender.flush(20)
        assert len(came) == 1
        sender.put(record("good"))
        assert sender.flush(20)
        counts = sender.counts()
        assert (counts.sent, counts.dropped) == (1, {"export_refused": 1})
        assert [call.attributes[attributes.ID] for call in receiver.calls] == ["good"]
        assert receiver.schemas
        assert receiver.reports[-1].dropped == {"export_refused": 1}


def test_what_is_too_large_for_the_receiver_is_halved_and_a_single_one_dropped(settings, sending, caplog):
    """Later batches are made smaller from the start."""
    with Receiver(max_bytes=200 * KIB) as receiver:
        sender, _ = sending(replace(settings, endpoint=receiver.endpoint, batch_age_s=3600.0))
        for number in range(4):
            sender.put(record(str(number), b"\x0a\x80\x80\x06" + bytes(96 * KIB)))
        sender.put(record("never", b"\x0a\x80\xa0\x0f" + bytes(250 * KIB)))
        assert sender.flush(20)
        assert sorted(call.attributes[attributes.ID] for call in receiver.calls) == ["0", "1", "2", "3"]
        assert sender.counts().dropped == {"refused_too_large": 1}
        assert caplog.text.count("it takes no request of") == 1
        assert "cannot deliver" not in caplog.text
        answered = len(receiver.requests)
        for number in range(4):
            sender.put(record(f"later {number}", b"\x0a\x80\x80\x06" + bytes(96 * KIB)))
        assert sender.flush(20)
        assert max(map(len, receiver.requests[answered:])) <= 200 * KIB
        assert (sender.counts().sent, adds_up(sender)) == (8, True)


def test_a_connection_whose_peer_went_silent_is_replaced(settings, sending):
    """TCP would take a quarter of an hour to notice."""
    release = threading.Event()
    with Receiver(lambda *_: release.wait(20) and None) as receiver:
        sender, _ = sending(replace(settings, endpoint=receiver.endpoint, export_timeout_s=0.2))
        sender.put(record())
        receiver.wait_for(lambda: len(set(receiver.peers)) > 1)
        release.set()
        assert sender.flush(20)


def test_drops_are_reported_though_no_call_ever_found_room(receiver, settings, sending):
    sender, _ = sending(replace(settings, queue_max_bytes=1))
    sender.put(record())
    assert sender.flush(20)
    assert receiver.reports[-1].dropped == {"queue_full": 1}
    assert receiver.reports[-1].captured == 1


def test_a_flush_ends_while_calls_go_on_coming(receiver, settings, sending):
    sender, _ = sending(replace(settings, batch_age_s=3600.0))
    sender.put(record("before"))
    stop = threading.Event()

    def go_on():
        while not stop.is_set():
            sender.put(record("after"))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        assert sender.flush(20)
        assert receiver.call("before")
    finally:
        stop.set()
        thread.join()


def test_a_flush_given_up_leaves_nothing_behind(silent, settings, sending):
    """Else a sender with a dead collector would hurry for ever."""
    sender, _ = sending(replace(settings, endpoint=silent))
    sender.put(record())
    assert not sender.flush(0.05)
    assert not sender._control.urgent


def test_a_transport_that_raises_loses_no_call_uncounted(settings, sending):
    class Broken:
        def __init__(self, *_):
            pass

        def encode(self, span):
            return span, 100

        def send(self, items, timeout_s):
            raise UnicodeError("a value")

        def close(self):
            pass

        abort = close

    sender, _ = sending(settings, Broken)
    sender.put(record())
    assert sender.flush(20)
    assert sender.counts().dropped == {"export_refused": 1}


def test_a_call_whose_schema_was_lost_with_the_batch_before_takes_it_along(settings, sending):
    """Also where it is the last one for a long time."""
    answer, _ = refusing(1, grpc.StatusCode.INVALID_ARGUMENT)
    with Receiver(answer) as receiver:
        sender, counters = sending(replace(settings, endpoint=receiver.endpoint, batch_age_s=3600.0, batch_max_spans=2))
        for number, rouse_at in enumerate(
            (NEVER_BYTES, ANY_BYTES)
        ):  # the schema and a call, which are a batch; and one more
            sender.queue.rouse_at = rouse_at
            sender.put(record(str(number)))
        assert sender.flush(20)
        assert counters.read().dropped == {"export_refused": 1}
        assert [one.attributes[attributes.ID] for one in receiver.calls] == ["1"]
        assert receiver.calls[0].capture.schema_fingerprint in [schema.fingerprint for schema in receiver.schemas]
