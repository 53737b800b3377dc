"""A whole run, triple by triple: which paths are raw-only in the same one, what is explained at each look, and x of the bound.

What `mirror.core.bound.unexplained` counts from signatures, and what the collector knows of states when it makes them: those of
the look before. Paths are independent of each other; the calls of a look in which a path is raw-only are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import Final

import numpy as np

from mirror.core.bound import upper
from mirror.core.model import EpochKey, Hypothesis, Kind, MethodCounts
from mirror.core.noise import Evidence, judge
from mirror.core.policy import Policy
from mirror.core.verdict import HypothesisFacts, MethodFacts, Report, RunFacts, decide

from .draws import Looked, alike, counts
from .judging import STATES, Counts, Mask, Values, explained, left_out, ranks, states

METHOD: Final = "shop.v1.Shop/Buy"
EPOCH: Final = EpochKey("run", "shop", "1", "2")
POLICY: Final = Policy(vote_by="call", min_duration_s=0)
A_SECOND: Final = 20


@dataclass(frozen=True, slots=True)
class Paths:
    """Noise rate and share of wrong calls of each path; `drift` is what the latter is multiplied by at each look."""

    noise: Values
    fault: Values
    drift: Values


@dataclass(frozen=True, slots=True)
class Run:
    """One simulated run. `x` unexplained triples at each look; by look and path: its state's code, and explained or not."""

    looked: Looked
    hour: Counts
    rank: Counts
    state: Counts
    explained: Mask
    x: Counts
    call: Counts = field(repr=False)  # of each place in a signature, in order: the triple, the look, and the path
    look: Counts = field(repr=False)
    path: Counts = field(repr=False)
    outside: Counts = field(repr=False)  # raw-only triples so far in which the path was left out of the signature

    def bound(self, look: int) -> float:
        """U at this look."""
        return upper(int(self.x[look]), int(self.looked.n[look]), POLICY.alpha_pass)


def simulate(rng: np.random.Generator, paths: Paths, looks: int, every: int) -> Run:
    """One run of `looks` times `every` triples."""
    rates = alike(paths.noise, np.outer(paths.drift, paths.fault))
    looked = counts(rng, rates, looks, every)
    hour = looked.n // (A_SECOND * 3600)
    state = states(looked.b, looked.c, looked.d, hour, POLICY.alpha_fail)
    is_explained = explained(state, looked.b, looked.c)
    out = np.zeros_like(is_explained)
    out[1:] = left_out(state, looked.b, looked.c, looked.d)[:-1]
    new = np.diff(looked.b, axis=0, prepend=0)
    outside = np.where(out, new, 0).cumsum(axis=0)
    call, look, path = _places(rng, np.where(out, 0, new), every)
    x = (outside * ~is_explained).sum(axis=1)
    ends = np.searchsorted(look, np.arange(looks), side="right")
    for at, end in enumerate(ends):
        differing = call[:end][~is_explained[at][path[:end]]]
        x[at] += np.count_nonzero(np.diff(differing, prepend=-1))
    return Run(looked, hour, ranks(looked.b, looked.c), state, is_explained, x, call, look, path, outside)


def _places(rng: np.random.Generator, new: Counts, every: int) -> tuple[Counts, Counts, Counts]:
    """For each raw-only count of a look and path so many different triples of that look, in the order of triples."""
    look, path = np.nonzero(new)
    count = new[look, path]
    several = np.flatnonzero(count > 1)
    order = rng.random((len(several), every)).argsort(axis=1)
    row, place = np.nonzero(np.arange(every) < count[several][:, None])
    once = np.flatnonzero(count == 1)
    cell = np.concatenate((once, several[row]))
    call = look[cell] * every + np.concatenate((rng.integers(every, size=len(once)), order[row, place]))
    look, path = look[cell], path[cell]
    sort = np.lexsort((path, call))
    return call[sort], look[sort], path[sort]


def decided(run: Run, at: int) -> Report:
    """What the collector would say at this look, all of it judged by mirror/core.

    Explained paths in which the secondary cannot be so far ahead that the control is in doubt say nothing to a verdict, and are left
    out of the facts. Raises RuntimeError where the core judges a path otherwise than the simulation.
    """
    b, c, d = (part[at] for part in (run.looked.b, run.looked.c, run.looked.d))
    in_doubt = (c > b) & ((c - b) ** 2 >= -log(POLICY.alpha_fail) * (b + c))
    told = (b + c + d > 0) & (~run.explained[at] | in_doubt)
    hypotheses = tuple(_judged(run, at, int(path)) for path in np.flatnonzero(told))
    n, x = int(run.looked.n[at]), int(run.x[at])
    method = MethodFacts(METHOD, MethodCounts(pairs=n, matched=n - x, mismatched=x, triples=n), x, hypotheses)
    facts = RunFacts(EPOCH, (method,), first_s=1.0, last_s=1.0 + n / A_SECOND, rate_per_s=A_SECOND, capture_loss=0.0)
    return decide(facts, POLICY)


def _judged(run: Run, at: int, path: int) -> HypothesisFacts:
    """One path, its votes by hour as the core wants them."""
    b, c, d = (int(part[at, path]) for part in (run.looked.b, run.looked.c, run.looked.d))
    rank, n = int(run.rank[path]) if b + c else 0, int(run.looked.n[at])
    evidence = Evidence(b, c, d, n, b, c, _votes(run, at, path), rank)
    before = STATES[run.state[at - 1, path]] if at else None
    judgement = judge(before, evidence, alpha=POLICY.alpha_fail)
    if judgement.state is not STATES[run.state[at, path]] or judgement.explained != run.explained[at, path]:
        raise RuntimeError(
            f"judged {judgement.state}, simulated {STATES[run.state[at, path]]}: {evidence} after {before}"
        )
    return HypothesisFacts(Hypothesis(METHOD, f"response.x{path}", Kind.VALUE), evidence, judgement)


def _votes(run: Run, at: int, path: int) -> list[tuple[int, int]]:
    """The votes (B, C) of each hour begun by a look."""
    ends = [*np.flatnonzero(np.diff(run.hour[: at + 1])), at]  # every hour has looks
    raw, noise = (np.diff(part[ends, path], prepend=0).tolist() for part in (run.looked.b, run.looked.c))
    return list(zip(raw, noise, strict=True))
