"""Detection: after how many triples a fault on one path among 1,000 is regressed, and what other rules say by then.

The faulty path is judged by `mirror.core.noise` itself, a look every 50 triples. It is the last of the 1,000 to be seen: its rank is
1,000, which takes the most evidence. For e-BH and Bonferroni the 1,000 are known, and of the others none is flagged.
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
from .draws import Looked, Rates, alike, counts, fixed_primary
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
    peers: dict[str, float]


def part_faults(runs: int) -> list[Row]:
    """All faults, in the model of three instances alike; beside it those of a primary that never errs."""
    rows = []
    for fault in FAULTS:
        found = [one_run(fault, run, alike) for run in range(runs)]
        rows += _rows(fault, found)
    for fault in FAULTS[2:]:
        found = [one_run(fault, run, fixed_primary) for run in range(runs)]
        rows += _rows(fault, found, other_model=True)
    return rows


def one_run(fault: Fault, run: int, model: Callable[..., Rates]) -> Found:
    """The faulty path's counts look by look, judged until it is regressed or its time is over twice."""
    rng = np.random.default_rng((SEED, int(1000 * fault.noise), int(1000 * fault.extra), run))
    looks = 2 * (fault.within or 8_000) // EVERY
    looked = counts(rng, model(np.array([fault.noise]), fault.extra), looks, EVERY)
    b, c = (part[:, 0].tolist() for part in (looked.b, looked.c))
    goal = -log(ALPHA) - log(weight(PATHS))
    at = next((look for look in range(looks) if log_e_star_reaches([(b[look], c[look])], goal)), looks)
    if at < looks:
        _confirm(looked, at)
    first = next((look for look in range(looks) if b[look]), looks)
    return Found(
        regressed=(at + 1) * EVERY if at < looks else inf,
        suspect_at_first=first < looks and _state(looked, first) in {State.SUSPECT, State.REGRESSED},
        peers=_peers(looked),
    )


def _state(looked: Looked, look: int) -> State:
    b, c, d = (int(part[look, 0]) for part in (looked.b, looked.c, looked.d))
    evidence = Evidence(b, c, d, int(looked.n[look]), b, c, ((b, c),), PATHS)
    return judge(None, evidence, alpha=ALPHA).state


def _confirm(looked: Looked, at: int) -> None:
    """The state as the collector would show it: regressed at this look and not at the one before. Raises RuntimeError."""
    now = _state(looked, at)
    before = _state(looked, at - 1) if at else None
    if now is not State.REGRESSED or before is State.REGRESSED:
        raise RuntimeError(f"regressed at look {at} by the e-value, but judged {before}, then {now}")


def _peers(looked: Looked) -> dict[str, float]:
    """Triples until each rule flags the path."""
    b, c = looked.b, looked.c
    stars = [log_e_star([(int(raw), int(noise))]) for raw, noise in zip(b[:, 0], c[:, 0], strict=True)]
    flagged = {
        "Diffy's rule": peers.diffy(looked)[:, 0],
        "McNemar, Bonferroni": peers.mcnemar(b, c, ALPHA / PATHS)[:, 0],
        "e-BH": np.array(stars) >= log(PATHS / ALPHA),
    }
    return {rule: float(looked.n[flags.argmax()]) if flags.any() else inf for rule, flags in flagged.items()}


def _rows(fault: Fault, found: list[Found], *, other_model: bool = False) -> list[Row]:
    part = f"Detection among {PATHS:,} paths: share of runs in which it is regressed in time, alpha 5%"
    times = [one.regressed for one in found]
    within = fault.within or 8_000
    limit = None if other_model or not fault.within else IN_RUNS
    note = f"median {_at(times, 0.5)}, 95% {_at(times, 0.95)}"
    note += "" if other_model else f"; facts {fault.facts}"
    name = f"{fault.name}, within {within:,}" + (", were the primary never to err" if other_model else "")
    rows = [Row(part, name, _share(times, within), limit, at_least=True, note=note)]
    if other_model:
        return rows
    if not fault.noise and limit:
        first = sum(one.suspect_at_first for one in found) / len(found)
        rows.append(Row(part, "  suspect at the first look that shows it", first, 1.0, at_least=True))
    for rule in found[0].peers:
        theirs = [one.peers[rule] for one in found]
        rows.append(
            Row(
                part,
                f"  {rule}",
                _share(theirs, within),
                at_least=True,
                note=f"median {_at(theirs, 0.5)}, 95% {_at(theirs, 0.95)}",
            )
        )
    return rows


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
        note = f"median {_at(times, 0.5)}, 95% {_at(times, 0.95)}"
        rows.append(
            Row(
                part,
                f"an id empty in {share:.0%} of calls, within {within}",
                _share(times, within),
                IN_RUNS,
                at_least=True,
                note=note,
            )
        )
    return rows


def _share(times: list[float], within: int) -> float:
    return sum(time <= within for time in times) / len(times)


def _at(times: list[float], share: float) -> str:
    """The triples by which this share of the runs has it."""
    value = sorted(times)[min(len(times) - 1, int(share * len(times)))]
    return "never" if value == inf else f"{value:,.0f}"
