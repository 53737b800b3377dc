"""What differs after calls were blocked: not judged, never noise, and in the way of a pass."""

from __future__ import annotations

from dataclasses import replace

from mirror.core.model import Kind
from mirror.core.noise import State
from mirror.core.verdict import Policy, decide
from mirror.store import Reader, Store
from mirror.store.verdicts import run_facts
from tests.store.building import METHOD, START_S, commit, several

AMOUNT = 'outbound["pay.v1.Pay/Charge"][*].request.amount'
POLICY = Policy(vote_by="call", min_duration_s=0, min_triples=1, budget=0.05)


def facts_of(reader: Reader):
    (run,) = reader.runs()
    return run_facts(reader, run.epochs[0].id, POLICY, START_S + 600)


def states(reader: Reader) -> dict[str, State]:
    (run,) = reader.runs()
    found = reader.hypotheses(run.epochs[0].id)
    return {one.hypothesis.pattern: one.state for one in found if one.hypothesis.kind is Kind.VALUE}


def test_a_path_that_differs_only_after_blocked_calls_is_unjudged(by_call: Store, reader: Reader):
    commit(by_call, several(5, blocked=["response.receipt"]), keep=True)
    commit(by_call, several(50, named="same"))
    assert states(reader) == {"response.receipt": State.UNJUDGED}
    (run,) = reader.runs()
    (view,) = reader.hypotheses(run.epochs[0].id)
    assert (view.pairs, view.b, view.examples) == (5, 0, 5)
    assert "only where calls of the shadow were blocked" in view.judgement.words


def test_evidence_from_other_calls_is_judged_as_ever(by_call: Store, reader: Reader):
    commit(by_call, several(5, blocked=["response.receipt"]))
    commit(by_call, several(3, named="n", secondary=["response.receipt"]))
    assert states(reader) == {"response.receipt": State.NOISY}


def test_what_the_candidate_would_have_sent_is_judged(by_call: Store, reader: Reader):
    commit(by_call, several(40, blocked=["response.receipt"], candidate=[AMOUNT]))
    assert states(reader) == {AMOUNT: State.REGRESSED, "response.receipt": State.UNJUDGED}


def test_a_run_with_many_answers_not_judged_does_not_pass_and_says_why(by_call: Store, reader: Reader):
    commit(by_call, several(20, blocked=["response.receipt"]) + several(480, named="same"))
    report = decide(facts_of(reader), POLICY)
    assert (report.verdict, report.reasons[0].code) == ("inconclusive", "unjudged")
    assert report.reasons[0].text.startswith(f"{METHOD}: in 20 of 500 pairs calls of the shadow were blocked")
    assert any("20 pairs were incomparable (blocked 20)." in spot for spot in report.blind_spots)


def test_a_few_count_as_if_they_differed(by_call: Store, reader: Reader):
    """The bound of a pass takes them for differences: nobody knows."""
    commit(by_call, several(4, blocked=["response.receipt"]) + several(996, named="same"))
    facts = facts_of(reader)
    assert (facts.unexplained, facts.hidden, facts.judged) == (0, 4, 1000)
    assert decide(facts, POLICY).verdict == "pass"
    strict = decide(facts, replace(POLICY, budget=0.005))
    assert [reason.code for reason in strict.reasons] == ["more_triples"]
    assert "and 4 more, which blocked calls or the candidate alone made incomparable, may" in strict.reasons[0].text
    assert strict.bound > 0.005


def test_pairs_that_differ_in_what_was_sent_count_as_not_judged_too(by_call: Store, reader: Reader):
    commit(by_call, several(20, blocked=["response.receipt"], candidate=[AMOUNT], secondary=[AMOUNT]))
    (method,) = facts_of(reader).methods
    assert (method.counts.mismatched, method.blocked, method.counts.reasons["partly.blocked"]) == (20, 20, 20)
