"""Whole runs: does the bound hold though states are known only afterwards, and how often does a run pass that should not?

300 paths of rare noise (1e-5 to 0.5), and defects on paths of their own or on noisy ones. The truth at a look is the running mean
of the chance that a triple shows a defect on a path that noise does not explain at that look: what is explained is outside
the bound by its definition, and said beside it. A defect shows where primary and secondary agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np

from .draws import rare_noise
from .judging import REGRESSED, Mask, Values
from .rows import Row
from .triples import POLICY, Paths, Run, decided, simulate

LOOKS: Final = 200
EVERY: Final = 125
NOISY: Final = 300
SEED: Final = 7_006
Make = Callable[[np.random.Generator], Paths]


@dataclass(frozen=True, slots=True)
class Seen:
    """One run: the truth missed at any look, of paths not explained and of all; triples until a pass or fail; truth there."""

    missed: bool
    missed_any: bool
    passed: float
    failed: float
    truth: float
    bound: float  # at the last look


def level(_looks: int) -> Values:
    """No drift."""
    return np.ones(LOOKS)


def rising(_looks: int) -> Values:
    """From nothing to twice as much."""
    return np.linspace(0, 2, LOOKS)


def falling(_looks: int) -> Values:
    """From twice as much to nothing."""
    return np.linspace(2, 0, LOOKS)


def apart(shares: Values | None, *, total: float = 0.0, defects: int = 10, drift: Values | None = None) -> Make:
    """Defects on clean paths of their own: of these shares of the calls, or drawn, log-uniform."""

    def make(rng: np.random.Generator) -> Paths:
        given = _drawn(rng, defects) if shares is None else shares
        if total:
            given = given * total / given.sum()
        noise = np.concatenate((rare_noise(rng, NOISY), np.zeros(len(given))))
        return _mixed(rng, noise, np.concatenate((np.zeros(NOISY), given)), drift)

    return make


def among_noise(defects: int, drift: Values | None = None) -> Make:
    """Defects on paths that are noisy themselves."""

    def make(rng: np.random.Generator) -> Paths:
        fault = np.concatenate((_drawn(rng, defects), np.zeros(NOISY - defects)))
        return _mixed(rng, rare_noise(rng, NOISY), fault, drift)

    return make


def _drawn(rng: np.random.Generator, defects: int) -> Values:
    return 10 ** rng.uniform(-5, -3.3, defects)


def _mixed(rng: np.random.Generator, noise: Values, fault: Values, drift: Values | None) -> Paths:
    order = rng.permutation(len(noise))
    return Paths(noise[order], fault[order], np.ones(LOOKS) if drift is None else drift)


def one_run(make: Make, *seed: int, verdicts: bool = True) -> Seen:
    """One run, and what is known of it that the collector is not told."""
    rng = np.random.default_rng((SEED, *seed))
    paths = make(rng)
    run = simulate(rng, paths, LOOKS, EVERY)
    truth, truth_any = truths(paths, ~run.explained), truths(paths, np.ones_like(run.explained))
    bound = np.array([run.bound(at) for at in range(LOOKS)])
    passed, failed = ends(run, bound) if verdicts else (LOOKS, LOOKS)
    return Seen(
        missed=bool((bound < truth).any()),
        missed_any=bool((bound < truth_any).any()),
        passed=float(run.looked.n[passed]) if passed < LOOKS else inf,
        failed=float(run.looked.n[failed]) if failed < LOOKS else inf,
        truth=float(truth_any[passed]) if passed < LOOKS else 0.0,
        bound=float(bound[-1]),
    )


def truths(paths: Paths, counted: Mask) -> Values:
    """The running mean, at each look, of the chance that a call shows a defect on a path that counts at that look."""
    shown = np.outer(paths.drift, paths.fault * (1 - paths.noise))
    faulty = np.flatnonzero(paths.fault)
    logs = np.log1p(-shown[:, faulty])
    found = [-np.expm1(logs[: at + 1, counted[at, faulty]].sum(axis=1)).mean() for at in range(LOOKS)]
    return np.array(found)


def ends(run: Run, bound: Values) -> tuple[int, int]:
    """The look of the first pass and of the first fail, whichever comes first; the other, or both, LOOKS."""
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
    part = f"The same, states known only afterwards: {NOISY} paths of rare noise, 10 defects, a look every {EVERY} to {LOOKS * EVERY:,}"
    rows = []
    for number, (what, make, facts) in enumerate(
        (
            ("defects on clean paths", apart(None), "facts 2.5%, bound 0.0018; "),
            ("defects on clean paths, from none to twice as many", apart(None, drift=rising(LOOKS)), ""),
            ("defects on noisy paths", among_noise(10), ""),
            ("defects on noisy paths, from twice as many to none", among_noise(10, falling(LOOKS)), ""),
        )
    ):
        found = [one_run(make, 1, number, run, verdicts=False) for run in range(runs)]
        bound = float(np.median([one.bound for one in found]))
        any_path = sum(one.missed_any for one in found) / runs
        note = f"{facts}bound at the end {bound:.4f}; with those that noise explains {any_path:.1%}"
        rows.append(Row(part, what, sum(one.missed for one in found) / runs, 0.05, note=note))
    return rows


def part_passing(runs: int) -> list[Row]:
    """Passes over the budget, and how soon a run passes that should."""
    part = f"Runs that pass, budget 0.1%, {NOISY} paths of rare noise, to {LOOKS * EVERY:,} triples (verdicts by mirror.core.verdict)"
    even = np.ones(100)
    cases: tuple[tuple[str, Make, bool], ...] = (
        ("true rate 0.105% by 100 defects", apart(even, total=0.00105), True),
        ("true rate 0.15% by 100 defects", apart(even, total=0.0015), True),
        ("true rate 0.105% by one defect", apart(even[:1], total=0.00105), True),
        ("true rate from 0 to 0.3% by 100 defects, passed over budget", apart(even, total=0.0015, drift=rising(LOOKS)), True),
        ("true rate from 0.3% to 0 by 100 defects, passed over budget", apart(even, total=0.0015, drift=falling(LOOKS)), True),
        ("no defect", apart(np.zeros(0)), False),
        ("true rate 0.02% by 100 defects", apart(even, total=0.0002), False),
    )
    rows = []
    for number, (what, make, over) in enumerate(cases):
        found = [one_run(make, 2, number, run) for run in range(runs)]
        wrong = [one.passed < inf and (not over or one.truth > POLICY.budget) for one in found]
        fails = sum(one.failed < inf for one in found) / runs
        times = sorted(one.passed for one in found)
        note = f"failed {fails:.1%}; " + (f"median {times[runs // 2]:,.0f}, 95% {times[int(0.95 * runs)]:,.0f} triples" if not over else f"passed at all {sum(t < inf for t in times) / runs:.1%}")
        rows.append(Row(part, what, sum(wrong) / runs, 0.05 if over else None, note=note))
        if what == "no defect":
            rows.append(Row(part, "no defect: failed", fails, POLICY.alpha_fail, note="alpha 1%"))
    return rows
