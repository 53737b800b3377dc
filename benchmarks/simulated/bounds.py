"""The bounds on a rate, at all looks at once: how often do they miss the truth at any? Clopper-Pearson's beside them.

The truth at a look is the running mean of the calls' own rates so far, which is what the bounds speak of. Whether U lies under it
is asked by the sum that defines U, at the truth, without solving for U: `judging.log_upper_gap`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .judging import Counts, Values, log_lower_gap, log_upper_gap
from .rows import Row

ALPHA: Final = 0.05
CALLS: Final = 50_000
EVERY: Final = 10
SEED: Final = 7_005
MISSED: Final = 0.05
PART: Final = f"The bound misses the truth at some look, a look every {EVERY} to {CALLS:,}, 95%"
FACTS: Final = {  # upper, lower
    "0.05%": ("2.2%", "0.9%"),
    "10%": ("4.9%", "2.9%"),
    "drifting from 0 to 2%": ("3.4%", "1.5%"),
    "on and off, 1% and none": ("1.4%", "1.2%"),
}


def rates(at: Values) -> dict[str, Values]:
    """The rate of each call, by profile; `at` is how far the run is, from 0 to 1."""
    return {
        "0.05%": np.full_like(at, 0.0005),
        "10%": np.full_like(at, 0.1),
        "drifting from 0 to 2%": 0.02 * at,
        "drifting from 2% to 0": 0.02 * (1 - at),
        "on and off, 1% and none": np.where((20 * at).astype(int) % 2 == 0, 0.01, 0.0),
    }


def part_bounds(runs: int) -> list[Row]:
    """Both bounds on each profile, and one whose rate depends on what was seen before."""
    rows = []
    steps = np.arange(CALLS // EVERY)
    n = (steps + 1) * EVERY
    for number, (what, each) in enumerate(rates((steps + 0.5) / len(steps)).items()):
        rng = np.random.default_rng((SEED, number))
        x = rng.binomial(EVERY, each, size=(runs, len(steps))).cumsum(axis=1)
        truth = each.cumsum() / (steps + 1)
        rows += _missed(what, x, n, np.broadcast_to(truth, x.shape))
        once = clopper_pearson_misses(x, n, truth)
        rows.append(Row(PART, f"  Clopper-Pearson at each look: upper, rate {what}", once, note="facts 17 to 41%"))
    x, truth = spiteful(np.random.default_rng((SEED, 99)), runs, len(steps))
    return rows + _missed("1.5% while x/n is under 1%, else 0.5%", x, n, truth)


def spiteful(rng: np.random.Generator, runs: int, looks: int) -> tuple[Counts, Values]:
    """Counts and running means of a rate that is high where few were seen and low where many were."""
    x, mean = np.zeros((runs, looks), dtype=np.int64), np.zeros((runs, looks))
    seen, total = np.zeros(runs, dtype=np.int64), np.zeros(runs)
    for look in range(looks):
        rate = np.where(seen < 0.01 * look * EVERY + 1e-9, 0.015, 0.005)
        seen = seen + rng.binomial(EVERY, rate)
        total = total + rate
        x[:, look], mean[:, look] = seen, total / (look + 1)
    return x, mean


def clopper_pearson_misses(x: Counts, n: Counts, truth: Values) -> float:
    """In what share of runs the upper limit of Clopper and Pearson 1934 lies under the truth at some look.

    It does where P(Binomial(n, truth) <= x) < alpha; for a rate that moves, Poisson's binomial is taken for a binomial.
    """
    least = np.array([_least_count(int(calls), float(rate)) for calls, rate in zip(n, truth, strict=True)])
    return float((x < least).any(axis=1).mean())


def _least_count(calls: int, rate: float) -> int:
    """The least count whose cumulative chance is alpha or more."""
    most = int(calls * rate + 1)  # the median is no more
    k = np.arange(most + 1)
    logs = _LOG_FACTORIAL[calls] - _LOG_FACTORIAL[k] - _LOG_FACTORIAL[calls - k]
    chance = np.exp(logs + k * np.log(rate) + (calls - k) * np.log1p(-rate))
    return int(np.searchsorted(chance.cumsum(), ALPHA))


def _missed(what: str, x: Counts, n: Counts, truth: Values) -> list[Row]:
    """A row for each bound; `truth` at each run and look."""
    rows = []
    for name, gap in (("upper", log_upper_gap), ("lower", log_lower_gap)):
        missed = sum(bool((gap(row, n, rate, ALPHA) > 0).any()) for row, rate in zip(x, truth, strict=True)) / len(x)
        facts = FACTS[what][name == "lower"] if what in FACTS else ""
        rows.append(Row(PART, f"{name}, rate {what}", missed, MISSED, note=f"facts {facts}" if facts else ""))
    return rows


_LOG_FACTORIAL: Final = np.concatenate(([0.0], np.log(np.arange(1, CALLS + 1)).cumsum()))
