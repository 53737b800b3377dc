"""What `mirror report` says of clusters: what differs together, and the field of the request that sets those calls apart."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.text import Text

from mirror.cli.reading import plain, styled
from mirror.serve import words
from mirror.serve.clusters import cluster_out, lead_words, without_lead
from mirror.store.views import ClustersView, ClusterView

CLUSTERS_SHOWN: Final = 25
PATHS_SHOWN: Final = 4  # of one cluster


def clusters_as_data(found: ClustersView) -> list[dict[str, Any]]:
    """In the shape of the API."""
    return [cluster_out(one).model_dump(mode="json") for one in found.clusters]


def show_clusters(out: Console, found: ClustersView) -> None:
    """Print the clusters of the strongest evidence; nothing where there is none."""
    if not found.count:
        return
    out.print(
        f"\nclusters ({words.count(found.count)}): calls that differ alike, with the field of the request that sets them apart "
        "(a lead, no proof)"
    )
    for one in found.clusters[:CLUSTERS_SHOWN]:
        _cluster(out, one)
    if found.count > CLUSTERS_SHOWN:
        out.print(f"and {words.plural(found.count - CLUSTERS_SHOWN, 'more cluster')}; --json and the page have more")
    if found.left_over:
        out.print(f"{words.plural(found.left_over, 'call')} more that differ are in no cluster")


def _cluster(out: Console, one: ClusterView) -> None:
    head = Text()
    head.append_text(styled(one.state))
    head.append_text(plain(f"  {one.method}: {words.count(one.n)} of {words.plural(one.calls, 'call')}"))
    out.print(head, soft_wrap=True)
    for path in one.paths[:PATHS_SHOWN]:
        out.print(plain(f"    {path.hypothesis.pattern} ({path.hypothesis.kind})"), soft_wrap=True)
    if len(one.paths) > PATHS_SHOWN:
        out.print(f"    and {words.plural(len(one.paths) - PATHS_SHOWN, 'more path')}")
    for status in one.statuses:
        out.print(plain(f"    {status}"), soft_wrap=True)
    for lead in one.leads:
        out.print(plain(f"    lead: {lead_words(lead)}"), soft_wrap=True)
    if not one.leads:
        out.print(f"    {without_lead(one)}")
