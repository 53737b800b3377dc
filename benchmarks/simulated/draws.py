"""What chance deals in a simulation: how often a path is raw-only, noise-only or both, and counts of it by look. Seeded.

The model of noise: primary, candidate and secondary are three instances alike, and each goes astray in a call of its own accord
with chance r, each time to another value. Two of them differ at rate p = 1 - (1 - r)^2, the path's noise rate, which is exact.
A fault makes the candidate wrong in a further share of the calls. `fixed_primary` is the other model one may think of:
the primary never errs, and each shadow differs from it with chance p. There more of the same noise befalls one shadow only,
and a fault is harder to see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .judging import Counts, Values


@dataclass(frozen=True, slots=True)
class Rates:
    """Chances of one call, of many paths: raw-only, noise-only, both; one row a look, or the same for all."""

    b: Values
    c: Values
    d: Values


@dataclass(frozen=True, slots=True)
class Looked:
    """Counts so far, a row a look and a column a path; `n` triples at each look."""

    b: Counts
    c: Counts
    d: Counts
    n: Counts


def alike(noise: Values, fault: Values | float = 0.0) -> Rates:
    """Three instances alike, the candidate with a fault besides."""
    stray = 1 - np.sqrt(1 - noise)
    return _rates(stray, stray, fault)


def fixed_primary(noise: Values, fault: Values | float = 0.0) -> Rates:
    """A primary that never errs."""
    return _rates(np.zeros_like(noise), noise, fault)


def _rates(primary: Values, shadow: Values, fault: Values | float) -> Rates:
    candidate = 1 - (1 - shadow) * (1 - fault)
    straight = 1 - primary
    b, c = straight * candidate * (1 - shadow), straight * shadow * (1 - candidate)
    return Rates(b, c, primary + straight * candidate * shadow)


def spread_noise(paths: int) -> Values:
    """Noise rates from 0 to 95%, evenly."""
    return np.linspace(0, 0.95, paths)


def rare_noise(rng: np.random.Generator, paths: int) -> Values:
    """Noise rates from 1e-5 to 0.5, log-uniform."""
    return 10 ** rng.uniform(-5, np.log10(0.5), paths)


def counts(rng: np.random.Generator, rates: Rates, looks: int, every: int) -> Looked:
    """Independent calls, a look every so many of them. Rates may have a row for each look: then they drift."""
    size = looks, rates.b.shape[-1]
    b = rng.binomial(every, rates.b, size=size)
    c = rng.binomial(every - b, rates.c / (1 - rates.b))
    d = rng.binomial(every - b - c, np.minimum(1, rates.d / (1 - rates.b - rates.c)))
    return Looked(*(part.cumsum(axis=0) for part in (b, c, d)), np.arange(1, looks + 1) * every)


def first_discordant(rng: np.random.Generator, rates: Rates) -> Values:
    """The call, from 1, at which each path first differs in one shadow only; infinite: never."""
    chance = rates.b + rates.c
    calls = np.full(len(chance), np.inf)
    some = chance > 0
    calls[some] = rng.geometric(chance[some])
    return calls
