"""`mirror ingest` against a real broker: what it acknowledged is in the topic; while Kafka is away it says so."""

from __future__ import annotations

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo

from mirror.config.sections import Kafka
from mirror.kafka import topics
from mirror.kafka.clients import KafkaError
from tests.collect.otlp import call_span, request
from tests.collect.servers import EXPORT
from tests.kafka.process import process, read_topic
from tests.live.mesh import wait_until

pytestmark = pytest.mark.live
TRACES = 60


def settings(kafka, topic, **more):
    return {"kafka": {"brokers": [kafka.address], "topic": topic, **more}}


def batch(ids, role="primary"):
    return request(*(call_span(f"m{n}", role) for n in ids)).SerializeToString()


def export(address, body):
    with grpc.insecure_channel(address) as channel:
        return channel.unary_unary(EXPORT)(body, timeout=30)


def test_what_was_acknowledged_is_in_the_topic(kafka, tmp_path):
    """By gRPC and HTTP, each trace in one partition; the topic was created."""
    with process(tmp_path, "ingest", "ingest", **settings(kafka, "acknowledged", partitions=4)) as ingest:
        export(ingest.addresses["otlp_grpc"], batch(range(TRACES)))
        sent = httpx.post(
            f"http://{ingest.addresses['otlp_http']}/v1/traces",
            content=batch(range(TRACES), "candidate"),
            headers={"content-type": "application/x-protobuf"},
        )
        assert sent.status_code == 200
        assert ingest.get("/readyz").text == "ready\n"
        assert ingest.metric("mirror_kafka_messages_total") == 2 * TRACES
        found = read_topic(kafka.address, "acknowledged", 2 * TRACES)
        assert ingest.stop() == 0
    partitions = {}
    for message in found:
        partitions.setdefault(message.key(), set()).add(message.partition())
    assert len(partitions) == TRACES
    assert all(len(found) == 1 for found in partitions.values())
    assert len(set.union(*partitions.values())) == 4


def test_a_span_over_the_topics_limit_is_rejected_and_the_others_are_taken(kafka, tmp_path):
    """The broker's limit counts, not only ours: telling the sender to come again would be for ever."""
    kafka.create_topic("narrow", 1, max__message__bytes="20000")
    with process(tmp_path, "ingest", "ingest", **settings(kafka, "narrow")) as ingest:
        body = request(call_span("m1"), call_span("m2", data=b"\x00" * 50_000)).SerializeToString()
        answer = export(ingest.addresses["otlp_grpc"], body)
        assert b"too_large" in answer
        assert len(read_topic(kafka.address, "narrow", 1)) == 1
        assert ingest.metric("mirror_spans_rejected_total") == 1


def test_senders_are_pushed_back_while_no_broker_answers(kafka, tmp_path):
    """UNAVAILABLE with RetryInfo and 503 with Retry-After, not ready with the reason; and well again by itself."""
    sets = settings(kafka, "away", partitions=1, delivery_timeout_s=2)
    with process(tmp_path, "ingest", "ingest", **sets) as ingest:
        export(ingest.addresses["otlp_grpc"], batch(range(3)))
        kafka.kill()
        with pytest.raises(grpc.RpcError) as refused:
            export(ingest.addresses["otlp_grpc"], batch(range(3, 6)))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        trailers = dict(refused.value.trailing_metadata())
        assert RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"]).retry_delay.seconds > 0
        not_ready = ingest.get("/readyz")
        assert not_ready.status_code == 503
        assert "Kafka" in not_ready.text
        sent = httpx.post(
            f"http://{ingest.addresses['otlp_http']}/v1/traces",
            content=batch(range(3)),
            headers={"content-type": "application/x-protobuf"},
            timeout=30,
        )
        assert sent.status_code == 503
        assert int(sent.headers["retry-after"]) > 0
        kafka.start()
        wait_until(lambda: _taken(ingest), "request that is taken again")
        assert ingest.get("/readyz").status_code == 200
        keys = {message.key() for message in read_topic(kafka.address, "away", 4)}
        assert len(keys) >= 4


def _taken(ingest):
    try:
        export(ingest.addresses["otlp_grpc"], batch(range(6, 9)))
    except grpc.RpcError:
        return False
    return True


def test_without_a_broker_it_does_not_start(monkeypatch):
    """A mistyped address is said at once."""
    monkeypatch.setattr(topics, "ASK_S", 1.0)
    with pytest.raises(KafkaError, match=r"kafka\.brokers: no broker answers at 127\.0\.0\.1:1"):
        topics.ensure(Kafka(brokers=("127.0.0.1:1",)), "x", partitions=1)
