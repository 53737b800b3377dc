"""A candidate whose captures were dropped looks as if it had not answered: that neither fails a run nor lets it pass."""

from __future__ import annotations

import pytest

from mirror.core.model import Hypothesis, Kind
from mirror.core.noise import Evidence, judge
from mirror.core.run_facts import HypothesisFacts, MinuteFacts
from mirror.core.verdict import decide
from tests.core.test_verdict import BUY, POLICY, codes, method, run

MISSING = 60


def regressed(kind: Kind, b: int = MISSING) -> HypothesisFacts:
    evidence = Evidence(b, 0, 0, 4000, b, 0, ((b, 0),), 1)
    pattern = {Kind.NO_ANSWER: "status.no_answer", Kind.ANY: "(any)"}.get(kind, "response.price")
    return HypothesisFacts(Hypothesis(BUY, pattern, kind), evidence, judge(None, evidence, alpha=POLICY.alpha_fail))


def test_no_answers_fail_a_run_whose_candidate_dropped_fewer_captures() -> None:
    silent = method(hypotheses=[regressed(Kind.NO_ANSWER), regressed(Kind.ANY)], unexplained=MISSING)
    for lost in (0, MISSING - 1):
        report = decide(run(silent, candidate_lost=lost), POLICY)
        assert (report.verdict, codes(report)) == ("fail", ["regressed"])


def test_as_many_dropped_captures_as_no_answers_are_no_ground_to_fail_and_hold_the_pass() -> None:
    silent = method(hypotheses=[regressed(Kind.NO_ANSWER), regressed(Kind.ANY)])
    report = decide(run(silent, candidate_lost=MISSING), POLICY)
    assert report.verdict == "inconclusive"
    assert "capture_loss" in codes(report)
    assert "dropped 60 captures" in next(r.text for r in report.reasons if r.code == "capture_loss")


def test_another_difference_fails_whatever_was_dropped() -> None:
    wrong = method(hypotheses=[regressed(Kind.NO_ANSWER), regressed(Kind.VALUE), regressed(Kind.ANY, 2 * MISSING)])
    report = decide(run(wrong, candidate_lost=10_000), POLICY)
    assert (report.verdict, codes(report)) == ("fail", ["regressed"])


def test_what_differs_beside_few_no_answers_is_not_laid_to_what_was_dropped() -> None:
    """Many paths that differ now and then: together they are regressed."""
    mixed = method(hypotheses=[regressed(Kind.NO_ANSWER, 20), regressed(Kind.ANY)])
    report = decide(run(mixed, candidate_lost=10_000), POLICY)
    assert report.verdict == "fail"
    assert "the whole of what noise does not explain" in report.reasons[0].text


@pytest.mark.parametrize(("lost", "verdict"), [(0, "fail"), (299, "fail"), (300, "inconclusive")])
def test_minutes_in_which_the_captures_were_dropped_are_not_broken(lost: int, verdict: str) -> None:
    minutes = [MinuteFacts(minute, 500, 100, 0) for minute in range(3)]
    silent = method(minutes=minutes, hypotheses=[regressed(Kind.NO_ANSWER, 300)])
    assert decide(run(silent, candidate_lost=lost), POLICY).verdict == verdict
