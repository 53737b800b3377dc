"""telemetrygen's spans and mirrored calls go through one real Collector's Kafka exporter: workers judge these and let those go."""

from __future__ import annotations

import subprocess

import pytest

from tests.collect.shop import batches
from tests.kafka.otelcol import exporting
from tests.kafka.process import process
from tests.kafka.storm import counts, pairs, settings
from tests.kafka.test_ingest import export
from tests.live.mesh import wait_until
from tests.live.telemetrygen import command

pytestmark = pytest.mark.live
TRACES, SPANS_OF_TRACE, CALLS = 200, 2, 60


def test_a_strangers_spans_in_the_topic_are_counted_and_the_calls_beside_them_are_judged(kafka, tmp_path):
    url = f"sqlite:///{tmp_path}/mirror.db"
    sets = settings(kafka, "foreign", url)
    kafka.create_topic("foreign", 6)
    with (
        exporting(tmp_path, kafka.address, "foreign") as theirs,
        process(tmp_path, "worker", "worker", **sets) as worker,
    ):
        stranger = subprocess.Popen(
            command(theirs, traces=TRACES, spans=SPANS_OF_TRACE), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            for batch in batches(range(CALLS)):
                export(theirs, batch)
        finally:
            assert stranger.wait(60) == 0
        wait_until(lambda: pairs(url) >= CALLS, f"{CALLS} pairs")
        expected = TRACES * SPANS_OF_TRACE + 3 * CALLS + 3  # each role sends its schema
        wait_until(lambda: worker.metric("mirror_spans_total") == expected, f"{expected} spans")
        assert worker.metric("mirror_dead_letters_total") == 0
        assert worker.metric("mirror_spans_rejected_total") == 0
        assert worker.stop() == 0
    (found,) = counts(url)
    assert (found.pairs, found.triples, found.mismatched) == (CALLS, CALLS, CALLS)
    assert found.incomparable == found.incomplete == 0
