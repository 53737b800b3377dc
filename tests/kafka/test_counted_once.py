"""Every pair that was acknowledged is counted exactly once: workers killed and joining, broker and PostgreSQL restarted."""

from __future__ import annotations

import pytest

from tests.kafka.storm import Storm, settings
from tests.live.mesh import wait_until

pytestmark = pytest.mark.live


@pytest.mark.timeout(400)
def test_workers_come_and_go_and_each_pair_is_counted_once(kafka, postgres, tmp_path):
    """One is killed and one joins; then the broker, then PostgreSQL are killed and come back."""
    sets = settings(kafka, "once", postgres.database("once"))
    with Storm(tmp_path, sets, pairs=6000) as storm:
        storm.join("worker-1", "worker-2")
        wait_until(storm.balanced, "both workers with partitions")
        storm.send()
        storm.when(0.2, storm.workers["worker-1"].kill, lambda: storm.join("worker-3"))
        storm.when(0.4, kafka.kill, kafka.start)
        storm.when(0.6, postgres.stop, postgres.start)
        storm.when(0.8, storm.workers["worker-2"].stop)
        storm.check()
        assert storm.workers["worker-1"].exit_code == -9
