"""From a released group to what is counted of it: in the changes of the next commit, for the metrics, and for the forwarder.

Quiet groups go a short way (see `tallies`). One owner, the stages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from mirror.collect.comparisons import comparison_of
from mirror.collect.faults import Guarded
from mirror.collect.parts import Parts
from mirror.collect.tallies import Tallies, Told
from mirror.core.model import Group, Judged
from mirror.core.request_fields import RequestFields


class Judging:
    """`clock`: unix seconds."""

    def __init__(self, parts: Parts, guard: Guarded, clock: Callable[[], float]) -> None:
        self._parts = parts
        self._guard = guard
        self._clock = clock
        self._tallies = Tallies(parts.judge)
        # Counted since the last request, by metric and labels: the counters have a lock, and this is done for each pair.
        self._told: Told = Counter()

    def is_quiet(self, group: Group) -> bool:
        """Whether it goes the short way; not where its spans are to be forwarded too."""
        parts = self._parts
        if parts.forwarder is not None and parts.forwarder.takes_matched:
            return False
        return self._tallies.take(group, parts.writer.changes)

    def judge(self, group: Group) -> None:
        """Judge it now, count it, and hand it on to whoever looks at single pairs. A fault of what comes after the count is told apart."""
        parts = self._parts
        judged = parts.judge.judge(group, self._clock())
        changes = parts.writer.changes
        kept = comparison_of(judged).SerializeToString() if changes.wants(judged) else None
        changes.add(judged, kept, self._request_fields(judged))
        self._guard("schema_changes", self._schema_changes, judged)
        self._guard("figures", self._judged, judged)

    def _request_fields(self, judged: Judged) -> RequestFields | None:
        """Of a call that a sample takes; a fault of ours costs the sample and not the count."""
        if not self._parts.writer.changes.sets.wants(judged):
            return None
        found: list[RequestFields | None] = []
        self._guard("request_fields", lambda: found.append(self._parts.judge.request_fields(judged.group)))
        return found[0] if found else None

    def _judged(self, judged: Judged) -> None:
        """Tell the counters and the forwarder. It is in the changes already."""
        told, group = self._told, judged.group
        told["mirror_groups_released_total", (("reason", group.release),)] += 1
        for role, outcome in judged.outcomes.items():
            told["mirror_comparisons_total", (("role", role), ("verdict", outcome.verdict))] += 1
        if judged.triple is not None:
            told["mirror_triples_total", ()] += 1
        if self._parts.forwarder is not None:
            self._parts.forwarder.offer(judged)

    def _schema_changes(self, judged: Judged) -> None:
        """They are no differences: they never touch what was judged."""
        told = self._parts.schema_watch.see(judged)
        if told is not None:
            self._parts.writer.changes.schema_change(*told)

    def settle(self) -> None:
        """Count what was quiet since the last time."""
        self._tallies.settle(self._parts.writer.changes, self._told)

    def tell(self) -> None:
        """Bring the metrics up to date."""
        told, self._told = self._told, Counter()
        for (name, labels), n in told.items():
            self._parts.counters.inc(name, n, **{label: str(value) for label, value in labels})
