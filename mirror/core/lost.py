"""Grounds to fail that may be nothing but lost captures: what a candidate's process dropped looks like no answer. Pure.

From outside, a candidate that did not answer and one whose capture was dropped look alike. But processes say how many captures
they dropped. As long as those could be all that is missing, the run neither fails for it nor passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mirror.core.model import Kind
from mirror.core.run_facts import MethodFacts, Reason, RunFacts


def may_be_lost(reason: Reason, facts: RunFacts) -> bool:
    """Whether captures that the candidate's own processes dropped may be all that this ground rests on."""
    raw = reason.figures.get("raw_only")
    if not facts.candidate_lost or not isinstance(raw, int | float) or raw > facts.candidate_lost:
        return False
    if reason.code == "regressed" and reason.figures.get("kind") == Kind.NO_ANSWER:
        return True
    if reason.code == "broken" or reason.figures.get("kind") == Kind.ANY:
        return 2 * sum(_unanswered(_concerned(reason, facts))) > raw  # most of it is calls without an answer
    return False


def _concerned(reason: Reason, facts: RunFacts) -> Iterator[MethodFacts]:
    named = [m for m in facts.methods if m.method in (reason.figures.get("method"), reason.figures.get("where"))]
    yield from named or facts.methods


def _unanswered(methods: Iterable[MethodFacts]) -> Iterator[int]:
    return (h.evidence.b for m in methods for h in m.hypotheses if h.hypothesis.kind is Kind.NO_ANSWER)
