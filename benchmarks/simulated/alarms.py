"""False alarms among many paths: runs in which both builds behave alike, and what each rule says of them at any look."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import log
from typing import Final

import numpy as np

from . import peers
from .draws import Looked, alike, counts, rare_noise, spread_noise
from .judging import SUSPECT, Counts, goals, log_e_star, may_reach, ranks, states
from .rows import Row, at_most

ALPHA: Final = 0.05
CALLS: Final = 20_000
EVERY: Final = 50
PATHS: Final = 1_000
SEED: Final = 7_001


@dataclass
class Alarms:
    """In how many runs each rule flagged any path at any look; of states what the facts give figures of."""

    runs: int = 0
    flagged: Counter[str] = field(default_factory=Counter)
    ever_suspect: list[float] = field(default_factory=list)  # share of paths
    changes: list[float] = field(default_factory=list)  # of state, a path
    changes_most: int = 0
    unexplained: list[tuple[float, ...]] = field(
        default_factory=list
    )  # share with 1, 2, 3 raw-only votes and no noise at the end


def part_independent(runs: int) -> list[Row]:
    """Independent calls: 1,000 paths, alpha 5%, a look every 50 for 20,000 calls."""
    rows: list[Row] = []
    for what, spread, a_second in (
        ("noise 0 to 95%", True, 20),
        ("noise 1e-5 to 0.5", False, 20),
        ("noise 0 to 95%, six hours of it", True, 1),
    ):
        found = independent(runs, spread=spread, a_second=a_second, with_states=not spread)
        rows += _rows(what, found, judged=a_second == 20)
    return rows


def independent(
    runs: int, *, spread: bool, a_second: int = 20, with_states: bool = False, paths: int = PATHS
) -> Alarms:
    """All runs of one profile; `a_second` calls, for the hours."""
    found = Alarms(runs)
    for run in range(runs):
        rng = np.random.default_rng((SEED, spread, a_second, run))
        noise = rng.permutation(spread_noise(paths)) if spread else rare_noise(rng, paths)
        looked = counts(rng, alike(noise), CALLS // EVERY, EVERY)
        hour = looked.n // (a_second * 3600)
        found.flagged.update(rule for rule, any_path in flags(looked, hour).items() if any_path)
        if with_states:
            _note_states(found, looked, hour)
    return found


def flags(looked: Looked, hour: Counts) -> dict[str, bool]:
    """Whether each rule flags any path at any look."""
    b, c = looked.b, looked.c
    goal = goals(ranks(b, c), ALPHA)
    cells = may_reach(b, c, hour, -log(ALPHA))
    value = log_e_star(b, c, hour, cells)
    shown = peers.diffy(looked)
    seen = ((b + c) > 0).sum(axis=1)
    all_known = np.full(len(b), b.shape[1])
    return {
        "ours": bool((value >= goal[cells[1]]).any()),
        "Diffy's rule": bool(shown.any()),
        "Diffy's rule, only at the last look": bool(shown[-1].any()),
        "McNemar at each look": bool(peers.mcnemar(b, c, ALPHA).any()),
        "McNemar at each look, Bonferroni": bool(peers.mcnemar(b, c, ALPHA / b.shape[1]).any()),
        "e-BH, paths seen so far": bool(peers.e_bh(value, cells[0], seen, ALPHA).any()),
        "e-BH, all paths known before": bool(peers.e_bh(value, cells[0], all_known, ALPHA).any()),
    }


def _note_states(found: Alarms, looked: Looked, hour: Counts) -> None:
    at = states(looked.b, looked.c, looked.d, hour, ALPHA)
    changes = (np.diff(at, axis=0) != 0).sum(axis=0)
    found.ever_suspect.append(float((at == SUSPECT).any(axis=0).mean()))
    found.changes.append(float(changes.mean()))
    found.changes_most = max(found.changes_most, int(changes.max()))
    bare = (looked.c + looked.d)[-1] == 0
    found.unexplained.append(tuple(float((bare & (looked.b[-1] >= m)).mean()) for m in (1, 2, 3)))


def _rows(what: str, found: Alarms, *, judged: bool) -> list[Row]:
    part = f"Any false alarm among {PATHS:,} paths, {what}: {CALLS:,} calls, a look every {EVERY}, alpha 5%"
    facts = {"ours": "facts 1 of 200"} if judged else {}
    rows = [
        Row(
            part,
            rule,
            found.flagged[rule],
            at_most(4, found.runs) if judged and rule == "ours" else None,
            "runs",
            found.runs,
            note=facts.get(rule, ""),
        )
        for rule in (
            "ours",
            "Diffy's rule",
            "Diffy's rule, only at the last look",
            "McNemar at each look",
            "McNemar at each look, Bonferroni",
            "e-BH, paths seen so far",
            "e-BH, all paths known before",
        )
    ]
    if found.ever_suspect:
        held = np.mean(found.unexplained, axis=0)
        rows += [
            Row(
                part,
                "paths suspect at some look",
                float(np.mean(found.ever_suspect)),
                note=f"{np.mean(found.changes):.2f} changes of state a path, at most {found.changes_most}; facts 34%; 0.6, 4",
            ),
            Row(
                part,
                "paths with a raw-only vote and no noise at the end",
                float(held[0]),
                note=f"two votes {held[1]:.2%}, three {held[2]:.2%}; facts 2.9%, 0.65%, 0.15%",
            ),
        ]
    return rows
