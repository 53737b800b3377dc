"""Which field of the request sets some calls apart from others: a search among simple conditions. Pure.

A lead is no proof: the condition was chosen because it fits. So it must fit far better than chance, counted against all
conditions that were tried, and both sides are shown. A condition is about one path; of a list it holds if some element meets it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import floor, log, log10
from typing import Final, TypeAlias

from mirror.core.chance import beyond_chance, smoothed
from mirror.core.request_fields import RequestFields, Value, is_below_any

INSIDE_MIN: Final = 3  # calls, of which a lead holds for as many
SHARE_MIN: Final = 0.5  # of the calls inside that a lead holds for
GAP_MIN: Final = 0.25  # between the two shares
CHANCE_LOG: Final = log(1000)  # so unlikely by chance, after counting what was tried
LEADS_MAX: Final = 3
ALSO_FROM: Final = 0.6  # of the best one's evidence: a further field is named from there
_EQUALS_MAX: Final = 6  # values of one path that are tried
_ENDS_MAX: Final = 4
_SPAN_OF_100: Final = 20  # last two digits that lie so close together are a range
_HEAD: Final = re.compile(r"^[^\W_]+[\W_]")  # up to the first sign that is no letter and no digit
_TAIL: Final = re.compile(r"[\W_][^\W_]+$")
_Seen: TypeAlias = tuple[Value, ...]
_Test: TypeAlias = Callable[[_Seen, int], bool]  # the values, and the count, of one call


@dataclass(frozen=True, slots=True)
class Lead:
    """A condition, with the calls for which it holds among those inside (that differ) and outside (that do not)."""

    path: str
    condition: str
    inside: int
    inside_of: int
    outside: int
    outside_of: int
    log_evidence: float  # natural log of how unlikely by chance, before what was tried is counted


@dataclass(frozen=True, slots=True)
class _Condition:
    """`cost`: how much better than a plainer one it must be, in nats."""

    text: str
    test: _Test
    cost: float = 0.0


def find_leads(inside: Sequence[RequestFields], outside: Sequence[RequestFields]) -> tuple[Lead, ...]:
    """The conditions that set `inside` apart from `outside`, the best first, of different paths; at most LEADS_MAX.

    None where there are too few calls on either side, or nothing fits better than chance. Paths that redaction took out
    of any of the calls, and what lies below, are left alone.
    """
    if len(inside) < INSIDE_MIN or not outside:
        return ()
    private = frozenset[str]().union(*(one.private for one in (*inside, *outside)))
    paths = {path for one in inside for path in (*one.values, *one.counts) if not is_below_any(path, private)}
    tried = 0
    best: list[tuple[float, Lead]] = []
    for path in sorted(paths):
        ours, theirs = (
            [(one.values.get(path, ()), one.counts.get(path, 0)) for one in side] for side in (inside, outside)
        )
        of_path = []
        for condition in _conditions(path, ours, theirs):
            tried += 1
            if lead := _held(path, condition, ours, theirs):
                of_path.append((lead.log_evidence - condition.cost, lead))
        if of_path:
            best.append(max(of_path, key=lambda found: found[0]))
    best = sorted((one for one in best if one[0] >= CHANCE_LOG + log(tried)), key=lambda one: (-one[0], one[1].path))
    return tuple(lead for score, lead in best[:LEADS_MAX] if score >= ALSO_FROM * best[0][0])


def _held(
    path: str, condition: _Condition, ours: Sequence[tuple[_Seen, int]], theirs: Sequence[tuple[_Seen, int]]
) -> Lead | None:
    n, m = len(ours), len(theirs)
    inside = sum(condition.test(*one) for one in ours)
    if inside < INSIDE_MIN or inside / n < SHARE_MIN:
        return None
    outside = sum(condition.test(*one) for one in theirs)
    if inside / n - outside / m < GAP_MIN:
        return None
    return Lead(path, condition.text, inside, n, outside, m, beyond_chance(inside, n, smoothed(outside, m)))


def _conditions(
    path: str, ours: Sequence[tuple[_Seen, int]], theirs: Sequence[tuple[_Seen, int]]
) -> Iterator[_Condition]:
    yield from _equalities(path, ours, theirs)
    yield from _texts(path, ours)
    numbers = [[_numbers(values) for values, _ in side] for side in (ours, theirs)]
    yield from _thresholds(_subject(path), numbers[0], numbers[1], _numbers_of)
    yield from _digits(_subject(path), numbers[0])
    counts = [[(float(n),) for _, n in side] for side in (ours, theirs)]
    if any(n for side in (ours, theirs) for _, n in side):
        yield from _thresholds(f"number of {path}", counts[0], counts[1], _count_of, cost=1.0)


def _subject(path: str) -> str:
    """As a condition names it: "some" where it stands for several values."""
    return f"some {path}" if "[*]" in path else path


def _equalities(
    path: str, ours: Sequence[tuple[_Seen, int]], theirs: Sequence[tuple[_Seen, int]]
) -> Iterator[_Condition]:
    often = Counter(value for values, _ in ours for value in set(values))
    for value, _ in often.most_common(_EQUALS_MAX):
        yield _Condition(f"{_subject(path)} {_is(value)}", _equal(value))
    usual = Counter(value for values, _ in theirs for value in values).most_common(1)
    if usual and "[*]" not in path:
        yield _Condition(f"{path} {_is_not(usual[0][0])}", _unequal(usual[0][0]), cost=1.0)


def _equal(value: Value) -> _Test:
    return lambda values, _n: value in values


def _unequal(value: Value) -> _Test:
    return lambda values, _n: bool(values) and value not in values


def _is(value: Value) -> str:
    if value is None:
        return "is not set"
    return "is empty" if value == "" else f"= {_shown(value)}"


def _is_not(value: Value) -> str:
    if value is None:
        return "is set"
    return "is not empty" if value == "" else f"≠ {_shown(value)}"


def _shown(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else _figure(value or 0)


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.15g}"


def _texts(path: str, ours: Sequence[tuple[_Seen, int]]) -> Iterator[_Condition]:
    """How texts begin and end, up to a sign between words, and how long they are."""
    texts = [value for values, _ in ours for value in values if isinstance(value, str)]
    subject = _subject(path)
    heads = Counter(found[0] for text in texts if (found := _HEAD.match(text)))
    for head, _ in heads.most_common(_ENDS_MAX):
        yield _Condition(f"{subject} begins with {_shown(head)}", _text(rf"\A{re.escape(head)}"), cost=0.5)
    tails = Counter(found[0] for text in texts if (found := _TAIL.search(text)))
    for tail, _ in tails.most_common(_ENDS_MAX):
        yield _Condition(f"{subject} ends with {_shown(tail)}", _text(rf"{re.escape(tail)}\Z"), cost=0.7)
    if texts and len(texts) == len(ours):
        low, high = min(map(len, texts)), max(map(len, texts))
        yield _Condition(f"length of {path} ≥ {low}", _text(rf"(?s)\A.{{{low},}}\Z"), cost=1.5)
        yield _Condition(f"length of {path} ≤ {high}", _text(rf"(?s)\A.{{0,{high}}}\Z"), cost=1.5)


def _text(pattern: str) -> _Test:
    found = re.compile(pattern)
    return lambda values, _n: any(isinstance(one, str) and found.search(one) is not None for one in values)


_Numbers: TypeAlias = tuple[float, ...]


def _numbers(values: _Seen) -> _Numbers:
    return tuple(one for one in values if isinstance(one, int | float) and not isinstance(one, bool))


def _numbers_of(values: _Seen, _n: int) -> _Numbers:
    return _numbers(values)


def _count_of(_values: _Seen, n: int) -> _Numbers:
    return (n,)


def _thresholds(
    subject: str,
    ours: Sequence[_Numbers],
    theirs: Sequence[_Numbers],
    read: Callable[[_Seen, int], _Numbers],
    *,
    cost: float = 0.0,
) -> Iterator[_Condition]:
    """From, up to, and between: where all those inside lie, or nine tenths, the figure as round as it may be."""
    largest = sorted(max(one) for one in ours if one)
    smallest = sorted((min(one) for one in ours if one), reverse=True)
    if not largest or largest[0] == smallest[0] == largest[-1]:
        return  # one value: that is an equality
    outside = [one for one in theirs if one]
    for cut in sorted({0, len(largest) // 10}):
        low = _rounded(largest[cut], lambda at: sum(max(one) >= at for one in outside), down=True)
        yield _Condition(f"{subject} ≥ {_figure(low)}", _at_least(read, low), cost + 0.5)
        high = _rounded(smallest[cut], lambda at: sum(min(one) <= at for one in outside), down=False)
        yield _Condition(f"{subject} ≤ {_figure(high)}", _at_most(read, high), cost + 0.5)
        first, last = min(smallest[cut:]), max(largest[: len(largest) - cut])
        yield _Condition(f"{subject} from {_figure(first)} to {_figure(last)}", _between(read, first, last), cost + 2.0)


def _at_least(read: Callable[[_Seen, int], _Numbers], low: float) -> _Test:
    return lambda values, n: any(one >= low for one in read(values, n))


def _at_most(read: Callable[[_Seen, int], _Numbers], high: float) -> _Test:
    return lambda values, n: any(one <= high for one in read(values, n))


def _between(read: Callable[[_Seen, int], _Numbers], first: float, last: float) -> _Test:
    return lambda values, n: any(first <= one <= last for one in read(values, n))


def _rounded(at: float, outside: Callable[[float], int], *, down: bool) -> float:
    """The roundest figure beyond `at` that lets in no more of those outside."""
    if not at:
        return at
    allowed = outside(at)
    for digits in range(1, 16):
        unit = 10.0 ** (floor(log10(abs(at))) + 1 - digits)
        steps = floor(at / unit) if down else -floor(-at / unit)
        figure: float = round(steps * unit, 12)
        figure = int(figure) if isinstance(at, int) and figure == int(figure) else figure
        beyond = figure <= at if down else figure >= at
        if beyond and outside(figure) <= allowed and not (isinstance(at, int) and not isinstance(figure, int)):
            return figure
    return at


def _digits(subject: str, ours: Sequence[_Numbers]) -> Iterator[_Condition]:
    """The last digits of whole numbers: ids are dealt out to shards and cohorts by them."""
    found = [one for numbers in ours for one in numbers]
    if not found or not all(isinstance(one, int) and one >= 0 for one in found):
        return
    whole = [int(one) for one in found]
    if max(whole) >= 10:
        for last, _ in Counter(one % 10 for one in whole).most_common(1):
            yield _Condition(f"{subject} % 10 = {last}", _remainder(10, last, last), cost=1.0)
    if max(whole) >= 100:
        ends = [one % 100 for one in whole]
        low, high = min(ends), max(ends)
        if low == high:
            yield _Condition(f"{subject} % 100 = {low}", _remainder(100, low, high), cost=1.5)
        elif high - low <= _SPAN_OF_100:
            yield _Condition(f"{subject} % 100 from {low} to {high}", _remainder(100, low, high), cost=2.0)


def _remainder(base: int, low: int, high: int) -> _Test:
    return lambda values, _n: any(isinstance(one, int) and low <= one % base <= high for one in _numbers(values))
