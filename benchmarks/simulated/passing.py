"""Whole runs: does the bound hold though states are known only afterwards, and how often does a run pass that should not?

Paths of rare noise (1e-5 to 0.5), and defects on paths of their own or on noisy ones. The truth at a look is the running mean
of the chance that a triple shows a defect on a path that noise does not explain at that look: what is explained is outside
the bound by its definition, and said beside it. A defect shows where primary and secondary agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np

from .draws import rare_noise
from .judging import REGRESSED, Mask, Values
from .rows import Row, at_most
from .triples import POLICY, Paths, Run, decided, simulate

LOOKS: Final = 200
EVERY: Final = 125
MANY: Final = 300  # noisy paths
FEW: Final = 20
SEED: Final = 7_006
DRIFTS: Final = {"level": (1, 1), "rising": (0, 2), "falling": (2, 0)}  # the factor at first and at last


@dataclass(frozen=True, slots=True)
class Seen:
    """One run. `missed`: the bound lay under the truth at some look, of paths not explained, and of all paths.

    `passed`, `failed`: triples until the run ends so, infinite if it does not; `truth` of all paths where it passed.
    `bound`: at the last look.
    """

    missed: bool
    missed_all: bool
    passed: float
    failed: float
    truth: float
    bound: float


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of run: how many noisy paths, and defects: how many, in which share of all calls together (0: drawn), and where."""

    what: str
    noisy: int
    defects: int = 0
    total: float = 0.0
    drift: str = "level"
    among_noise: bool = False
    noise_max: float = 0.5
    facts: str = ""

    def paths(self, rng: np.random.Generator) -> Paths:
        """Its paths, in an order that says nothing of them."""
        fault = 10 ** rng.uniform(-5, -3.3, self.defects)
        if self.total:
            fault = np.full(self.defects, self.total / self.defects)
        noise = np.minimum(rare_noise(rng, self.noisy), self.noise_max)
        if self.among_noise:
            fault = np.concatenate((fault, np.zeros(self.noisy - self.defects)))
        else:
            noise, fault = (
                np.concatenate(both) for both in ((noise, np.zeros(self.defects)), (np.zeros(self.noisy), fault))
            )
        order = rng.permutation(len(noise))
        return Paths(noise[order], fault[order], np.linspace(*DRIFTS[self.drift], LOOKS))


MISSED: Final = (
    Case("10 defects on clean paths, 300 noisy", MANY, 10, facts="facts 2.5%, bound 0.0018"),
    Case("10 defects on clean paths, 300 noisy, from none to twice as many", MANY, 10, drift="rising"),
    Case("10 defects on noisy paths of 300", MANY, 10, among_noise=True),
    Case("10 defects on noisy paths of 300, from twice as many to none", MANY, 10, drift="falling", among_noise=True),
    Case("10 defects on clean paths, 20 noisy", FEW, 10),
    Case("10 defects on noisy paths of 20", FEW, 10, among_noise=True),
)
OVER: Final = tuple(
    Case(f"{what}, {noisy} noisy paths", noisy, defects, total, drift)
    for noisy in (0, FEW)
    for what, defects, total, drift in (
        ("0.105% by 100 defects", 100, 0.00105, "level"),
        ("0.15% by 100 defects", 100, 0.0015, "level"),
        ("0.105% by one defect", 1, 0.00105, "level"),
        ("0 to 0.3% by 100 defects", 100, 0.0015, "rising"),
        ("0.3% to 0 by 100 defects", 100, 0.0015, "falling"),
    )
)
WITHIN: Final = (
    Case("no defect, no noise", 1, noise_max=0.0),
    Case("no defect, 20 noisy paths", FEW),
    Case("no defect, 20 noisy paths of at most 1%", FEW, noise_max=0.01),
    Case("no defect, 100 noisy paths", 100),
    Case("no defect, 300 noisy paths", MANY),
    Case("0.02% by 100 defects, 20 noisy paths", FEW, 100, 0.0002),
)


def one_run(case: Case, *seed: int, every: int = EVERY, verdicts: bool = True) -> Seen:
    """One run, and what is known of it that the collector is not told."""
    rng = np.random.default_rng((SEED, *seed))
    paths = case.paths(rng)
    run = simulate(rng, paths, LOOKS, every)
    truth, truth_all = truths(paths, ~run.explained), truths(paths, np.ones_like(run.explained))
    bound = np.array([run.bound(at) for at in range(LOOKS)])
    passed, failed = ends(run, bound) if verdicts else (LOOKS, LOOKS)
    return Seen(
        missed=bool((bound < truth).any()),
        missed_all=bool((bound < truth_all).any()),
        passed=float(run.looked.n[passed]) if passed < LOOKS else inf,
        failed=float(run.looked.n[failed]) if failed < LOOKS else inf,
        truth=float(truth_all[passed]) if passed < LOOKS else 0.0,
        bound=float(bound[-1]),
    )


def truths(paths: Paths, counted: Mask) -> Values:
    """The running mean, at each look, of the chance that a call shows a defect on a path that counts at that look."""
    faulty = np.flatnonzero(paths.fault)
    logs = np.log1p(-np.outer(paths.drift, (paths.fault * (1 - paths.noise))[faulty]))
    each = -np.expm1(counted[:, faulty].astype(float) @ logs.T)  # at a look, of the calls of each look
    return np.tril(each).sum(axis=1) / np.arange(1, LOOKS + 1)


def ends(run: Run, bound: Values) -> tuple[int, int]:
    """The look of the first pass and of the first fail; the later one, or both, LOOKS. Raises RuntimeError if the core disagrees."""
    fails = (run.state == REGRESSED).any(axis=1)
    failed = int(fails.argmax()) if fails.any() else LOOKS
    for at in np.flatnonzero(bound[:failed] <= POLICY.budget):
        if decided(run, int(at)).verdict == "pass":
            return int(at), LOOKS
    if failed < LOOKS and decided(run, failed).verdict != "fail":
        raise RuntimeError(f"regressed at look {failed}, but not failed")
    return LOOKS, failed


def part_missed(runs: int) -> list[Row]:
    """The bound where states are known only afterwards."""
    part = (
        f"The same where states are known only afterwards, a look every {EVERY} to {LOOKS * EVERY:,}; noise 1e-5 to 0.5"
    )
    rows = []
    for number, case in enumerate(MISSED):
        found = [one_run(case, 1, number, run, verdicts=False) for run in range(runs)]
        bound = float(np.median([one.bound for one in found]))
        hidden = sum(one.missed_all for one in found) / runs
        note = f"bound at the end {bound:.4f}; missed with what noise explains {hidden:.1%}"
        note += f"; {case.facts}" if case.facts else ""
        rows.append(Row(part, case.what, sum(one.missed for one in found) / runs, 0.05, note=note))
    return rows


def part_over(runs: int) -> list[Row]:
    """Runs that pass while the running mean of their true rate is over the budget."""
    part = f"A pass while the true rate is over the budget of 0.1%, to {LOOKS * EVERY:,} triples (verdicts by mirror.core.verdict)"
    rows = []
    for number, case in enumerate(OVER):
        found = [one_run(case, 2, number, run) for run in range(runs)]
        wrong = sum(one.passed < inf and one.truth > POLICY.budget for one in found) / runs
        note = f"passed at all {_share(found, 'passed'):.1%}, failed {_share(found, 'failed'):.1%}"
        rows.append(Row(part, case.what, wrong, 0.05, note=note))
    return rows


def part_within(runs: int) -> list[Row]:
    """How soon a run passes that should."""
    every = 500
    part = f"A run that should pass: share that does within {LOOKS * every:,} triples, a look every {every}"
    rows = []
    for number, case in enumerate(WITHIN):
        found = [one_run(case, 3, number, run, every=every) for run in range(runs)]
        times = sorted(one.passed for one in found)
        median, late = times[runs // 2], times[min(runs - 1, int(0.95 * runs))]
        note = f"median {_triples(median)}, 95% {_triples(late)} triples"
        rows.append(Row(part, case.what, _share(found, "passed"), at_least=True, note=note))
        if not case.defects:
            fails = sum(one.failed < inf for one in found)
            rows.append(Row(part, "  failed, alpha 1%", fails, at_most(4, runs), "runs", runs))
    return rows


def _share(found: list[Seen], name: str) -> float:
    return sum(getattr(one, name) < inf for one in found) / len(found)


def _triples(value: float) -> str:
    return "never" if value == inf else f"{value:,.0f}"
