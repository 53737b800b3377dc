"""What a pass still lacks, and when it will be there at this rate. Pure; one function a condition of the policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, inf
from typing import Final

from mirror.core.bound import upper
from mirror.core.evalue import votes_needed
from mirror.core.grounds import in_doubt, name_of, together
from mirror.core.model import Kind
from mirror.core.noise import State
from mirror.core.policy import Policy
from mirror.core.run_facts import UNREADABLE, HypothesisFacts, MethodFacts, Reason, RunFacts
from mirror.core.strata import at_worst, most, strata

FRESH_MINUTES: Final = 10  # with calls, of which one must hold a triple
_NEVER_FROM: Final = 1e12  # triples that no run will see


@dataclass(frozen=True, slots=True)
class Lack:
    """One condition that is not met. `eta_s`: seconds until it is at this rate; None: waiting does not bring it."""

    reason: Reason
    eta_s: float | None = None


def missing_for_pass(facts: RunFacts, policy: Policy) -> tuple[Lack, ...]:
    """Every condition of a pass that is not met, in the order in which people would mend them."""
    checks = (
        _versions,
        _control,
        _blind,
        _suspects,
        _completeness,
        _readable,
        _blocked,
        _coverage,
        _fresh,
        _duration,
        _bound,
    )
    return tuple(lack for check in checks for lack in check(facts, policy))


def needed(share: float, x: int, policy: Policy, alpha: float | None = None) -> float:
    """Triples after which U is within the budget, if a `share` of the further ones is unexplained; inf: never.

    `alpha`: of the policy where it is None.

    Without further unexplained ones (share 0): 3,875 for a budget of 0.1% at x = 0, alpha_pass 5%.
    """
    low, high = float(max(x, 1)), float(max(x, 1))
    start = x / share if share else 0.0
    chance = policy.alpha_pass if alpha is None else alpha

    def fits(n: float) -> bool:
        expected = max(float(x), x + share * (n - start))
        return expected <= n and upper(expected, n, chance) <= policy.budget

    while not fits(high):
        low, high = high, 2 * high
        if high > _NEVER_FROM:
            return inf
    while high - low > max(0.5, 1e-6 * high):
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return ceil(high)


def _enough(facts: RunFacts, policy: Policy, n: int) -> float:
    """About how many triples in all, of which there are `n`; inf: more do not help. Of several strata: until each is within the budget."""
    counts = [one.worst for one in strata(facts)]
    alpha = policy.alpha_pass / len(counts)
    each = [(m, needed(x / m if m else 0.0, x, policy, alpha)) for x, m in counts]
    if len(each) == 1:
        return each[0][1]
    return max((n * enough / m for m, enough in each if m), default=inf)


def words_of_hidden(facts: RunFacts) -> str:
    """What the bound counts beside x, in words; empty where there is nothing."""
    who = "blocked calls or the candidate alone" if facts.blocked else "the candidate alone"
    late = " or kept waiting until memory was full" if facts.kept_waiting else ""
    within = facts.hidden_within
    more = facts.hidden - within
    text = f" and {more:,} more, which {who} made incomparable{late}, may" if more else ""
    return text + (f" and {within:,} of them, of which blocked calls or their size hide a part, may" if within else "")


def _versions(facts: RunFacts, _policy: Policy) -> Iterator[Lack]:
    sides = (("primary", facts.epoch.primary_version), ("candidate", facts.epoch.candidate_version))
    for side, version in sides:
        if not version:
            text = f"the {side}'s version is not known: set service.version in the resource of its spans"
            yield Lack(Reason("version_unknown", text, {"side": side}))


def _control(facts: RunFacts, policy: Policy) -> Iterator[Lack]:
    if not facts.has_secondary:
        return
    required = facts.required(policy)
    for m in facts.methods:
        if m.method in required and (reason := _status_noise(m, policy)):
            yield Lack(reason)
        for h in m.hypotheses:
            if h.judgement.control_worse and not h.accepted:
                text = (
                    f"{name_of(h.hypothesis)} differs more in the secondary ({h.evidence.c:,}) than in the candidate "
                    f"({h.evidence.b:,}): what noise hides there is in doubt"
                )
                yield Lack(Reason("control_worse", text, {"raw_only": h.evidence.b, "noise_only": h.evidence.c}))


def _status_noise(m: MethodFacts, policy: Policy) -> Reason | None:
    """The control answers with other statuses than the primary: it is another build, it fails, or its calls were blocked."""
    differing, n, blocked = m.counts.secondary_status, m.counts.triples, m.control_blocked
    allowed = policy.max_status_noise * n
    if not n or differing <= allowed:
        return None
    text = (
        f"{m.method}: the secondary's status differs from the primary's in {differing:,} of {n:,} triples, "
        f"over {policy.max_status_noise:.1%}: "
    )
    if differing - blocked <= allowed:
        text += (
            f"calls of shadows were blocked in {blocked:,} requests, and a handler whose call is blocked fails, so this says nothing "
            "against the secondary: give those calls a policy (recorded, stub or allow)"
        )
    else:
        text += (
            "it is no control for the candidate: see that it is the primary's build, and that it has the configuration, data and "
            "services that the primary has"
        )
        text += f"; blocked calls may explain {blocked:,} of them" if blocked else ""
    return Reason("status_noise", text, {"method": m.method, "differing": differing, "n": n, "blocked": blocked})


def _blind(facts: RunFacts, policy: Policy) -> Iterator[Lack]:
    leaves = sum(m.leaf_values or 0 for m in facts.methods)
    blind = sum(m.blind_values for m in facts.methods)
    if leaves and blind > policy.max_blind * leaves:
        most = max(facts.methods, key=lambda m: (m.blind_values, m.method))
        text = (
            f"{blind / leaves:.0%} of leaf values are blind, ignored or unjudged, over {policy.max_blind:.0%}; most of them in "
            f"{most.method}; a narrow rule has a blind path judged again (mirror rules suggest), policy.max_blind is the limit"
        )
        yield Lack(Reason("blind", text, {"blind": blind, "leaf_values": leaves}))


def _suspects(facts: RunFacts, policy: Policy) -> Iterator[Lack]:
    for m in facts.methods:
        held = [h for h in m.hypotheses if _holds(h, policy)]
        paths = [h for h in held if h.hypothesis.kind is not Kind.ANY]
        for h in paths or held:  # a method's paths taken together say nothing more where one of them is named
            text = f"{name_of(h.hypothesis)} is suspect: {h.judgement.words}; accept it (mirror accept), reject it (mirror reject), or wait for the secondary to show it"
            yield Lack(Reason("suspect", text, {"where": name_of(h.hypothesis), "votes": h.evidence.votes_raw}))


def _holds(fact: HypothesisFacts, policy: Policy) -> bool:
    """Whether it is a suspect with enough votes and no noise, which nobody accepted."""
    evidence = fact.evidence
    held = evidence.votes_raw >= policy.hold_suspects and not evidence.c + evidence.d
    return fact.judgement.state is State.SUSPECT and held and not fact.accepted


def _completeness(facts: RunFacts, policy: Policy) -> Iterator[Lack]:
    pairs = sum(m.counts.pairs for m in facts.methods)
    incomplete = sum(m.counts.incomplete for m in facts.methods)
    if pairs and pairs - incomplete < policy.min_complete * pairs:
        text = f"{incomplete:,} of {pairs:,} pairs are incomplete: {policy.min_complete:.1%} must be complete"
        yield Lack(Reason("incomplete", text, {"pairs": pairs, "incomplete": incomplete}))
    if facts.capture_loss is not None and facts.capture_loss > policy.max_capture_loss:
        text = f"{facts.capture_loss:.2%} of captures were lost, over {policy.max_capture_loss:.2%}"
        yield Lack(Reason("capture_loss", text, {"capture_loss": facts.capture_loss}))
    for ground in in_doubt(facts):
        text = (
            f"{ground.text}; but the candidate's processes say that they dropped {facts.candidate_lost:,} captures meanwhile, which "
            "look the same: see why they drop, or give them room (MIRROR_QUEUE_MAX_BYTES), and begin anew with another run"
        )
        lost: dict[str, float | str] = {
            "where": ground.figures.get("where", ""),
            "candidate_lost": facts.candidate_lost,
        }
        yield Lack(Reason("capture_loss", text, lost))


def _readable(facts: RunFacts, policy: Policy) -> Iterator[Lack]:
    """A difference in what could not be compared is never seen: few pairs may be so, in all and in each method."""
    required = facts.required(policy)
    groups = [("", facts.methods), *((m.method, (m,)) for m in facts.methods if m.method in required)]
    for where, methods in groups if len(facts.methods) > 1 else groups[1:]:
        pairs, unreadable = sum(m.looked_at for m in methods), sum(m.unreadable for m in methods)
        if unreadable > (1 - policy.min_complete) * pairs:
            of = {r: sum(m.not_seen(r) for m in methods) for r in UNREADABLE}
            listed = ", ".join(f"{reason} {n:,}" for reason, n in of.items() if n)
            text = (
                f"{where or 'all methods together'}: {unreadable:,} of {pairs:,} pairs could not be compared ({listed}), and may "
                f"differ: {policy.min_complete:.1%} must be comparable"
            )
            figures: dict[str, float | str] = {"method": where, "pairs": pairs, "incomparable": unreadable}
            yield Lack(Reason("incomparable", text, figures))


def _blocked(facts: RunFacts, policy: Policy) -> Iterator[Lack]:
    """A method whose answers differ because its calls were blocked is not judged there."""
    for m in facts.methods:
        pairs, blocked = m.looked_at, m.blocked
        if blocked > (1 - policy.min_complete) * pairs:
            text = (
                f"{m.method}: in {blocked:,} of {pairs:,} pairs calls of the shadow were blocked and the answers differ, which is "
                "not judged: give those calls a policy (recorded, stub or allow), or ignore the answers by a rule"
            )
            yield Lack(Reason("unjudged", text, {"method": m.method, "pairs": pairs, "blocked": blocked}))


def _fresh(facts: RunFacts, _policy: Policy) -> Iterator[Lack]:
    """Evidence that ended long before the calls did says nothing of what the candidate does now."""
    latest = together(m.minutes for m in facts.methods)[-FRESH_MINUTES:]
    if facts.has_secondary and facts.judged and len(latest) == FRESH_MINUTES and not any(m.triples for m in latest):
        text = (
            f"no triple came in the last {FRESH_MINUTES} minutes with calls: what the candidate does now is not judged; is the "
            "secondary still mirrored to?"
        )
        yield Lack(Reason("no_triples_of_late", text, {"minutes": FRESH_MINUTES}))


def _coverage(facts: RunFacts, policy: Policy) -> Iterator[Lack]:
    total = facts.judged
    if not facts.methods:
        yield Lack(Reason("no_calls", "no mirrored call has been paired yet"))
    seen = {m.method: m.judged(has_secondary=facts.has_secondary) for m in facts.methods}
    for method in sorted(facts.required(policy)):
        n = seen.get(method, 0)
        if n < policy.min_triples:
            text = f"{method}: {n:,} of {policy.min_triples:,} {facts.unit}"
            rate = facts.rate_per_s * n / total if total else 0.0
            yield Lack(
                Reason("coverage", text, {"method": method, "n": n, "min_triples": policy.min_triples}),
                (policy.min_triples - n) / rate if rate else None,
            )


def _duration(facts: RunFacts, policy: Policy) -> Iterator[Lack]:
    lasted_s = facts.last_s - facts.first_s
    if lasted_s < policy.min_duration_s:
        lasted = f"{lasted_s:.0f} s" if lasted_s < 60 else f"{lasted_s / 60:,.1f}"
        text = f"it has run for {lasted} of {policy.min_duration_s / 60:,.1f} minutes"
        figures = {"duration_s": lasted_s, "min_duration_s": policy.min_duration_s}
        yield Lack(Reason("duration", text, figures), policy.min_duration_s - lasted_s)


def _on_the_way(facts: RunFacts, policy: Policy) -> str:
    """The path that most of it may be, with what a fail there still takes: votes come by the minute, however many calls do."""
    suspects = [
        h
        for m in facts.methods
        for h in m.hypotheses
        if h.judgement.state is State.SUSPECT and h.hypothesis.kind is not Kind.ANY and not h.accepted
    ]
    if not suspects:
        return ""
    worst = max(suspects, key=lambda h: (h.evidence.b, h.hypothesis))
    e, unit = worst.evidence, "a minute is" if policy.vote_by == "minute" else "a call is"
    needed_votes = votes_needed(max(e.rank, 1), policy.alpha_fail)
    return (
        f"; {name_of(worst.hypothesis)} is suspect: in {e.b:,} of {e.n:,} triples of the candidate alone, with {e.votes_raw:,} of the "
        f"about {needed_votes} votes after which it is regressed ({unit} one vote)"
    )


def _bound(facts: RunFacts, policy: Policy) -> Iterator[Lack]:
    whole = f"{facts.unexplained:,} of {facts.judged:,} {facts.unit} differ unexplained{words_of_hidden(facts)}"
    x, n = at_worst(facts)
    bound = most(facts, policy.alpha_pass)
    if bound <= policy.budget:
        return
    text = f"{whole}, so up to {bound:.3%} of calls may, over the budget of {policy.budget:.3%}"
    figures: dict[str, float | str] = {"x": x, "n": n, "bound": bound, "budget": policy.budget}
    enough = _enough(facts, policy, n)
    if enough == inf:
        text += f"; at this rate of differences more calls will not help{_on_the_way(facts, policy)}"
        yield Lack(Reason("over_budget", text, figures))
        return
    eta_s = (enough - n) / facts.rate_per_s if facts.rate_per_s > 0 else None
    text += f"; about {enough:,.0f} {facts.unit} are needed"
    yield Lack(Reason("more_triples", text, {**figures, "needed": enough}), eta_s)
