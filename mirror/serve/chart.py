"""The figure of a run by minute, as rectangles that the template prints into an SVG. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mirror.core.run_facts import MethodFacts, MinuteFacts
from mirror.serve import words

COLUMNS_MAX: Final = 240
HEIGHT: Final = 56
_STEP: Final = 5
_BAR: Final = 4
_NARROWEST: Final = 60  # columns: so that the first minutes of a run are not one fat bar


@dataclass(frozen=True, slots=True)
class Column:
    """One minute, or several of a long run. Heights in SVG units; `text` says the figures."""

    x: int
    triples: float
    raw: float
    noise: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All columns, in an SVG of `width` by HEIGHT units."""

    columns: tuple[Column, ...]
    width: int
    bar: int
    caption: str


def minutes(methods: Iterable[MethodFacts]) -> Chart:
    """The chart of the closed minutes of all methods; several minutes a column where there are more than COLUMNS_MAX."""
    by_minute: defaultdict[int, list[MinuteFacts]] = defaultdict(list)
    for method in methods:
        for one in method.minutes:
            by_minute[one.minute].append(one)
    if not by_minute:
        return Chart((), 0, _BAR, "")
    first, last = min(by_minute), max(by_minute)
    merged = -(-(last - first + 1) // COLUMNS_MAX)
    sums = [_sum(by_minute, start, merged) for start in range(first, last + 1, merged)]
    highest = max(triples for _, triples, _, _ in sums) or 1
    columns = tuple(
        Column(
            x=place * _STEP,
            triples=_height(triples, highest),
            raw=_height(raw, highest),
            noise=_height(noise, highest),
            text=f"{words.moment(start * 60)[:-3]}: {words.plural(triples, 'triple')}, "
            f"only the candidate differs in {raw:,}, only the secondary in {noise:,}",
        )
        for place, (start, triples, raw, noise) in enumerate(sums)
    )
    length = "minute" if merged == 1 else f"{merged} minutes"
    caption = f"Triples of each {length}, at most {highest:,}; from {words.moment(first * 60)[:-3]} to {words.moment(last * 60)[:-3]}"
    return Chart(columns, max(len(columns), _NARROWEST) * _STEP, _BAR, caption)


def _sum(by_minute: Mapping[int, list[MinuteFacts]], start: int, length: int) -> tuple[int, int, int, int]:
    found = [one for minute in range(start, start + length) for one in by_minute.get(minute, ())]
    return start, sum(m.triples for m in found), sum(m.raw_only for m in found), sum(m.noise_only for m in found)


def _height(n: int, highest: int) -> float:
    """At least one unit where there is anything: one wrong pair in a thousand must be seen."""
    return 0.0 if not n else round(max(1.5, n / highest * (HEIGHT - 2)), 1)
