"""A whole report put together, for API and command line alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from mirror.config import Config
from mirror.serve import epochs, models, models_of_speed, shape, verdicts
from mirror.serve.clusters import clusters_out
from mirror.serve.models_of_reports import Report, ReportPaths
from mirror.serve.rules import for_run, rule_lines
from mirror.serve.verdicts import Wanted
from mirror.store import Reader

_NO_PATHS: Final = ReportPaths(differing=[], together=[], explained=[], other=[])


def find(reader: Reader, config: Config, run: str, epoch: int | None, now_s: float) -> Report:
    """The report on a run, or on one epoch of it, at `now_s` (unix time). Raises NotFoundError and StoreError.

    All of it is of one state of the store, so that its figures belong together.
    """
    with reader.moment() as same:
        return _found(same, config, run, epoch, now_s)


def _found(reader: Reader, config: Config, run: str, epoch: int | None, now_s: float) -> Report:
    verdict = verdicts.find(reader, config.policy, config.runs, Wanted(run, epoch), now_s)
    today = datetime.fromtimestamp(now_s, tz=UTC).date()
    lines = for_run(rule_lines(config.rules.rules, reader.rules(), today), run)
    rules = [models.Rule.model_validate(line) for line in lines]
    if verdict.epoch is None:
        return _unseen(run, verdict, rules)
    found = epochs.find_run(reader, run)
    shown = epochs.find_epoch(found, verdict.epoch)
    clusters = clusters_out(found, shown, reader.clusters(shown.id))
    return Report(
        run=verdict.run,
        verdict=verdict,
        epoch=shape.epoch_out(shown),
        methods=[shape.method_out(one) for one in epochs.sorted_methods(reader.methods(shown.id))],
        paths=_paths(epochs.paths(reader, shown.id)),
        clusters=clusters.clusters,
        cluster_count=clusters.count,
        cluster_left_over=clusters.left_over,
        schema_changes=[shape.schema_changes_out(one) for one in reader.schema_changes(shown.id)],
        rule_changes=[shape.rule_change_out(one) for one in reader.rule_changes(shown.id)],
        speeds=[shape.speed_out(one, config.policy) for one in reader.speeds(shown.id)],
        instances=[models_of_speed.Instance.model_validate(one) for one in reader.instances(shown.id)],
        account=shape.account_out(reader.account(run)),
        page=verdict.page,
        rules=rules,
    )


def _unseen(run: str, verdict: models.RunVerdict, rules: list[models.Rule]) -> Report:
    return Report(
        run=run,
        verdict=verdict,
        epoch=None,
        methods=[],
        paths=_NO_PATHS,
        clusters=[],
        cluster_count=0,
        cluster_left_over=0,
        schema_changes=[],
        rule_changes=[],
        speeds=[],
        instances=[],
        account=None,
        page=verdict.page,
        rules=rules,
    )


def _paths(found: epochs.Paths) -> ReportPaths:
    return ReportPaths(
        differing=[shape.path_out(one) for one in found.differing],
        together=[shape.path_out(one) for one in found.together],
        explained=[shape.path_out(one) for one in found.explained],
        other=[shape.path_out(one) for one in found.other],
    )
