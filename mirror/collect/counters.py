"""The collector's own figures: one declared table, and a thread-safe place to count them.

Metrics pages and documentation are made from METRICS. Labels are names from small fixed sets: never trace IDs, values, or
anything that a sender may choose.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table. Counters only rise; gauges say how it is now."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One metric's value under one set of label values, in the order of `Metric.labels`."""

    metric: Metric
    label_values: tuple[str, ...]
    value: float

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.metric.name

    @property
    def labels(self) -> dict[str, str]:
        """Label names to values."""
        return dict(zip(self.metric.labels, self.label_values, strict=True))


METRICS: Final = (
    Metric("mirror_batches_total", "counter", "OTLP requests that were accepted.", ("protocol",)),
    Metric("mirror_batches_refused_total", "counter", "OTLP requests that were refused.", ("protocol", "reason")),
    Metric("mirror_spans_total", "counter", "Spans received: call, outbound, schema, report, ordinary.", ("kind",)),
    Metric("mirror_spans_rejected_total", "counter", "Spans of ours that could not be used.", ("reason",)),
    Metric("mirror_queue_bytes", "gauge", "Bytes between the listeners and the pipeline."),
    Metric("mirror_journal_bytes", "gauge", "Bytes of requests in the journal."),
    Metric("mirror_journal_commits_total", "counter", "Groups of requests written to the journal."),
    Metric("mirror_journal_seconds_total", "counter", "Time spent writing them, in seconds."),
    Metric("mirror_journal_failures_total", "counter", "Attempts to use the journal that failed."),
    Metric("mirror_unknown_run_total", "counter", "Calls of runs that the configuration does not allow."),
    Metric("mirror_schemas_total", "counter", "Schemas received: new, known or refused.", ("result",)),
    Metric("mirror_pairing_total", "counter", "Calls that came to no group: late, duplicate, ...", ("reason",)),
    Metric("mirror_groups_released_total", "counter", "Groups that the pairer let go.", ("reason",)),
    Metric("mirror_groups_open", "gauge", "Groups that wait for calls."),
    Metric("mirror_groups_open_bytes", "gauge", "Payload bytes of the groups that wait for calls."),
    Metric("mirror_groups_waiting", "gauge", "Complete groups that wait for a schema."),
    Metric("mirror_groups_waiting_evicted_total", "counter", "Groups judged without schema: the wait was full."),
    Metric("mirror_value_paths", "gauge", "Noisy paths whose values are watched."),
    Metric("mirror_value_paths_forgotten_total", "counter", "Watched paths that were forgotten: there were too many."),
    Metric("mirror_comparisons_total", "counter", "Pairs compared, by verdict.", ("role", "verdict")),
    Metric("mirror_triples_total", "counter", "Groups that gave evidence about noise."),
    Metric("mirror_lookups_total", "counter", "Shadows that asked what the primary was told, by result.", ("result",)),
    Metric("mirror_recordings_bytes", "gauge", "Bytes of what primaries were told, kept for shadows that ask."),
    Metric(
        "mirror_recordings_crowded_total",
        "counter",
        "Answers that primaries were told and that had to make room for newer ones.",
    ),
    Metric("mirror_internal_errors_total", "counter", "Faults of the collector itself; see its log.", ("stage",)),
    Metric("mirror_commits_total", "counter", "Transactions written to the store."),
    Metric("mirror_commit_failures_total", "counter", "Attempts to write that failed; they are tried again."),
    Metric("mirror_commit_seconds_total", "counter", "Time spent writing to the store, in seconds."),
    Metric("mirror_uncommitted_lost_total", "counter", "Judged groups lost because the store failed until the end."),
    Metric("mirror_forward_spans_total", "counter", "Spans that the forwarding endpoint took."),
    Metric("mirror_forward_dropped_total", "counter", "Spans that were not forwarded.", ("reason",)),
    Metric("mirror_forward_failures_total", "counter", "Attempts to forward that failed; they are tried again."),
    Metric("mirror_web_denied_total", "counter", "Requests for page, API or metrics that were denied.", ("reason",)),
    Metric(
        "mirror_connections_closed_total",
        "counter",
        "Connections of the HTTP listeners that were closed early: too many, too slow, or no HTTP.",
        ("listener", "reason"),
    ),
    Metric(
        "mirror_tls_handshakes_failed_total",
        "counter",
        "TLS handshakes of the HTTP listeners that failed.",
        ("listener", "reason"),
    ),
    Metric(
        "mirror_tls_certificate_expires_timestamp_seconds",
        "gauge",
        "When the certificate that a listener shows, or the first of its chain, expires, in unix time.",
        ("listener",),
    ),
    Metric(
        "mirror_reloads_total",
        "counter",
        "Changed certificates and tokens read again: done, failed.",
        ("kind", "result"),
    ),
    Metric(
        "mirror_webhooks_total",
        "counter",
        "Changes of verdicts told to webhooks: delivered, failed and store_failed (tried again), dropped_expired, dropped_overflow.",
        ("hook", "result"),
    ),
    Metric("mirror_webhooks_waiting", "gauge", "Changes of verdicts that a webhook was not told yet.", ("hook",)),
    Metric("mirror_kafka_up", "gauge", "1 while a broker answers and the topic can be used.", ("topic",)),
    Metric("mirror_kafka_messages_total", "counter", "Messages that Kafka acknowledged (ingest)."),
    Metric(
        "mirror_kafka_failures_total",
        "counter",
        "Messages that Kafka did not acknowledge; their senders come again (ingest).",
    ),
    Metric("mirror_kafka_partitions", "gauge", "Partitions that this worker owns."),
    Metric("mirror_kafka_lag", "gauge", "Messages of them that were not read yet."),
    Metric("mirror_kafka_rebalances_total", "counter", "Partitions given, taken and lost.", ("kind",)),
    Metric(
        "mirror_kafka_fenced_total", "counter", "Commits refused since another worker has a partition; it reads again."
    ),
    Metric(
        "mirror_kafka_gone_total",
        "counter",
        "Spans not counted yet that Kafka no longer held when they were to be read again.",
    ),
    Metric("mirror_dead_letters_total", "counter", "Messages put into the dead-letter topic.", ("reason",)),
    Metric(
        "mirror_dead_letters_lost_total", "counter", "Messages that Kafka would not take into the dead-letter topic."
    ),
    Metric("mirror_ready", "gauge", "1 while the collector takes spans and can store what it judges."),
)
_BY_NAME: Final = {metric.name: metric for metric in METRICS}


class Counters:
    """The values of METRICS. Any thread may count.

    A name or label that the table lacks raises KeyError: a fault of the caller, found by the first test that runs it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, tuple[str, ...]], float] = {
            (metric.name, ()): 0 for metric in METRICS if not metric.labels
        }

    def inc(self, name: str, n: float = 1, **labels: str) -> None:
        """Add `n` to a counter."""
        key = _key(name, labels)
        with self._lock:
            self._values[key] = self._values.get(key, 0) + n

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge, or a counter whose total another part keeps."""
        key = _key(name, labels)
        with self._lock:
            self._values[key] = value

    def value(self, name: str, **labels: str) -> float:
        """The present value; 0 if nothing was counted yet."""
        with self._lock:
            return self._values.get(_key(name, labels), 0)

    def closed(self, listener: str) -> Callable[[str], None]:
        """Counts a connection of `listener` that was closed early, by its reason."""
        return lambda reason: self.inc("mirror_connections_closed_total", listener=listener, reason=reason)

    def snapshot(self) -> tuple[Sample, ...]:
        """All values at one moment, in the order of METRICS."""
        with self._lock:
            values = dict(self._values)
        return tuple(self._samples(values))

    @staticmethod
    def _samples(values: dict[tuple[str, tuple[str, ...]], float]) -> Iterator[Sample]:
        order = {metric.name: place for place, metric in enumerate(METRICS)}
        for (name, labels), value in sorted(values.items(), key=lambda item: (order[item[0][0]], item[0][1])):
            yield Sample(_BY_NAME[name], labels, value)


def _key(name: str, labels: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    declared = _BY_NAME[name].labels
    if len(labels) != len(declared):
        raise KeyError(f"{name} has the labels {declared}, not {tuple(labels)}")
    return name, tuple(labels[label] for label in declared)
