"""The e-value of votes by label: E_values, the mean over families of the mean over a family's declared labels of E2. Pure.

Two-sided, E2(b, c) = (E(b, c) + E(c, b)) / 2: any change of the distribution; only DISTANCE asks in one direction. A label
without votes has E = 1. Means of e-values are e-values, so by Ville P(E_values ever >= x) <= 1/x under H0; the best of
them would be none. Each E is that with hourly restarts. Source: facts on noise, sections 2 and 6. Counts add up: votes
of two workers are merged by adding them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Final, TypeAlias

from mirror.core.evalue import log_e_star, log_sum_exp
from mirror.core.values.labels import DECLARED, DISTANCE, Label

LabelVotes: TypeAlias = Mapping[Label, Sequence[tuple[int, int]]]  # of each hour of the epoch: raw, noise
# The share of one label in the whole; they sum to 1.
SHARES: Final[Mapping[str, float]] = {family: 1 / len(names) / len(DECLARED) for family, names in DECLARED.items()}


def log_e_of(label: Label, hours: Sequence[tuple[int, int]]) -> float:
    """The log of one label's E*: two-sided but for DISTANCE."""
    raw = log_e_star(hours)
    if label == DISTANCE:
        return raw
    return log_sum_exp((raw, log_e_star([(noise, raw) for raw, noise in hours]))) - log(2)


def log_e_values(votes: LabelVotes) -> float:
    """The log of E_values, of the votes of all labels of one path. Labels that are not declared count as nothing."""
    voted = [(label, hours) for label, hours in votes.items() if label[1] in DECLARED.get(label[0], ())]
    left = 1.0 - sum(SHARES[family] for (family, _), _ in voted)
    terms = [log(SHARES[label[0]]) + log_e_of(label, hours) for label, hours in voted]
    if left > 0:
        terms.append(log(left))
    return log_sum_exp(terms)


def strongest(votes: LabelVotes) -> tuple[Label, int, int] | None:
    """The label with the largest E*, and its raw and noise votes; None: there is no vote. Ties go by name."""
    if not votes:
        return None
    label = min(votes, key=lambda one: (-log_e_of(one, votes[one]), one))
    return label, sum(raw for raw, _ in votes[label]), sum(noise for _, noise in votes[label])
