"""The way out: batches, drops by reason, retries, reports, schemas, flush and stop."""

import threading
from dataclasses import replace

import grpc
import grpc_mirror
import pytest
import xxhash
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_mirror.call import Outcome
from grpc_mirror.records import CallRecord, Outbound
from grpc_mirror.schemas import fingerprint_of
from grpc_mirror.seen import Message
from grpc_mirror.settings import Settings
from grpc_mirror.sinks import pacing
from grpc_mirror.sinks.queue import NEVER_BYTES
from grpc_mirror.v1 import attributes, capture_pb2, otlp_slices_pb2

from tests.interceptors.echo import Note
from tests.interceptors.receiver import Receiver

KIB = 1024


def record(mirror_id="1", body=b"\n\x02hi", *, response=b"", size=None):
    messages = [Message(0, len(body), body)]
    return CallRecord(
        metadata=(("x-mirror-id", mirror_id), ("x-mirror-run", "run")),
        method="mirrortest.Echo/Unary",
        kind=capture_pb2.CALL_KIND_UNARY,
        current=None,
        span_id=b"\1" * 8,
        outcome=Outcome(0, "", capture_pb2.ENDING_RETURNED),
        requests=tuple(messages),
        responses=(Message(1, len(response), response),) if response else (),
        request_type=Note,
        response_type=Note,
        request_count=1,
        response_count=1 if response else 0,
        omitted=(),
        initial_metadata=None,
        trailing_metadata=(),
        deadline_ns=0,
        start_unix_ns=1_700_000_000_000_000_000,
        duration_ns=5,
        size=len(body) + len(response) if size is None else size,
    )


def test_batches_go_out_by_age_without_a_flush(receiver, settings, sending):
    sender, _ = sending(settings)
    sender.put(record())
    assert receiver.wait_calls()[0].attributes[attributes.ID] == "1"


def test_an_outbound_call_goes_at_once_and_takes_along_what_is_queued(receiver, settings, sending, monkeypatch):
    """A shadow may be waiting for its answer; other calls wait for their batch."""
    monkeypatch.setattr(pacing, "TICK_S", 3600.0)
    sender, _ = sending(replace(settings, batch_age_s=3600.0))
    made = Outbound("mirrortest.Echo/Served", b"\2" * 8, capture_pb2.OUTBOUND_POLICY_SENT, 0, 0, grpc=True)
    for number in range(3):
        sender.put(record(f"served {number}"))
        sender.put(record(f"made {number}")._replace(outbound=made))
        receiver.wait_calls(2 * (number + 1))
    assert [one.attributes[attributes.ID] for one in receiver.calls if attributes.OUTBOUND in one.attributes] == [
        f"made {number}" for number in range(3)
    ]


def test_a_flush_sends_what_is_queued(receiver, settings, sending):
    sender, _ = sending(replace(settings, batch_age_s=3600.0))
    for number in range(50):
        sender.put(record(str(number)))
    assert sender.flush(20)
    assert len(receiver.calls) == 50


def test_a_batch_is_bounded_by_bytes(receiver, settings, sending):
    sender, _ = sending(replace(settings, batch_age_s=3600.0))
    for number in range(8):
        sender.put(
            record(str(number), b"\x1a\x80\x80\x10" + b"x" * 256 * KIB, response=b"\x1a\x80\x80\x10" + b"y" * 250 * KIB)
        )
    assert sender.flush(20)
    assert len(receiver.calls) == 8
    assert max(map(len, receiver.requests)) <= settings.batch_max_bytes


def test_a_batch_is_bounded_by_number(receiver, settings, sending):
    sender, _ = sending(replace(settings, batch_age_s=3600.0, batch_max_spans=10))
    for number in range(45):
        sender.put(record(str(number)))
    assert sender.flush(20)
    assert len(receiver.calls) == 45
    assert max(span_count(raw) for raw in receiver.requests) == 10


def span_count(raw):
    request = otlp_slices_pb2.ExportTraceServiceRequest.FromString(raw)
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)


def test_a_full_batch_waits_for_nobody(receiver, settings, sending):
    """Half a megabyte goes out whatever its age."""
    sender, _ = sending(replace(settings, batch_age_s=3600.0))
    for number in range(6):
        sender.put(record(str(number), b"\x0a\x80\x80\x06" + b"x" * 96 * KIB))
    assert receiver.wait_calls(5)


def test_a_large_message_is_sent_as_size_and_hash(receiver, settings, sending):
    sender, _ = sending(settings)
    sender.put(record("large", b"x" * (256 * KIB + 1)))
    message = receiver.call("large").capture.messages[0]
    assert (message.body, message.original_size) == (b"", 256 * KIB + 1)
    assert message.omission == capture_pb2.OMISSION_MESSAGE_TOO_LARGE
    assert message.hash == xxhash.xxh3_128_digest(b"x" * (256 * KIB + 1))


def test_a_full_queue_drops_and_counts(sending):
    """A dead collector: the queue fills to its bound, the rest is counted by reason, and nothing blocks."""
    sender, counters = sending(Settings(endpoint="127.0.0.1:1", queue_max_calls=10, flush_on_sigterm=False))
    for number in range(1000):
        sender.put(record(str(number)))
    counts = counters.read()
    assert counts.captured == 1000
    assert counts.dropped["queue_full"] > 900


def test_the_queue_is_bounded_by_bytes(sending):
    sender, counters = sending(Settings(endpoint="127.0.0.1:1", queue_max_bytes=4096, flush_on_sigterm=False))
    sender.put(record(size=8192))
    assert counters.read().dropped == {"queue_full": 1}


def test_a_dead_collector_ends_no_later_than_the_bound(sending):
    sender, counters = sending(Settings(endpoint="127.0.0.1:1", flush_on_sigterm=False))
    sender.put(record())
    assert not sender.shutdown(0.3)
    sender.put(record())
    assert counters.read().dropped["shutdown"] >= 1


def test_what_failed_is_sent_again_when_the_collector_says_when(settings, sending):
    """RESOURCE_EXHAUSTED is worth another try only with RetryInfo; here it comes in its own trailer."""
    refused = threading.Event()

    def answer(_request, context):
        if not refused.is_set():
            refused.set()
            context.set_trailing_metadata((("google.rpc.retryinfo-bin", b"\n\x05\x10\x80\xad\xe2\x04"),))  # 10 ms
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "later")

    with Receiver(answer) as receiver:
        sender, counters = sending(replace(settings, endpoint=receiver.endpoint))
        sender.put(record("again"))
        receiver.call("again")
        assert counters.read().dropped == {}
        sender.shutdown(5)


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_what_the_collector_refuses_is_dropped_and_counted(settings, sending, code):
    asked = threading.Event()

    def answer(_request, context):
        asked.set()
        context.abort(code, "no")

    with Receiver(answer) as receiver:
        sender, counters = sending(replace(settings, endpoint=receiver.endpoint, batch_age_s=3600.0))
        sender.put(record())
        assert sender.flush(20)
        assert asked.is_set()
        assert counters.read().dropped == {"export_refused": 1}


def test_rejected_spans_are_counted(settings, sending):
    """Which ones they were the receiver does not say: of calls, as many as it says and there were."""
    partial = otlp_slices_pb2.ExportTracePartialSuccess(rejected_spans=3, error_message="unknown\nrun")
    with Receiver(lambda *_: otlp_slices_pb2.ExportTraceServiceResponse(partial_success=partial)) as receiver:
        sender, _ = sending(replace(settings, endpoint=receiver.endpoint, batch_age_s=3600.0))
        for number in range(5):
            sender.put(record(str(number)))
        assert sender.flush(20)
        counts = sender.counts()
        assert (counts.captured, counts.sent, counts.dropped, counts.waiting) == (5, 2, {"rejected": 3}, 0)


def test_drops_are_reported_once_the_collector_is_there(receiver, settings, sending):
    sender, counters = sending(settings)
    counters.drop("queue_full", 7)
    counters.notice("role_conflict")
    sender.put(record())
    sender.shutdown(10)
    report = receiver.reports[-1]
    assert (report.captured, report.dropped["queue_full"], report.conditions["role_conflict"]) == (1, 7, 1)
    assert report.source_id == counters.source_id
    assert [one.sequence for one in receiver.reports] == list(range(1, len(receiver.reports) + 1))


def test_calls_that_found_no_room_are_said_though_others_are_delivered(receiver, settings, sending, caplog):
    """Nothing has failed, so nobody else would say it."""
    sender, counters = sending(replace(settings, queue_max_calls=2))
    sender.queue.rouse_at = NEVER_BYTES  # its thread comes later
    for number in range(5):
        sender.put(record(str(number)))
    sender._rouse()
    assert sender.flush(20)
    assert counters.read().dropped == {"queue_full": 3}
    assert len(receiver.calls) == 2
    (line,) = [one.message for one in caplog.records if "queue_full" in one.message]
    assert line.startswith("grpc_mirror: 3 calls found no room in the queue")


def test_the_schema_is_shipped_before_the_call_and_holds_its_files(receiver, settings, sending):
    sender, _ = sending(settings)
    sender.put(record())
    fingerprint = receiver.call("1").capture.schema_fingerprint
    (schema,) = receiver.schemas
    first = next(o for o in receiver.spans if attributes.SCHEMA in o.attributes or attributes.CAPTURE in o.attributes)
    assert attributes.SCHEMA in first.attributes
    files = {descriptor_pb2.FileDescriptorProto.FromString(raw).name: raw for raw in schema.files}
    assert schema.fingerprint == fingerprint == fingerprint_of(files)
    pool = descriptor_pool.DescriptorPool()
    for raw in schema.files:
        pool.AddSerializedFile(raw)
    assert pool.FindMessageTypeByName("mirrortest.Note")


def test_after_a_failure_schemas_go_again(receiver, settings, sending):
    """The collector may be another one than before, with an empty store."""
    fail = threading.Event()

    def answer(_request, context):
        if fail.is_set():
            fail.clear()
            context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")

    with Receiver(answer) as flaky:
        sender, _ = sending(replace(settings, endpoint=flaky.endpoint))
        sender.put(record("1"))
        flaky.call("1")
        fail.set()
        sender.put(record("2"))
        flaky.call("2")
        flaky.wait_for(lambda: len(flaky.schemas) >= 2)


def test_the_bearer_token_goes_with_every_export(receiver, settings, sending):
    sender, _ = sending(replace(settings, bearer="secret"))
    sender.put(record())
    receiver.wait_calls()
    assert receiver.metadata[0]["authorization"] == "Bearer secret"


def test_an_instrumented_channel_is_not_used_for_exports(receiver, settings, sending, monkeypatch):
    """Global client instrumentation replaces grpc's functions; the export of a call must not become a traced call."""

    def instrumented(*_args, **_kwargs):
        raise AssertionError("the instrumented function was called")

    instrumented.__wrapped__ = grpc.insecure_channel
    monkeypatch.setattr(grpc, "insecure_channel", instrumented)
    sender, _ = sending(settings)
    sender.put(record())
    receiver.wait_calls()


def test_one_bad_record_stops_nothing(receiver, settings, sending):
    sender, counters = sending(settings)
    sender.put(record("bad")._replace(outcome=Outcome(99, "", 0)))
    sender.put(record("good"))
    receiver.call("good")
    assert counters.read().dropped == {"encode_error": 1}
    assert counters.read().conditions == {"internal_error": 1}


def test_a_hanging_collector_blocks_nobody(settings, sending):
    release = threading.Event()
    with Receiver(lambda *_: release.wait(30) and None) as receiver:
        sender, counters = sending(replace(settings, endpoint=receiver.endpoint, queue_max_calls=5))
        for number in range(2000):
            sender.put(record(str(number)))
        assert counters.read().captured == 2000
        assert not sender.flush(0.05)
        release.set()
        assert sender.flush(20)


def test_the_facade_flushes_every_sender(receiver, settings):
    interceptor = grpc_mirror.server_interceptor(settings)
    interceptor._observer.sink.put(record())
    assert grpc_mirror.flush(20)
    assert len(receiver.calls) == 1
