"""May we go on? The verdict of a run: pass, fail or inconclusive, each with its reasons in words and figures. Pure.

The policy is declared once and never adapts to what it sees. *fail* needs something named (regressed), something broken
at large, or without a secondary a lower bound over the budget; *pass* needs the upper bound of what is unexplained
within the budget and every condition met; all else is *inconclusive*, with what is missing and when it will be there.
Stopping at the first pass is sound: the chance of a pass while the true rate exceeds the budget is at most alpha_pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mirror.core.conditions import missing_for_pass, words_of_hidden
from mirror.core.grounds import blind_spots, grounds_to_fail
from mirror.core.policy import Policy
from mirror.core.run_facts import HypothesisFacts, MethodFacts, MinuteFacts, Reason, RunFacts
from mirror.core.strata import most

__all__ = ["HypothesisFacts", "MethodFacts", "MinuteFacts", "Policy", "Reason", "Report", "RunFacts", "decide"]


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict at one look.

    `x` of `n` triples (without a secondary: of compared pairs) are unexplained; `bound` is U at 1 - alpha_pass,
    of these and of the pairs that the candidate alone made incomparable, which may differ too.
    `eta_s`: seconds until nothing is missing at this rate; None where waiting alone does not help or nothing is missing.
    """

    verdict: Literal["pass", "fail", "inconclusive"]
    reasons: tuple[Reason, ...]
    missing: tuple[Reason, ...]
    blind_spots: tuple[str, ...]
    eta_s: float | None
    bound: float
    x: int
    n: int


def decide(facts: RunFacts, policy: Policy) -> Report:
    """The verdict on one epoch of a run under `policy`; each reason is a sentence with its figures."""
    x, n = facts.unexplained, facts.judged
    bound = most(facts, policy.alpha_pass)
    spots = blind_spots(facts, policy)
    failed = grounds_to_fail(facts, policy)
    if failed:
        return Report("fail", failed, (), spots, None, bound, x, n)
    lacking = missing_for_pass(facts, policy)
    missing = tuple(lack.reason for lack in lacking)
    if missing:
        etas = [lack.eta_s for lack in lacking]
        eta_s = max((eta for eta in etas if eta is not None), default=None) if None not in etas else None
        return Report("inconclusive", missing, missing, spots, eta_s, bound, x, n)
    return Report("pass", (_passed(facts, policy, bound=bound),), (), spots, None, bound, x, n)


def _passed(facts: RunFacts, policy: Policy, *, bound: float) -> Reason:
    x, n, unit = facts.unexplained, facts.judged, facts.unit
    text = (
        f"{x:,} of {n:,} {unit} differ unexplained{words_of_hidden(facts)}: with {1 - policy.alpha_pass:.0%} confidence at most {bound:.3%} of calls, "
        f"within the budget of {policy.budget:.3%}"
    )
    if not facts.has_secondary:
        text += "; judged by the rules alone, there being no secondary"
    return Reason("within_budget", text, {"x": x, "n": n, "bound": bound, "budget": policy.budget})
