"""Kept comparisons: a few per method, path pattern and minute; found by filters, paged, and let go by age and bytes."""

from __future__ import annotations

from mirror.core.model import Kind, Role, Verdict
from mirror.store import Limits, Reader, Store
from tests.store.building import EPOCH, METHOD, START_S, Changes, commit, comparison, judged, several


def kept(reader: Reader, **filters) -> list[str]:
    (run,) = reader.runs()
    return [one.mirror_id for one in reader.comparisons(run.epochs[0].id, **filters)]


def test_matched_pairs_keep_nothing(store: Store, reader: Reader):
    changes = store.changes()
    one = judged("1", secondary=["response.a"])
    assert not changes.wants(one)
    changes.add(one, comparison(one))
    store.commit(changes, START_S)
    assert kept(reader) == []


def test_a_kept_comparison_comes_back_whole(store: Store, reader: Reader):
    one = judged("7", candidate=["response.items[3].price"], ignored=["response.at"])
    commit(store, [one], keep=True)
    (run,) = reader.runs()
    (view,) = reader.comparisons(run.epochs[0].id)
    assert (view.id, view.method, view.mirror_id, view.trace_id) == ("id-7", METHOD, "7", (b"t" * 16).hex())
    assert (view.verdict, view.hypotheses) == (Verdict.MISMATCHED, (("response.items[*].price", Kind.VALUE),))
    assert view.ignored == (("response.at", Kind.VALUE),)
    assert reader.comparison("id-7").SerializeToString() == comparison(one)
    assert reader.comparison("never") is None


def test_only_so_many_are_kept_per_pattern_and_minute(url: str):
    with Store.open(url, limits=Limits(keep_per_minute=2)) as store:
        commit(store, several(5, candidate=["response.a"]), keep=True)
        commit(store, several(5, named="again", candidate=["response.a"]), keep=True)
        commit(store, several(5, named="b", candidate=["response.a", "response.b"]), keep=True)
        commit(store, several(5, START_S + 60, candidate=["response.a"]), keep=True)
        reader = store.reader()
        assert len(kept(reader, pattern="response.a")) == 6
        assert len(kept(reader, pattern="response.b")) == 2
        (examples,) = (h.examples for h in reader.hypotheses(1) if h.hypothesis.pattern == "response.b")
        assert examples == 2


def test_differences_under_a_rule_take_no_room_from_those_beyond_it(url: str):
    with Store.open(url, limits=Limits(keep_per_minute=2)) as store:
        commit(store, several(5, candidate=["response.b"], ignored=["response.a"]), keep=True)
        commit(store, several(5, named="beyond", candidate=["response.a"]), keep=True)
        reader = store.reader()
        (examples,) = (h.examples for h in reader.hypotheses(1) if h.hypothesis.pattern == "response.a")
        assert examples == 2


def test_wants_says_when_serialising_one_is_worth_it():
    changes = Changes()
    limit = changes.keeper.limits.keep_per_minute
    for one in several(limit, candidate=["response.a"]):
        assert changes.wants(one)
        changes.add(one, comparison(one))
    assert not changes.wants(judged("one more", candidate=["response.a"]))
    assert changes.wants(judged("other path", candidate=["response.b"]))
    assert changes.wants(judged("why", incomparable="schema"))


def test_the_same_pair_is_kept_once(store: Store, reader: Reader):
    one = judged("1", candidate=["response.a"])
    commit(store, [one, one], keep=True)
    commit(store, [one], keep=True)
    assert kept(reader) == ["1"]


def test_lists_filter_and_page_without_losing_ties(store: Store, reader: Reader):
    groups = [judged(str(i), candidate=["response.a" if i % 2 else "response.b"]) for i in range(9)]
    commit(store, [*groups, judged("gone", came=[Role.PRIMARY, Role.SECONDARY])], keep=True)
    assert kept(reader, verdict="incomplete") == ["gone"]
    assert kept(reader, pattern="response.a", kind=Kind.VALUE) == ["7", "5", "3", "1"]
    assert kept(reader, method="no/Such") == []
    epoch = reader.epochs(EPOCH.run)[0].id
    seen: list[str] = []
    before = None
    while page := reader.comparisons(epoch, limit=3, before=before):
        seen += [one.mirror_id for one in page]
        before = page[-1].compared_at_s
    assert seen == ["gone", *(str(i) for i in range(8, -1, -1))]


def test_one_that_is_too_large_is_kept_without_its_captures(url: str):
    with Store.open(url, limits=Limits(comparison_max_bytes=1000)) as store:
        one = judged("1", candidate=["response.a"])
        changes = store.changes()
        changes.add(one, comparison(one, size=2000, outbound=2000))
        store.commit(changes, START_S)
        found = store.reader().comparison("id-1")
        assert (found.primary_capture, found.sides[0].differences[0].path) == (b"", "response.x")
        assert (list(found.primary_outbound), list(found.sides[0].outbound)) == ([], [])
        assert store.reader().counters()["comparisons_without_captures"] == 1


def test_a_batch_holds_only_so_many_bytes(url: str):
    with Store.open(url, limits=Limits(batch_max_bytes=3000)) as store:
        changes = store.changes()
        for one in several(9, candidate=["response.a"]):
            changes.add(one, comparison(one, size=1000))
        assert len(changes.kept) == 3
        assert not changes.wants(judged("x", candidate=["response.b"]))


def test_pruned_by_age_and_then_by_bytes_the_oldest_first(store: Store, reader: Reader):
    for i in range(6):
        one = judged(str(i), START_S + i, candidate=["response.a"])
        changes = store.changes()
        changes.add(one, comparison(one, size=1000))
        store.commit(changes, START_S + i)
    assert store.prune(START_S + 6, 4.5, 1 << 30) == 1  # compared at START_S + i + 1
    assert kept(reader) == ["5", "4", "3", "2", "1"]
    assert store.prune(START_S + 6, 3600, 2500) == 3
    assert kept(reader) == ["5", "4"]
    assert reader.counters("") == {"comparisons_pruned_for_age": 1, "comparisons_pruned_for_bytes": 3}
    assert reader.comparison("id-0") is None
    assert kept(reader, pattern="response.a") == ["5", "4"]


def test_commits_prune_by_themselves_once_a_minute(url: str):
    with Store.open(url, limits=Limits(kept_max_age_s=100)) as store:
        commit(store, [judged("1", candidate=["response.a"])], keep=True)
        commit(store, [], START_S + 300)
        assert kept(store.reader()) == []
