"""The pages: server-rendered, readable without JavaScript, everything escaped that came from calls.

Handlers gather what a template prints and decide nothing about it; figures become words in `words`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from grpc_mirror.v1.comparison_pb2 import Difference
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mirror.collect.counters import Sample
from mirror.core.model import Hypothesis, Kind, Role
from mirror.core.model import Verdict as Outcome
from mirror.core.noise import State
from mirror.core.sampled import sampled
from mirror.serve import chart, clusters, epochs, sampling, shape, suggestions, value_examples, words
from mirror.serve.epochs import NotFoundError
from mirror.serve.rules import for_run, rule_lines
from mirror.serve.sides import SidesView, sides
from mirror.serve.site import Site
from mirror.store.views import ComparisonView, EpochView, HypothesisView, RunView

HERE: Final = Path(__file__).parent
PATHS_MAX: Final = 500
EXAMPLES: Final = 10  # each is read whole, for its values
LIST_LENGTH: Final = 100
CLUSTERS_SHOWN: Final = 20  # leads are looked for in each
_EpochId = Annotated[int | None, Query(ge=1)]


@dataclass(frozen=True, slots=True)
class RunLine:
    """One line of the overview."""

    run: str
    epoch: EpochView
    verdict: str
    regressed: int
    suspect: int


class Pages:
    """The templates over one site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            static=static_url,
            run_url=shape.run_page,
            path_url=shape.path_page,
            suggestions_url=shape.suggestions_page,
            comparisons_url=_comparisons_url,
            pattern_text=epochs.pattern_text,
            state_meanings=words.STATE_MEANINGS,
            kind_meanings=words.KIND_MEANINGS,
            schema_change_words=words.SCHEMA_CHANGES,
            schema_changes_mean=words.SCHEMA_CHANGES_MEAN,
            paths_max=PATHS_MAX,
            lead_figures=clusters.lead_figures,
            without_lead=clusters.without_lead,
            no_proof=clusters.NO_PROOF,
            policy=site.policy,
            sampling=sampling,
            **{
                name: getattr(words, name)
                for name in (
                    "count",
                    "percent",
                    "interval",
                    "span",
                    "milliseconds",
                    "measure",
                    "moment",
                    "ago",
                    "plural",
                    "version",
                    "reason",
                    "restarted",
                )
            },
        )

    def render(self, template: str, here: str = "runs", *, status: int = 200, **values: Any) -> HTMLResponse:
        """One page. `here` names the entry of the navigation."""
        html = self._templates.get_template(template).render(here=here, now_s=self.site.clock(), **values)
        return HTMLResponse(html, status_code=status)

    def error(self, heading: str, text: str, status: int) -> HTMLResponse:
        """The page of something that went wrong."""
        return self.render("error.html", "", status=status, heading=heading, text=text)


def router(pages: Pages) -> APIRouter:
    """All pages."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    _overview(routes, pages)
    _run(routes, pages)
    _comparisons(routes, pages)
    _collector(routes, pages)
    return routes


def _overview(routes: APIRouter, pages: Pages) -> None:
    site = pages.site

    @routes.get("/")
    def runs() -> HTMLResponse:
        seen = site.runs()
        lines = [_line(site, run.name, epoch) for run in seen for epoch in epochs.newest_by_service(run.epochs)]
        waiting = [name for name in site.config.runs if name not in {run.name for run in seen}]
        return pages.render("runs.html", lines=lines, waiting=waiting, unknown_runs=site.reader.unknown_runs())


def _line(site: Site, run: str, epoch: EpochView) -> RunLine:
    report = epochs.judge(site.reader, epoch, site.policy, site.clock())
    states = [h.state for h in site.reader.hypotheses(epoch.id) if h.hypothesis.kind is not Kind.ANY]
    return RunLine(run, epoch, report.verdict.verdict, states.count(State.REGRESSED), states.count(State.SUSPECT))


def _run(routes: APIRouter, pages: Pages) -> None:
    site = pages.site

    @routes.get("/runs/{run}")
    def run_page(run: str, epoch: _EpochId = None) -> HTMLResponse:
        found = site.run(run)
        report = _shown(site, found, epoch)
        lines = for_run(rule_lines(site.config.rules.rules, site.reader.rules(), site.today()), run)
        values: dict[str, Any] = {"run": found, "report": report, "rules": lines, "warnings": _warnings(site)}
        if report is not None:
            shown = report.epoch.id
            methods = epochs.sorted_methods(site.reader.methods(shown))
            values |= {
                "account": site.reader.account(run),
                "paths": epochs.paths(site.reader, shown),
                "clusters": site.reader.clusters(shown, limit=CLUSTERS_SHOWN),
                "schema_changes": site.reader.schema_changes(shown),
                "rule_changes": site.reader.rule_changes(shown),
                "methods": [(m, sampled(m.counts.pairs, m.counts.reasons)) for m in methods],
                "sampled": sampled(report.epoch.counts.pairs, report.epoch.counts.reasons),
                "speeds": [(one, shape.speed_out(one, site.policy)) for one in site.reader.speeds(shown)],
                "instances": site.reader.instances(shown),
                "chart": chart.minutes(report.facts.methods),
            }
        return pages.render("run.html", **values)

    @routes.get("/runs/{run}/suggestions")
    def suggestions_page(run: str, epoch: _EpochId = None) -> HTMLResponse:
        found = site.run(run)
        report = _shown(site, found, epoch)
        shown = report.epoch if report else None
        told = (
            suggestions.suggest(site.reader, site.config, shown, today=site.today()) if shown else suggestions.NOTHING
        )
        return pages.render(
            "suggestions.html", run=found, epoch=shown, suggested=told, never_applied=suggestions.NEVER_APPLIED
        )

    @routes.get("/runs/{run}/paths/{hypothesis}")
    def path_page(run: str, hypothesis: int, epoch: _EpochId = None) -> HTMLResponse:
        found = site.run(run)
        shown, view = _hypothesis(site, found, epoch, hypothesis)
        of_values = view.hypothesis.kind is Kind.VALUES
        most = value_examples.LOOKED_AT if of_values else EXAMPLES + 1
        examples = site.reader.comparisons(shown.id, **_differing_in(view), limit=most)
        if of_values:
            examples = value_examples.telling_first(site, shown, view, examples)
        told = [(line, _at(site, line, view)) for line in examples[:EXAMPLES]]
        return pages.render(
            "path.html",
            today=site.today(),
            run=found,
            epoch=shown,
            h=view,
            examples=told,
            older=len(examples) > EXAMPLES,
        )


def _shown(site: Site, run: RunView, epoch: int | None) -> epochs.EpochReport | None:
    if epoch is not None:
        return epochs.judge(site.reader, epochs.find_epoch(run, epoch), site.policy, site.clock())
    report = epochs.judge_run(site.reader, run, site.policy, site.clock())
    return report.deciding if report else None


def _hypothesis(site: Site, run: RunView, epoch: int | None, wanted: int) -> tuple[EpochView, HypothesisView]:
    candidates = [epochs.find_epoch(run, epoch)] if epoch is not None else list(run.epochs)
    for one in candidates:
        for view in site.reader.hypotheses(one.id):
            if view.id == wanted:
                return one, view
    raise NotFoundError(
        "unknown_path",
        f"Run {run.name!r} has no path {wanted}; a change of rules starts paths anew, and the run's page lists what differs.",
    )


def _differing_in(view: HypothesisView) -> dict[str, Any]:
    """The filters for its examples. `any` is no path of its own: whatever mismatched in the method is one."""
    name = view.hypothesis
    if name.kind is Kind.ANY:
        return {"method": name.method, "verdict": Outcome.MISMATCHED}
    if name.kind is Kind.VALUES:  # differences of any kind show its values
        return {"method": name.method, "pattern": name.pattern}
    return {"method": name.method, "pattern": name.pattern, "kind": name.kind}


def _at(site: Site, line: ComparisonView, view: HypothesisView) -> list[Difference]:
    """The candidate's differences of one example that belong to the hypothesis; at most three."""
    kept = site.reader.comparison(line.id)
    name = view.hypothesis
    found = [
        one
        for side in (kept.sides if kept else ())
        if side.role == Role.CANDIDATE
        for one in side.differences
        if not one.rule and _shows(one, name)
    ]
    return found[:3] or [Difference(path=epochs.pattern_text(view))]


def _shows(one: Difference, name: Hypothesis) -> bool:
    """Whether a difference belongs to a hypothesis."""
    if name.kind is Kind.ANY:
        return True
    return one.pattern == name.pattern and (name.kind is Kind.VALUES or one.kind == name.kind)


def _warnings(site: Site) -> list[str]:
    """What a reader must know before believing the figures."""
    found = [
        f"{source.service} ({source.instance}) dropped {words.count(sum(source.dropped.values()))} captures before sending them: "
        + ", ".join(f"{name} {words.count(n)}" for name, n in sorted(source.dropped.items()))
        for source in site.reader.sources()
        if sum(source.dropped.values())
    ]
    found += [
        f"{words.plural(one.n, 'call')} came for run {one.name!r}, which the configuration does not allow."
        for one in site.reader.unknown_runs()
    ]
    return found[:10]


def _comparisons(routes: APIRouter, pages: Pages) -> None:
    site = pages.site

    @routes.get("/runs/{run}/comparisons")
    def comparisons_page(  # noqa: PLR0913 - the filters of a list
        run: str,
        epoch: Annotated[int, Query(ge=1)],
        *,
        method: str | None = None,
        verdict: Outcome | None = None,
        pattern: str | None = None,
        kind: Kind | None = None,
        before: Annotated[float | None, Query(allow_inf_nan=False)] = None,
    ) -> HTMLResponse:
        found = site.run(run)
        shown = epochs.find_epoch(found, epoch)
        rows = site.reader.comparisons(
            shown.id, method=method, verdict=verdict, pattern=pattern, kind=kind, limit=LIST_LENGTH, before=before
        )
        filters = {"method": method, "verdict": verdict, "pattern": pattern, "kind": kind}
        older = rows[-1].compared_at_s if len(rows) == LIST_LENGTH else None
        return pages.render(
            "comparisons.html",
            run=found,
            epoch=shown,
            filters=[(name, value) for name, value in filters.items() if value],
            rows=rows,
            next_url=shape.comparisons_page(run, epoch, before=older, **filters) if older else "",
        )

    @routes.get("/comparisons/{comparison_id}")
    def comparison_page(comparison_id: str) -> HTMLResponse:
        view = sides(site.comparison(comparison_id), site.schemas.pool)
        return pages.render("comparison.html", view=view, trace_url=trace_url(site, view))


def _comparisons_url(run: str, epoch: int, method: str, verdict: str, pattern: str = "", kind: str = "") -> str:  # noqa: PLR0913, PLR0917 - for templates
    return shape.comparisons_page(run, epoch, method=method, verdict=verdict, pattern=pattern, kind=kind)


def trace_url(site: Site, view: SidesView) -> str:
    """Where the trace can be read: the configured template with `{trace_id}`; empty where there is none."""
    template = site.config.web.trace_url
    if not template or not view.trace_id:
        return ""
    return template.replace("{trace_id}", quote(view.trace_id, safe=""))


def _collector(routes: APIRouter, pages: Pages) -> None:
    site = pages.site

    @routes.get("/rules")
    def rules_page() -> HTMLResponse:
        lines = rule_lines(site.config.rules.rules, site.reader.rules(), site.today())
        return pages.render("rules.html", "rules", rules=lines)

    @routes.get("/collector")
    def collector_page() -> HTMLResponse:
        return pages.render(
            "collector.html",
            "collector",
            problems=list(site.health()),
            sources=site.reader.sources(),
            samples=_of_this_process(site.counters()),
            stored=site.reader.counters(),
            unknown_runs=site.reader.unknown_runs(),
        )


def _of_this_process(samples: Sequence[Sample]) -> list[Sample]:
    """Without Kafka's where this process uses none: a worker knows from its start whether a broker answers."""
    kafka = any(one.name == "mirror_kafka_up" for one in samples)
    return [one for one in samples if kafka or not one.name.startswith(("mirror_kafka_", "mirror_dead_letters_"))]


@lru_cache(maxsize=16)
def static_url(name: str) -> str:
    """The address of a static file; it changes with the file, so that browsers may keep it for good."""
    digest = hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
