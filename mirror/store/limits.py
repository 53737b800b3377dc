"""How much the store keeps at most. What goes beyond is counted under a name, never lost silently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OTHER: Final = "(other)"  # the name that everything beyond a limit is counted under


BATCH_NAMES_MAX: Final = 1000  # distinct unknown runs, schema problems or sources in one commit
SOURCE_FIGURE_MAX: Final = 2**40  # calls in the life of one process; all sources together stay within an int64


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one store. The shipped defaults hold for a service of some hundred methods on one machine."""

    keep_per_minute: int = 20  # kept comparisons per (method, pattern, minute)
    comparison_max_bytes: int = 4 << 20  # of one kept comparison; beyond, its captures are left out
    kept_max_age_s: float = 14 * 86400.0  # of kept comparisons
    kept_max_bytes: int = 2 << 30  # of all kept comparisons; the oldest go first
    batch_max_bytes: int = 64 << 20  # of the comparisons waiting in one Changes
    hypotheses_max: int = 2000  # per method of an epoch
    signatures_max: int = 5000  # per method of an epoch; the overflow counts as unexplained
    methods_max: int = 1000  # per epoch
    epochs_max: int = 1000  # per run
    schemas_max: int = 2000
    schema_pairs_max: int = 20  # per method of an epoch: pairs of schemas of which the changes are kept
    sources_max: int = 10000
    instances_max: int = 300  # per epoch, of all roles
    names_max: int = 100  # distinct unknown runs, schema problems, reasons of one source
    totals_max: int = 1000  # distinct totals; the reasons of all sources are among them
    sets_max: int = 5000  # of what differs, per method of an epoch; the overflow is in no cluster
    samples_of_method: int = 200  # calls of each method whose request's fields are kept
    samples_of_set: int = 50  # and of each of its sets that differs
    sampled_sets_max: int = 100  # per method of an epoch: those in question first, then those of most calls
