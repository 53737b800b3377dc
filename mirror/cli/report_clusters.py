"""What `mirror report` says of clusters: what differs together, and the field of the request that sets those calls apart."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

from mirror.cli.reading import plain, styled
from mirror.serve import words
from mirror.serve.models_of_clusters import Cluster
from mirror.serve.models_of_reports import Report

CLUSTERS_SHOWN: Final = 25
PATHS_SHOWN: Final = 4  # of one cluster


def show_clusters(out: Console, found: Report) -> None:
    """Print the clusters of the strongest evidence; nothing where there is none."""
    count = found.cluster_count
    if not count:
        return
    out.print(
        f"\nclusters ({words.count(count)}): calls that differ alike, with the field of the request that sets them apart "
        "(a lead, no proof)"
    )
    for one in found.clusters[:CLUSTERS_SHOWN]:
        _cluster(out, one)
    if count > CLUSTERS_SHOWN:
        out.print(f"and {words.plural(count - CLUSTERS_SHOWN, 'more cluster')}; --json and the page have more")
    if found.cluster_left_over:
        out.print(f"{words.plural(found.cluster_left_over, 'call')} more that differ are in no cluster")


def _cluster(out: Console, one: Cluster) -> None:
    head = Text()
    head.append_text(styled(one.state))
    head.append_text(plain(f"  {one.method}: {words.count(one.calls)} of {words.plural(one.calls_of, 'call')}"))
    out.print(head, soft_wrap=True)
    for path in one.paths[:PATHS_SHOWN]:
        out.print(plain(f"    {path.pattern} ({path.kind})"), soft_wrap=True)
    if len(one.paths) > PATHS_SHOWN:
        out.print(f"    and {words.plural(len(one.paths) - PATHS_SHOWN, 'more path')}")
    for status in one.statuses:
        out.print(plain(f"    {status}"), soft_wrap=True)
    for lead in one.leads:
        out.print(plain(f"    lead: {lead.words}"), soft_wrap=True)
    if not one.leads:
        out.print(f"    {one.no_lead}")
