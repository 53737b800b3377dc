"""What a batch says beside pairs: totals, processes' reports, schemas, rules, and names nobody allowed."""

from __future__ import annotations

from grpc_mirror.v1 import schema_pb2

from mirror.core.model import Resource
from mirror.core.path import PathPattern
from mirror.core.rules import Ignore, RuleSet, Scope
from mirror.store import Limits, Reader, Store
from mirror.store.limits import BATCH_NAMES_MAX
from mirror.store.views import RuleStatus
from tests.store.building import START_S, commit, judged

POD = Resource("shop", "2.0", "pod-7")


def report(sequence: int, captured: int, source_id: str = "s1", **dropped: int) -> schema_pb2.SourceReport:
    return schema_pb2.SourceReport(
        source_id=source_id,
        sequence=sequence,
        captured=captured,
        dropped=dropped,
        conditions={"role_conflict": captured // 10},
    )


def hand_in(store: Store, *reports: schema_pb2.SourceReport, at_s: float = START_S) -> None:
    changes = store.changes()
    for one in reports:
        changes.source(one, POD)
    store.commit(changes, at_s)


def test_totals_add_up_by_name_and_run(store: Store, reader: Reader):
    for run in ("a", "a", "b"):
        changes = store.changes()
        changes.count("evicted", 2, run=run)
        store.commit(changes, START_S)
    assert reader.counters() == {"evicted": 6}
    assert reader.counters("a") == {"evicted": 4}


def test_the_increase_of_a_cumulative_report_counts_however_many_were_lost(store: Store, reader: Reader):
    hand_in(store, report(1, 10, queue_full=1))
    hand_in(store, report(5, 100, queue_full=4), report(4, 90, queue_full=3), at_s=START_S + 60)
    assert reader.counters() == {
        "source_captured": 100,
        "source_condition.role_conflict": 10,
        "source_dropped.queue_full": 4,
    }
    (source,) = reader.sources()
    assert (source.service, source.version, source.instance) == ("shop", "2.0", "pod-7")
    assert (source.captured, source.dropped, source.first_s, source.last_s) == (
        100,
        {"queue_full": 4},
        START_S,
        START_S + 60,
    )


def test_a_report_that_comes_late_or_again_changes_nothing(store: Store, reader: Reader):
    hand_in(store, report(3, 30))
    hand_in(store, report(3, 30))
    hand_in(store, report(2, 20))
    assert reader.counters()["source_captured"] == 30


def test_figures_of_strangers_are_bounded(url: str):
    with Store.open(url, limits=Limits(sources_max=1, names_max=2)) as store:
        hand_in(store, report(1, 2**64 - 1, a=2**64 - 1, b=1, c=1), report(1, 5, source_id="s2"))
        (source,) = store.reader().sources()
        assert source.dropped == {"a": 2**40, "b": 1}
        assert store.reader().counters()["sources_over_limit"] == 1


def test_schemas_are_kept_once_and_found_again(store: Store, reader: Reader):
    for _ in range(2):
        changes = store.changes()
        changes.schema("f1", b"one")
        changes.schema("f2", b"two")
        store.commit(changes, START_S)
    assert store.schema("f1") == reader.schema("f1") == b"one"
    assert store.schema("f3") is None
    assert dict(store.schemas()) == {"f1": b"one", "f2": b"two"}


def test_schemas_beyond_the_cap_are_counted(url: str):
    with Store.open(url, limits=Limits(schemas_max=1)) as store:
        changes = store.changes()
        changes.schema("f1", b"one")
        changes.schema("f2", b"two")
        store.commit(changes, START_S)
        assert dict(store.schemas()) == {"f1": b"one"}
        assert store.reader().counters() == {"schemas_over_limit": 1}


def test_unknown_runs_and_schema_problems_are_named_up_to_a_cap(url: str):
    with Store.open(url, limits=Limits(names_max=2)) as store:
        changes = store.changes()
        for name in ("a", "b", "c", "d", "a"):
            changes.unknown_run(name)
        changes.schema_problem("its fingerprint is wrong")
        store.commit(changes, START_S)
        reader = store.reader()
        assert {one.name: one.n for one in reader.unknown_runs()} == {"a": 2, "b": 1, "(other)": 2}
        (problem,) = reader.schema_problems()
        assert (problem.name, problem.n, problem.last_s) == ("its fingerprint is wrong", 1, START_S)


def test_rules_say_how_often_they_applied_and_whether_their_paths_exist(store: Store, reader: Reader):
    changes = store.changes()
    changes.rules([RuleStatus("r1", "", "", "pending"), RuleStatus("r2", "", "", "pending")])
    store.commit(changes, START_S)
    commit(store, [judged("1", ignored=["response.at", "response.id"]), judged("2", ignored=["response.at"])])
    changes = store.changes()
    changes.rules([RuleStatus("r1", "rewrite", "a.B/C", "unknown", "did you mean response.at?")])
    store.commit(changes, START_S)
    (rule,) = reader.rules()
    assert (rule.id, rule.hits, rule.last_hit_s) == ("r1", 3, START_S)
    assert rule.statuses == (RuleStatus("r1", "rewrite", "a.B/C", "unknown", "did you mean response.at?"),)


def test_rules_are_counted_by_the_comparisons_in_their_scope(store: Store, reader: Reader):
    """As long as they mean the same: one that was changed starts anew. What was not compared does not count."""
    hit, unasked = ignore("r1", "response.at"), ignore("r2", "response.at", methods=("x.Y/*",))
    mute, changed = ignore("r3", "response.never"), ignore("r3", "response.other")

    def add(mute: Ignore) -> None:
        changes = store.changes()
        changes.add(judged("1", ignored=["response.at", "response.id"]))
        changes.use(RuleSet((hit, unasked, mute)))
        changes.add(judged("2", candidate=["response.b"]))
        changes.add(judged("3", incomparable="schema"))
        changes.use(RuleSet((hit, unasked, mute)))
        store.commit(changes, START_S)

    add(mute)
    add(mute)
    assert {rule.id: rule.uses for rule in reader.rules()} == {"r1": {hit.digest: (4, 4)}, "r3": {mute.digest: (4, 0)}}
    add(changed)
    assert {rule.id: rule.uses for rule in reader.rules()} == {
        "r1": {hit.digest: (6, 6)},
        "r3": {changed.digest: (2, 0)},
    }


def ignore(name: str, path: str, **where: tuple[str, ...]) -> Ignore:
    return Ignore(scope=Scope(PathPattern.parse(path), **where), id=name)


def test_reports_without_measure_neither_fail_the_commit_nor_overflow(store: Store, reader: Reader):
    commit_both = store.changes()
    for number in range(5):
        commit_both.source(report(1, 2**64 - 1, f"s{number}"), POD)
    commit_both.add(judged("1"))
    store.commit(commit_both, START_S)
    hand_in(store, report(2, 0, "s0"))
    hand_in(store, report(3, 2**64 - 1, "s0"))
    assert reader.counters()["source_captured"] == 5 * 2**40
    assert reader.epochs("rewrite")[0].counts.pairs == 1


def test_names_without_number_stay_within_what_one_commit_can_take(store: Store, reader: Reader):
    changes = store.changes()
    for number in range(5000):
        changes.unknown_run(f"run {number}")
        changes.schema_problem(f"problem {number}")
        changes.source(report(1, 1, f"s{number}"), POD)
    assert max(map(len, (changes.unknown_runs, changes.schema_problems, changes.sources))) <= BATCH_NAMES_MAX + 1
    store.commit(changes, START_S)
    assert sum(one.n for one in reader.unknown_runs()) == 5000
    assert reader.counters()["sources_over_limit"] == 5000 - BATCH_NAMES_MAX


def test_reasons_of_all_sources_together_are_capped(url: str):
    with Store.open(url, limits=Limits(totals_max=4)) as store:
        for number in range(10):
            hand_in(store, report(1, 0, f"s{number}", **{f"reason_{number}": 1}))
        counters = store.reader().counters()
        assert len(counters) <= 6
        assert sum(n for name, n in counters.items() if name.startswith("source_dropped")) == 10
