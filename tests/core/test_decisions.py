"""Decisions on paths, pure: what is refused, when one holds, and that it takes out just its own path."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.bound import unexplained
from mirror.core.decisions import OWNER_MAX, REASON_MAX, Decision, Ruling, problems
from mirror.core.model import Hypothesis, Kind
from mirror.core.verdict import Policy, Reason, decide
from mirror.core.warmup import judge_warmup
from tests.core.test_verdict import BUY, hypothesis, method, run

TODAY = date(2026, 3, 1)
ACCEPTED = Decision(Hypothesis(BUY, "response.price", Kind.VALUE), Ruling.ACCEPTED, "ada", "meant", TODAY, 0.0)
POLICY = replace(Policy(), min_duration_s=0)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, ""),
        ({"owner": " "}, "owner is missing"),
        ({"reason": ""}, "reason is missing"),
        ({"owner": "x" * (OWNER_MAX + 1)}, "owner has 201 characters"),
        ({"reason": "x" * (REASON_MAX + 1)}, "reason has 1,001 characters"),
        ({"reason": "a\nb"}, "reason holds control characters"),
        ({"expires": None}, "expires is missing"),
        ({"expires": TODAY - timedelta(days=1)}, "2026-02-28 has passed"),
        ({"what": Ruling.REJECTED}, "expires belongs to an acceptance"),
        ({"what": Ruling.REJECTED, "expires": None}, ""),
        ({"what": Ruling.WITHDRAWN, "expires": None}, ""),
    ],
)
def test_what_is_refused_and_why(changed, told):
    found = problems(replace(ACCEPTED, **changed), TODAY)
    assert bool(found) == bool(told)
    assert told in "; ".join(found)


@given(st.dates(), st.dates())
def test_an_acceptance_holds_through_its_day_and_no_longer(expires, today):
    assert replace(ACCEPTED, expires=expires).in_force(today) is (today <= expires)


@given(st.dates())
def test_a_rejection_holds_until_it_is_withdrawn(today):
    assert replace(ACCEPTED, what=Ruling.REJECTED, expires=None).in_force(today)
    assert not replace(ACCEPTED, what=Ruling.WITHDRAWN, expires=None).in_force(today)


MEMBERS = [("response.a", Kind.VALUE), ("response.b", Kind.MISSING), ("response.c", Kind.VALUE)]
SIGNATURES = st.dictionaries(st.frozensets(st.sampled_from(MEMBERS), min_size=1), st.integers(1, 50))


@given(SIGNATURES, st.dictionaries(st.sampled_from(MEMBERS), st.integers(1, 50)), st.sampled_from(MEMBERS))
def test_accepting_a_path_takes_out_of_the_bound_just_the_pairs_that_differ_there_alone(signatures, left_out, member):
    before = unexplained(signatures, frozenset(), left_out)
    after = unexplained(signatures, {member}, left_out)
    assert before - after == signatures.get(frozenset({member}), 0) + left_out.get(member, 0)


@given(st.integers(20, 500), st.integers(20, 500))
def test_an_accepted_path_fails_nothing_and_another_still_does(b, other):
    first, second = hypothesis(b=b, accepted="ada"), hypothesis(b=other, path="response.stock")
    report = decide(run(method(hypotheses=[first, second])), POLICY)
    assert [r.figures["where"] for r in report.reasons] == [f"{BUY}: response.stock (value)"]


def test_what_was_latched_for_an_accepted_path_does_not_fail():
    kept = Reason("regressed", "it was", {"where": f"{BUY}: response.price (value)"})
    accepted = method(hypotheses=[hypothesis(b=30, accepted="ada")])
    assert decide(run(accepted, failed=(kept,)), POLICY).verdict == "pass"
    elsewhere = replace(kept, figures={"where": f"{BUY}: response.stock (value)"})
    assert decide(run(accepted, failed=(elsewhere,)), POLICY).verdict == "fail"


def test_a_rejected_path_fails_however_little_differs():
    report = decide(run(method(hypotheses=[replace(hypothesis(b=1), rejected="rejected by ada: a bug")])), POLICY)
    assert (report.verdict, report.reasons[0].code) == ("fail", "rejected")


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_warm_up_judges_both_directions_alike(b, c):
    """Swapped evidence gives the same outcome, with the other side named."""
    outcomes = []
    for raw, noise in ((b, c), (c, b)):
        facts = run(method(hypotheses=[hypothesis(b=raw, c=noise)]))
        facts = replace(facts, epoch=facts.epoch._replace(candidate_version=facts.epoch.primary_version))
        found = judge_warmup(facts, POLICY)
        outcomes.append((found.outcome, [fault.figures["side"] for fault in found.faults]))
    (first, sides), (second, swapped) = outcomes
    assert first == second
    assert sides == [{"candidate": "secondary", "secondary": "candidate"}[side] for side in swapped]
