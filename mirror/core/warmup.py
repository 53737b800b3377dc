"""An A/A run: the old build as its own candidate, by the same route. What differs then is a fault of the setup. Pure.

Candidate and secondary run one build, so nothing may be regressed in either direction: if something is, the two are not
exchangeable (pods, caches, order of sending, configuration), and the same would be held against a new build.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mirror.core.conditions import missing_for_pass
from mirror.core.grounds import grounds_to_fail, name_of
from mirror.core.model import Kind
from mirror.core.noise import State
from mirror.core.policy import Policy
from mirror.core.run_facts import HypothesisFacts, Reason, RunFacts

# Of what a pass lacks, what more calls do not mend.
_OF_SETUP = frozenset(
    {"status_noise", "blind", "incomplete", "incomparable", "capture_loss", "unjudged", "version_unknown"}
)
# What is a fault of its own here, or means nothing: whatever differs unexplained is named as a path.
_NAMED = frozenset({"control_worse", "suspect", "over_budget", "more_triples"})


@dataclass(frozen=True, slots=True)
class Warmup:
    """What came of it: `sound`, `faulty` with every fault, or `inconclusive` with what is missing.

    `eta_s`: seconds until nothing is missing at this rate; None where nothing is, or waiting alone does not help.
    """

    outcome: Literal["sound", "faulty", "inconclusive"]
    faults: tuple[Reason, ...]
    missing: tuple[Reason, ...]
    eta_s: float | None


def judge_warmup(facts: RunFacts, policy: Policy) -> Warmup:
    """Judge an A/A run by the same evidence as any; decisions on paths excuse nothing here."""
    faults = _not_one_build(facts)
    if not facts.has_secondary and facts.methods:
        text = "there is no secondary: without one there is no control to warm up; mirror to a second instance of the old build"
        faults.append(Reason("no_secondary", text))
    every = [h for m in facts.methods for h in m.hypotheses if h.hypothesis.kind is not Kind.ANY or _alone(h, facts)]
    faults += [_differs(h, "candidate") for h in every if h.judgement.state is State.REGRESSED]
    faults += [_differs(h, "secondary") for h in every if h.judgement.control_worse]
    faults += [one for one in grounds_to_fail(facts, policy) if one.code == "broken"]
    lacking = missing_for_pass(facts, policy)
    faults += [lack.reason for lack in lacking if lack.reason.code in _OF_SETUP]
    waiting = [lack for lack in lacking if lack.reason.code not in _OF_SETUP | _NAMED]
    etas = [lack.eta_s for lack in waiting]
    eta_s = max((eta for eta in etas if eta is not None), default=None) if None not in etas else None
    outcome: Literal["sound", "faulty", "inconclusive"] = "faulty" if faults else "inconclusive" if waiting else "sound"
    return Warmup(outcome, tuple(faults), tuple(lack.reason for lack in waiting), None if faults else eta_s)


def _not_one_build(facts: RunFacts) -> list[Reason]:
    primary, candidate = facts.epoch.primary_version, facts.epoch.candidate_version
    if not primary or not candidate or primary == candidate:
        return []
    text = (
        f"the candidate is {candidate} and the primary {primary}: for a warm-up deploy the primary's image as the candidate, "
        "with its service.version"
    )
    return [Reason("not_one_build", text, {"primary": primary, "candidate": candidate})]


def _alone(total: HypothesisFacts, facts: RunFacts) -> bool:
    """Whether the sum over a method's paths is in a worse state than each of them: then it is named itself."""
    same = (m for m in facts.methods if m.method == total.hypothesis.method)
    paths = [h for m in same for h in m.hypotheses if h.hypothesis.kind is not Kind.ANY]
    regressed = any(h.judgement.state is State.REGRESSED for h in paths)
    worse = any(h.judgement.control_worse for h in paths)
    return not (regressed if total.judgement.state is State.REGRESSED else worse)


def _differs(fact: HypothesisFacts, side: str) -> Reason:
    e = fact.evidence
    if fact.hypothesis.kind is Kind.VALUES:  # of these there is no direction
        shown = f"holds other values in the candidate than in the secondary, though both are one build: unlike in {e.d:,} of {e.n:,} triples"
    else:
        shown = (
            f"differs more in the {side}, though both shadows are one build: in the candidate alone in {e.b:,}, in the secondary "
            f"alone in {e.c:,} of {e.n:,} triples, from {e.votes_raw:,} and {e.votes_noise:,} votes"
        )
    text = (
        f"{name_of(fact.hypothesis)} {shown}. Look for what sets the {side} apart: age, cache, zone, configuration, data, or the "
        "order in which Envoy sends the shadows"
    )
    figures: dict[str, float | str] = {
        "where": name_of(fact.hypothesis),
        "method": fact.hypothesis.method,
        "kind": str(fact.hypothesis.kind),
        "side": side,
        "candidate_only": e.b,
        "secondary_only": e.c,
        "triples": e.n,
    }
    return Reason("unequal_shadows", text, figures)
