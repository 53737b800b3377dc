"""Votes of triples: taken from differences alone, fair, and none before noise was seen."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.model import Difference, EpochKey, Kind, Outcome, Part, Role, Timing, Verdict
from mirror.core.path import Field, Index
from mirror.core.rules import TimeWindow, Tolerance
from mirror.core.values.labels import DISTANCE
from mirror.core.values.watch import ValueWatch
from tests.core.compare.shapes import rule, rules

EPOCH = EpochKey("run", "shop", "1", "2")
X = (Field("response"), Field("x"))
EMPTY, OTHER = ("class", "empty"), ("class", "other")
RULES = rules()
START = 1_700_000_000


def pair(*differences: Difference) -> Outcome:
    verdict = Verdict.MISMATCHED if differences else Verdict.MATCHED
    return Outcome(
        verdict, differences=differences, difference_count=len(differences), timing=Timing(START * 10**9, 1, 1)
    )


def at(path, left, right, kind=Kind.VALUE) -> Difference:
    return Difference(path, kind, left, right)


def look(watch: ValueWatch, candidate: Outcome, secondary: Outcome, rules_=RULES):
    return watch.look(EPOCH, "s/M", {Role.CANDIDATE: candidate, Role.SECONDARY: secondary}, rules_)


def values(watch: ValueWatch, primary, candidate, secondary, rules_=RULES, *, path=X):
    """The votes of a call in which one path has these values."""
    sides = (pair() if primary == shadow else pair(at(path, primary, shadow)) for shadow in (candidate, secondary))
    return look(watch, *sides, rules_)


def watching() -> ValueWatch:
    """One that has seen noise at response.x."""
    watch = ValueWatch()
    assert values(watch, "p0", "p0", "s0") == {}
    return watch


def test_nothing_is_looked_at_before_the_secondary_differed():
    watch = ValueWatch()
    assert values(watch, "p", "", "p") == {}
    assert len(watch) == 0
    assert values(watch, "p", "", "s") == {}  # this one opens it, and would be chosen for what the secondary did
    assert values(watch, "q", "", "t")["response.x"][EMPTY] == 1


def test_labels_that_only_one_has_vote():
    votes = values(watching(), "aaa", "", "bbb")["response.x"]
    assert votes == {EMPTY: 1, ("class", "hex"): -1, ("length", "0"): 1, ("length", "2"): -1}
    assert values(watching(), "aaa", "ccc", "") == {
        "response.x": {EMPTY: -1, ("class", "hex"): 1, ("length", "0"): -1, ("length", "2"): 1}
    }


def test_where_one_shadow_matches_it_has_the_primarys_value():
    watch = watching()
    assert values(watch, "p1", "", "p1")["response.x"][EMPTY] == 1
    assert values(watch, "p2", "p2", "")["response.x"][EMPTY] == -1
    assert values(watch, "p3", "p3", "p3") == {}


def test_values_of_the_same_labels_do_not_vote():
    assert values(watching(), "p1", "p2", "p3") == {}


def test_what_is_missing_or_added_is_unset_on_the_other_side():
    watch = watching()
    lost = pair(at(X, "p", None, Kind.MISSING))
    assert look(watch, lost, pair(at(X, "p", "s")))["response.x"][("class", "unset")] == 1
    assert look(watch, pair(), pair(at(X, None, "s", Kind.ADDED)))["response.x"][("class", "unset")] == 1


def test_of_several_elements_a_call_has_one_vote_a_label():
    watch = ValueWatch()
    element = [(Field("response"), Field("ids"), Index(n)) for n in range(5)]
    look(watch, pair(), pair(at(element[0], "p", "s")))
    sides = pair(*(at(path, "p", "") for path in element)), pair(at(element[0], "p", ""), at(element[1], "p", "s"))
    assert look(watch, *sides) == {
        "response.ids[*]": {EMPTY: 1, OTHER: -1, ("length", "0"): 1, ("length", "1"): -1, ("repeated", "yes"): -1}
    }


def test_an_id_that_became_constant_is_repeated():
    watch = watching()
    assert ("repeated", "yes") not in values(watch, "p1", "same", "s1").get("response.x", {})
    assert values(watch, "p2", "same", "s2")["response.x"] == {
        ("length", "3"): 1,
        ("length", "2"): -1,
        ("repeated", "yes"): 1,
    }


def test_distance_is_beyond_twice_the_secondarys_and_the_slack():
    watch = ValueWatch()
    values(watch, 10.0, 10.0, 11.0)
    assert values(watch, 10.0, 12.5, 11.0)["response.x"][DISTANCE] == 1
    assert DISTANCE not in values(watch, 10.0, 12.0, 11.0).get("response.x", {})
    assert values(watch, 10.0, 9.5, 12.0)["response.x"][DISTANCE] == -1
    tolerant = rules(rule(Tolerance, "response.x", absolute=1.0))
    assert DISTANCE not in values(watch, 10.0, 12.5, 11.0, tolerant).get("response.x", {})


def test_of_times_the_slack_is_a_second_or_the_rules_window():
    watch = ValueWatch()
    p, near, late = (Timestamp(seconds=START + s) for s in (0, 0, 5))
    s = Timestamp(seconds=START, nanos=10**6)
    values(watch, p, p, s)
    assert DISTANCE not in values(watch, p, Timestamp(seconds=START, nanos=9 * 10**8), s).get("response.x", {})
    assert values(watch, p, late, s)["response.x"][DISTANCE] == 1
    window = rules(rule(TimeWindow, "response.x", within_s=10.0))
    assert DISTANCE not in values(watch, near, late, s, window).get("response.x", {})


def test_speed_and_order_of_sending_are_no_labels():
    """Five milliseconds more, or a start before the primary's, say nothing of the build."""
    watch = ValueWatch()
    p, before, after = (
        Timestamp(seconds=START - 1 + s, nanos=n) for s, n in ((1, 0), (0, 995_000_000), (1, 5_000_000))
    )
    values(watch, p, before, after)
    assert values(watch, p, after, before) == {}


def test_orders_states_and_what_is_no_evidence_have_no_values():
    watch = watching()
    assert look(watch, pair(at(X, None, None, Kind.ORDER)), pair()) == {}
    ended = pair(at((Field("status"), Field("code")), "OK", "INTERNAL", Kind.STATUS))
    assert look(watch, ended, pair(at(X, "p", ""))) == {}
    blocked = Outcome(Verdict.INCOMPARABLE, "blocked", unseen={Part.ANSWER: "blocked"})
    assert look(watch, blocked, pair(at(X, "p", ""))) == {}


def test_memory_is_bounded_and_what_is_forgotten_is_learnt_anew():
    watch = ValueWatch(paths_max=2)
    paths = [(Field("response"), Field(name)) for name in "abc"]
    for path in paths:
        values(watch, "p", "p", "s", path=path)
    assert (len(watch), watch.forgotten) == (2, 1)
    assert values(watch, "p", "", "s", path=paths[0]) == {}
    assert "response.a" in values(watch, "p", "", "s", path=paths[0])


def test_epochs_and_methods_remember_apart():
    watch = watching()
    outcomes = {Role.CANDIDATE: pair(at(X, "p", "")), Role.SECONDARY: pair()}
    assert watch.look(EPOCH, "s/Other", outcomes, RULES) == {}
    assert watch.look(EpochKey("run", "shop", "1", "3"), "s/M", outcomes, RULES) == {}
    assert watch.look(EPOCH, "s/M", outcomes, RULES)


texts = st.sampled_from(["p", "", "42", "deadbeef", "x" * 100, None])


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=30))
def test_swapping_candidate_and_secondary_turns_every_vote_round(calls):
    """The fairness that everything rests on: labels are the same function of both."""
    one, other = watching(), watching()
    for primary, candidate, secondary in calls:
        if primary != secondary or primary != candidate:  # else nothing differs
            votes = values(one, primary, candidate, secondary).get("response.x", {})
            swapped = values(other, primary, secondary, candidate).get("response.x", {})
            assert {label: -vote for label, vote in votes.items()} == swapped
