"""Detection: after how many triples a fault on one path among 1,000 is regressed, and what other rules say by then.

The faulty path is judged by `mirror.core.noise` itself, a look every 50 triples. The other 999 are noisy from 0 to 95%. Ranks go by
calls: nearly all of the others come before a fault that is rare, and a path noisy itself comes anywhere. Beside it the same
for the last of all, rank 1,000, which takes the most evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log
from typing import Final

import numpy as np

from mirror.core.evalue import log_e_star_reaches
from mirror.core.noise import Evidence, State, judge, log_e_star, weight

from . import peers, values
from .draws import Looked, Rates, alike, counts, first_discordant, fixed_primary, spread_noise
from .judging import Values
from .rows import Row

ALPHA: Final = 0.05
PATHS: Final = 1_000
EVERY: Final = 50
SEED: Final = 7_004
IN_RUNS: Final = 0.95


@dataclass(frozen=True, slots=True)
class Fault:
    """A share of calls in which the candidate is wrong, on a path of some noise; `within` triples it must be found."""

    noise: float
    extra: float
    within: int
    facts: str  # median, 95%

    @property
    def in_time(self) -> int:
        """Triples within which it counts as found; of one without a limit 8,000."""
        return self.within or 8_000

    @property
    def name(self) -> str:
        """As a table says it."""
        return f"{self.extra:.0%} wrong on " + (f"a path of {self.noise:.0%} noise" if self.noise else "a clean path")


FAULTS: Final = (
    Fault(0, 0.01, 3_000, "2,050, 2,750"),
    Fault(0, 0.03, 1_000, "700, 950"),
    Fault(0.1, 0.05, 4_000, "1,950, 3,550"),
    Fault(0.5, 0.1, 6_000, "3,525, 5,600"),
    Fault(0.9, 0.3, 0, "4,550, 7,100"),
)
EMPTY: Final = ((0.1, 500), (1.0, 40))


@dataclass(frozen=True, slots=True)
class Found:
    """One run: triples until regressed, and until each peer flags it, infinite where not; was it suspect at its first?"""

    regressed: float
    suspect_at_first: bool
    rank: int
    peers: dict[str, float]


def part_faults(runs: int) -> list[Row]:
    """All faults, in the model of three instances alike; beside it the last rank, and a primary that never errs."""
    rows = []
    for fault in FAULTS:
        found = [one_run(fault, run, alike) for run in range(runs)]
        rows += _rows(fault, found)
        rows.append(
            _beside(fault, "were it the last of all", [one_run(fault, run, alike, rank=PATHS) for run in range(runs)])
        )
    for fault in FAULTS[2:]:
        found = [one_run(fault, run, fixed_primary) for run in range(runs)]
        rows.append(_beside(fault, "were the primary never to err", found))
    return rows


def one_run(fault: Fault, run: int, model: Callable[..., Rates], *, rank: int = 0) -> Found:
    """The faulty path's counts look by look, judged until it is regressed or its time is over twice; `rank` 0: as it comes."""
    rng = np.random.default_rng((SEED, int(1000 * fault.noise), int(1000 * fault.extra), run))
    looks = 2 * fault.in_time // EVERY
    looked = counts(rng, model(np.array([fault.noise]), fault.extra), looks, EVERY)
    others = first_discordant(rng, model(spread_noise(PATHS - 1)))
    b, c = (part[:, 0].tolist() for part in (looked.b, looked.c))
    first = next((look for look in range(looks) if b[look] + c[look]), looks)
    call = first * EVERY + 1 + _first_of(rng, b[first] + c[first]) if first < looks else inf
    rank = rank or 1 + int((others < call).sum())
    goal = -log(ALPHA) - log(weight(rank))
    at = next((look for look in range(first, looks) if log_e_star_reaches([(b[look], c[look])], goal)), looks)
    if at < looks:
        _confirm(looked, at, rank)
    return Found(
        regressed=(at + 1) * EVERY if at < looks else inf,
        suspect_at_first=first < looks and _state(None, looked, first, rank) in {State.SUSPECT, State.REGRESSED},
        rank=rank,
        peers=_peers(looked, others),
    )


def _first_of(rng: np.random.Generator, votes: int) -> int:
    """In which of a look's calls, from 0, the first of these votes came."""
    return int(rng.choice(EVERY, size=min(votes, EVERY), replace=False).min())


def _state(before: State | None, looked: Looked, look: int, rank: int) -> State:
    b, c, d = (int(part[look, 0]) for part in (looked.b, looked.c, looked.d))
    evidence = Evidence(b, c, d, int(looked.n[look]), b, c, ((b, c),), rank)
    return judge(before, evidence, alpha=ALPHA).state


def _confirm(looked: Looked, at: int, rank: int) -> None:
    """The state as the collector would show it: regressed at this look and not at the one before. Raises RuntimeError."""
    now = _state(None, looked, at, rank)
    before = _state(None, looked, at - 1, rank) if at else None
    if now is not State.REGRESSED or before is State.REGRESSED:
        raise RuntimeError(f"regressed at look {at} by the e-value, but judged {before}, then {now}")


def _peers(looked: Looked, others: Values) -> dict[str, float]:
    """Triples until each rule flags the path. e-BH: it alone against as many as were seen by then."""
    b, c = looked.b, looked.c
    known = 1 + np.searchsorted(np.sort(others), looked.n, side="right")
    stars = [log_e_star([(int(raw), int(noise))]) for raw, noise in zip(b[:, 0], c[:, 0], strict=True)]
    flagged = {
        "Diffy's rule": peers.diffy(looked)[:, 0],
        "McNemar, Bonferroni": peers.mcnemar(b, c, ALPHA / PATHS)[:, 0],
        "e-BH": np.array(stars) >= np.log(known) - log(ALPHA),
    }
    return {rule: float(looked.n[flags.argmax()]) if flags.any() else inf for rule, flags in flagged.items()}


PART: Final = f"Detection among {PATHS:,} paths: share of runs in which it is regressed in time, alpha 5%"


def _rows(fault: Fault, found: list[Found]) -> list[Row]:
    times, within = [one.regressed for one in found], fault.in_time
    note = f"{_quantiles(times)}; facts {fault.facts}; median rank {sorted(one.rank for one in found)[len(found) // 2]}"
    limit = IN_RUNS if fault.within else None
    rows = [Row(PART, f"{fault.name}, within {within:,}", _share(times, within), limit, at_least=True, note=note)]
    if not fault.noise:
        first = sum(one.suspect_at_first for one in found) / len(found)
        rows.append(Row(PART, "  suspect at the first look that shows it", first, 1.0, at_least=True))
    for rule in found[0].peers:
        theirs = [one.peers[rule] for one in found]
        rows.append(Row(PART, f"  {rule}", _share(theirs, within), at_least=True, note=_quantiles(theirs)))
    return rows


def _beside(fault: Fault, what: str, found: list[Found]) -> Row:
    times = [one.regressed for one in found]
    name = f"  {fault.name}, {what}" if what.startswith("were the primary") else f"  {what}"
    return Row(PART, name, _share(times, fault.in_time), at_least=True, note=_quantiles(times))


def part_values(runs: int) -> list[Row]:
    """An id that is random and turns empty, through the real watch of values; the rank of the last of 1,000 paths."""
    part = f"Detection by kind values, rank {PATHS:,}, alpha 5%, a look every 5 triples: share of runs in time"
    rows = []
    for share, within in EMPTY:
        spoil = values.in_share(share, values.empty)
        found = [
            values.run(SEED + run, values.uuid_text, spoil, calls=within, rank=PATHS, alpha=ALPHA)
            for run in range(runs)
        ]
        times = [inf if one.regressed_at is None else float(one.regressed_at) for one in found]
        rows.append(
            Row(
                part,
                f"an id empty in {share:.0%} of calls, within {within}",
                _share(times, within),
                IN_RUNS,
                at_least=True,
                note=_quantiles(times),
            )
        )
    return rows


def _share(times: list[float], within: int) -> float:
    return sum(time <= within for time in times) / len(times)


def _quantiles(times: list[float]) -> str:
    """The triples by which half of the runs, and 95% of them, have it."""
    ordered = sorted(times)
    median, late = (ordered[min(len(times) - 1, int(share * len(times)))] for share in (0.5, 0.95))
    return ", ".join(
        f"{name} {'never' if value == inf else f'{value:,.0f}'}" for name, value in (("median", median), ("95%", late))
    )
