"""/api/v1: what the store knows, as JSON. Read only; errors say what to do.

Handlers are plain functions: they wait for the database, so the server runs them on its threads.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from mirror.core.model import Kind
from mirror.core.model import Verdict as Outcome
from mirror.core.noise import State
from mirror.serve import (
    epochs,
    models,
    models_of_clusters,
    models_of_comparisons,
    models_of_rules,
    models_of_speed,
    reports,
    shape,
)
from mirror.serve.clusters import CLUSTERS_MAX, clusters_out
from mirror.serve.models_of_reports import Report
from mirror.serve.rules import rule_lines
from mirror.serve.sides import sides
from mirror.serve.site import Site
from mirror.serve.suggestions import NOTHING, suggest, suggestions_out
from mirror.serve.verdicts import Wanted
from mirror.store.views import NO_CLUSTERS, EpochView, RunView

COMPARISONS_MAX: Final = 500
_EpochId = Annotated[int | None, Query(description="an epoch's id; the default is the newest", ge=1)]
_OfMethod = Annotated[str | None, Query(description="only of this method")]
_Run = Annotated[str, Query(description="the run's name")]
_RunInPath = Annotated[str, Path(description="the run's name")]
_ERRORS: Final = {
    404: {"model": models.ErrorBody, "description": "there is no such thing; the message lists what there is"},
    422: {"model": models.ErrorBody, "description": "a parameter is wrong"},
}


def router(site: Site) -> APIRouter:
    """All endpoints over one site."""
    api = APIRouter(prefix="/api/v1", responses=dict(_ERRORS))  # type: ignore[arg-type]
    _runs(api, site)
    _paths(api, site)
    _changes(api, site)
    _verdict(api, site)
    _comparisons(api, site)
    _collector(api, site)
    return api


def _runs(api: APIRouter, site: Site) -> None:
    @api.get("/runs", tags=["runs"])
    def runs() -> models.Runs:
        """All runs with their verdict and the newest epoch of each service."""
        now_s = site.clock()
        found = [(run, epochs.judge_run(site.reader, run, site.policy, now_s)) for run in site.runs()]
        return models.Runs(
            runs=[
                models.Run(
                    name=run.name,
                    verdict=report.deciding.verdict.verdict if report else "inconclusive",
                    epochs=[shape.epoch_out(e) for e in epochs.newest_by_service(run.epochs)],
                )
                for run, report in found
            ]
        )

    @api.get("/runs/{run}", tags=["runs"])
    def run_detail(run: _RunInPath, epoch: _EpochId = None) -> models.RunDetail:
        """One run: totals and methods of an epoch, and all epochs that it had."""
        found = site.run(run)
        shown = chosen(found, epoch)
        methods = epochs.sorted_methods(site.reader.methods(shown.id)) if shown else []
        return models.RunDetail(
            name=found.name,
            epoch=shape.epoch_out(shown) if shown else None,
            methods=[shape.method_out(m) for m in methods],
            epochs=[shape.epoch_out(e) for e in found.epochs],
        )

    @api.get("/runs/{run}/report", tags=["runs"])
    def run_report(run: _RunInPath, epoch: _EpochId = None) -> Report:
        """All that is known of a run and the epoch that decides its verdict, or of another one: what `mirror report` prints."""
        return reports.find(site.reader, site.config, run, epoch, site.clock())

    @api.get("/runs/{run}/account", tags=["runs"])
    def run_account(run: _RunInPath) -> models.Account:
        """What became of every call of the run, from what services captured to what was compared."""
        return shape.account_out(site.reader.account(site.run(run).name))


def _paths(api: APIRouter, site: Site) -> None:
    """What differs in a run, and what is made of it."""

    @api.get("/runs/{run}/paths", tags=["runs"])
    def run_paths(
        run: _RunInPath,
        epoch: _EpochId = None,
        method: _OfMethod = None,
        state: Annotated[State | None, Query(description="only in this state")] = None,
    ) -> models.Paths:
        """What differs, the worst first: every (method, path pattern, kind) with its evidence."""
        found = site.run(run)
        shown = chosen(found, epoch)
        every = epochs.paths(site.reader, shown.id, method) if shown else epochs.NO_PATHS
        listed = [
            h
            for h in (*every.differing, *every.together, *every.explained, *every.other)
            if state is None or h.state is state
        ]
        return models.Paths(
            run=found.name, epoch=shown.id if shown else None, paths=[shape.path_out(h) for h in listed]
        )

    @api.get("/runs/{run}/speeds", tags=["runs"])
    def run_speeds(
        run: _RunInPath,
        epoch: _EpochId = None,
        method: _OfMethod = None,
    ) -> models_of_speed.Speeds:
        """Latency and size of the candidate against the secondary, the primary beside them, and who served how many calls."""
        found = site.run(run)
        shown = chosen(found, epoch)
        listed = site.reader.speeds(shown.id, method) if shown else []
        served = site.reader.instances(shown.id) if shown else []
        return models_of_speed.Speeds(
            run=found.name,
            epoch=shown.id if shown else None,
            speeds=[shape.speed_out(one, site.policy) for one in listed],
            instances=[models_of_speed.Instance.model_validate(one) for one in served],
        )

    @api.get("/runs/{run}/clusters", tags=["runs"])
    def run_clusters(
        run: _RunInPath,
        epoch: _EpochId = None,
        method: _OfMethod = None,
    ) -> models_of_clusters.Clusters:
        """Mismatches grouped by what differs, with the request fields that set them apart: leads, no proof."""
        found = site.run(run)
        shown = chosen(found, epoch)
        clusters = site.reader.clusters(shown.id, method, limit=CLUSTERS_MAX) if shown else NO_CLUSTERS
        return clusters_out(found, shown, clusters)

    @api.get("/runs/{run}/suggestions", tags=["runs"])
    def run_suggestions(
        run: _RunInPath,
        epoch: _EpochId = None,
        method: Annotated[str | None, Query(description="only for this method")] = None,
    ) -> models_of_clusters.Suggestions:
        """Rules that would explain noisy and harmless-looking paths, tried on the kept comparisons. None is ever applied."""
        found = site.run(run)
        shown = chosen(found, epoch)
        told = suggest(site.reader, site.config, shown, today=site.today(), method=method) if shown else NOTHING
        return suggestions_out(found.name, shown, told)


def _changes(api: APIRouter, site: Site) -> None:
    """What changed beside the answers: schemas, and the rules that they are judged by."""

    @api.get("/runs/{run}/schema-changes", tags=["runs"])
    def run_schema_changes(
        run: _RunInPath,
        epoch: _EpochId = None,
        method: _OfMethod = None,
    ) -> models.SchemaChanges:
        """What the candidate's schemas changed. Changes of a schema are no differences and never change a verdict."""
        found = site.run(run)
        shown = chosen(found, epoch)
        by_method = site.reader.schema_changes(shown.id, method) if shown else []
        return models.SchemaChanges(
            run=found.name, epoch=shown.id if shown else None, methods=[shape.schema_changes_out(m) for m in by_method]
        )

    @api.get("/runs/{run}/rule-changes", tags=["runs"])
    def run_rule_changes(run: _RunInPath, epoch: _EpochId = None) -> models_of_rules.RuleChanges:
        """Which rules came and went, when, and what started anew with them."""
        found = site.run(run)
        shown = chosen(found, epoch)
        history = site.reader.rule_changes(shown.id) if shown else []
        return models_of_rules.RuleChanges(
            run=found.name, epoch=shown.id if shown else None, changes=[shape.rule_change_out(one) for one in history]
        )


def _verdict(api: APIRouter, site: Site) -> None:
    @api.get("/verdict", tags=["verdict"])
    def verdict(
        run: Annotated[str | None, Query(description="the run's name")] = None,
        epoch: _EpochId = None,
        service: Annotated[
            str | None, Query(description="a service, in the place of the run or of those in it")
        ] = None,
        candidate: Annotated[
            str | None, Query(description="only this version of the candidate; inconclusive until its first pair")
        ] = None,
    ) -> models.RunVerdict:
        """May we go on? pass, fail or inconclusive with every reason. 200 for all three, also before the first pair."""
        return site.verdict(Wanted(run, epoch, service, candidate))

    @api.get("/warmup", tags=["verdict"])
    def warmup(
        run: Annotated[str, Query(description="the run's name")],
        service: Annotated[str | None, Query(description="only this service of it")] = None,
    ) -> models.Warmup:
        """Can the setup judge at all? sound, faulty or inconclusive, of a run with the old build as its own candidate."""
        return site.warmup(run, service)


def _comparisons(api: APIRouter, site: Site) -> None:
    @api.get("/comparisons", tags=["comparisons"])
    def comparisons(  # noqa: PLR0913 - the filters of a list
        run: _Run,
        *,
        epoch: _EpochId = None,
        method: Annotated[str | None, Query(description="only of this method: shop.v1.Shop/GetOrder")] = None,
        pattern: Annotated[
            str | None, Query(description="only those that differ at this path pattern: response.items[*].price")
        ] = None,
        kind: Annotated[Kind | None, Query(description="only those that differ in this way")] = None,
        verdict: Annotated[Outcome | None, Query(description="only with this verdict")] = None,
        limit: Annotated[int, Query(ge=1, le=COMPARISONS_MAX, description="at most so many, up to 500")] = 50,
        before: Annotated[
            float | None, Query(description="next_before of the page before", allow_inf_nan=False)
        ] = None,
    ) -> models_of_comparisons.Comparisons:
        """Kept comparisons, the newest first. Matched pairs are only counted; of the others a capped number is kept."""
        found = site.run(run)
        shown = chosen(found, epoch)
        if shown is None:
            return models_of_comparisons.Comparisons(run=run, epoch=None, comparisons=[], next_before=None)
        rows = site.reader.comparisons(
            shown.id, method=method, pattern=pattern, kind=kind, verdict=verdict, limit=limit, before=before
        )
        more = rows[-1].compared_at_s if len(rows) == limit else None
        listed = [shape.comparison_line(row) for row in rows]
        return models_of_comparisons.Comparisons(run=run, epoch=shown.id, comparisons=listed, next_before=more)

    @api.get("/comparisons/{comparison_id}", tags=["comparisons"])
    def comparison(comparison_id: Annotated[str, Path(description="its id")]) -> models_of_comparisons.Comparison:
        """One comparison: its differences, and what each side sent (JSON where the schema is known, else base64)."""
        found = site.comparison(comparison_id)
        return shape.comparison_out(sides(found, site.schemas.pool))


def _collector(api: APIRouter, site: Site) -> None:
    @api.get("/rules", tags=["collector"])
    def rules() -> models.Rules:
        """All rules of the configuration, how often each applied, and whether their paths exist."""
        lines = rule_lines(site.config.rules.rules, site.reader.rules(), site.today())
        return models.Rules(rules=[models.Rule.model_validate(line) for line in lines])

    @api.get("/counters", tags=["collector"])
    def counters() -> models.Counters:
        """The collector's own figures: drops, releases, batches, and runs that nobody allowed."""
        return models.Counters(
            process=[models.Counter(name=s.name, value=s.value, labels=s.labels) for s in site.counters()],
            stored=site.reader.counters(),
            unknown_runs=[models.NamedCount.model_validate(one) for one in site.reader.unknown_runs()],
        )

    @api.get("/sources", tags=["collector"])
    def sources() -> models.Sources:
        """The processes with the interceptor, and what each captured and dropped since its start."""
        return models.Sources(sources=[models.Source.model_validate(s) for s in site.reader.sources()])


def chosen(run: RunView, epoch: int | None) -> EpochView | None:
    """The epoch asked for, else the newest; None if the run has none yet."""
    if epoch is not None:
        return epochs.find_epoch(run, epoch)
    return next(iter(epochs.newest_by_service(run.epochs)), None)
