"""Clusters as page, API and report show them: in words, and in the shapes of the API. Pure."""

from __future__ import annotations

from typing import Final

from mirror.core.leads import Lead
from mirror.serve import models_of_clusters as models
from mirror.serve import shape, words
from mirror.store.views import ClustersView, ClusterView, EpochView, RunView

CLUSTERS_MAX: Final = 200  # in one answer
NO_PROOF: Final = (
    "A lead was chosen because it fits: it says where to look, and proves nothing. Mismatches and matches are those of a "
    "sample of calls; a match is any call of the method that does not differ so."
)
_ALWAYS_FROM: Final = 0.99


def lead_words(lead: Lead) -> str:
    """The condition with both sides: `request.currency = "JPY": 41 of 41 mismatches, 3% of matches`."""
    return f"{lead.condition}: {lead_figures(lead)}"


def lead_figures(lead: Lead) -> str:
    """Both sides of a lead."""
    share = words.percent(lead.outside / lead.outside_of if lead.outside_of else 0.0)
    return f"{words.count(lead.inside)} of {words.count(lead.inside_of)} mismatches, {share} of matches"


def without_lead(cluster: ClusterView) -> str:
    """What stands in the place of a lead where there is none."""
    if cluster.calls and cluster.n >= _ALWAYS_FROM * cluster.calls:
        return "in every call that was compared" if cluster.n == cluster.calls else "in nearly every call"
    if not cluster.sampled or not cluster.matches_sampled:
        return "no fields of its requests were kept (store.request_samples), or their schema is not known"
    return f"no field of the request sets these calls apart, in {words.plural(cluster.sampled, 'call')} looked at"


def clusters_out(run: RunView, epoch: EpochView | None, found: ClustersView) -> models.Clusters:
    """The clusters of an epoch."""
    return models.Clusters(
        run=run.name,
        epoch=epoch.id if epoch else None,
        count=found.count,
        left_over=found.left_over,
        clusters=[cluster_out(one) for one in found.clusters],
    )


def cluster_out(one: ClusterView) -> models.Cluster:
    """One cluster."""
    return models.Cluster(
        id=one.id,
        method=one.method,
        state=one.state,
        paths=[
            models.ClusterPath(id=h.id, pattern=h.hypothesis.pattern, kind=h.hypothesis.kind, state=h.state)
            for h in one.paths
        ],
        statuses=list(one.statuses),
        calls=one.n,
        calls_of=one.calls,
        first_seen_s=one.first_s,
        last_seen_s=one.last_s,
        log_e_star=one.log_e_star,
        leads=[_lead(lead) for lead in one.leads],
        no_lead="" if one.leads else without_lead(one),
        sampled=one.sampled,
        instances=[models.ClusterInstance(instance=name, calls=n) for name, n in one.instances],
        examples=[shape.comparison_line(example) for example in one.examples],
    )


def _lead(lead: Lead) -> models.Lead:
    return models.Lead(
        path=lead.path,
        condition=lead.condition,
        words=lead_words(lead),
        mismatches=lead.inside,
        mismatches_of=lead.inside_of,
        matches=lead.outside,
        matches_of=lead.outside_of,
        log_evidence=lead.log_evidence,
    )
