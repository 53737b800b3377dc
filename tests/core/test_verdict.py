"""The verdict: what fails a run, what a pass lacks and when it will be there, and what could not be seen."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.grounds import broken
from mirror.core.model import EpochKey, Hypothesis, Kind, MethodCounts
from mirror.core.noise import Evidence, State, judge
from mirror.core.verdict import HypothesisFacts, MethodFacts, MinuteFacts, Policy, Reason, RunFacts, decide

EPOCH = EpochKey("run", "shop", "1", "2")
BUY = "shop.v1.Shop/Buy"
POLICY = Policy()


def method(name=BUY, triples=4000, *, unexplained=0, hypotheses=(), minutes=(), **counts):
    counted = MethodCounts(**{"pairs": triples, "matched": triples, "triples": triples} | counts)
    return MethodFacts(name, counted, unexplained, tuple(hypotheses), tuple(minutes))


def run(*methods, **facts):
    """An hour at one triple a second, everything known."""
    given = {"first_s": 1000.0, "last_s": 4600.0, "rate_per_s": 1.0, "capture_loss": 0.0} | facts
    return RunFacts(given.pop("epoch", EPOCH), methods or (method(),), **given)


def hypothesis(b=0, c=0, d=0, n=4000, *, path="response.price", previous=None, accepted=""):
    evidence = Evidence(b, c, d, n, b, c, ((b, c),), 1)
    judgement = judge(previous, evidence, alpha=POLICY.alpha_fail)
    return HypothesisFacts(Hypothesis(BUY, path, Kind.VALUE), evidence, judgement, accepted)


def codes(report):
    return [reason.code for reason in report.reasons]


def test_enough_equal_triples_pass():
    report = decide(run(method(triples=3875)), POLICY)
    assert (report.verdict, report.x, report.n, report.missing, report.eta_s) == ("pass", 0, 3875, (), None)
    assert report.bound == pytest.approx(0.001, abs=1e-6)
    assert report.reasons[0].text == (
        "0 of 3,875 triples differ unexplained: with 95% confidence at most 0.100% of calls, within the budget of 0.100%"
    )


def test_one_triple_too_few_is_inconclusive_and_says_when_it_will_be_there():
    report = decide(run(method(triples=3815)), POLICY)
    assert (report.verdict, codes(report), report.missing) == ("inconclusive", ["more_triples"], report.reasons)
    assert report.reasons[0].figures["needed"] == 3875
    assert report.eta_s == 60


@pytest.mark.parametrize(("x", "needed"), [(0, 3875), (1, 7311), (2, 9427), (5, 15059)])
def test_unexplained_triples_cost_more_triples(x, needed):
    few = decide(run(method(triples=needed - 1, unexplained=x)), POLICY)
    assert few.verdict == "inconclusive"
    assert decide(run(method(triples=needed, unexplained=x)), POLICY).verdict == "pass"


def test_more_calls_do_not_help_where_too_many_differ():
    report = decide(run(method(unexplained=40)), POLICY)
    assert (codes(report), report.eta_s) == (["over_budget"], None)


def test_too_much_that_differs_names_the_suspect_and_the_votes_that_a_fail_takes():
    """Thousands of calls of one minute are one vote: who waits for a fail is told."""
    evidence = Evidence(b=900, c=0, d=0, n=4000, votes_raw=2, votes_noise=0, hours=((2, 0),), rank=1)
    fact = HypothesisFacts(
        Hypothesis(BUY, "response.price", Kind.VALUE), evidence, judge(None, evidence, alpha=POLICY.alpha_fail)
    )
    report = decide(run(method(unexplained=900, hypotheses=[fact])), POLICY)
    assert codes(report) == ["over_budget"]
    assert report.reasons[0].text.endswith(
        "response.price (value) is suspect: in 900 of 4,000 triples of the candidate alone, with 2 of the about 16 votes after "
        "which it is regressed (a minute is one vote)"
    )


def test_a_run_without_calls_is_inconclusive():
    report = decide(RunFacts(EPOCH), POLICY)
    assert (report.verdict, report.bound, report.eta_s) == ("inconclusive", 1.0, None)
    assert codes(report) == ["no_calls", "duration", "more_triples"]


def test_the_shipped_policy_waits_half_an_hour():
    report = decide(run(last_s=1000.0 + 1200), POLICY)
    assert (codes(report), report.eta_s) == (["duration"], 600)
    assert decide(run(last_s=1000.0), replace(POLICY, min_duration_s=0)).verdict == "pass"


def test_the_eta_is_that_of_what_takes_longest():
    report = decide(run(method(triples=3815), last_s=1000.0 + 1200), POLICY)
    assert (set(codes(report)), report.eta_s) == ({"duration", "more_triples"}, 600)


@pytest.mark.parametrize(
    ("side", "epoch"), [("primary", EpochKey("run", "shop", "", "2")), ("candidate", EpochKey("run", "shop", "1", ""))]
)
def test_an_unknown_version_cannot_pass(side, epoch):
    report = decide(run(epoch=epoch), POLICY)
    assert (codes(report), report.eta_s) == (["version_unknown"], None)
    assert report.reasons[0].figures == {"side": side}


def test_a_regressed_path_fails_whatever_else_is_missing():
    report = decide(run(method(triples=400, hypotheses=[hypothesis(b=30, n=400)])), POLICY)
    assert (report.verdict, codes(report), report.missing, report.eta_s) == ("fail", ["regressed"], (), None)
    assert report.reasons[0].text.startswith(f"{BUY}: response.price (value) is regressed: raw-only in 30")


def test_an_accepted_regression_does_not_fail():
    assert decide(run(method(hypotheses=[hypothesis(b=30, accepted="rule price")])), POLICY).verdict == "pass"


def test_a_fail_found_earlier_stays():
    earlier = Reason("broken", "it was broken", {"where": BUY})
    assert decide(run(failed=(earlier,)), POLICY).reasons == (earlier,)


@pytest.mark.parametrize(("votes", "verdict"), [(2, "pass"), (3, "inconclusive")])
def test_a_suspect_with_three_votes_and_no_noise_holds_the_pass(votes, verdict):
    report = decide(run(method(triples=20_000, unexplained=0, hypotheses=[hypothesis(b=votes, n=20_000)])), POLICY)
    assert report.verdict == verdict
    assert codes(report) == (["suspect"] if verdict == "inconclusive" else ["within_budget"])


def test_a_suspect_that_someone_accepted_holds_nothing():
    assert decide(run(method(hypotheses=[hypothesis(b=5, accepted="owner: a known change")])), POLICY).verdict == "pass"


def test_a_control_that_answers_otherwise_is_none_and_it_is_said_what_to_look_at():
    report = decide(run(method(secondary_status=41)), POLICY)
    assert codes(report) == ["status_noise"]
    assert "see that it is the primary's build" in report.reasons[0].text
    assert "blocked" not in report.reasons[0].text
    assert decide(run(method(secondary_status=40)), POLICY).verdict == "pass"


def status_noise(**reasons):
    """What is said of a control that answers 60 of 4,000 otherwise, where 40 are allowed."""
    counted = method(secondary_status=60, reasons={name.replace("__", "."): n for name, n in reasons.items()})
    (found,) = [r for r in decide(run(counted), POLICY).missing if r.code == "status_noise"]
    return found


@pytest.mark.parametrize(
    "reasons", [{"partly__blocked": 20}, {"incomparable__blocked": 12, "only_secondary__blocked": 8}]
)
def test_a_control_that_fails_for_blocked_calls_is_not_to_blame(reasons):
    found = status_noise(**reasons)
    assert (found.figures["differing"], found.figures["blocked"]) == (60, 20)
    assert "calls of shadows were blocked in 20 requests" in found.text
    assert "give those calls a policy" in found.text
    assert "primary's build" not in found.text


def test_blocked_calls_that_explain_too_little_leave_the_blame_with_the_control():
    found = status_noise(partly__blocked=19)
    assert "see that it is the primary's build" in found.text
    assert "blocked calls may explain 19 of them" in found.text


def test_a_control_that_differs_more_than_the_candidate_holds_the_pass():
    assert codes(decide(run(method(hypotheses=[hypothesis(b=1, c=60)])), POLICY)) == ["control_worse"]


def test_blind_leaf_values_hold_the_pass():
    seeing = replace(method(), leaf_values=100, blind_values=20)
    assert decide(run(seeing), POLICY).verdict == "pass"
    assert codes(decide(run(replace(seeing, blind_values=21)), POLICY)) == ["blind"]


def test_incomplete_pairs_hold_the_pass():
    assert decide(run(method(pairs=4040, incomplete=40)), POLICY).verdict == "pass"
    assert codes(decide(run(method(pairs=4041, incomplete=41)), POLICY)) == ["incomplete"]


def test_lost_captures_hold_the_pass():
    assert codes(decide(run(capture_loss=0.011), POLICY)) == ["capture_loss"]


def test_every_frequent_method_must_be_covered_and_the_rest_is_named():
    some, rare = method("shop.v1.Shop/Sell", 300), method("shop.v1.Shop/Audit", 40)
    report = decide(run(method(triples=9000), some, rare), POLICY)
    assert codes(report) == ["coverage"]
    assert report.reasons[0].text == "shop.v1.Shop/Sell: 300 of 500 triples"
    assert report.eta_s == pytest.approx(200 * 9340 / 300)
    assert "Not covered, being too rare to be required (triples each): shop.v1.Shop/Audit (40)." in report.blind_spots


def test_a_listed_method_is_required_however_rare():
    policy = replace(POLICY, required_methods=("shop.v1.Shop/Refund",))
    report = decide(run(), policy)
    assert (codes(report), report.eta_s) == (["coverage"], None)


def minutes(*figures, start=100):
    return tuple(MinuteFacts(start + n, *each) for n, each in enumerate(figures))


BAD = (50, 5, 1)


@pytest.mark.parametrize(
    ("figures", "found"),
    [
        ((BAD, BAD, BAD), True),
        ((BAD, BAD), False),
        ((BAD, BAD, (50, 4, 0), BAD), False),  # under 10%
        ((BAD, BAD, (49, 40, 0)), False),  # too few triples
        ((BAD, BAD, (100, 10, 3)), False),  # under 5 times the noise
        (((60, 30, 0), (60, 30, 0), (60, 30, 0), (60, 0, 0)), True),  # latched: it was
    ],
)
def test_broken_is_three_consecutive_bad_minutes(figures, found):
    assert (broken(BUY, minutes(*figures)) is not None) is found


def test_broken_minutes_with_a_gap_are_not_consecutive():
    assert broken(BUY, minutes(BAD, BAD) + minutes(BAD, start=103)) is None


def test_broken_fails_the_run_without_waiting_for_certainty():
    report = decide(run(method(triples=150, unexplained=15, minutes=minutes(BAD, BAD, BAD))), POLICY)
    assert (report.verdict, codes(report)) == ("fail", ["broken"])


def test_what_is_broken_names_the_paths_that_are_suspect_most_of_all():
    """They are not regressed yet, so nothing else of the verdict names them."""
    paths = [hypothesis(b=b, path=f"response.{name}") for name, b in (("a", 3), ("b", 9), ("c", 5), ("d", 7))]
    assert {one.judgement.state for one in paths} == {State.SUSPECT}
    text = decide(run(method(minutes=minutes(BAD, BAD, BAD), hypotheses=paths)), POLICY).reasons[0].text
    assert text.endswith(
        f"; most of all {BUY}: response.b (value), {BUY}: response.d (value), {BUY}: response.c (value)"
    )


def test_methods_that_are_broken_only_together_break_the_run():
    half = minutes(*[(25, 3, 0)] * 3)
    report = decide(run(method(minutes=half), method("shop.v1.Shop/Sell", minutes=half)), POLICY)
    assert [r.figures["where"] for r in report.reasons] == ["all methods together"]


def test_without_a_secondary_rules_alone_judge_and_the_verdict_says_so():
    equal = method(triples=0, pairs=4000, matched=4000)
    report = decide(run(equal, has_secondary=False), POLICY)
    assert (report.verdict, report.n) == ("pass", 4000)
    assert "judged by the rules alone" in report.reasons[0].text
    assert report.blind_spots[0].startswith("There is no secondary")


def test_without_a_secondary_a_lower_bound_over_the_budget_fails():
    differing = method(triples=0, pairs=4000, matched=3950, mismatched=50)
    report = decide(run(differing, has_secondary=False), POLICY)
    assert (report.verdict, codes(report), report.x) == ("fail", ["over_budget"], 50)


def test_without_a_secondary_a_candidate_that_never_answered_counts_as_different():
    absent = method(triples=0, pairs=4000, matched=3900, incomplete=100, reasons={"incomplete.candidate": 100})
    assert decide(run(absent, has_secondary=False), POLICY).verdict == "fail"


def test_with_a_secondary_the_budget_never_fails_a_run():
    assert decide(run(method(unexplained=2000)), POLICY).verdict == "inconclusive"


def test_a_pass_lists_what_it_could_not_see():
    noisy = hypothesis(b=20, c=22, path="response.at")
    blind = hypothesis(d=3900, path="response.id")
    report = decide(
        run(
            method(
                hypotheses=[noisy, blind], incomparable=7, reasons={"incomparable.too_large": 7, "no_triple.evicted": 2}
            ),
            capture_loss=None,
        ),
        replace(POLICY, vote_by="call"),
    )
    assert report.verdict == "pass"
    spots = "\n".join(report.blind_spots)
    assert "rarer than 0.075% of calls" in spots
    assert "response.at (value) is noisy: up to " in spots
    assert "response.id (value) is blind: the secondary differs in" in spots
    assert "7 pairs were incomparable (too_large 7)." in spots
    assert "2 groups gave no evidence about noise (evicted 2)." in spots
    assert "captures were lost before they reached the collector is not known" in spots
    assert "independent" in spots
    assert (
        "What share of the leaf values is blind, ignored or unjudged is not known where no answer could be read "
        f"({BUY})." in spots
    )


def test_the_sum_over_all_paths_is_no_path_that_hides_something():
    total = replace(hypothesis(b=20, c=22), hypothesis=Hypothesis(BUY, "(any)", Kind.ANY))
    assert not any("noisy" in spot for spot in decide(run(method(hypotheses=[total])), POLICY).blind_spots)


def test_a_thousand_noisy_paths_do_not_drown_the_rest():
    many = [hypothesis(b=3, c=3, path=f"response.f{n}") for n in range(1000)]
    spots = decide(run(method(hypotheses=many)), POLICY).blind_spots
    assert spots[-1] == "And 950 more noisy paths."


@given(st.integers(0, 50), st.integers(0, 20_000), st.floats(0, 20_000), st.sampled_from([0.0, 3.0]))
def test_every_verdict_has_a_reason_and_only_an_inconclusive_one_lacks_something(x, more, duration_s, rate):
    facts = run(method(triples=x + more, unexplained=x), last_s=1000 + duration_s, rate_per_s=rate)
    report = decide(facts, POLICY)
    assert report.reasons
    assert bool(report.missing) == (report.verdict == "inconclusive")
    assert report.verdict != "pass" or report.bound <= POLICY.budget
    assert report.eta_s is None or report.eta_s >= 0


@pytest.mark.parametrize("state", [State.REGRESSED])
def test_a_latched_hypothesis_fails_though_its_evidence_fell(state):
    faded = hypothesis(b=20, c=500, previous=state)
    assert decide(run(method(hypotheses=[faded])), POLICY).verdict == "fail"


def test_a_policy_lists_all_that_is_wrong_with_it():
    with pytest.raises(ValueError, match=r"budget must be over 0 and under 1, got 2; .*hold_suspects.*vote_by"):
        Policy(budget=2, hold_suspects=0, vote_by="hour")


def test_the_shipped_policy():
    assert (POLICY.alpha_fail, POLICY.alpha_pass, POLICY.budget, POLICY.min_duration_s) == (0.01, 0.05, 0.001, 1800)
    assert (POLICY.min_triples, POLICY.min_complete, POLICY.max_capture_loss) == (500, 0.99, 0.01)
    assert (POLICY.max_status_noise, POLICY.max_blind, POLICY.hold_suspects, POLICY.vote_by) == (0.01, 0.2, 3, "minute")


def test_a_noisy_path_never_hides_less_than_nothing():
    report = decide(run(method(hypotheses=[hypothesis(b=0, c=60)])), POLICY)
    assert any("is noisy: up to 0.00% of calls" in spot for spot in report.blind_spots)


def test_without_a_secondary_a_stop_of_the_collector_is_no_absent_candidate():
    stopped = method(triples=0, pairs=4010, matched=4000, incomplete=10, reasons={"incomplete.drain": 10})
    assert decide(run(stopped, has_secondary=False), POLICY).verdict == "pass"


def test_evidence_that_ended_before_the_calls_did_is_too_old_to_pass():
    old = minutes(*[(100, 0, 0)] * 40, *[(0, 0, 0)] * 10)
    report = decide(run(method(minutes=old)), POLICY)
    assert (report.verdict, codes(report), report.eta_s) == ("inconclusive", ["no_triples_of_late"], None)
    assert decide(run(method(minutes=old[:-1])), POLICY).verdict == "pass"


def test_the_rules_alone_fail_nothing_while_a_secondary_may_still_come():
    """A secondary may have a small share: the first calls expect none, and their clocks all differ."""
    first = method(triples=0, pairs=40, matched=0, mismatched=40)
    early = run(first, has_secondary=False, last_s=1030.0)
    assert decide(early, POLICY).verdict == "inconclusive"
    assert decide(replace(early, last_s=1600.0), POLICY).verdict == "fail"


def test_what_the_rules_alone_held_against_a_run_is_void_once_there_is_a_secondary():
    kept = Reason("over_budget", "40 of 40 pairs differ", {"where": "run"})
    assert decide(run(failed=(kept,)), POLICY).verdict == "pass"
    assert decide(run(failed=(replace(kept, code="broken"),)), POLICY).verdict == "fail"


def test_what_came_under_other_rules_is_no_part_of_the_bound():
    """Of triples, and without a secondary of pairs; what the candidate alone made incomparable then goes too."""
    before = MethodCounts(
        pairs=3000,
        matched=2990,
        mismatched=10,
        triples=3000,
        reasons={"only_candidate.too_large": 40, "incomparable.too_large": 40, "incomplete.candidate": 7},
    )
    counts = method(matched=3985, mismatched=15, reasons=dict(before.reasons))
    facts = run(replace(counts, before=before, unexplained=3))
    assert (facts.unexplained, facts.judged, facts.hidden) == (3, 1000, 0)
    report = decide(facts, Policy())
    assert report.verdict == "inconclusive"
    assert f"3,000 triples came under other rules and do not count ({BUY})." in report.blind_spots
    alone = replace(facts, has_secondary=False)
    assert (alone.unexplained, alone.judged, alone.hidden) == (5, 1000, 0)


def test_a_required_method_needs_its_triples_under_the_rules_of_now():
    fresh = replace(method(), before=MethodCounts(triples=3900))
    (lack,) = [lack for lack in decide(run(fresh), Policy()).missing if lack.code == "coverage"]
    assert "100 of 500 triples" in lack.text
