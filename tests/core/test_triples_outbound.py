"""What a triple shows where a part of it was not seen: calls blocked, outbound calls not all known, calls that ended early."""

from dataclasses import replace

from mirror.core.model import Difference, Kind, Outcome, Part, Verdict
from mirror.core.path import Field, Index, Key
from mirror.core.triples import ANY
from tests.core.test_triples import differ, judged, member

CHARGE, MAIL = "pay.v1.Pay/Charge", "mail.send"


def effect(method, *steps, kind=Kind.VALUE):
    return Difference((Field("outbound"), Key(method), Index(0), *map(Field, steps)), kind)


AMOUNT, NO_MAIL = effect(CHARGE, "request", "amount"), effect(MAIL, kind=Kind.MISSING)
OF_AMOUNT = (AMOUNT.pattern, Kind.VALUE)
OF_MAIL = (NO_MAIL.pattern, Kind.MISSING)


def outcome(*differences, unjudged=(), paired=(CHARGE, MAIL), **unseen):
    """A pair with two outbound calls on each side, that differs so."""
    verdict = Verdict.MISMATCHED if differences else Verdict.INCOMPARABLE if unseen else Verdict.MATCHED
    reasons = {Part(part): reason for part, reason in unseen.items()}
    first = next(iter(reasons.values()), "") if verdict is Verdict.INCOMPARABLE else ""
    return Outcome(
        verdict,
        first,
        differences,
        unseen=reasons,
        unjudged=tuple(unjudged),
        outbound_compared=4,
        outbound_paired=frozenset(paired),
    )


def answered(*names):
    return replace(outcome(*differ(*names).differences), verdict=Verdict.MISMATCHED)


STOPPED = Difference((Field("status"), Field("code")), Kind.STATUS)


def test_what_a_shadow_would_have_sent_is_evidence():
    triple = judged(outcome(AMOUNT), outcome()).triple
    assert triple.raw_only - {ANY} == triple.signature == {OF_AMOUNT}


def test_answers_after_a_blocked_call_are_no_evidence_of_either_shadow():
    """Else the other one's noise would look as if the candidate had none."""
    blocked = outcome(AMOUNT, unjudged=differ("price").differences, answer="blocked")
    triple = judged(blocked, answered("clock")).triple
    assert (triple.raw_only - {ANY}, triple.noise_only, triple.both) == ({OF_AMOUNT}, frozenset(), frozenset())
    swapped = judged(answered("clock"), blocked).triple
    assert (swapped.noise_only - {ANY}, swapped.raw_only) == ({OF_AMOUNT}, frozenset())


def test_a_pair_that_only_differs_after_blocked_calls_is_still_evidence_of_what_was_sent():
    blocked = outcome(unjudged=differ("price").differences, answer="blocked")
    group = judged(blocked, blocked)
    assert (group.no_triple, group.triple.both, group.triple.signature) == ("", frozenset(), frozenset())


def test_outbound_calls_that_are_not_all_known_leave_the_answers():
    triple = judged(outcome(outbound="outbound_incomplete"), outcome(AMOUNT, *differ("clock").differences)).triple
    assert triple.noise_only - {ANY} == {member("clock")}


def test_where_neither_part_was_seen_there_is_no_triple():
    blocked = outcome(answer="blocked", outbound="outbound_incomplete")
    assert judged(blocked, outcome()).no_triple == "incomparable_blocked"


def test_an_answer_that_cannot_be_compared_leaves_what_was_sent():
    triple = judged(outcome(answer="too_large"), outcome(AMOUNT, *differ("clock").differences)).triple
    assert triple.noise_only - {ANY} == {OF_AMOUNT}


def test_of_a_shadow_that_ended_otherwise_only_calls_that_both_made_are_evidence():
    """A failing secondary made no call after it failed: what the candidate then did may be noise."""
    failed = outcome(STOPPED, NO_MAIL, paired=(CHARGE,))
    triple = judged(outcome(AMOUNT, effect(MAIL, "request", "id")), failed).triple
    assert triple.raw_only - {ANY} == {OF_AMOUNT}
    assert triple.noise_only == {("status.code", Kind.STATUS)} | ({ANY} & triple.noise_only)
    assert OF_MAIL not in triple.noise_only | triple.both


def test_a_shadow_that_never_answered_leaves_no_outbound_evidence():
    triple = judged(outcome(AMOUNT), None).triple
    assert OF_AMOUNT not in triple.raw_only
