"""Every pair that was acknowledged is counted exactly once: workers killed, frozen and joining, broker and PostgreSQL restarted."""

from __future__ import annotations

import contextlib
import signal

import pytest

from tests.kafka.storm import Storm, settings
from tests.live.mesh import wait_until

pytestmark = pytest.mark.live


@contextlib.contextmanager
def storm_of(pairs, tmp_path, kafka, url, topic):
    """Two workers that share the partitions while pairs flow; in the end each must have been counted once."""
    with Storm(tmp_path, settings(kafka, topic, url), pairs=pairs) as storm:
        storm.join("worker-1", "worker-2")
        wait_until(storm.balanced, "both workers with partitions")
        storm.send()
        yield storm
        storm.check()


@pytest.mark.timeout(400)
def test_workers_come_and_go_and_postgresql_restarts(kafka, postgres, tmp_path):
    """One is killed and one joins; PostgreSQL is killed and comes back; one ends in order."""
    with storm_of(3000, tmp_path, kafka, postgres.database("once"), "once") as storm:
        storm.when(0.2, storm.workers["worker-1"].kill, lambda: storm.join("worker-3"))
        storm.when(0.5, postgres.stop, postgres.start)
        storm.when(0.7, storm.workers["worker-2"].stop)
    assert storm.workers["worker-1"].exit_code == -9


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_workers_through_all_that_befalls_them(kafka, postgres, tmp_path):
    """The same with 50,000 pairs: each of it twice, the broker too, and a worker that is frozen until it is fenced."""
    with storm_of(50_000, tmp_path, kafka, postgres.database("storm"), "storm") as storm:
        workers = storm.workers
        storm.when(0.1, workers["worker-1"].kill, lambda: storm.join("worker-3"))
        storm.when(0.2, postgres.stop, postgres.start)
        storm.when(0.3, kafka.kill, kafka.start)
        storm.when(0.4, lambda: workers["worker-2"].signal(signal.SIGSTOP))
        wait_until(
            lambda: workers["worker-3"].metric("mirror_kafka_partitions") == 6, "all with the other", timeout_s=60
        )
        workers["worker-2"].signal(signal.SIGCONT)
        storm.when(0.5, workers["worker-3"].kill, lambda: storm.join("worker-4"))
        storm.when(0.6, postgres.stop, postgres.start)
        storm.when(0.7, kafka.kill, kafka.start)
        storm.when(0.8, workers["worker-2"].stop, lambda: storm.join("worker-5"))
        storm.when(0.9, lambda: storm.join("worker-6"))
