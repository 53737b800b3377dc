"""One path whose calls are not independent: one shadow alone is stale for a while. A vote by minute, by ten seconds and by call.

Events come at random (Poisson), hit either shadow alike, and last; meanwhile the path differs in 5% of the calls. Exchangeable are
whole events, not calls: minutes repair it but where an event falls into two.
"""

from __future__ import annotations

from collections import Counter
from math import log
from typing import Final

import numpy as np

from . import peers
from .draws import Looked
from .judging import reaches, regressed_at
from .rows import Row, at_most

SEED: Final = 7_001
ALPHA: Final = 0.01


def part_sticky(runs: int) -> list[Row]:
    """One path with sticky events: one replica alone is stale for a while, 5% of calls at 20 a second, one hour."""
    rows = []
    for length_s, every_s in ((5, 120), (30, 120), (300, 1200)):
        ever = {bucket: sticky(runs, length_s, every_s, bucket) for bucket in (0, 10, 60)}
        for bucket, name in ((60, "by minute"), (10, "by 10 s"), (0, "by call")):
            judged = length_s == 30 and bucket == 60
            rows.append(
                Row(
                    "One path with sticky events, one hour, rank 1, alpha 1%",
                    f"{length_s} s every {every_s // 60} min, {name}: regressed",
                    ever[bucket]["ours"],
                    at_most(2, runs) if judged else None,
                    "runs",
                    runs,
                    note=f"E* ever 20: {ever[bucket]['20'] / runs:.1%}; facts {_STICKY[length_s][name]}",
                )
            )
        if length_s == 30:
            rows += [
                Row(
                    rows[-1].part,
                    f"{length_s} s every {every_s // 60} min: {rule}",
                    ever[0][rule],
                    None,
                    "runs",
                    runs,
                )
                for rule in ("Diffy's rule", "McNemar at each look", "e-BH")
            ]
    return rows


# At E* 20, and regressed.
_STICKY: Final = {
    5: {"by call": "54%, 23%", "by 10 s": "8%, 0.3%", "by minute": "3%, 0"},
    30: {"by call": "76%, 64%", "by 10 s": "39%, 12%", "by minute": "8%, 0"},
    300: {"by call": "52%, 51%", "by 10 s": "46%, 34%", "by minute": "24%, 4%"},
}
_A_SECOND: Final = 20
_TOUCHED: Final = 0.05
_HOUR_S: Final = 3600


def sticky(runs: int, length_s: int, every_s: int, bucket_s: int) -> Counter[str]:
    """Runs of one kind of event; a bucket of `bucket_s` is one vote, 0: each call is. Peers look every minute, by call."""
    found: Counter[str] = Counter()
    for run in range(runs):
        rng = np.random.default_rng((SEED, length_s, every_s, run))
        looked = _calls(rng, length_s, every_s)
        b, c = looked.b, looked.c
        if bucket_s:
            raw, noise = (part.reshape(-1, bucket_s * _A_SECOND).sum(axis=1)[:, None] for part in (b, c))
            b, c = (raw > noise).astype(np.int64), (noise > raw).astype(np.int64)
        b, c = b.cumsum(axis=0), c.cumsum(axis=0)
        hour = np.zeros(len(b), dtype=np.int64)
        found["ours"] += bool((regressed_at(b, c, hour, ALPHA) < len(b)).any())
        found["20"] += reaches(b, c, hour, log(20))
        if not bucket_s:
            _note_peers(found, looked)
    return found


def _calls(rng: np.random.Generator, length_s: int, every_s: int) -> Looked:
    """What each call of the hour shows, one column."""
    calls = _HOUR_S * _A_SECOND
    stale = np.zeros((2, calls), dtype=np.bool_)
    for start_s in np.sort(rng.uniform(-length_s, _HOUR_S, rng.poisson((_HOUR_S + length_s) / every_s))):
        first = max(0, round(start_s * _A_SECOND))
        stale[rng.integers(2), first : round((start_s + length_s) * _A_SECOND)] = True
    touched = rng.random(calls) < _TOUCHED
    candidate, secondary = stale & touched
    kinds = (candidate & ~secondary, secondary & ~candidate, candidate & secondary)
    return Looked(*(one[:, None].astype(np.int64) for one in kinds), np.arange(1, calls + 1))


def _note_peers(found: Counter[str], looked: Looked) -> None:
    each = slice(60 * _A_SECOND - 1, None, 60 * _A_SECOND)
    b, c, d = (part.cumsum(axis=0)[each] for part in (looked.b, looked.c, looked.d))
    minutes = Looked(b, c, d, looked.n[each])
    found["Diffy's rule"] += bool(peers.diffy(minutes).any())
    found["McNemar at each look"] += bool(peers.mcnemar(b, c, ALPHA).any())
    found["e-BH"] += reaches(b, c, np.zeros(len(b), dtype=np.int64), -log(ALPHA))
