"""/metrics: the collector's own table and, for each run, what a dashboard or an alert needs. Prometheus text format.

Read at each scrape, from the store and the counters; nothing is kept here. Labels are runs, services, methods, verdicts
and states, whose number the store caps; never trace IDs or values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from mirror.collect.counters import METRICS, Metric
from mirror.core.model import Kind
from mirror.core.noise import State
from mirror.serve import epochs
from mirror.serve.epochs import EpochReport
from mirror.serve.site import Site

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
    Metric("mirror_run_triples_total", "counter", "Triples of the run's newest epoch.", ("run", "service", "method")),
    Metric(
        "mirror_run_paths",
        "gauge",
        "Path patterns by kind of the run's newest epoch, by state.",
        ("run", "service", "method", "state"),
    ),
)
RUN_METRICS: Final = {metric.name: metric for metric in _OF_RUNS}


def text(site: Site) -> bytes:
    """The whole page in Prometheus text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(site))
    return generate_latest(registry)


class _Page(Collector):
    """One scrape."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def describe(self) -> Iterable[Family]:
        """Nothing: the registry asks once, before there is anything to say."""
        return ()

    def collect(self) -> Iterator[Family]:
        """All families."""
        yield from _process(self._site)
        yield from _runs(self._site)


def _process(site: Site) -> Iterator[Family]:
    site.health()  # it sets the gauge of readiness
    families: dict[str, Family] = {}
    for metric in METRICS:
        of_kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        families[metric.name] = of_kind(metric.name, metric.help, labels=metric.labels)
    for sample in site.counters():
        family = families[sample.name]
        family.add_metric(list(sample.label_values), sample.value)  # type: ignore[attr-defined]
    yield from families.values()


def _runs(site: Site) -> Iterator[Family]:
    now_s = site.clock()
    families: dict[str, Family] = {
        metric.name: GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        for metric in _OF_RUNS
        if metric.kind == "gauge"
    }
    pairs, triples = (
        CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        for metric in _OF_RUNS
        if metric.kind == "counter"
    )
    seen = site.runs()
    for name in sorted(set(site.config.runs) - {run.name for run in seen}):
        families["mirror_run_failed"].add_sample("mirror_run_failed", {"run": name, "service": ""}, 0)
    for run in seen:
        for epoch in epochs.newest_by_service(run.epochs):
            report = epochs.judge(site.reader, epoch, site.policy, now_s)
            _verdict_samples(families, report)
            _method_samples(site, report, pairs, triples, families["mirror_run_paths"])
    yield from (*families.values(), pairs, triples)


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
    site: Site, report: EpochReport, pairs: CounterMetricFamily, triples: CounterMetricFamily, paths: Family
) -> None:
    run, service = report.run, report.epoch.key.service
    named = (h for h in site.reader.hypotheses(report.epoch.id) if h.hypothesis.kind is not Kind.ANY)
    states = Counter((h.hypothesis.method, h.state) for h in named)
    for method in site.reader.methods(report.epoch.id):
        for verdict in VERDICTS:
            pairs.add_metric([run, service, method.method, verdict], getattr(method.counts, verdict))
        triples.add_metric([run, service, method.method], method.counts.triples)
        for state in State:
            labels = {"run": run, "service": service, "method": method.method, "state": state.value}
            paths.add_sample("mirror_run_paths", labels, states[method.method, state])
