"""benchmarks/judgement.py: what stands in numpy there is held against mirror/core, peers against their definitions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from math import comb, exp, inf, log, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from benchmarks.simulated import bounds, detection, draws, judging, passing, peers, sticky, triples
from benchmarks.simulated.rows import Row, as_json, at_most, tables
from mirror.core import bound, noise
from mirror.core.evalue import log_e, log_e_star, weight
from mirror.core.model import Kind
from tests.conftest import ROOT

ALPHA = 0.05
# Mostly quiet looks, sometimes a burst in one direction.
STEP = st.tuples(*[st.sampled_from([0, 0, 0, 1, 2, 9])] * 3)
PATHS = st.integers(1, 4).flatmap(lambda k: st.lists(st.tuples(*[STEP] * k), min_size=1, max_size=12))


@st.composite
def looked(draw):
    """Counts of a few paths at a few looks, and the hour of each look: some hours have none."""
    steps = np.array(draw(PATHS), dtype=np.int64)
    hour = np.cumsum(draw(st.lists(st.sampled_from([0, 0, 1, 3]), min_size=len(steps), max_size=len(steps))))
    b, c, d = (steps[:, :, kind].cumsum(axis=0) for kind in range(3))
    return b, c, d, hour


def by_hour(b, c, hour, look, path):
    """The votes of one path as the core wants them: a pair for each hour begun."""
    votes = [(0, 0)] * (int(hour[look]) + 1)
    before = (0, 0)
    for at in range(look + 1):
        raw, of_noise = int(b[at, path]), int(c[at, path])
        had = votes[hour[at]]
        votes[hour[at]] = had[0] + raw - before[0], had[1] + of_noise - before[1]
        before = raw, of_noise
    return votes


def everywhere(b):
    return tuple(np.indices(b.shape).reshape(2, -1))


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), min_size=1, max_size=20))
def test_e_is_the_cores(votes):
    b, c = np.array(votes).T
    assert judging.log_e(b, c) == pytest.approx([log_e(raw, of_noise) for raw, of_noise in votes])


@given(looked())
def test_e_with_restarts_is_the_cores(counts):
    b, c, _, hour = counts
    cells = everywhere(b)
    expected = [log_e_star(by_hour(b, c, hour, look, path)) for look, path in zip(*cells, strict=True)]
    assert judging.log_e_star(b, c, hour, cells) == pytest.approx(expected, abs=1e-9)


@given(looked(), st.floats(0.1, 20))
def test_no_cell_that_reaches_a_goal_is_passed_over(counts, goal):
    b, c, _, hour = counts
    cells = everywhere(b)
    reached = judging.log_e_star(b, c, hour, cells) >= goal
    asked = set(zip(*judging.may_reach(b, c, hour, goal), strict=True))
    assert asked >= set(zip(*peers.of(cells, reached), strict=True))


@given(looked())
def test_ranks_go_by_first_votes_and_then_by_name(counts):
    b, c, _, _ = counts
    paths = range(b.shape[1])
    first = {p: next((look for look in range(len(b)) if b[look, p] + c[look, p]), inf) for p in paths}
    order = sorted((p for p in paths if first[p] < inf), key=lambda p: (first[p], p))
    expected = [order.index(p) + 1 if p in order else 0 for p in paths]
    assert judging.ranks(b, c).tolist() == expected
    goals = [-log(ALPHA) - log(weight(rank)) if rank else inf for rank in expected]
    assert judging.goals(np.array(expected), ALPHA) == pytest.approx(goals)


@given(looked())
def test_states_and_what_is_explained_are_the_cores(counts):
    b, c, d, hour = counts
    found = judging.states(b, c, d, hour, ALPHA)
    explained, out = judging.explained(found, b, c), judging.left_out(found, b, c, d)
    rank = judging.ranks(b, c)
    for path in range(b.shape[1]):
        state = None
        for look in range(len(b)):
            raw, of_noise, both = int(b[look, path]), int(c[look, path]), int(d[look, path])
            votes = by_hour(b, c, hour, look, path)
            ranked = int(rank[path]) if raw + of_noise else 0
            evidence = noise.Evidence(raw, of_noise, both, 10**6, raw, of_noise, votes, ranked)
            judgement = noise.judge(state, evidence, alpha=ALPHA)
            state = judgement.state
            assert judging.STATES[found[look, path]] is state
            assert explained[look, path] == judgement.explained
            assert out[look, path] == noise.may_leave_out(judgement, evidence)


@given(looked())
def test_regressed_is_the_first_look_at_which_the_state_is(counts):
    b, c, d, hour = counts
    is_regressed = judging.states(b, c, d, hour, ALPHA) == judging.REGRESSED
    expected = np.where(is_regressed.any(axis=0), is_regressed.argmax(axis=0), len(b))
    assert judging.regressed_at(b, c, hour, ALPHA).tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("gap", "of_core", "sign"), [(judging.log_upper_gap, bound.upper, 1), (judging.log_lower_gap, bound.lower, -1)]
)
@given(st.tuples(st.integers(0, 400), st.integers(1, 50_000), st.floats(1e-5, 0.999)))
def test_a_bound_misses_a_rate_where_its_sum_says_so(gap, of_core, sign, seen):
    x, n, rate = seen
    assume(x <= n)
    value = of_core(x, n, ALPHA)
    assume(abs(value - rate) > 1e-9 * rate)
    missed = gap(np.array([x]), np.array([n]), np.array([rate]), ALPHA)[0] > 0
    assert missed == (sign * (rate - value) > 0)


@pytest.mark.parametrize("alpha", [0.05, 0.01, 5e-5])
def test_mcnemars_critical_values_are_exact(alpha):
    for m, k in enumerate(peers.critical(200, alpha).tolist()):
        tails = [Fraction(sum(comb(m, i) for i in range(least, m + 1)), 2**m) for least in (k, k - 1)]
        assert tails[0] <= alpha < tails[1]


@pytest.mark.parametrize(
    ("b", "c", "d", "shown"),
    [
        (4, 0, 0, True),
        (3, 0, 0, False),  # 0.03% of 10,000, not over
        (400, 300, 0, False),  # 100 of 700
        (500, 300, 0, True),  # 200 of 800
        (500, 300, 150, False),  # 200 of 1,100
        (0, 400, 0, False),
    ],
)
def test_diffys_rule(b, c, d, shown):
    one = draws.Looked(*(np.array([[count]]) for count in (b, c, d)), np.array([10_000]))
    assert peers.diffy(one).tolist() == [[shown]]


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(-3, 12)), max_size=20), st.integers(0, 30))
def test_e_bh_is_its_definition(cells, more):
    rows, values = np.array([row for row, _ in cells], dtype=np.int64), np.array([value for _, value in cells])
    known = np.array([sum(row == at for row, _ in cells) + more for at in range(3)])
    expected = []
    for row, value in cells:
        ordered = sorted((v for r, v in cells if r == row), reverse=True)
        ks = [k for k, v in enumerate(ordered, start=1) if k * exp(v) >= known[row] / ALPHA]
        expected.append(bool(ks) and value >= ordered[max(ks) - 1])
    assume(all(exp(a) != exp(b) or a == b for a, b in pairwise(sorted(v for _, v in cells))))
    assume(len({v for _, v in cells}) == len(cells))
    assert peers.e_bh(values, rows, known, ALPHA).tolist() == expected


@given(st.floats(0, 0.99), st.floats(0, 0.5))
def test_noise_rates_are_exact_and_a_fault_comes_on_top(p, fault):
    """Secondary and primary differ at rate p; the candidate is wrong in `fault` of the calls in which it would be right."""
    rates = draws.alike(np.array([p]), fault)
    assert rates.c + rates.d == pytest.approx(p)
    assert rates.b - rates.c == pytest.approx((1 - p) * fault)
    assert draws.alike(np.array([p])).b == pytest.approx((1 - p) * (1 - sqrt(1 - p)))
    fixed = draws.fixed_primary(np.array([p]), fault)
    assert fixed.c + fixed.d == pytest.approx(p)
    assert fixed.b + fixed.d == pytest.approx(1 - (1 - p) * (1 - fault))


def test_counts_follow_their_rates():
    rates = draws.alike(np.array([0.0, 0.3, 0.9]), np.array([0.1, 0.1, 0.0]))
    found = draws.counts(np.random.default_rng(1), rates, 40, 2500)
    for part, rate in ((found.b, rates.b), (found.c, rates.c), (found.d, rates.d)):
        assert part[-1] / 100_000 == pytest.approx(rate, abs=0.006)
    assert found.n[-1] == 100_000


def test_unexplained_triples_are_counted_as_the_core_counts_them():
    """At every look of a run with much coming and going, from its signatures."""
    rng = np.random.default_rng(5)
    paths = triples.Paths(draws.rare_noise(rng, 60), np.full(60, 0.002), np.ones(30))
    run = triples.simulate(rng, paths, 30, 50)
    names = [(f"x{path}", Kind.VALUE) for path in range(60)]
    left_out_counted = 0
    for at in range(30):
        of_call = {}
        for call, path in zip(run.call[run.look <= at], run.path[run.look <= at], strict=True):
            of_call.setdefault(call, set()).add(names[path])
        signatures = {}
        for one in of_call.values():
            signatures[frozenset(one)] = signatures.get(frozenset(one), 0) + 1
        explained = {names[path] for path in np.flatnonzero(run.explained[at])}
        left_out = {names[path]: int(count) for path, count in enumerate(run.outside[at]) if count}
        left_out_counted += sum(left_out.values())
        assert run.x[at] == bound.unexplained(signatures, explained, left_out)
    assert left_out_counted
    placed = np.bincount(run.path, minlength=60) + run.outside[-1]
    assert placed.tolist() == run.looked.b[-1].tolist()
    assert len(set(zip(run.call, run.path, strict=True))) == len(run.call)


def test_a_run_without_noise_passes_as_soon_as_triples_are_enough():
    seen = passing.one_run(passing.WITHIN[0], 1)
    assert (seen.passed, seen.failed) == (3_875, inf)


def test_a_run_with_a_named_defect_fails_by_the_cores_verdict():
    seen = passing.one_run(passing.Case("one in fifty", 20, 1, 0.02), 1)
    assert seen.passed == inf
    assert seen.failed < 3_000


def test_paths_are_judged_by_the_core_as_simulated_over_hours():
    """`decided` raises where it is not so; 200 looks of 500 calls are more than an hour."""
    paths = triples.Paths(np.array([0.001, 0.01, 0.3]), np.array([0.0005, 0.005, 0.02]), np.ones(200))
    run = triples.simulate(np.random.default_rng(3), paths, 200, 500)
    assert run.hour[-1] == 1
    verdicts = [triples.decided(run, at).verdict for at in range(0, 200, 5)]
    assert (verdicts[0], verdicts[-1]) == ("inconclusive", "fail")


def test_the_truth_is_of_paths_that_count():
    paths = triples.Paths(np.array([0.0, 0.5, 0.0]), np.array([0.1, 0.2, 0.0]), np.ones(passing.LOOKS))
    counted = np.ones((passing.LOOKS, 3), dtype=bool)
    assert passing.truths(paths, counted)[-1] == pytest.approx(1 - 0.9 * 0.9)
    counted[:, 1] = False
    assert passing.truths(paths, counted)[-1] == pytest.approx(0.1)


def test_clopper_pearson_misses_what_looks_too_rare():
    n, truth = np.array([1000]), np.array([0.01])
    tail = [sum(comb(1000, k) * 0.01**k * 0.99 ** (1000 - k) for k in range(x + 1)) for x in range(10)]
    for x, chance in enumerate(tail):
        assert bounds.clopper_pearson_misses(np.array([[x]]), n, truth) == float(chance < ALPHA)


def test_a_fault_is_suspect_at_once_and_regressed_in_time():
    found = [detection.one_run(detection.FAULTS[1], run, draws.alike, rank=1_000) for run in range(5)]
    assert all(one.suspect_at_first and 400 <= one.regressed <= 1_500 for one in found)


def test_votes_by_minute_withstand_what_votes_by_call_do_not():
    by_call, by_minute = (sticky.sticky(15, 30, 120, bucket)["ours"] for bucket in (0, 60))
    assert by_call > 5
    assert by_minute <= 1


@pytest.mark.parametrize(
    ("row", "held"),
    [
        (Row("p", "w", 0.05, 0.05), True),
        (Row("p", "w", 0.051, 0.05), False),
        (Row("p", "w", 0.95, 0.95, at_least=True), True),
        (Row("p", "w", 0.94, 0.95, at_least=True), False),
        (Row("p", "w", 1.0), None),
    ],
)
def test_a_limit_is_kept_or_missed(row, held):
    assert row.held is held
    (_, _, line) = tables([row])
    assert {True: "pass", False: "miss", None: "-"}[held] in line.split()


def test_limits_on_runs_are_in_proportion_and_never_nothing():
    assert [at_most(4, runs) for runs in (200, 400, 100, 10)] == [4, 8, 2, 1]


def test_a_figure_that_is_infinite_is_null_for_machines():
    row = Row("p", "w", inf, None, "triples")
    assert as_json([row])[0]["figure"] is None
    assert "never" in tables([row])[2]


def script(*given, flags=()):
    return subprocess.run(
        [sys.executable, *flags, ROOT / "benchmarks/judgement.py", *given],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "interceptors"))), "MIRROR_REQUIRE": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_quick_run_says_all_of_it(tmp_path):
    """Every part with its limits. Of 10 runs only what is far from its limit is asked to keep it."""
    done = script("--quick", "--json", tmp_path / "said.json")
    assert done.returncode == 0, done.stderr
    said = json.loads((tmp_path / "said.json").read_text())
    ours = [row for row in said["rows"] if row["what"] == "ours" or row["limit"] is not None]
    assert sum(row["limit"] is not None for row in ours) > 30
    alarmed = [row for row in ours if row["part"].startswith(("Any false alarm", "A pass while", "One path"))]
    assert alarmed
    assert all(row["held"] for row in alarmed if row["limit"] is not None)
    assert {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  what")} == {"what"}
    assert all(row["part"] in done.stdout and row["what"] in done.stdout for row in said["rows"])


def test_without_numpy_one_line_says_so():
    done = script(flags=("-S",))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("judgement: not simulated: numpy is not installed")
    assert done.stderr.count("\n") == 1
