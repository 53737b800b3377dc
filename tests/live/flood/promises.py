"""Whether all that a flooded collector acknowledged is in its figures once, and nothing else is; not a test."""

from __future__ import annotations

from tests.live.flood.overload import Outcome
from tests.live.flood.running import WRONG_EVERY


def faults(outcome: Outcome) -> list[str]:
    """What of the promise was broken: all that was acknowledged is counted once, and nothing else is."""
    primary, candidate, secondary = (outcome.acknowledged(role) for role in ("primary", "candidate", "secondary"))
    spans = sum(map(sum, (primary, candidate, secondary)))
    account, counts = outcome.account, outcome.counts
    calls = account.calls
    repeats = calls.dropped.get("duplicate", 0)
    late = sum(n for reason, n in calls.dropped.items() if reason.startswith("late_"))
    found = list(outcome.problems)
    twice = sum(n > 1 for times in (primary, candidate, secondary) for n in times)
    if twice:
        found.append(f"{twice} calls were acknowledged twice")
    if calls.dropped.keys() - {"duplicate", "late_primary", "late_candidate", "late_secondary"}:
        found.append(f"dropped: {calls.dropped}")
    if calls.received - repeats != spans:
        found.append(f"{calls.received} calls received, {repeats} of them repeats, but {spans} were acknowledged")
    if calls.grouped + late != spans or calls.waiting:
        found.append(
            f"{calls.grouped} calls grouped, {late} late, {calls.waiting} waiting, but {spans} were acknowledged"
        )
    if repeats and not outcome.total("unanswered"):
        found.append(f"{repeats} calls count as repeats, though each request was answered")
    if late or account.evicted:
        return found  # the rest holds where all calls met
    met = [(bool(p), bool(c), bool(s)) for p, c, s in zip(primary, candidate, secondary, strict=True)]
    wrong = sum(p and c for p, c, _ in met[::WRONG_EVERY])
    expected = {
        "pairs": sum(map(any, met)),
        "compared": sum(p and c for p, c, _ in met),
        "mismatched": wrong,
    }
    got = {
        "pairs": counts.pairs,
        "compared": account.compared,
        "mismatched": counts.mismatched,
    }
    if got != expected:
        found.append(f"the store has {got}, of what was acknowledged are {expected}")
    whole = sum(map(all, met))
    told = whole + sum(
        p and c != s for p, c, s in met
    )  # where one shadow did not answer by the deadline, that is evidence too
    if not whole <= counts.triples <= told:
        found.append(f"the store has {counts.triples} triples, of what was acknowledged are {whole} to {told}")
    return found
