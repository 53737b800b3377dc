"""A real Collector's Kafka exporter and `mirror ingest` write alike: same keys, same partitions, so that no pair is split."""

from __future__ import annotations

import pytest
from grpc_mirror.v1.otlp_slices_pb2 import ExportTraceServiceRequest

from mirror.config.sections import Kafka
from mirror.kafka import clients
from mirror.kafka.messages import cut
from tests.kafka.otelcol import exporting
from tests.kafka.process import read_topic
from tests.kafka.test_ingest import batch, export

pytestmark = pytest.mark.live
TRACES = 200


@pytest.mark.parametrize(("partitioner", "hasher"), [("fnv1a", ""), ("murmur2", "murmur2")])
def test_both_choose_the_same_partition_for_a_trace(kafka, tmp_path, partitioner, hasher):
    topic = f"both-{partitioner}"
    kafka.create_topic(topic, 7)
    with exporting(tmp_path, kafka.address, topic, hasher=hasher) as theirs:
        export(theirs, batch(range(TRACES)))
    ours = Kafka(brokers=(kafka.address,), partitioner=partitioner)
    producer = clients.producer(ours, lambda _: None, queue_max_bytes=1 << 24)
    for message in cut(batch(range(TRACES), "candidate"), message_max_bytes=1 << 20).messages:
        producer.produce(topic, message.value, message.key)
    assert not producer.flush(30)
    partitions: dict[bytes, list[int]] = {}
    for message in read_topic(kafka.address, topic, 2 * TRACES):
        partitions.setdefault(message.key(), []).append(message.partition())
        spans = ExportTraceServiceRequest.FromString(message.value()).resource_spans[0].scope_spans[0].spans
        assert spans[0].trace_id.hex().encode() == message.key()
        assert message.headers() is None
    assert len(partitions) == TRACES
    assert all(len(found) == 2 and len(set(found)) == 1 for found in partitions.values())
