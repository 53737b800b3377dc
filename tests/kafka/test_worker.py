"""`mirror worker` against a real broker: what is in the topic is judged, and what cannot be read is put away."""

from __future__ import annotations

import os

import pytest

from mirror.config.sections import Kafka
from mirror.kafka import clients
from mirror.kafka.partitions import Partitions
from tests.collect.otlp import call_span, request
from tests.collect.process import FAST
from tests.collect.shop import batches, product_call
from tests.kafka.otelcol import exporting
from tests.kafka.process import process, read_topic
from tests.kafka.storm import counts, pairs, settings
from tests.kafka.test_ingest import export
from tests.live.mesh import wait_until

pytestmark = pytest.mark.live


@pytest.fixture
def sqlite(tmp_path):
    return f"sqlite:///{tmp_path}/mirror.db"


def test_calls_that_a_real_exporter_wrote_are_judged(kafka, tmp_path, sqlite):
    """By an OpenTelemetry Collector's Kafka exporter and by ours, into one topic: schema, triples, differences; the page too."""
    sets = settings(kafka, "whole", sqlite)
    kafka.create_topic("whole", 6)
    with (
        exporting(tmp_path, kafka.address, "whole") as theirs,
        process(tmp_path, "ingest", "ingest", **sets) as ours,
        process(tmp_path, "worker", "worker", **sets) as worker,
    ):
        primary, candidate, secondary = batches(range(60))
        export(theirs, primary)
        export(theirs, candidate)
        export(ours.addresses["otlp_grpc"], secondary)
        wait_until(lambda: pairs(sqlite) >= 60, "60 pairs")
        wait_until(lambda: worker.get("/readyz").status_code == 200, "readiness")
        assert worker.metric("mirror_kafka_partitions") == 6
        assert worker.get("/api/v1/runs").status_code == 200
        assert worker.stop() == 0
    (found,) = counts(sqlite)
    assert (found.pairs, found.triples, found.mismatched) == (60, 60, 60)
    assert found.incomparable == found.incomplete == 0


def test_what_cannot_be_read_goes_to_the_dead_letters_and_all_else_goes_on(kafka, tmp_path, sqlite):
    """With its reason and place, once, also over a restart; and a call whose candidate never comes is told by the clock."""
    sets = settings(kafka, "odd", sqlite, pairing=FAST)
    kafka.create_topic("odd", 1)
    producer = clients.library().Producer({"bootstrap.servers": kafka.address})
    lone = request(product_call("m1", "primary", expect="candidate", name="tea")).SerializeToString()
    broken = request(call_span("m2", data=b"\xff\xff")).SerializeToString()
    for value in (b"\xff garbage", broken, None, lone):
        producer.produce("odd", value, key=b"k")
    assert not producer.flush(30)
    with process(tmp_path, "worker", "worker", **sets) as worker:
        wait_until(lambda: counts(sqlite) and counts(sqlite)[0].incomplete == 1, "the lone call told")
        assert worker.metric("mirror_dead_letters_total") == 2
        assert worker.stop() == 0
    with process(tmp_path, "worker", "again", **sets) as worker:
        wait_until(lambda: worker.metric("mirror_kafka_partitions") == 1, "partition")
        more = request(product_call("m3", "primary", expect="candidate", name="tea")).SerializeToString()
        producer.produce("odd", more)
        assert not producer.flush(30)
        wait_until(lambda: counts(sqlite)[0].incomplete == 2, "the next lone call told")
        assert worker.metric("mirror_dead_letters_total") == 0
    assert sum(one.pairs for one in counts(sqlite)) == 2
    found = [(message.value(), dict(message.headers())) for message in read_topic(kafka.address, "odd-dead", 2)]
    assert [(value, headers["mirror.reason"], headers["mirror.offset"]) for value, headers in found] == [
        (b"\xff garbage", b"malformed", b"0"),
        (broken, b"malformed_capture", b"1"),
    ]
    assert found[1][1]["mirror.topic"] == b"odd"
    assert b"is not a mirror.v1.Capture" in found[1][1]["mirror.text"]


def test_a_record_larger_than_what_is_fetched_at_once_stops_nobody(kafka, tmp_path, sqlite):
    """A topic of others may allow it. It is too large for the dead letters too, which is counted, and the partition goes on."""
    small = {
        "partitions": 1,
        "message_max_bytes": 1_000_000,
        "dead_letter_topic": "heavy-dead",
        "group": "heavy-workers",
    }
    sets = settings(
        kafka, "heavy", sqlite, pairing=FAST, intake={"queue_max_bytes": 8 << 20, "message_max_bytes": 1 << 20}
    )
    sets["kafka"] |= small
    kafka.create_topic("heavy", 1, max__message__bytes="100000000")
    producer = clients.library().Producer({"bootstrap.servers": kafka.address, "message.max.bytes": 100_000_000})
    lone = request(product_call("m1", "primary", expect="candidate", name="tea")).SerializeToString()
    for value in (os.urandom(60_000_000), lone):
        producer.produce("heavy", value, key=b"k")
    assert not producer.flush(60)
    with process(tmp_path, "worker", "worker", **sets) as worker:
        wait_until(lambda: counts(sqlite) and counts(sqlite)[0].incomplete == 1, "the call behind it told")
        assert worker.metric("mirror_dead_letters_total") == 1
        assert worker.metric("mirror_dead_letters_lost_total") == 1
        assert worker.stop() == 0


def test_a_record_that_cannot_be_unpacked_stops_nobody(kafka, tmp_path, sqlite):
    """A few kilobytes that unpack to more than is taken at all. Nobody has its bytes, so it is counted as lost."""
    sets = settings(kafka, "bomb", sqlite, pairing=FAST)
    kafka.create_topic("bomb", 1)
    bomber = clients.library().Producer(
        {"bootstrap.servers": kafka.address, "message.max.bytes": 400_000_000, "compression.type": "zstd"}
    )
    bomber.produce("bomb", bytes(300 << 20), key=b"k")
    assert not bomber.flush(60)
    lone = request(product_call("m1", "primary", expect="candidate", name="tea")).SerializeToString()
    bomber.produce("bomb", lone, key=b"k")
    assert not bomber.flush(60)
    with process(tmp_path, "worker", "worker", **sets) as worker:
        wait_until(lambda: counts(sqlite) and counts(sqlite)[0].incomplete == 1, "the call behind it told")
        assert worker.metric("mirror_dead_letters_lost_total") == 1
        assert "is passed over" in worker.log
        assert worker.get("/readyz").status_code == 200


def test_a_topic_of_dead_letters_that_goes_while_a_worker_runs_comes_again(kafka, tmp_path, sqlite):
    """Somebody deletes it: what cannot be read is put into a new one, and nothing waits for it for ever."""
    sets = settings(kafka, "gone", sqlite, pairing=FAST)
    kafka.create_topic("gone", 1)
    producer = clients.library().Producer({"bootstrap.servers": kafka.address})
    with process(tmp_path, "worker", "worker", **sets) as worker:
        producer.produce("gone", b"\xff first", key=b"k")
        assert not producer.flush(30)
        wait_until(lambda: worker.metric("mirror_dead_letters_total") == 1, "the first put away")
        admin = kafka.admin()
        admin.delete_topics(["gone-dead"])["gone-dead"].result(30)
        wait_until(lambda: "gone-dead" not in admin.list_topics(timeout=10).topics, "the topic gone")
        lone = request(product_call("m1", "primary", expect="candidate", name="tea")).SerializeToString()
        for value in (b"\xff second", lone):
            producer.produce("gone", value, key=b"k")
        assert not producer.flush(30)
        wait_until(lambda: counts(sqlite) and counts(sqlite)[0].incomplete == 1, "the call behind it told")
        assert worker.metric("mirror_dead_letters_lost_total") == 0
        assert worker.stop() == 0
    assert [message.value() for message in read_topic(kafka.address, "gone-dead", 1)] == [b"\xff second"]


def test_what_kafka_refuses_in_a_rebalance_can_be_caught(kafka):
    """As it does for a partition that is new to this client. Else the worker's thread would end for good, the process not."""
    kafka.create_topic("refused", 1)
    library = clients.library()

    def given(_partition):
        raise library.KafkaException(library.KafkaError(library.KafkaError._UNKNOWN_PARTITION))

    members = Partitions(
        Kafka(brokers=[kafka.address], topic="refused", group="refused"),
        given=given,
        taken=lambda _partitions, _lost: None,
        on_error=lambda _error: None,
        queue_max_bytes=1 << 20,
    )
    try:
        with pytest.raises(clients.KafkaError, match="cannot be used yet"):
            wait_until(lambda: members.poll(0.1), "partition")
    finally:
        members.close()
