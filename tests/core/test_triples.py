"""From a group to evidence: which groups are triples, and what they show."""

from dataclasses import replace
from itertools import product

import pytest
from grpc_mirror.v1 import capture_pb2
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.model import (
    CallRecord,
    Difference,
    EpochKey,
    Group,
    Kind,
    Outcome,
    PairKey,
    Release,
    Resource,
    Role,
    Verdict,
)
from mirror.core.path import Field, Index
from mirror.core.triples import ANY, judge_group

KEY = PairKey("run", "shop.v1.Shop/GetProduct", "id-1")
BOTH = frozenset({Role.CANDIDATE, Role.SECONDARY})
NO_ANSWER = ("status.no_answer", Kind.NO_ANSWER)
NAMES = ("price", "clock", "name")


def member(name):
    return (f"response.{name}", Kind.VALUE)


def differ(*names):
    """An outcome that differs in the fields named; a match without names."""
    differences = tuple(Difference((Field("response"), Field(name)), Kind.VALUE, 1, 2) for name in names)
    return Outcome(Verdict.MISMATCHED if names else Verdict.MATCHED, differences=differences)


def call(role, version="1", service="shop"):
    return CallRecord(
        KEY, role, BOTH, 1, "OK", Resource(service, version, "pod"), b"t", role.value.encode(), b"capture", 120.0
    )


def judged(
    of_candidate,
    of_secondary,
    /,
    *,
    expect=BOTH,
    explained=(),
    release=Release.COMPLETE,
    takes=lambda _: True,
    **replaced,
):
    """Judge a group. A shadow's outcome is given, or None: it never came. `replaced` calls: a record, or None."""
    outcomes = {Role.CANDIDATE: of_candidate, Role.SECONDARY: of_secondary}
    calls = {Role.PRIMARY: call(Role.PRIMARY)} | {
        r: call(r, "2" if r is Role.CANDIDATE else "1") for r in outcomes if outcomes[r]
    }
    for role, record in replaced.items():
        calls.pop(Role(role), None)
        if record is not None:
            calls[Role(role)] = record
    return judge_group(
        Group(KEY, calls, frozenset(expect), release, 125.0),
        lambda _, shadow: outcomes[shadow.role],
        explained=lambda _: frozenset(map(member, explained)),
        candidate_version_last_seen="2-before",
        now_s=130.0,
        takes=takes,
    )


def test_differences_fall_into_raw_only_noise_only_and_both():
    triple = judged(differ("price", "clock"), differ("clock", "name")).triple
    assert triple.raw_only - {ANY} == {member("price")}
    assert triple.noise_only - {ANY} == {member("name")}
    assert triple.both - {ANY} == {member("clock")}


def test_the_same_path_differing_in_another_kind_is_another_hypothesis():
    missing = Outcome(Verdict.MISMATCHED, differences=(Difference((Field("response"), Field("price")), Kind.MISSING),))
    triple = judged(missing, differ("price")).triple
    assert ("response.price", Kind.MISSING) in triple.raw_only
    assert ("response.price", Kind.VALUE) in triple.noise_only


def test_indices_of_one_pattern_are_one_hypothesis():
    items = tuple(Difference((Field("response"), Field("items"), Index(i)), Kind.VALUE) for i in range(3))
    triple = judged(Outcome(Verdict.MISMATCHED, differences=items), differ()).triple
    assert triple.signature == {("response.items[*]", Kind.VALUE)}


def test_the_signature_leaves_out_what_noise_explained():
    triple = judged(differ("price", "clock"), differ(), explained=("clock",)).triple
    assert triple.signature == {member("price")}
    assert triple.left_out == {member("clock")}
    assert member("clock") in triple.raw_only  # it still counts for its own hypothesis


@pytest.mark.parametrize(
    ("candidate", "secondary", "where"),
    [
        (("price",), (), "raw_only"),
        ((), ("price",), "noise_only"),
        (("price",), ("name",), "both"),
        (("clock",), (), None),  # explained
        (("price",), ("clock",), "raw_only"),
        (("price",), ("price",), None),  # the same path: no sign of either
        ((), (), None),
    ],
)
def test_any_asks_for_some_path_that_noise_does_not_explain(candidate, secondary, where):
    triple = judged(differ(*candidate), differ(*secondary), explained=("clock",)).triple
    assert [name for name in ("raw_only", "noise_only", "both") if ANY in getattr(triple, name)] == [where] * bool(
        where
    )
    assert ANY not in triple.signature


@given(*[st.frozensets(st.sampled_from(NAMES))] * 3)
def test_candidate_and_secondary_are_treated_alike(candidate, secondary, explained):
    """Swapping what befell the two shadows swaps raw-only and noise-only, and nothing else."""
    one = judged(differ(*candidate), differ(*secondary), explained=explained).triple
    other = judged(differ(*secondary), differ(*candidate), explained=explained).triple
    assert (one.raw_only, one.noise_only, one.both) == (other.noise_only, other.raw_only, other.both)


_FATES = [differ(), differ("price"), None, Outcome(Verdict.INCOMPARABLE, "schema"), Outcome(Verdict.IGNORED)]


@pytest.mark.parametrize("release", [Release.COMPLETE, Release.DEADLINE, Release.EVICTED, Release.DRAIN])
@pytest.mark.parametrize(("one", "other"), list(product(_FATES, repeat=2)))
def test_what_leaves_a_triple_out_does_not_depend_on_the_shadow_it_befell(one, other, release):
    left, right = judged(one, other, release=release), judged(other, one, release=release)
    assert (left.triple is None) == (right.triple is None)
    assert left.no_triple == right.no_triple


def test_a_candidate_that_never_answered_is_a_difference():
    result = judged(None, differ(), release=Release.DEADLINE)
    assert result.outcomes[Role.CANDIDATE].verdict is Verdict.INCOMPLETE
    assert result.outcomes[Role.CANDIDATE].reason == "candidate"
    assert result.triple.raw_only == {NO_ANSWER, ANY}
    assert result.triple.signature == {NO_ANSWER}
    assert result.epoch.candidate_version == "2-before"


def test_a_secondary_that_never_answered_is_noise():
    assert NO_ANSWER in judged(differ(), None, release=Release.DEADLINE).triple.noise_only


def test_when_neither_shadow_answered_both_differ():
    assert judged(None, None, release=Release.DEADLINE).triple.both >= {NO_ANSWER}


UNSEEN = Outcome(Verdict.INCOMPARABLE, "not_sampled")


@pytest.mark.parametrize(("candidate", "secondary"), [(None, UNSEEN), (UNSEEN, None), (None, None)])
def test_where_the_primary_is_not_sampled_no_missing_answer_is_judged(candidate, secondary):
    """Of such calls no pair is compared: if absent shadows counted, their share would be of the sampled calls alone."""
    primary = replace(call(Role.PRIMARY), capture=capture_pb2.Capture(not_sampled=True).SerializeToString())
    result = judged(candidate, secondary, release=Release.DEADLINE, primary=primary)
    assert (result.triple, result.no_triple) == (None, "incomparable_not_sampled")
    for role, given_outcome in ((Role.CANDIDATE, candidate), (Role.SECONDARY, secondary)):
        if given_outcome is None:
            found = result.outcomes[role]
            assert (found.verdict, found.reason) == (Verdict.INCOMPLETE, f"{role}_not_sampled")
            assert not found.differences


@pytest.mark.parametrize(("release", "reason"), [(Release.EVICTED, "evicted"), (Release.DRAIN, "drain")])
def test_a_shadow_for_which_nobody_waited_is_no_evidence(release, reason):
    result = judged(None, differ("price"), release=release)
    assert (result.triple, result.no_triple) == (None, reason)
    assert result.outcomes[Role.CANDIDATE].differences == ()


def test_a_whole_group_is_evidence_however_it_was_released():
    assert judged(differ("price"), differ(), release=Release.EVICTED).triple is not None


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [
        ({"primary": None}, "no_primary"),
        ({"expect": {Role.CANDIDATE}}, "secondary_not_expected"),
        ({"expect": {Role.SECONDARY}}, "candidate_not_expected"),
        ({"expect": ()}, "not_mirrored"),
        ({"secondary": call(Role.SECONDARY, "1-rc")}, "secondary_version"),
        ({"candidate": call(Role.CANDIDATE, "3")}, ""),
    ],
)
def test_why_a_group_is_no_triple(kwargs, reason):
    result = judged(differ("price"), differ(), **{"expect": BOTH, "release": Release.DEADLINE} | kwargs)
    assert result.no_triple == reason
    assert (result.triple is None) == bool(reason)
    assert result.outcomes.keys() == frozenset(kwargs.get("expect", BOTH))


def test_without_primary_every_shadow_is_incomplete():
    result = judged(differ(), differ(), primary=None)
    assert {(o.verdict, o.reason) for o in result.outcomes.values()} == {(Verdict.INCOMPLETE, "primary")}


@pytest.mark.parametrize("reason", ["client_ended", "schema", "redaction_key", "too_large"])
def test_an_incomparable_side_is_named(reason):
    assert judged(differ("price"), Outcome(Verdict.INCOMPARABLE, reason)).no_triple == f"incomparable_{reason}"


def test_missing_versions_of_primary_and_secondary_are_of_one_version():
    """The epoch is warned of and cannot pass, but its evidence counts."""
    result = judged(differ(), differ(), primary=call(Role.PRIMARY, ""), secondary=call(Role.SECONDARY, ""))
    assert result.triple is not None
    assert result.epoch.primary_version == ""


def epoch_of(calls, primary_last_seen=None):
    group = Group(KEY, calls, BOTH, Release.DEADLINE, 125.0)
    return judge_group(
        group,
        lambda *_: differ(),
        explained=lambda _: frozenset(),
        candidate_version_last_seen="2-before",
        now_s=130.0,
        primary_last_seen=primary_last_seen,
    ).epoch


def test_the_epoch_is_named_by_the_primary_and_the_candidate():
    calls = {Role.PRIMARY: call(Role.PRIMARY, "1"), Role.CANDIDATE: call(Role.CANDIDATE, "2", service="shop-next")}
    assert epoch_of(calls) == EpochKey("run", "shop", "1", "2")


def test_without_primary_the_epoch_is_that_of_the_primary_last_seen():
    calls = {Role.CANDIDATE: call(Role.CANDIDATE, "2", service="shop-next")}
    assert epoch_of(calls, Resource("shop", "1", "pod")) == EpochKey("run", "shop", "1", "2")


def test_before_any_primary_the_secondary_stands_in_for_its_build():
    assert epoch_of({Role.SECONDARY: call(Role.SECONDARY, "1")}) == EpochKey("run", "shop", "1", "2-before")


def test_of_a_candidate_alone_only_its_own_version_is_known():
    assert epoch_of({Role.CANDIDATE: call(Role.CANDIDATE, "2")}) == EpochKey("run", "shop", "", "2")


def test_the_minute_is_that_of_the_first_arrival():
    result = judged(differ(), differ())
    assert result.minute == 2
    assert result.compared_at_s == 130.0


def ended(kind=Kind.STATUS, *, rule=""):
    """An outcome of a shadow whose call came to another end than the primary's."""
    difference = Difference((Field("status"), Field("code")), kind, rule=rule)
    if rule:
        return Outcome(Verdict.IGNORED, ignored=(difference,))
    return Outcome(Verdict.MISMATCHED, differences=(difference,), difference_count=1)


STATUS = ("status.code", Kind.STATUS)


@pytest.mark.parametrize("control", [None, ended(), ended(rule="r1")])
def test_a_failing_secondary_makes_no_path_of_the_answer_raw_only(control):
    """A clock in the answer always differs; a secondary that failed only could not show it."""
    result = judged(differ("clock"), control, release=Release.DEADLINE).triple
    assert member("clock") not in result.raw_only
    assert ANY not in result.raw_only
    assert result.signature == {member("clock")}  # the bound may only err upwards


def test_a_failing_candidate_makes_no_path_of_the_answer_noise():
    result = judged(ended(), differ("clock")).triple
    assert (result.raw_only, result.noise_only) == ({STATUS, ANY}, frozenset())


def test_two_ends_are_judged_against_each_other():
    result = judged(ended(), None, release=Release.DEADLINE).triple
    assert (result.raw_only, result.noise_only) == ({STATUS}, {NO_ANSWER})


@given(*[st.sampled_from([differ(), differ("price"), differ("clock"), ended(), ended(rule="r"), None])] * 2)
def test_ends_too_treat_candidate_and_secondary_alike(candidate, secondary):
    one = judged(candidate, secondary, release=Release.DEADLINE).triple
    other = judged(secondary, candidate, release=Release.DEADLINE).triple
    assert (one.raw_only, one.noise_only, one.both) == (other.noise_only, other.raw_only, other.both)


@pytest.mark.parametrize(("release", "reason"), [(Release.EVICTED, "evicted"), (Release.DRAIN, "drain")])
def test_a_candidate_for_which_nobody_waited_is_not_absent(release, reason):
    assert judged(None, differ(), release=release).outcomes[Role.CANDIDATE].reason == reason


def test_a_shadow_that_would_not_have_captured_the_call_is_not_judged_for_its_silence():
    group_of = judged(None, differ("price"), release=Release.DEADLINE, takes=lambda role: role is not Role.CANDIDATE)
    assert group_of.outcomes[Role.CANDIDATE].reason == "candidate_not_sampled"
    assert (group_of.triple, group_of.no_triple) == (None, "incomparable_not_sampled")
