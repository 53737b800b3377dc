"""Latency and size: sketches, cells, votes and bounds; and what simulations with seeds make of them."""

from __future__ import annotations

import json
from math import ceil
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulated import speed as simulated
from benchmarks.simulated.speed import Candidate
from mirror.core.model import Difference, EpochKey, Kind, Outcome, Part, Role, Timing, Verdict
from mirror.core.path import Field
from mirror.core.speed.evidence import AtLeast, Hour, at_least, has_votes, words_of
from mirror.core.speed.minute import MinuteSpeed
from mirror.core.speed.sketch import ACCURACY, Sketch
from mirror.core.speed.votes import (
    MINUTE_TRIPLES_MIN,
    NO_VOTES,
    RATIOS,
    TAILS,
    Speed,
    cell_of,
    median_counts,
    tail_cell_of,
    tail_counts,
    votes_of_minute,
)
from mirror.core.speed.watch import VALUES_MIN, SpeedWatch

EPOCH = EpochKey("run", "shop", "1", "2")
numbers = st.floats(1, 1e12)
figures = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30)


@given(st.lists(numbers, min_size=1, max_size=300), st.floats(0.01, 1))
def test_a_quantile_is_right_to_the_accuracy(values, q):
    found = Sketch.of(values).quantile(q)
    expected = sorted(values)[max(1, ceil(q * len(values) - 1e-9)) - 1]
    assert abs(found - expected) <= ACCURACY * expected * 1.001


@given(st.lists(numbers), st.lists(numbers))
def test_sketches_add_up(one, other):
    both = Sketch.of(one)
    both.merge(Sketch.of(other))
    assert both.counts == Sketch.of([*one, *other]).counts
    assert both.n == len(one) + len(other)


def test_a_sketch_of_nothing_has_no_quantile_and_what_is_under_one_counts_as_one():
    assert Sketch().quantile(0.5) is None
    assert Sketch.of([0, 0.5, 1]).quantile(1) == 1


@given(figures)
def test_cells_say_at_every_ratio_how_many_are_over_and_under(pairs):
    cells = MinuteSpeed()
    for ours, theirs in pairs:
        cells.add(Speed("latency", 1, ours, theirs, cell_of(ours, theirs)))
    for (raw, noise), ratio in zip(median_counts(cells.median), RATIOS, strict=True):
        assert raw == sum(ours / theirs > ratio for ours, theirs in pairs)
        assert noise == sum(ours / theirs < ratio for ours, theirs in pairs)


@given(figures, numbers)
def test_tail_cells_say_who_alone_is_beyond(pairs, x):
    cells: dict[int, int] = {}
    for ours, theirs in pairs:
        cell = tail_cell_of(ours, theirs, x)
        cells[cell] = cells.get(cell, 0) + 1
    for (raw, noise), ratio in zip(tail_counts(cells), RATIOS, strict=True):
        assert raw == sum(ours / x > ratio and theirs <= x for ours, theirs in pairs)
        assert noise == sum(theirs > x and ours / x <= ratio for ours, theirs in pairs)


def test_nothing_against_nothing_is_even():
    assert cell_of(0, 0) == cell_of(7, 7) == 1
    assert (cell_of(1, 0), cell_of(0, 1)) == (2 * len(RATIOS), 0)


def test_a_minute_has_one_vote_at_each_ratio_if_it_has_enough_triples():
    counts = ((3, 2), (2, 2), (0, 5))
    assert votes_of_minute(counts, MINUTE_TRIPLES_MIN, by_call=False) == ((1, 0), (0, 0), (0, 1))
    assert votes_of_minute(counts, MINUTE_TRIPLES_MIN - 1, by_call=False) == ((0, 0),) * 3
    assert votes_of_minute(counts, 1, by_call=True) == counts


def speed(chance: Random) -> Speed:
    ours, theirs = chance.lognormvariate(0, 1), chance.lognormvariate(0, 1)
    return Speed(
        "latency", 5.0, ours, theirs, cell_of(ours, theirs), tuple(tail_cell_of(ours, theirs, x) for x in (1, 2, 3))
    )


@given(st.integers(0, 20), st.integers(0, 20))
def test_minutes_add_up_and_survive_json(one, other):
    chance = Random(1)
    speeds = [speed(chance) for _ in range(one + other)]
    whole, first, second = MinuteSpeed(), MinuteSpeed(), MinuteSpeed()
    for number, each in enumerate(speeds):
        whole.add(each)
        (first if number < one else second).add(each)
    first.merge(second)
    assert first.plain() == whole.plain()
    assert MinuteSpeed.of(json.loads(json.dumps(whole.plain()))).plain() == whole.plain()
    assert MinuteSpeed.of({}).plain() == MinuteSpeed().plain()


def pair(took_ns: int, *differences: Difference, sizes=(10, 10), **more) -> Outcome:
    verdict = Verdict.MISMATCHED if differences else Verdict.MATCHED
    return Outcome(verdict, differences=differences, sizes=sizes, timing=Timing(0, 100, took_ns), **more)


def look(watch: SpeedWatch, candidate: Outcome, secondary: Outcome, minute: int = 0):
    return watch.look(EPOCH, "s/M", minute, {Role.CANDIDATE: candidate, Role.SECONDARY: secondary})


def test_a_triple_has_its_latency_and_its_size():
    latency, size = look(SpeedWatch(), pair(300, sizes=(10, 20)), pair(200))
    assert (latency.metric, latency.primary, latency.candidate, latency.secondary) == ("latency", 100, 300, 200)
    assert (size.metric, size.primary, size.candidate, size.secondary) == ("size", 10, 20, 10)
    assert latency.tails == ()


def test_calls_that_ended_otherwise_or_were_not_seen_are_left_out_of_both():
    ended = pair(1, Difference((Field("status"), Field("code")), Kind.STATUS, "OK", "INTERNAL"))
    blocked = pair(1, unseen={Part.ANSWER: "blocked"})
    for other in (ended, blocked, Outcome(Verdict.INCOMPARABLE, "schema")):
        assert look(SpeedWatch(), other, pair(1)) == look(SpeedWatch(), pair(1), other) == ()


def test_the_tail_is_that_of_the_secondarys_minutes_before_and_fixed_within_one():
    watch = SpeedWatch()
    for _ in range(VALUES_MIN):
        assert look(watch, pair(10**9), pair(1000), minute=7)[0].tails == ()
    (latency, _) = look(watch, pair(10**9), pair(1), minute=8)
    assert latency.tails == (2 * len(RATIOS),) * len(TAILS)  # beyond five times each, the secondary is not
    for _ in range(500):
        look(watch, pair(1), pair(10**9), minute=8)
    of_before = look(watch, pair(1075), pair(1), minute=8)[0].tails
    assert of_before == (2 * 3,) * 3  # over 1.05 times, of the minutes before
    assert look(watch, pair(1075), pair(1), minute=9)[0].tails == (0, 0, 0)


def hours(raw: int, noise: int, *, up_to: float) -> list[Hour]:
    """One hour whose median votes are these up to a ratio, and the reverse beyond."""
    votes = tuple((raw, noise) if ratio <= up_to else (noise, raw) for ratio in RATIOS)
    return [Hour(votes, tuple(NO_VOTES for _ in TAILS))]


def test_the_bound_is_the_largest_ratio_for_which_the_evidence_holds():
    assert at_least(hours(40, 0, up_to=1.3), 1, alpha=0.01) == AtLeast(1.3, 0.0)
    assert at_least(hours(5, 0, up_to=1.3), 1, alpha=0.01) == AtLeast()
    assert at_least(hours(18, 0, up_to=1.0), 1, alpha=0.01) == AtLeast(1.0)
    assert at_least(hours(18, 0, up_to=1.0), 1000, alpha=0.01) == AtLeast()  # a later rank has less weight
    assert at_least([], 1, alpha=0.01) == AtLeast()


def test_the_tail_is_the_mean_over_three():
    pure = tuple((40, 0) for _ in RATIOS)
    one = [Hour(NO_VOTES, (pure, NO_VOTES, NO_VOTES))]
    assert at_least(one, 1, alpha=0.01) == AtLeast(0.0, 5.0)
    against = [Hour(NO_VOTES, tuple(tuple((0, 40) for _ in RATIOS) for _ in TAILS))]
    assert at_least(against, 1, alpha=0.01) == AtLeast()
    assert has_votes(one)
    assert not has_votes([Hour(NO_VOTES, (NO_VOTES,) * 3)])


@given(st.floats(0, 5), st.floats(0, 5), st.floats(0, 5), st.floats(0, 5))
def test_a_bound_never_falls(a, b, c, d):
    both = AtLeast(a, b).or_more(AtLeast(c, d))
    assert both == AtLeast(c, d).or_more(AtLeast(a, b))
    assert both.median >= a
    assert both.tail >= d


def test_words():
    assert words_of("latency", AtLeast()) == "no sign that it is slower"
    assert words_of("size", AtLeast()) == "no sign that it is larger"
    found = words_of("latency", AtLeast(1.3, 2.0))
    assert found.startswith("in most minutes, most calls took over 1.3 times the secondary's time; the slowest calls")


def test_alike_builds_are_not_found_slower():
    """Slow spells of 10% for a minute, two hours: by call they would look slower in a fifth of runs."""
    found = [list(simulated.bounds(seed, Candidate()))[-1][1] for seed in range(10)]
    assert found == [AtLeast()] * 10


def test_a_third_slower_is_found_within_the_hour_and_never_overstated():
    for seed in range(6):
        found = list(simulated.bounds(seed, Candidate(ratio=1.3), minutes=70))
        assert found[-1][1].median >= 1.1
        assert found[-1][1].median <= 1.3


def test_few_calls_ten_times_slower_are_found_in_the_tail():
    spells = simulated.Spells(0.0)
    for seed in range(4):
        *_, (_, last) = simulated.bounds(seed, Candidate(rare=0.02), minutes=70, spells=spells, by_call=True)
        assert last.tail >= 1.0
        assert last.median == 0.0


@pytest.mark.parametrize("ratio", [1.0, 1.1])
def test_a_candidate_that_is_faster_is_never_slower(ratio):
    assert simulated.minutes_until(3, Candidate(ratio=0.8), ratio, minutes=90) is None
