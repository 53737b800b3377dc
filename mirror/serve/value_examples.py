"""Examples of a path of the kind `values`: those calls first in which candidate and secondary are unlike as the votes say.

At such a path nearly every call differs, so the newest examples are any calls. Which labels a call shows is told by comparing
what was kept of it again, under the rules of today. What came before is learnt from the examples themselves, the oldest first:
they are few, so that a value which is repeated, or large, may not be known as one; then the example only stands further down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mirror.config.options import compare_options
from mirror.core.model import Hypothesis, Role
from mirror.core.values.watch import ValueWatch, Votes
from mirror.serve.recompare import Recomparer, calls_of
from mirror.serve.site import Site
from mirror.store.views import ComparisonView, EpochView, HypothesisView, LabelView

LOOKED_AT: Final = 50  # of the newest, each is read whole and compared twice


def telling_first(
    site: Site, epoch: EpochView, view: HypothesisView, lines: Sequence[ComparisonView]
) -> list[ComparisonView]:
    """`lines`, the newest first, in another order: those that show a label by which `view` differs, of the strongest evidence first."""
    votes = _votes(site, epoch, view.hypothesis, lines[:LOOKED_AT])
    return sorted(lines, key=lambda line: -_shown(votes.get(line.id, {}), view.labels))


def _shown(votes: Votes, labels: Sequence[LabelView]) -> float:
    """The evidence of the strongest label by which this call votes as most do; 0: it shows none."""
    shown = (
        label.log_e_star
        for label in labels
        if votes.get((label.family, label.label), 0) * (label.votes_raw - label.votes_noise) > 0
    )
    return max(0.0, *shown, 0.0)


def _votes(site: Site, epoch: EpochView, name: Hypothesis, lines: Sequence[ComparisonView]) -> dict[str, Votes]:
    """By id of the comparison; none for those whose captures are not kept."""
    rules = site.config.rules.in_force(site.today())
    again, watch = Recomparer(site.reader, compare_options(site.config)), ValueWatch()
    comparer, of_method = again.under(rules), rules.for_method(epoch.key.run, name.method)
    found: dict[str, Votes] = {}
    for line in reversed(lines):
        kept = site.reader.comparison(line.id)
        calls = calls_of(kept) if kept is not None else {}
        candidate, secondary = (again.outcome(comparer, calls, role) for role in (Role.CANDIDATE, Role.SECONDARY))
        if candidate is None or secondary is None:
            continue
        outcomes = {Role.CANDIDATE: candidate, Role.SECONDARY: secondary}
        found[line.id] = watch.look(epoch.key, name.method, outcomes, of_method).get(name.pattern, {})
    return found
