"""The figures are declared in one table and counted from any thread."""

from __future__ import annotations

import re
import threading

import pytest

from mirror.collect.counters import METRICS, Counters


def test_the_table_is_well_formed() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"mirror_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.help.endswith(".")


def test_counting_by_labels() -> None:
    counters = Counters()
    counters.inc("mirror_spans_total", 3, kind="call")
    counters.inc("mirror_spans_total", kind="call")
    counters.set("mirror_queue_bytes", 17)
    found = {(sample.name, tuple(sample.labels.items())): sample.value for sample in counters.snapshot()}
    assert found["mirror_spans_total", (("kind", "call"),)] == 4
    assert found["mirror_queue_bytes", ()] == 17


def test_metrics_without_labels_are_there_from_the_start() -> None:
    names = {sample.name for sample in Counters().snapshot()}
    assert names == {metric.name for metric in METRICS if not metric.labels}


@pytest.mark.parametrize(
    ("name", "labels"), [("unknown", {}), ("mirror_spans_total", {}), ("mirror_ready", {"x": "y"})]
)
def test_what_the_table_lacks_is_refused(name: str, labels: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        Counters().inc(name, **labels)


def test_threads_do_not_lose_counts() -> None:
    counters = Counters()

    def count() -> None:
        for _ in range(2000):
            counters.inc("mirror_commits_total")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.value("mirror_commits_total") == 8000
