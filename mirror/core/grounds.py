"""What fails a run, and what its verdict could not see. Pure; the words are for people, the codes for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from mirror.core.bound import lower, upper
from mirror.core.lost import may_be_lost
from mirror.core.model import Hypothesis, Kind, MethodCounts
from mirror.core.noise import State
from mirror.core.outcomes import NOT_SAMPLED
from mirror.core.policy import Policy
from mirror.core.run_facts import HypothesisFacts, MethodFacts, MinuteFacts, Reason, RunFacts
from mirror.core.sampled import sampled
from mirror.core.speed.evidence import AtLeast, words_of
from mirror.core.speed.votes import Metric
from mirror.core.strata import least, unseen

BROKEN_MINUTES: Final = 3  # consecutive ones
BROKEN_TRIPLES_MIN: Final = 50  # in each
BROKEN_SHARE: Final = 0.1  # of unexplained raw-only
BROKEN_RATIO: Final = 5  # raw-only over noise-only
SECONDARY_WAIT_S: Final = 600.0  # a secondary with a small share may be expected first after many calls
ALL_METHODS: Final = "all methods together"
_LISTED_MAX: Final = 50  # explained paths named among the blind spots
_BROKEN_PATHS_MAX: Final = 3  # suspect paths named where a method is broken
_SAMPLED_MAX: Final = 3  # methods named there of which a share is looked at


def name_of(hypothesis: Hypothesis) -> str:
    """A hypothesis as people read it."""
    if hypothesis.kind is Kind.ANY:
        return f"{hypothesis.method}: the whole of what noise does not explain"
    return f"{hypothesis.method}: {hypothesis.pattern} ({hypothesis.kind})"


def grounds_to_fail(facts: RunFacts, policy: Policy) -> tuple[Reason, ...]:
    """Why the run fails; empty if it does not. What an earlier look found stays."""
    every = [h for m in facts.methods for h in m.hypotheses]
    found = [reason for reason in _seen(facts) if not may_be_lost(reason, facts)]
    found += [_rejected(h) for h in every if h.rejected]
    if not facts.has_secondary and (reason := _over_budget(facts, policy)):
        found.append(reason)
    if policy.on_latency == "fail":
        found += [reason for m in facts.methods if (reason := _slower(m, policy))]
    named = {(reason.code, reason.figures.get("where")) for reason in found}
    named |= {("regressed", name_of(h.hypothesis)) for h in every if h.accepted}
    kept = (reason for reason in facts.failed if (reason.code, reason.figures.get("where")) not in named)
    # The rules judged alone until the first secondary was expected; now there is better evidence.
    found += [reason for reason in kept if not (facts.has_secondary and reason.code == "over_budget")]
    return tuple(_without_repeats(found))


def in_doubt(facts: RunFacts) -> tuple[Reason, ...]:
    """What would be grounds, were it not that captures which the candidate's processes dropped may be all of it."""
    return tuple(_without_repeats([reason for reason in _seen(facts) if may_be_lost(reason, facts)]))


def _seen(facts: RunFacts) -> Iterator[Reason]:
    """What the evidence says, whatever came of it."""
    yield from (_regressed(h) for m in facts.methods for h in m.hypotheses if _is(h, State.REGRESSED))
    yield from (_with_paths(reason, [m]) for m in facts.methods if (reason := broken(m.method, m.minutes)))
    if len(facts.methods) > 1 and (reason := broken("", together(m.minutes for m in facts.methods))):
        yield _with_paths(reason, facts.methods)


def _with_paths(reason: Reason, methods: Sequence[MethodFacts]) -> Reason:
    """Where the difference is most of all, as far as paths are under suspicion."""
    found = [h for m in methods for h in m.hypotheses if _is(h, State.SUSPECT) and h.hypothesis.kind is not Kind.ANY]
    found.sort(key=lambda h: (-h.evidence.b, h.hypothesis))
    if not found:
        return reason
    listed = ", ".join(name_of(h.hypothesis) for h in found[:_BROKEN_PATHS_MAX])
    return replace(reason, text=f"{reason.text}; most of all {listed}")


def _without_repeats(found: list[Reason]) -> list[Reason]:
    """A method's paths taken together say nothing more where one of them is named."""
    named = {r.figures.get("method") for r in found if r.code == "regressed" and r.figures.get("kind") != Kind.ANY}
    return [r for r in found if r.figures.get("kind") != Kind.ANY or r.figures.get("method") not in named]


def broken(method: str, minutes: Sequence[MinuteFacts]) -> Reason | None:
    """An operational stop, no error rate claimed: the first stretch of minutes in which far too much is raw-only.

    In 3 consecutive minutes of at least 50 triples each, unexplained raw-only in at least 10% and in at least 5 times as
    many as noise-only. `minutes` are closed ones in order; an empty `method` is the whole run.
    """
    stretch: list[MinuteFacts] = []
    for facts in minutes:
        bad = (
            facts.triples >= BROKEN_TRIPLES_MIN
            and facts.raw_only >= BROKEN_SHARE * facts.triples
            and facts.raw_only >= BROKEN_RATIO * facts.noise_only
        )
        follows = stretch and facts.minute == stretch[-1].minute + 1
        stretch = [*(stretch if follows else ()), facts] if bad else []
        if len(stretch) == BROKEN_MINUTES:
            raw, triples = sum(m.raw_only for m in stretch), sum(m.triples for m in stretch)
            where = method or ALL_METHODS
            text = (
                f"{where}: broken: in {BROKEN_MINUTES} consecutive minutes {raw:,} of {triples:,} triples were raw-only on "
                f"paths that noise does not explain, and {sum(m.noise_only for m in stretch):,} noise-only"
            )
            figures: dict[str, float | str] = {
                "where": where,
                "raw_only": raw,
                "triples": triples,
                "first_minute": stretch[0].minute,
            }
            return Reason("broken", text, figures)
    return None


def blind_spots(facts: RunFacts, policy: Policy) -> tuple[str, ...]:
    """What the verdict could not see, in sentences: listed with every verdict, most of all with a pass."""
    spots = []
    if not facts.has_secondary:
        spots.append(
            "There is no secondary: noise cannot be told from change, so every difference that no rule allows counts."
        )
    if facts.judged:
        spots.append(f"A defect rarer than {unseen(facts):.3%} of calls may not have occurred at all.")
    spots += _unseen(facts)
    spots += _accepted(facts)
    spots += _other_rules(facts)
    spots += _uncovered(facts, policy)
    spots += _hidden(facts, policy)
    spots += _left_out(facts)
    if facts.capture_loss is None:
        spots.append("How many captures were lost before they reached the collector is not known.")
    if facts.refused:
        spots.append(
            f"{facts.refused:,} calls of this run were refused, some of them while it was judged: the configuration of a collector or "
            "worker does not have it in `runs`; give all that share a store or a topic the same `runs`."
        )
    if policy.vote_by == "call":
        spots.append("Each call had its own vote: that is sound only where calls are independent of each other.")
    return tuple(spots)


def _unseen(facts: RunFacts) -> list[str]:
    """What share of the leaf values nobody judges, by method; what there is only a hash of; and where it is not known."""
    spots, whole = [], sum(m.leaf_values or 0 for m in facts.methods)
    if whole:
        share = sum(m.blind_values for m in facts.methods) / whole
        calls = sum(m.leaf_calls for m in facts.methods)
        spots.append(
            f"Of the leaf values of answers {share:.0%} are blind, ignored or unjudged, estimated from {calls:,} answers; status, "
            "metadata and outbound calls are not among them."
        )
    some = [m for m in facts.methods if m.blind_values and m.leaf_values]
    some.sort(key=lambda m: (-m.blind_values / (m.leaf_values or 1), m.method))
    for m in some[:_LISTED_MAX]:
        parts = ", ".join(f"{n / (m.leaf_values or 1):.0%} {why}" for why, n in sorted(m.unseen_values.items()) if n)
        spots.append(f"{m.method}: of its leaf values {parts}.")
    hashed = [m.method for m in facts.methods if m.hashed_values]
    if hashed:
        spots.append(
            "Of private values only a keyed hash is here: whether they are equal, unset, empty or repeated is judged, and nothing "
            f"else of them ({_some(hashed)})."
        )
    unread = [m.method for m in facts.methods if m.leaf_values is None]
    if unread:
        spots.append(
            f"What share of the leaf values is blind, ignored or unjudged is not known where no answer could be read ({_some(unread)})."
        )
    return spots


def _some(names: Sequence[str]) -> str:
    more = len(names) - _LISTED_MAX
    return ", ".join(names[:_LISTED_MAX]) + (f" and {more:,} more" if more > 0 else "")


def _uncovered(facts: RunFacts, policy: Policy) -> list[str]:
    required = facts.required(policy)
    rare = [m for m in facts.methods if m.method not in required]
    few = ", ".join(f"{m.method} ({m.judged(has_secondary=facts.has_secondary):,})" for m in rare)
    return [f"Not covered, being too rare to be required ({facts.unit} each): {few}."] if rare else []


def _accepted(facts: RunFacts) -> list[str]:
    """What someone took out of the verdict, or had taken out once."""
    every = [h for m in facts.methods for h in m.hypotheses]
    spots = [f"{name_of(h.hypothesis)} does not count: {h.accepted}." for h in every if h.accepted]
    spots += [f"{name_of(h.hypothesis)} counts again, having been {h.expired}." for h in every if h.expired]
    more = len(spots) - _LISTED_MAX
    return spots[:_LISTED_MAX] + ([f"And {more:,} more decisions."] if more > 0 else [])


def _other_rules(facts: RunFacts) -> list[str]:
    """What came before the rules changed, and counts no longer."""
    everything = [replace(m, before=MethodCounts()).judged(has_secondary=facts.has_secondary) for m in facts.methods]
    since = [m.judged(has_secondary=facts.has_secondary) for m in facts.methods]
    methods = ", ".join(
        m.method for m, n, all_of_it in zip(facts.methods, since, everything, strict=True) if n < all_of_it
    )
    gone = sum(everything) - sum(since)
    return [f"{gone:,} {facts.unit} came under other rules and do not count ({methods})."] if gone else []


def _hidden(facts: RunFacts, policy: Policy) -> list[str]:
    """Noisy paths: how many defects each may hide."""
    hidden = []
    everything = [h for m in facts.methods for h in m.hypotheses]
    valued = {(h.hypothesis.method, h.hypothesis.pattern) for h in everything if h.hypothesis.kind is Kind.VALUES}
    paths = (h for h in everything if h.hypothesis.kind not in {Kind.ANY, Kind.VALUES})
    for fact in (h for h in paths if h.judgement.explained or h.judgement.blind):
        b, c, n = fact.evidence.b, fact.evidence.c, fact.evidence.n
        name = name_of(fact.hypothesis)
        if fact.judgement.blind:
            rate = fact.judgement.noise_rate
            hidden.append(
                (
                    1 + rate,
                    f"{name} is blind: the secondary differs in {rate:.2%} of calls, so none of them can show a defect there; "
                    + (
                        "only how its values are distributed is judged."
                        if (fact.hypothesis.method, fact.hypothesis.pattern) in valued
                        else "in how its values are distributed nothing unlike was found so far."
                    ),
                )
            )
            continue
        share = max(0.0, upper(b, n, policy.alpha_pass) - lower(c, n, policy.alpha_pass))
        hidden.append((share, f"{name} is noisy: up to {share:.2%} of calls may hide a defect there."))
    hidden.sort(reverse=True)
    more = len(hidden) - _LISTED_MAX
    return [text for _, text in hidden[:_LISTED_MAX]] + ([f"And {more:,} more noisy paths."] if more > 0 else [])


def _left_out(facts: RunFacts) -> list[str]:
    reasons: Counter[str] = Counter()
    for method in facts.methods:
        reasons.update(method.counts.reasons)
    spots = []
    parts = sum(n for name, n in reasons.items() if name.endswith(".in_part"))
    if parts:
        spots.append(f"{parts:,} pairs were compared in part: of long streams the first and last messages.")
    spots += _not_looked_at(facts)
    for prefix, what in (
        ("incomparable.", "pairs were incomparable"),
        ("partly.", "pairs were compared in part only"),
        ("no_triple.", "groups gave no evidence about noise"),
    ):
        some = {
            name.removeprefix(prefix): n
            for name, n in reasons.items()
            if name.startswith(prefix) and not name.endswith(NOT_SAMPLED)
        }
        if some:
            listed = ", ".join(f"{name} {n:,}" for name, n in sorted(some.items()))
            spots.append(f"{sum(some.values()):,} {what} ({listed}).")
    return spots


def _not_looked_at(facts: RunFacts) -> list[str]:
    """With the share that was looked at, of the methods of which most was not."""
    found = [(m.method, sampled(m.counts.pairs, m.counts.reasons)) for m in facts.methods]
    found = sorted((one for one in found if one[1].not_sampled), key=lambda one: (-one[1].not_sampled, one[0]))
    if not found:
        return []
    listed = ", ".join(
        f"{one.looked_at:,} of {one.looked_at + one.not_sampled:,} of {name}" for name, one in found[:_SAMPLED_MAX]
    )
    more = len(found) - _SAMPLED_MAX
    listed += f" and those of {more:,} more methods" if more > 0 else ""
    text = (
        f"{sum(one.not_sampled for _, one in found):,} pairs were not looked at: the messages of their methods are so large and so many "
        "that they are captured of a share of the calls only (MIRROR_METHOD_BYTES_PER_S of the services). That share is chosen by the "
        f"mirror ID. Looked at were {listed}."
    )
    return [text]


def _is(fact: HypothesisFacts, state: State) -> bool:
    return fact.judgement.state is state and not fact.accepted


def _regressed(fact: HypothesisFacts) -> Reason:
    evidence, judgement = fact.evidence, fact.judgement
    text = f"{name_of(fact.hypothesis)} is regressed: {judgement.words}"
    if fact.hypothesis.kind is Kind.NO_ANSWER:
        text += (
            "; no capture of the candidate's answer came, which is all that can be seen from here: is it up, does Envoy reach it, "
            "and is its MIRROR_ENDPOINT right?"
        )
    figures: dict[str, float | str] = {
        "where": name_of(fact.hypothesis),
        "method": fact.hypothesis.method,
        "kind": str(fact.hypothesis.kind),
        "raw_only": evidence.b,
        "noise_only": evidence.c,
        "both": evidence.d,
        "triples": evidence.n,
        "log_e_star": judgement.log_e_star,
    }
    return Reason("regressed", text, figures)


def _slower(method: MethodFacts, policy: Policy) -> Reason | None:
    """Only where the policy has latency fail a run: with one instance each it may be the instance that is slower."""
    latency = method.latency
    bound = AtLeast(latency.median_ratio, latency.tail_ratio)
    if max(bound.median, bound.tail) < policy.latency_ratio:
        return None
    text = f"{method.method} is slower than latency_ratio {policy.latency_ratio:g} allows: {words_of(Metric.LATENCY, bound)}"
    figures: dict[str, float | str] = {
        "where": method.method,
        "method": method.method,
        "median_ratio": bound.median,
        "tail_ratio": bound.tail,
        "latency_ratio": policy.latency_ratio,
        "triples": latency.triples,
    }
    return Reason("slower", text, figures)


def _rejected(fact: HypothesisFacts) -> Reason:
    """A person's word, for which no error rate is claimed."""
    name = name_of(fact.hypothesis)
    figures: dict[str, float | str] = {
        "where": name,
        "method": fact.hypothesis.method,
        "kind": str(fact.hypothesis.kind),
        "raw_only": fact.evidence.b,
    }
    return Reason("rejected", f"{name} was {fact.rejected}", figures)


def _over_budget(facts: RunFacts, policy: Policy) -> Reason | None:
    x, n = facts.unexplained, facts.judged
    if n < policy.min_triples and facts.last_s - facts.first_s < SECONDARY_WAIT_S:
        return None
    low = least(facts, policy.alpha_fail)
    if low <= policy.budget:
        return None
    text = (
        f"{x:,} of {n:,} pairs differ where no rule allows it: with {1 - policy.alpha_fail:.0%} confidence at least {low:.3%} "
        f"of calls, over the budget of {policy.budget:.3%}; judged by the rules alone, there being no secondary"
    )
    return Reason("over_budget", text, {"where": "run", "x": x, "n": n, "lower": low, "budget": policy.budget})


def together(methods: Iterable[Sequence[MinuteFacts]]) -> list[MinuteFacts]:
    """The minutes of the whole run: those of its methods added up."""
    sums: dict[int, tuple[int, int, int]] = {}
    for minutes in methods:
        for m in minutes:
            triples, raw, noise = sums.get(m.minute, (0, 0, 0))
            sums[m.minute] = (triples + m.triples, raw + m.raw_only, noise + m.noise_only)
    return [MinuteFacts(minute, *sums[minute]) for minute in sorted(sums)]
