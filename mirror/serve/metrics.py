"""/metrics: the collector's own table and, for each run, what a dashboard or an alert needs. Prometheus text format.

Read at each scrape, from the store and the counters; nothing is kept here. Labels are runs, services, methods, verdicts
and states, whose number the store caps, and the worst path patterns up to a cap; never trace IDs or values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from mirror.collect.counters import METRICS, Metric
from mirror.core.model import Kind
from mirror.core.noise import State
from mirror.core.sampled import sampled
from mirror.serve import epochs
from mirror.serve.epochs import EpochReport
from mirror.serve.site import Health, Site, Snapshot
from mirror.store import StoreError

PATHS_MAX: Final = 200  # paths by kind that have series of their own, of each epoch that is shown
PAGE_PATHS_MAX: Final = 2000  # and of all together: runs stay in the store; those with the newest pairs come first
_PATH: Final = ("run", "service", "method", "path", "kind")
VERDICTS: Final = ("matched", "mismatched", "ignored", "incomplete", "incomparable")
_OF_RUNS: Final = (
    Metric(
        "mirror_run_failed",
        "gauge",
        "1 if the verdict of the run's newest epoch is fail, else 0; there from the first scrape for every allowed run.",
        ("run", "service"),
    ),
    Metric(
        "mirror_run_verdict",
        "gauge",
        "1 for the present verdict of the run's newest epoch: pass, fail or inconclusive.",
        ("run", "service", "verdict"),
    ),
    Metric(
        "mirror_run_bound", "gauge", "Upper bound of the rate of unexplained pairs, from 0 to 1.", ("run", "service")
    ),
    Metric(
        "mirror_run_pairs_total",
        "counter",
        "Pairs of the run's newest epoch, by verdict; starts anew with an epoch.",
        ("run", "service", "method", "verdict"),
    ),
    Metric(
        "mirror_run_not_sampled_total",
        "counter",
        "Of these pairs those that nobody looks at, as is meant: their messages are beyond MIRROR_METHOD_BYTES_PER_S.",
        ("run", "service", "method"),
    ),
    Metric("mirror_run_triples_total", "counter", "Triples of the run's newest epoch.", ("run", "service", "method")),
    Metric(
        "mirror_run_paths",
        "gauge",
        "Path patterns by kind of the run's newest epoch, by state.",
        ("run", "service", "method", "state"),
    ),
    Metric(
        "mirror_run_path_state",
        "gauge",
        f"1 for the state of a path pattern that differs: the {PATHS_MAX} worst of each service, {PAGE_PATHS_MAX:,} of all runs together, the newest first.",
        (*_PATH, "state"),
    ),
    Metric(
        "mirror_run_path_triples_total",
        "counter",
        "Triples in which it differs: `side` is candidate, secondary or both.",
        (*_PATH, "side"),
    ),
    Metric(
        "mirror_run_paths_left_out",
        "gauge",
        "Differing path patterns beyond these, which have no series.",
        ("run", "service"),
    ),
    Metric(
        "mirror_run_last_pair_timestamp_seconds", "gauge", "When the last pair came, in unix time.", ("run", "service")
    ),
)
RUN_METRICS: Final = {metric.name: metric for metric in _OF_RUNS}


def text(site: Site) -> bytes:
    """The whole page in Prometheus text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(lambda: chain(_process(site.counters, site.health), _runs_or_none(site))))
    return generate_latest(registry)


def process_text(counters: Snapshot, health: Health) -> bytes:
    """The page of a process that has no store: its own table alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(lambda: _process(counters, health)))
    return generate_latest(registry)


class _Page(Collector):
    """One scrape."""

    def __init__(self, families: Callable[[], Iterator[Family]]) -> None:
        self._families = families

    def describe(self) -> Iterable[Family]:
        """Nothing: the registry asks once, before there is anything to say."""
        return ()

    def collect(self) -> Iterator[Family]:
        """All families."""
        return self._families()


def _process(counters: Snapshot, health: Health) -> Iterator[Family]:
    health()  # it sets the gauge of readiness
    families: dict[str, Family] = {}
    for metric in METRICS:
        of_kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        families[metric.name] = of_kind(metric.name, metric.help, labels=metric.labels)
    for sample in counters():
        family = families[sample.name]
        family.add_metric(list(sample.label_values), sample.value)  # type: ignore[attr-defined]
    yield from families.values()


def _runs_or_none(site: Site) -> list[Family]:
    """Nothing of runs while the store is away: the process's own figures are what tells of that."""
    try:
        return list(_runs(site))
    except StoreError:
        return []


def _runs(site: Site) -> Iterator[Family]:
    now_s = site.clock()
    families: dict[str, Family] = {
        metric.name: GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        for metric in _OF_RUNS
        if metric.kind == "gauge"
    }
    pairs, unlooked, triples, on_paths = (
        CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        for metric in _OF_RUNS
        if metric.kind == "counter"
    )
    seen, room = site.runs(), PAGE_PATHS_MAX
    for name in sorted(set(site.config.runs) - {run.name for run in seen}):
        families["mirror_run_failed"].add_sample("mirror_run_failed", {"run": name, "service": ""}, 0)
    for run in seen:
        for epoch in epochs.newest_by_service(run.epochs):
            report = epochs.judge(site.reader, epoch, site.policy, now_s)
            _verdict_samples(families, report)
            _method_samples(site, report, (pairs, unlooked, triples), families["mirror_run_paths"])
            room -= _path_samples(site, report, families, on_paths, most=min(PATHS_MAX, room))
    yield from (*families.values(), pairs, unlooked, triples, on_paths)


def _verdict_samples(families: dict[str, Family], report: EpochReport) -> None:
    labels = {"run": report.run, "service": report.epoch.key.service}
    verdict = report.verdict.verdict
    families["mirror_run_failed"].add_sample("mirror_run_failed", labels, float(verdict == "fail"))
    families["mirror_run_bound"].add_sample("mirror_run_bound", labels, report.verdict.bound)
    for one in epochs.WORST_FIRST:
        families["mirror_run_verdict"].add_sample(
            "mirror_run_verdict", labels | {"verdict": one}, float(verdict == one)
        )


def _method_samples(
    site: Site,
    report: EpochReport,
    counted: tuple[CounterMetricFamily, CounterMetricFamily, CounterMetricFamily],
    paths: Family,
) -> None:
    pairs, unlooked, triples = counted
    run, service = report.run, report.epoch.key.service
    named = (h for h in site.reader.hypotheses(report.epoch.id) if h.hypothesis.kind is not Kind.ANY)
    states = Counter((h.hypothesis.method, h.state) for h in named)
    for method in site.reader.methods(report.epoch.id):
        for verdict in VERDICTS:
            pairs.add_metric([run, service, method.method, verdict], getattr(method.counts, verdict))
        of = [run, service, method.method]
        unlooked.add_metric(of, sampled(method.counts.pairs, method.counts.reasons).not_sampled)
        triples.add_metric(of, method.counts.triples)
        for state in State:
            labels = {"run": run, "service": service, "method": method.method, "state": state.value}
            paths.add_sample("mirror_run_paths", labels, states[method.method, state])


def _path_samples(
    site: Site, report: EpochReport, families: dict[str, Family], on_paths: CounterMetricFamily, *, most: int
) -> int:
    """What differs, the worst first, at most so many; how many it were.

    A candidate that differs everywhere must not flood Prometheus.
    """
    of_run = {"run": report.run, "service": report.epoch.key.service}
    found = epochs.paths(site.reader, report.epoch.id)
    every = [one for one in (*found.differing, *found.explained) if one.hypothesis.kind is not Kind.ANY]
    for one in every[:most]:
        name = one.hypothesis
        labels = of_run | {"method": name.method, "path": name.pattern, "kind": str(name.kind)}
        families["mirror_run_path_state"].add_sample("mirror_run_path_state", labels | {"state": str(one.state)}, 1)
        for side, n in (("candidate", one.b), ("secondary", one.c), ("both", one.d)):
            on_paths.add_metric([*labels.values(), side], n)
    left_out = max(0, len(every) - most)
    families["mirror_run_paths_left_out"].add_sample("mirror_run_paths_left_out", of_run, left_out)
    families["mirror_run_last_pair_timestamp_seconds"].add_sample(
        "mirror_run_last_pair_timestamp_seconds", of_run, report.epoch.last_s
    )
    return min(most, len(every))
