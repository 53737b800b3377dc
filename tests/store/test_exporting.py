"""Reading a store through: each row once, over any number of pages, narrowed by run, method, path and time."""

from __future__ import annotations

import pytest

from mirror.store import Reader, Store
from mirror.store.exporting import Filters, counts_rows, kept_ids
from mirror.store.pruning import prune_kept
from tests.store.building import EPOCH, METHOD, MINUTE, START_S, commit, judged

OTHER_METHOD = "shop.v1.Shop/Pay"


@pytest.fixture
def filled(store: Store, monkeypatch) -> Reader:
    monkeypatch.setattr("mirror.store.exporting.PAGE_ROWS", 2)
    for i in range(5):
        commit(store, [judged(f"a{i}", START_S + 60 * i, candidate=["response.a"])], keep=True)
    commit(store, [judged("b", candidate=["response.b"], method=OTHER_METHOD)], keep=True)
    commit(store, [judged("o", incomparable="schema", run="other")], keep=True)
    return store.reader()


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (Filters(), ["id-a0", "id-a1", "id-a2", "id-a3", "id-a4", "id-b", "id-o"]),
        (Filters(run="other"), ["id-o"]),
        (Filters(method=OTHER_METHOD), ["id-b"]),
        (Filters(pattern="response.a", since_s=START_S + 180), ["id-a3", "id-a4"]),
        (Filters(run="other", pattern="response.a"), []),
    ],
)
def test_kept_comparisons(filled: Reader, filters: Filters, ids: list[str]):
    assert [one for _, one in kept_ids(filled, filters)] == ids


def test_counts_by_minute(filled: Reader):
    rows = list(counts_rows(filled, Filters()))
    assert len(rows) == 7
    assert [row.minute for row in rows[:5]] == [MINUTE + i for i in range(5)]
    assert (rows[0].epoch, rows[0].method, rows[0].reasons) == (EPOCH, METHOD, {})
    assert (rows[0].counts["pairs"], rows[0].counts["mismatched"], rows[0].counts["triples"]) == (1, 1, 1)
    (other,) = counts_rows(filled, Filters(run="other"))
    assert other.reasons["incomparable.schema"] == 1
    assert [row.minute - MINUTE for row in counts_rows(filled, Filters(method=METHOD, since_s=START_S + 200))] == [3, 4]


def test_what_is_pruned_meanwhile_is_left_out(filled: Reader, store: Store):
    found = kept_ids(filled, Filters())
    first = [next(found), next(found)]  # a page
    prune_kept(store.engine, before_s=START_S + 200, max_bytes=None)
    assert [one for _, one in (*first, *found)] == ["id-a0", "id-a1", "id-a4"]
