"""What candidates' schemas changed: kept once for each pair of schemas, read back by method."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import select

import mirror.store
from mirror.core.schema_changes import CHANGES_MAX, ChangeKind, SchemaChange, SchemaChanges, SchemaPair
from mirror.store import JudgeOptions, Limits, Reader, Store
from mirror.store.engine import open_engine
from mirror.store.tables import source_minutes
from tests.store.building import EPOCH, METHOD, START_S, commit, judged

LIST = "shop.v1.Shop/ListOrders"


def change(name: str = "a", *, comparable: bool = True) -> SchemaChange:
    return SchemaChange(ChangeKind.RETYPED, f"response.{name}", f"t.M.{name}", "int32", "int64", comparable)


def hand_in(store: Store, *told: tuple[str, str, SchemaChanges], at_s: float = START_S) -> None:
    """`told`: method, the candidate's fingerprint, what changed."""
    changes = store.changes()
    for method, candidate, found in told:
        changes.add(judged(f"{candidate}-{at_s}", method=method))
        changes.schema_change(SchemaPair(EPOCH, method, "p", candidate), found)
    store.commit(changes, at_s)


def test_changes_come_back_by_method(store: Store, reader: Reader):
    cut = SchemaChanges((change("b"),), count=900, complete=False)
    hand_in(store, (METHOD, "c", SchemaChanges((change(),), 1)), (LIST, "c", cut))
    (epoch,) = reader.epochs(EPOCH.run)
    first, second = reader.schema_changes(epoch.id)
    assert (first.method, first.changes, first.count, first.complete, first.first_s) == (
        METHOD,
        (change(),),
        1,
        True,
        START_S,
    )
    assert (second.method, second.count, second.complete) == (LIST, 900, False)
    assert reader.schema_changes(epoch.id, LIST) == [second]
    assert reader.schema_changes(epoch.id + 1) == []


def test_what_is_known_stays(store: Store, reader: Reader):
    for at_s in (START_S, START_S + 60):
        hand_in(store, (METHOD, "c", SchemaChanges((change(),), 1)), at_s=at_s)
    (epoch,) = reader.epochs(EPOCH.run)
    (found,) = reader.schema_changes(epoch.id)
    assert found.first_s == START_S


def test_several_pairs_of_schemas_are_put_together(store: Store, reader: Reader):
    """Each change once, those that keep values from being compared first, at most so many."""
    one = SchemaChanges((change("b"), change("c")), 2)
    other = SchemaChanges((change("a", comparable=False), change("b")), 2)
    many = SchemaChanges(tuple(change(f"x{n:03}") for n in range(CHANGES_MAX)), CHANGES_MAX)
    hand_in(store, (METHOD, "c1", one), (METHOD, "c2", other), (LIST, "c1", one), (LIST, "c2", many))
    (epoch,) = reader.epochs(EPOCH.run)
    first, second = reader.schema_changes(epoch.id)
    assert [c.name for c in first.changes] == ["t.M.a", "t.M.b", "t.M.c"]
    assert first.count == 3
    assert (len(second.changes), second.count) == (CHANGES_MAX, CHANGES_MAX + 2)


def test_pairs_of_schemas_beyond_the_limit_are_counted(url: str):
    with Store.open(url, limits=Limits(schema_pairs_max=2)) as store:
        for n in range(4):
            hand_in(store, (METHOD, f"c{n}", SchemaChanges((change(),), 1)))
        assert store.reader().counters()["schema_changes_over_limit"] == 2


def test_changes_without_a_group_of_their_method_do_not_stop_a_commit(store: Store, reader: Reader):
    changes = store.changes()
    changes.add(judged("m1"))
    changes.schema_change(SchemaPair(EPOCH, LIST, "p", "c"), SchemaChanges((change(),), 1))
    store.commit(changes, START_S)
    (epoch,) = reader.epochs(EPOCH.run)
    assert reader.schema_changes(epoch.id) == []
    assert epoch.counts.pairs == 1


def test_a_schema_change_changes_no_count(store: Store, reader: Reader):
    commit(store, [judged("m1")])
    before = reader.epochs(EPOCH.run)[0]
    hand_in(store, (METHOD, "c", SchemaChanges((change(),), 1)))
    (after,) = reader.epochs(EPOCH.run)
    assert (after.counts.matched, after.counts.mismatched) == (before.counts.matched + 1, 0)
    assert reader.hypotheses(after.id) == []


def test_a_store_of_before_is_brought_forward(url: str):
    """Tables of revision 0001 with rows in them: nothing is lost, and the new one works."""
    engine = open_engine(url, write=True)
    config = Config()
    config.set_main_option("script_location", str(Path(mirror.store.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql("INSERT INTO unknown_runs (name, n, first_s, last_s) VALUES ('r', 3, 1, 2)")
        connection.exec_driver_sql(
            "INSERT INTO sources (source_id, service, version, instance, sequence, captured, dropped, conditions, first_s, last_s) "
            """VALUES ('s', 'shop', '2', 'pod', 4, 90, '{"queue_full": 5, "too_large": 1}', '{}', 100, 125)"""
        )
    engine.dispose()
    with Store.open(url, judge=JudgeOptions(deadline_s=10)) as store:
        assert [one.n for one in store.reader().unknown_runs()] == [3]
        with store.engine.connect() as connection:
            assert connection.execute(select(source_minutes)).all() == [("shop", "2", 2, 90, 6)]
        hand_in(store, (METHOD, "c", SchemaChanges((change(),), 1)))
        (epoch,) = store.reader().epochs(EPOCH.run)
        assert len(store.reader().schema_changes(epoch.id)) == 1
