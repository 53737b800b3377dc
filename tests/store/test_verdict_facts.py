"""The facts that a verdict is made of, as the store reads them back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from grpc_mirror.v1 import schema_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from mirror.core.model import Kind, Release, Resource, Role
from mirror.core.noise import State
from mirror.core.verdict import MinuteFacts, Policy, decide
from mirror.store import JudgeOptions, Limits, Reader, Store, StoreError
from mirror.store.tables import source_minutes
from mirror.store.verdicts import run_facts
from tests.store.building import EPOCH, MINUTE, START_S, commit, judged, several

POLICY = Policy(vote_by="call", min_duration_s=0, min_triples=1)


def facts_of(reader: Reader, now_s: float = START_S + 600):
    (run,) = reader.runs()
    return run_facts(reader, run.epochs[0].id, POLICY, now_s)


def test_an_equal_candidate_passes_once_the_bound_is_within_the_budget(by_call: Store, reader: Reader):
    commit(by_call, several(500))
    report = decide(facts_of(reader), replace(POLICY, budget=0.01))
    assert (report.verdict, report.x, report.n) == ("pass", 0, 500)


def test_a_regressed_path_fails(by_call: Store, reader: Reader):
    commit(by_call, several(40, candidate=["response.a"]) + several(60, named="same"))
    report = decide(facts_of(reader), POLICY)
    assert report.verdict == "fail"
    assert any("response.a (value) is regressed" in reason.text for reason in report.reasons)


def test_what_noise_explains_is_not_counted_and_what_it_no_longer_explains_is(by_call: Store, reader: Reader):
    a = frozenset({("response.a", Kind.VALUE)})
    commit(by_call, several(20, secondary=["response.a"]) + several(5, named="b", candidate=["response.a"]))
    assert facts_of(reader).unexplained == 0
    commit(by_call, several(7, named="out", candidate=["response.a"], explained=a))
    assert facts_of(reader).unexplained == 0
    commit(by_call, several(60, named="more", candidate=["response.a"]))
    assert facts_of(reader).unexplained == 5 + 7 + 60


def test_the_overflow_of_signatures_counts_as_unexplained(url: str):
    options = JudgeOptions(vote_by="call")
    with Store.open(url, judge=options, limits=Limits(signatures_max=1)) as store:
        commit(store, several(40, secondary=["response.a", "response.b"]))
        commit(store, [judged("1", candidate=["response.a"]), judged("2", candidate=["response.b"])])
        commit(store, [judged("3", candidate=["response.b"])])
        assert facts_of(store.reader()).unexplained == 2


def test_closed_minutes_say_what_was_raw_only_and_noise_only(by_call: Store, reader: Reader):
    commit(by_call, several(3, candidate=["response.a"]) + several(2, named="n", secondary=["response.b"]))
    commit(by_call, several(4, START_S + 60), START_S + 60)
    (method,) = facts_of(reader).methods
    assert method.minutes == (MinuteFacts(MINUTE, 5, 3, 2), MinuteFacts(MINUTE + 1, 4, 0, 0))
    (method,) = facts_of(reader, START_S + 70).methods
    assert method.minutes == ()


def test_the_rate_is_that_of_the_last_minutes(by_call: Store, reader: Reader):
    commit(by_call, several(60))
    assert facts_of(reader, START_S + 30).rate_per_s == pytest.approx(2.0)
    assert facts_of(reader, START_S + 7200).rate_per_s == 0.0


def test_capture_loss_is_what_the_builds_of_this_epoch_report(by_call: Store, reader: Reader):
    commit(by_call, several(1))
    assert facts_of(reader).capture_loss is None
    changes = by_call.changes()
    for version, dropped in (("2.0", 5), ("1.0", 0), ("0.9", 50)):
        report = schema_pb2.SourceReport(source_id=version, sequence=1, captured=100, dropped={"queue_full": dropped})
        changes.source(report, Resource(EPOCH.service, version, "pod"))
    by_call.commit(changes, START_S)
    facts = facts_of(reader)
    assert facts.capture_loss == pytest.approx(0.025)
    assert facts.candidate_lost == 5


def reported(store: Store, at_s: float, *, sequence: int, captured: int, dropped: int, version: str = "2.0"):
    """What a process of that build has captured and dropped since its start."""
    changes = store.changes()
    report = schema_pb2.SourceReport(
        source_id=version, sequence=sequence, captured=captured, dropped={"queue_full": dropped}
    )
    changes.source(report, Resource(EPOCH.service, version, "pod"))
    store.commit(changes, at_s)


def test_drops_of_before_an_epoch_are_none_of_its_own(by_call: Store, reader: Reader):
    """A process that dropped yesterday, while no collector ran, and has not since, keeps no run of today from its verdict."""
    reported(by_call, START_S - 3600, sequence=1, captured=5000, dropped=4000)
    commit(by_call, several(1))
    reported(by_call, START_S + 60, sequence=2, captured=6000, dropped=4000)
    assert (facts_of(reader).capture_loss, facts_of(reader).candidate_lost) == (0.0, 0)
    reported(by_call, START_S + 120, sequence=3, captured=7000, dropped=4010)
    assert facts_of(reader).capture_loss == pytest.approx(10 / 2000)
    assert facts_of(reader).candidate_lost == 10
    reported(by_call, START_S + 180, sequence=3, captured=9000, dropped=9000)  # again, and so it is no news
    assert facts_of(reader).candidate_lost == 10


def test_drops_of_a_later_run_are_none_of_an_ended_ones(by_call: Store, reader: Reader):
    """Yesterday's verdict stays as it was; until another run of the builds begins, silence may be drops, and they count."""
    commit(by_call, several(1))
    reported(by_call, START_S + 60, sequence=1, captured=1000, dropped=0)
    reported(by_call, START_S + 3000, sequence=2, captured=2000, dropped=20)
    (first,) = (run.epochs[0].id for run in reader.runs())
    facts = run_facts(reader, first, POLICY, START_S + 3600)
    assert (facts.capture_loss, facts.candidate_lost) == (20 / 2000, 20)
    began_s = START_S + 7200
    commit(by_call, several(1, began_s, run="later"), began_s)
    reported(by_call, began_s + 60, sequence=3, captured=3000, dropped=520)
    facts = run_facts(reader, first, POLICY, began_s + 600)
    assert (facts.capture_loss, facts.candidate_lost) == (20 / 2000, 20)
    (later,) = (run.epochs[0].id for run in reader.runs() if run.name == "later")
    facts = run_facts(reader, later, POLICY, began_s + 600)
    assert (facts.capture_loss, facts.candidate_lost) == (500 / 1000, 500)


@pytest.mark.parametrize("at_s", [START_S - 30, START_S + 3600])
def test_what_a_first_report_tells_may_have_happened_in_the_epoch(by_call: Store, reader: Reader, at_s: float):
    """Nobody can say when: so it counts, also where it came shortly before the first pair."""
    reported(by_call, at_s, sequence=1, captured=100, dropped=40)
    commit(by_call, several(1))
    assert facts_of(reader).candidate_lost == 40


def test_a_process_that_calls_itself_otherwise_each_time_fills_no_table(by_call: Store):
    for n in range(1, 4):
        changes = by_call.changes()
        report = schema_pb2.SourceReport(source_id="one", sequence=n, captured=10 * n)
        changes.source(report, Resource(EPOCH.service, f"made up {n}", "pod"))
        by_call.commit(changes, START_S)
    with by_call.engine.connect() as connection:
        rows = connection.execute(select(source_minutes)).all()
    assert [(row.version, row.captured) for row in rows] == [("made up 1", 30)]


def test_calls_that_another_worker_refused_stand_with_the_verdict(by_call: Store, reader: Reader):
    """Not those that were refused before the run was allowed: the first epoch began after them."""
    changes = by_call.changes()
    changes.unknown_run(EPOCH.run, 7)
    by_call.commit(changes, START_S - 10)
    commit(by_call, several(1))
    assert facts_of(reader).refused == 0
    changes = by_call.changes()
    changes.unknown_run(EPOCH.run, 2)
    changes.unknown_run("another")
    by_call.commit(changes, START_S + 300)
    assert facts_of(reader).refused == 9
    (spot,) = [one for one in decide(facts_of(reader), Policy()).blind_spots if "refused" in one]
    assert spot.startswith("9 calls of this run were refused")
    assert "the same `runs`" in spot
    account = reader.account(EPOCH.run)
    assert account.refused == 9


def test_without_a_secondary_it_is_pairs_that_count(by_call: Store, reader: Reader):
    commit(
        by_call,
        several(95, expect=[Role.CANDIDATE]) + several(5, named="x", candidate=["response.a"], expect=[Role.CANDIDATE]),
    )
    facts = facts_of(reader)
    assert (facts.has_secondary, facts.judged, facts.unexplained, facts.unit) == (False, 100, 5, "pairs")


def test_a_fail_is_kept_though_the_rate_sinks_again(by_call: Store, reader: Reader):
    alone = {"expect": [Role.CANDIDATE]}
    commit(by_call, several(50, named="x", candidate=["response.a"], **alone))
    by_call.look(POLICY, START_S)
    for i in range(4):
        commit(by_call, several(1000, named=str(i), **alone))
    lenient = replace(POLICY, budget=0.5)
    facts = facts_of(reader)
    assert [reason.code for reason in facts.failed] == ["over_budget"]
    assert decide(facts, lenient).verdict == "fail"
    assert decide(replace(facts, failed=()), lenient).verdict == "pass"


def test_an_unknown_epoch_is_an_error(by_call: Store):
    with pytest.raises(StoreError, match="no epoch 77"):
        run_facts(by_call.reader(), 77, POLICY, START_S)


sides = st.sets(st.sampled_from(["response.a", "response.b", "response.c"]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.lists(st.tuples(sides, sides), min_size=1, max_size=40))
def test_whatever_was_committed_a_verdict_comes_of_it(tmp_path_factory, told):
    """X never exceeds n, no count its triples; x is what the judged pairs, gone through again, say."""
    path = tmp_path_factory.mktemp("store") / "mirror.db"
    with Store.open(f"sqlite:///{path}", judge=JudgeOptions(vote_by="call"), limits=Limits(hypotheses_max=3)) as store:
        commit(store, [judged(str(i), candidate=raw, secondary=quiet) for i, (raw, quiet) in enumerate(told)])
        reader = store.reader()
        facts = facts_of(reader)
        report = decide(facts, POLICY)
    assert report.n == len(told)
    explained = {
        h.hypothesis.pattern
        for h in facts.methods[0].hypotheses
        if h.judgement.explained and h.hypothesis.pattern.startswith("response")
    }
    assert report.x == sum(1 for raw, quiet in told if (raw - quiet) - explained)


def test_a_control_that_fails_makes_no_path_regressed_and_no_run_pass(store: Store, reader: Reader):
    """The answer holds a clock, which differs in every call; the secondary's process is dead."""
    alone = {"came": [Role.PRIMARY, Role.CANDIDATE], "release": Release.DEADLINE}
    for i in range(40):
        commit(store, several(60, START_S + 60 * i, candidate=["response.at"], **alone), START_S + 60 * i)
    now_s = START_S + 3000
    commit(store, [], now_s)
    facts = facts_of(reader, now_s)
    (at,) = [h for h in facts.methods[0].hypotheses if h.hypothesis.pattern == "response.at"]
    report = decide(facts, Policy())
    assert at.judgement.state is State.UNSEEN  # not clean: it did differ
    assert (report.verdict, report.x) == ("inconclusive", report.n)
    assert "status_noise" in {reason.code for reason in report.missing}


def test_a_dead_candidate_breaks_the_run_though_its_groups_fill_the_memory(store: Store, reader: Reader):
    """Evicted groups are no triples, but a shadow that is missing after seconds is not missing for a queue."""
    gone = {"came": [Role.PRIMARY, Role.SECONDARY], "release": Release.EVICTED}
    for i in range(3):
        at_s = START_S + 60 * i
        commit(store, several(60, at_s, compared_after_s=6, **gone), at_s)
    facts = facts_of(reader)
    assert decide(facts, POLICY).verdict == "fail"
    assert [(m.triples, m.raw_only, m.noise_only) for m in facts.methods[0].minutes] == [(60, 60, 0)] * 3


def test_groups_evicted_at_once_accuse_nobody(store: Store, reader: Reader):
    for i in range(3):
        at_s = START_S + 60 * i
        commit(store, several(60, at_s, came=[Role.PRIMARY, Role.SECONDARY], release=Release.EVICTED), at_s)
    assert decide(facts_of(reader), POLICY).verdict == "inconclusive"


def test_a_candidate_that_hangs_hides_nothing_where_memory_is_full(store: Store, reader: Reader):
    """Few enough for the run to be complete, and more than the budget: nobody knows what it would have answered."""
    hanging = {"came": [Role.PRIMARY, Role.SECONDARY], "release": Release.EVICTED, "compared_after_s": 6.0}
    commit(store, several(5000) + several(40, named="hangs", **hanging))
    found = decide(facts_of(reader), replace(POLICY, budget=0.002))
    assert (found.verdict, [one.code for one in found.missing]) == ("inconclusive", ["over_budget"])
    assert (
        "and 40 more, which the candidate alone made incomparable or kept waiting until memory was full"
        in found.missing[0].text
    )
    as_often = hanging | {"came": [Role.PRIMARY, Role.CANDIDATE]}
    commit(store, several(40, named="both", **as_often))
    assert decide(facts_of(reader), replace(POLICY, budget=0.002)).verdict == "pass"


def test_which_side_was_incomparable_is_counted(store: Store, reader: Reader):
    commit(
        store, [*several(3, incomparable="too_large"), judged("1", incomparable="too_large", expect=[Role.CANDIDATE])]
    )
    (method,) = facts_of(reader).methods
    assert method.counts.reasons["only_candidate.too_large"] == 3
    assert method.counts.reasons["incomparable.too_large"] == 4
    assert (method.hidden_of(has_secondary=True), method.unreadable) == (3, 4)


def test_a_call_that_one_shadow_alone_has_not_captured_whole_is_counted_where_both_have_answered(
    store: Store, reader: Reader
):
    """Else it may be the primary that has not: then there is nothing one-sided, and no limit to set."""
    unlooked = {"incomparable": "not_sampled", "release": Release.DEADLINE}
    commit(
        store, [*several(3, **unlooked), *several(5, named="alone", came=[Role.PRIMARY, Role.CANDIDATE], **unlooked)]
    )
    (method,) = facts_of(reader).methods
    assert method.counts.reasons["incomparable.not_sampled"] == 8
    assert method.counts.reasons["only_candidate.not_sampled"] == 3
