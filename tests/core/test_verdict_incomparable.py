"""The verdict of runs in which much could not be compared: what holds the pass, and what is nobody's fault."""

import pytest

from mirror.core.run_facts import UNREADABLE
from mirror.core.verdict import decide
from tests.core.test_verdict import POLICY, codes, method, run


@pytest.mark.parametrize(
    "reason", ["too_large", "not_serializable", "schema", "redaction_key", "capture", "request_drift"]
)
def test_a_run_of_which_much_could_not_be_compared_does_not_pass(reason):
    """Equal bytes match, others are incomparable: what is left looks equal though everything may differ."""
    hidden = method(triples=4000, pairs=4100, incomparable=100, reasons={f"incomparable.{reason}": 100})
    report = decide(run(hidden), POLICY)
    assert (report.verdict, codes(report)) == ("inconclusive", ["incomparable"])
    assert "100 of 4,100 pairs could not be compared" in report.reasons[0].text


def test_a_required_method_too_must_be_comparable():
    sell = method("shop.v1.Shop/Sell", triples=500, pairs=550, reasons={"incomparable.schema": 50})
    report = decide(run(method(triples=9000), sell), POLICY)
    assert [reason.figures.get("method") for reason in report.reasons] == ["shop.v1.Shop/Sell"]


@pytest.mark.parametrize("reason", ["client_ended", "request_cut_short", "not_sampled"])
def test_what_befell_the_request_is_nobodys_fault(reason):
    counted = {f"incomparable.{reason}": 1000, f"only_candidate.{reason}": 100, f"only_secondary.{reason}": 90}
    assert decide(run(method(triples=4000, pairs=5000, reasons=counted)), POLICY).verdict == "pass"


@pytest.mark.parametrize("reason", [*UNREADABLE, "request_cut_short"])
def test_what_the_candidate_alone_made_incomparable_may_differ(reason):
    counted = {f"incomparable.{reason}": 2, f"only_candidate.{reason}": 2}
    report = decide(run(method(triples=4000, pairs=4005, reasons=counted)), POLICY)
    assert (report.verdict, codes(report), report.x) == ("inconclusive", ["more_triples"], 0)
    assert "and 2 more, which the candidate alone made incomparable, may" in report.reasons[0].text
    assert decide(run(method(triples=20000, pairs=20005, reasons=counted)), POLICY).verdict == "pass"
    both = counted | {f"only_secondary.{reason}": 1}
    assert decide(run(method(triples=4000, pairs=4009, reasons=both)), POLICY).verdict == "pass"


@pytest.mark.parametrize("reason", ["too_large", "schema"])
def test_without_a_secondary_what_could_not_be_compared_holds_the_pass_and_fails_nothing(reason):
    some = method(triples=0, pairs=4005, matched=4000, reasons={f"incomparable.{reason}": 2})
    assert codes(decide(run(some, has_secondary=False), POLICY)) == ["more_triples"]


def test_what_was_judged_in_part_is_in_the_bound_once():
    """Were all of them counted beside what was judged, a run in which every pair hides something would look half good."""
    blocked = run(method(triples=600, pairs=600, matched=600, reasons={"partly.blocked": 600}))
    report = decide(blocked, POLICY)
    (reason,) = [one for one in report.reasons if one.code in ("over_budget", "more_triples")]
    assert (reason.figures["x"], reason.figures["n"], report.bound) == (600, 600, 1.0)
    assert "0 of 600 triples differ unexplained and 600 of them, of which blocked calls" in reason.text
    some = decide(
        run(method(triples=600, pairs=610, matched=600, reasons={"partly.blocked": 5, "incomparable.blocked": 10})),
        POLICY,
    )
    (reason,) = [one for one in some.reasons if one.code in ("over_budget", "more_triples")]
    assert (reason.figures["x"], reason.figures["n"]) == (15, 610)
    assert "and 10 more, which blocked calls or the candidate alone made incomparable, may and 5 of them" in reason.text
