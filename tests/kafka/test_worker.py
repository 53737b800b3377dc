"""`mirror worker` against a real broker: pairs from the topic are counted once, whatever happens to workers, broker and store."""

from __future__ import annotations

import pytest

from mirror.store import Reader
from tests.collect.shop import batches
from tests.kafka.process import process
from tests.kafka.test_ingest import export
from tests.live.mesh import wait_until

pytestmark = pytest.mark.live
PATIENT = {"max_stream_duration_s": 20, "batch_age_s": 0.5, "retry_margin_s": 2}


def settings(kafka, topic, url, pairing=PATIENT, **more):
    sets = {
        "brokers": [kafka.address],
        "topic": topic,
        "dead_letter_topic": f"{topic}-dead",
        "group": f"{topic}-workers",
    }
    return {
        "kafka": sets | {"session_timeout_s": 2, "partitions": 6} | more,
        "store": {"url": url},
        "pairing": pairing,
        "policy": {"vote_by": "call"},
    }


def counts(url):
    """The sum of all epochs' counts, or None while there is no store."""
    reader = Reader.open(url)
    try:
        return [epoch.counts for run in reader.runs() for epoch in run.epochs]
    finally:
        reader.close()


def pairs(url):
    return sum(one.pairs for one in counts(url))


@pytest.fixture
def sqlite(tmp_path):
    return f"sqlite:///{tmp_path}/mirror.db"


def test_calls_that_ingest_took_are_judged_by_a_worker(kafka, tmp_path, sqlite):
    """All of it: schema, triples, differences; and the worker's page and readiness."""
    sets = settings(kafka, "whole", sqlite)
    with (
        process(tmp_path, "ingest", "ingest", **sets) as ingest,
        process(tmp_path, "worker", "worker", **sets) as worker,
    ):
        for body in batches(range(60)):
            export(ingest.addresses["otlp_grpc"], body)
        wait_until(lambda: pairs(sqlite) >= 60, "60 pairs")
        wait_until(lambda: worker.get("/readyz").status_code == 200, "readiness")
        assert worker.metric("mirror_kafka_partitions") == 6
        assert worker.stop() == 0
    (found,) = counts(sqlite)
    assert (found.pairs, found.triples, found.mismatched) == (60, 60, 60)
    assert found.incomparable == found.incomplete == 0
