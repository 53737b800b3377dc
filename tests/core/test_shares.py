"""The share that each role captures of a method, learnt from what it captured: so that missing answers weigh as much as others."""

import random

from grpc_mirror.v1.sampling import ALL, place_of
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.model import PairKey, Role
from mirror.core.shares import METHODS_MAX, Shares


def key(mirror_id, method="shop.Shop/List"):
    return PairKey("run", method, str(mirror_id))


def test_nothing_is_remembered_of_methods_of_which_all_calls_are_in():
    shares = Shares()
    shares.learn(key(1), Role.CANDIDATE, sampled=True)
    assert not shares.knows(key(1))
    assert shares.takes(key(2), Role.CANDIDATE)


@given(st.integers(1, ALL - 1), st.integers(0, 1 << 30))
def test_the_bound_is_found_from_what_was_captured(below, seed):
    shares = Shares()
    for number in range(300):
        one = key(f"{seed}-{number}")
        shares.learn(one, Role.CANDIDATE, sampled=place_of(one.mirror_id) < below)
    wrong = 0
    for number in range(300, 500):
        one = key(f"{seed}-{number}")
        wrong += shares.takes(one, Role.CANDIDATE) != (place_of(one.mirror_id) < below)
    assert wrong <= 12


def test_of_a_role_that_never_answered_all_are_taken():
    """A candidate that is dead: it is judged by the share of those that answer."""
    shares = Shares()
    shares.learn(key("one"), Role.PRIMARY, sampled=False)
    assert shares.takes(key("one"), Role.CANDIDATE)
    assert not shares.takes(key("one"), Role.PRIMARY)


def test_missing_answers_of_both_shadows_weigh_alike_though_their_shares_do_not():
    """One process of the candidate and ten of the secondary, of which each loses one call in a hundred."""
    chance, shares = random.Random(7), Shares()
    part = {Role.PRIMARY: 0.2, Role.CANDIDATE: 0.02, Role.SECONDARY: 0.2}
    seen = {Role.CANDIDATE: 0, Role.SECONDARY: 0}
    for number in range(100_000):
        one, place = key(number), place_of(str(number)) / ALL
        missing = {role for role in seen if chance.random() < 0.01}
        for role, share in part.items():
            if role not in missing:
                shares.learn(one, role, sampled=place < share)
        if place >= part[Role.PRIMARY] or len(missing) != 1:
            continue
        (lost,) = missing
        other = Role.SECONDARY if lost is Role.CANDIDATE else Role.CANDIDATE
        if place < part[other] and shares.takes(one, lost):
            seen[lost] += 1
    assert 8 < seen[Role.CANDIDATE] < 40  # 2% of 1% of 100,000
    assert 8 < seen[Role.SECONDARY] < 40


def test_no_more_methods_are_remembered_than_there_may_be():
    shares = Shares()
    for number in range(METHODS_MAX + 10):
        shares.learn(key("one", f"a.B/{number}"), Role.PRIMARY, sampled=False)
    assert not shares.knows(key("one", "a.B/0"))
    assert shares.knows(key("one", f"a.B/{METHODS_MAX + 9}"))
