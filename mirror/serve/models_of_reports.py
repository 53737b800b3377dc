"""The shape of a whole report in /api/v1: what `mirror report --json` prints. As in `models`: fields are added, never renamed or removed."""

from __future__ import annotations

from pydantic import Field

from mirror.serve import models, models_of_clusters, models_of_rules, models_of_speed
from mirror.serve.models import _Model


class ReportPaths(_Model):
    """The paths of one epoch, the worst first in each list."""

    differing: list[models.Path] = Field(
        description="regressed, suspect, unjudged, and noisy where noise explains too little"
    )
    together: list[models.Path] = Field(description="kind `any` of methods whose own paths say as much already")
    explained: list[models.Path] = Field(description="noisy, and no more often than the secondary")
    other: list[models.Path] = Field(description="clean or unseen")


class Report(_Model):
    """A run with all that is known of one epoch of it, at one moment."""

    run: str
    verdict: models.RunVerdict
    epoch: models.Epoch | None = Field(
        description="that of the verdict; null: no pair was seen yet, and lists are empty"
    )
    methods: list[models.Method]
    paths: ReportPaths
    clusters: list[models_of_clusters.Cluster] = Field(description="those of the strongest evidence")
    cluster_count: int = Field(description="all clusters")
    cluster_left_over: int = Field(description="calls that differ and are in none")
    schema_changes: list[models.MethodSchemaChanges]
    rule_changes: list[models_of_rules.RuleChange]
    speeds: list[models_of_speed.Speed]
    instances: list[models_of_speed.Instance]
    account: models.Account | None
    page: str = Field(description="where a person reads on; of the API relative to this server")
    rules: list[models.Rule] = Field(description="those whose scope includes the run")
