"""What a verdict promises of its control, through the real store: budget and secondary, no secondary, both shadows alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirror.core.bound import lower
from mirror.core.model import Role
from mirror.core.verdict import Policy, decide
from mirror.store import Reader, Store
from mirror.store.verdicts import run_facts
from tests.store.building import START_S, A, commit, several

POLICY = Policy(min_duration_s=0, min_triples=1, budget=0.01)
ALONE = {"expect": [Role.CANDIDATE]}
LATER_S = START_S + 3600


def report(reader: Reader, policy: Policy = POLICY, now_s: float = LATER_S):
    (run,) = reader.runs()
    return decide(run_facts(reader, run.epochs[0].id, policy, now_s), policy)


def test_with_a_secondary_a_rate_over_the_budget_alone_never_fails(store: Store, reader: Reader):
    """One minute is one vote: nothing is named yet, though beyond doubt more differs than the budget allows."""
    commit(store, several(300, named="x", candidate=[A]) + several(2700))
    store.look(POLICY, START_S + 120)
    commit(store, several(1, LATER_S), LATER_S)
    found = report(reader)
    assert lower(found.x, found.n, POLICY.alpha_fail) > 5 * POLICY.budget
    assert (found.verdict, found.eta_s) == ("inconclusive", None)
    assert "over_budget" in {one.code for one in found.missing}


def test_without_one_the_same_calls_fail_by_the_rules_alone(store: Store, reader: Reader):
    commit(store, several(300, named="x", candidate=[A], **ALONE) + several(2700, **ALONE))
    found = report(reader)
    assert (found.verdict, [one.code for one in found.reasons]) == ("fail", ["over_budget"])
    assert "judged by the rules alone" in found.reasons[0].text


def test_what_the_budget_held_against_a_run_is_void_once_the_secondary_comes(store: Store, reader: Reader):
    """Latched in the store by a look, and still no fail of a run that has a secondary."""
    commit(store, several(300, named="x", candidate=[A], **ALONE))
    commit(store, several(300, START_S + 700, named="y", candidate=[A], **ALONE))
    store.look(POLICY, START_S + 720)
    assert report(reader).verdict == "fail"
    commit(store, several(100, START_S + 800, named="z"), START_S + 800)
    store.look(POLICY, START_S + 900)
    assert report(reader).verdict == "inconclusive"


def test_a_pass_without_a_secondary_says_what_it_cannot_know(store: Store, reader: Reader):
    commit(store, several(1000, **ALONE))
    found = report(reader)
    assert found.verdict == "pass"
    assert found.reasons[0].text.endswith("judged by the rules alone, there being no secondary")
    assert found.blind_spots[0] == (
        "There is no secondary: noise cannot be told from change, so every difference that no rule allows counts."
    )


BOTH_ALIKE = {
    "another status": {"candidate": ["status.code"], "secondary": ["status.code"], "primary_status": "NOT_FOUND"},
    "no answer at all": {"came": [Role.PRIMARY]},
}


@pytest.mark.parametrize("how", BOTH_ALIKE)
@pytest.mark.parametrize("share", [1.0, 0.5, 0.02])
def test_a_run_in_which_both_shadows_fail_alike_does_not_pass_however_long_it_runs(
    store: Store, reader: Reader, how, share
):
    """Missing data, no permission: nothing is raw-only, nothing unexplained, and nothing was judged."""
    failed = round(10_000 * share)
    commit(store, several(failed, named="f", **BOTH_ALIKE[how]) + several(10_000 - failed))
    commit(store, several(2000, LATER_S, named="l"), LATER_S)
    lax = replace(POLICY, min_complete=0.0)
    found = report(reader, lax if how == "another status" else POLICY, LATER_S + 600)
    assert (found.verdict, found.x) == ("inconclusive", 0)
    assert "status_noise" in {one.code for one in found.missing}
    assert found.eta_s is None


def test_few_of_them_are_noise_like_any(store: Store, reader: Reader):
    commit(store, several(90, named="f", **BOTH_ALIKE["another status"]) + several(9_910))
    assert report(reader).verdict == "pass"
