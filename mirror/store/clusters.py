"""Reading clusters back: sets of what differs, grouped by cause as states are now, and the leads in their samples. Reads only."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, select

from mirror.core import clusters as core
from mirror.core.leads import find_leads
from mirror.core.model import Kind
from mirror.core.noise import State
from mirror.core.request_fields import RequestFields
from mirror.store.hypotheses import SEVERITY
from mirror.store.tables import methods
from mirror.store.tables_of_examples import difference_sets, request_samples, set_examples
from mirror.store.views import ClusterView, HypothesisView

CLUSTERS_SHOWN: Final = 50
INSIDE_MAX: Final = 100  # sampled calls of a cluster that leads are looked for in
INSTANCE: Final = "candidate.instance"  # as leads name it
_IN_QUESTION: Final = frozenset({State.REGRESSED, State.SUSPECT})
_IN_LIST_MAX: Final = 5000


@dataclass(frozen=True, slots=True)
class FoundCluster:
    """A cluster without its examples, and the ids of its sets."""

    view: ClusterView
    sets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FoundClusters:
    """Those of the strongest evidence; see ClustersView."""

    clusters: tuple[FoundCluster, ...] = ()
    count: int = 0
    left_over: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    """A cluster in its method, before its samples are looked at."""

    cluster: core.Cluster
    method_id: int
    method: str
    calls: int
    paths: tuple[HypothesisView, ...]


def clusters_of(
    connection: Connection, epoch_id: int, views: Iterable[HypothesisView], *, has_secondary: bool, limit: int
) -> FoundClusters:
    """The clusters of the methods whose hypotheses are given, those of the strongest evidence first; at most `limit`.

    In them are paths that are regressed or suspect; without a secondary, which could show noise, all that differ.
    """
    named: defaultdict[str, dict[core.Member, HypothesisView]] = defaultdict(dict)
    for view in views:
        asked = view.state in _IN_QUESTION if has_secondary else view.pairs > 0 and view.state is not State.UNJUDGED
        if asked and view.hypothesis.kind is not Kind.ANY:
            named[view.hypothesis.method][view.hypothesis.pattern, view.hypothesis.kind] = view
    places: list[_Place] = []
    left_over = 0
    for row in connection.execute(
        select(methods.c.id, methods.c.name).where(methods.c.epoch_id == epoch_id, methods.c.name.in_(named))
    ).all():
        members = named[row.name]
        grouped = core.group(row.name, _sets(connection, row.id), members.keys())
        left_over += grouped.left_over
        for cluster in grouped.clusters:
            paths = sorted((members[m] for m in cluster.members), key=lambda h: (-h.judgement.log_e_star, h.hypothesis))
            places.append(_Place(cluster, row.id, row.name, grouped.calls, tuple(paths)))
    places.sort(key=_rank)
    samples = {method_id: _samples(connection, method_id) for method_id in {one.method_id for one in places[:limit]}}
    found = tuple(FoundCluster(_view(one, samples[one.method_id]), one.cluster.sets) for one in places[:limit])
    return FoundClusters(found, len(places), left_over)


def newest_of(connection: Connection, found: FoundClusters, limit: int) -> dict[str, list[int]]:
    """Of each cluster the seqs of at most `limit` kept comparisons, the newest first."""
    link = set_examples.c
    newest: dict[str, list[int]] = {}
    for one in found.clusters:
        seqs: list[int] = []
        for start in range(0, len(one.sets), _IN_LIST_MAX):
            some = one.sets[start : start + _IN_LIST_MAX]
            query = select(link.comparison_seq).where(link.set_id.in_(some)).order_by(link.comparison_seq.desc())
            seqs += connection.execute(query.limit(limit)).scalars()
        newest[one.view.id] = sorted(seqs, reverse=True)[:limit]
    return newest


def _sets(connection: Connection, method_id: int) -> list[core.DifferenceSet]:
    rows = connection.execute(select(difference_sets).where(difference_sets.c.method_id == method_id))
    return [
        core.DifferenceSet(
            row.id,
            frozenset((pattern, Kind(kind)) for pattern, kind in json.loads(row.members)),
            row.status,
            row.n,
            row.first_s,
            row.last_s,
        )
        for row in rows
    ]


def _rank(one: _Place) -> tuple[int, float, int, str, str]:
    strongest = max(path.judgement.log_e_star for path in one.paths)
    return SEVERITY.index(_worst(one.paths)), -strongest, -one.cluster.n, one.method, one.cluster.id


def _worst(paths: Iterable[HypothesisView]) -> State:
    return min((path.state for path in paths), key=SEVERITY.index)


def _samples(connection: Connection, method_id: int) -> list[tuple[Any, RequestFields]]:
    one = request_samples.c
    query = select(one.bucket, one.number, one.set_id, one.instance, one.fields).where(one.method_id == method_id)
    rows = connection.execute(query.order_by(one.number)).all()
    return [(row, RequestFields.from_json(row.fields)) for row in rows]


def _view(place: _Place, samples: Sequence[tuple[Any, RequestFields]]) -> ClusterView:
    cluster = place.cluster
    order: Mapping[int, int] = {set_id: position for position, set_id in enumerate(cluster.sets)}
    inside: dict[int, tuple[int, str, RequestFields]] = {}
    outside: list[RequestFields] = []
    for row, of_request in samples:
        # Which instance answered is no field of the request, and may set calls apart as well.
        fields = replace(of_request, values={**of_request.values, INSTANCE: (row.instance,)})
        if row.set_id in order:
            inside[row.number] = (order[row.set_id], row.instance, fields)
        elif row.bucket == 0:
            outside.append(fields)
    nearest = sorted(inside.values(), key=lambda each: each[0])[:INSIDE_MAX]
    return ClusterView(
        id=cluster.id,
        method=place.method,
        paths=place.paths,
        statuses=cluster.statuses,
        state=_worst(place.paths),
        log_e_star=max(path.judgement.log_e_star for path in place.paths),
        n=cluster.n,
        calls=place.calls,
        first_s=cluster.first_s,
        last_s=cluster.last_s,
        leads=find_leads([fields for _, _, fields in nearest], outside),
        sampled=len(nearest),
        matches_sampled=len(outside),
        instances=core.instances_of(instance for _, instance, _ in nearest),
        examples=(),
    )
