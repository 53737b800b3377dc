"""What a check finds in a store that was tampered with, and that it finds nothing in a sound one and writes nothing."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from mirror.store import Limits, Store, StoreError
from mirror.store.checking import Checked, check_store
from tests.store.building import START_S, commit, ignore, judged, several, under


@pytest.fixture
def filled(url: str) -> str:
    with Store.open(url) as store:
        commit(store, several(30, candidate=["response.a"], secondary=["response.b"]), keep=True)
        commit(store, [judged("i", incomparable="schema"), judged("u", blocked=["response.c"])], keep=True)
        commit(store, [judged("m", came=[], expect=[])], START_S + 600)
        under(store, ignore("response.a"), takes_over=True)
        under(store, ignore("response.a"), groups=several(5, START_S + 700, named="r", candidate=["response.d"]))
    return url


def checked(url: str, **options) -> Checked:
    return check_store(url, options.pop("limits", Limits()), now_s=options.pop("now_s", START_S), **options)


def change(url: str, *statements: str) -> None:
    with Store.open(url) as store, store.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_sound_store_has_no_findings(filled: str):
    found = checked(filled)
    assert (found.findings, found.ok, found.revision) == ((), True, found.newest)
    assert found.rows["comparisons"] == found.sizes.kept_count > 0
    assert found.sizes.database > found.sizes.kept > 0
    assert checked(filled, quick=True).findings == ()


@pytest.mark.parametrize(
    ("statement", "code", "told"),
    [
        ("UPDATE method_minutes SET matched = matched + 1", "sums", "pairs are not matched + mismatched"),
        ("UPDATE method_minutes SET triples = pairs + 1", "sums", "more triples than pairs"),
        ("UPDATE method_minutes SET primary_errors = -1", "sums", "a count is below 0"),
        ("UPDATE methods SET triples = triples + 1", "sums", "triples, its minutes together"),
        ("UPDATE hypotheses SET c = c + 1 WHERE kind <> 'any'", "sums", "other counts than their minutes together"),
        ("UPDATE hypotheses SET b = 1000", "sums", "count more triples than there were"),
        ("DELETE FROM comparison_blobs", "orphans", "kept comparisons are without their blob"),
        ("UPDATE comparisons SET size = size + 1", "orphans", "have another size than is noted"),
        ("DROP TABLE rule_hits", "layout", "the table rule_hits is missing"),
        ("ALTER TABLE totals DROP COLUMN n", "layout", "the table totals lacks the columns n"),
        ("DROP INDEX ix_rule_changes_epoch_id", "layout", "lacks the indexes ix_rule_changes_epoch_id"),
        ("UPDATE alembic_version SET version_num = '0003'", "older", "of revision 0003, the newest is"),
        ("UPDATE alembic_version SET version_num = '9999'", "newer", "of revision 9999; this version knows"),
        ("DROP TABLE alembic_version", "no_tables", "no tables of mirror"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(filled: str, statement: str, code: str, told: str):
    change(filled, statement)
    found = checked(filled)
    assert not found.ok
    assert [one for one in found.findings if one.code == code and told in one.text and one.advice]


def test_rows_without_parent_are_counted(filled: str):
    if filled.startswith("sqlite"):
        connection = sqlite3.connect(filled.removeprefix("sqlite:///"))  # heeds no foreign keys unless told to
        with connection:
            connection.execute("DELETE FROM epochs WHERE service = 'shop'")
        connection.close()
    else:
        change(filled, "SET session_replication_role = replica", "DELETE FROM epochs WHERE service = 'shop'")
    assert "1 rows of methods belong to no row of epochs" in [one.text for one in checked(filled).findings]


def test_beyond_the_limits_is_a_note(filled: str):
    found = checked(filled, limits=Limits(kept_max_bytes=10, comparison_max_bytes=5), now_s=START_S + 30 * 86400)
    assert {(one.code, one.serious) for one in found.findings} == {("over_limit", False)}
    assert len(found.findings) == 3
    assert found.ok


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if not p.name.endswith("-shm")}


def test_no_byte_of_a_store_is_touched_even_after_a_crash(tmp_path: Path):
    """What a killed collector left in the log is read and stays there."""
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with Store.open(f"sqlite:///{tmp_path}/mirror.db") as store:
        commit(store, several(3, candidate=["response.a"]), keep=True)
        for name in ("mirror.db", "mirror.db-wal"):
            shutil.copy(tmp_path / name, crashed / name)
    before = _digests(crashed)
    found = checked(f"sqlite:///{crashed}/mirror.db")
    assert (found.findings, found.rows["comparisons"]) == ((), 3)
    assert found.sizes.log > 0
    assert _digests(crashed) == before


def test_a_damaged_file_is_a_finding(tmp_path: Path):
    path = tmp_path / "mirror.db"
    with Store.open(f"sqlite:///{path}") as store:
        commit(store, several(20, candidate=["response.a"]), keep=True)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    found = checked(f"sqlite:///{path}")
    assert {one.code for one in found.findings} <= {"damaged", "unreadable"}
    assert not found.ok
    path.write_bytes(b"run: checkout\n" * 500)
    assert [one.code for one in checked(f"sqlite:///{path}").findings] == ["unreadable"]


def test_a_missing_file_is_no_store(tmp_path: Path):
    with pytest.raises(StoreError, match="no such file"):
        checked(f"sqlite:///{tmp_path}/mirror.db")
    assert list(tmp_path.iterdir()) == []
