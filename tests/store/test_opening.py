"""What can be wrong with a store, and what the user is told; tables that are what the migrations make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

import mirror.store
from mirror.store import Reader, Store, StoreError
from mirror.store import engine as engine_module
from mirror.store.columns import metadata
from mirror.store.engine import explained, open_engine
from mirror.store.migrating import HEAD, migrate
from mirror.store.turns import take_turn
from tests.store.building import commit, judged


def test_migrations_make_the_tables(url: str):
    """A table changed without a migration fails here."""
    with Store.open(url) as store, store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_head_is_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(Path(mirror.store.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_opening_again_changes_nothing(url: str):
    Store.open(url).close()
    with Store.open(url) as store:
        assert store.reader().runs() == []


def test_a_newer_store_is_refused_by_writer_and_reader(url: str):
    with Store.open(url) as store, store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for open_it in (Store.open, Reader.open):
        with pytest.raises(StoreError, match=r"written by a newer mirror \(revision 9999"):
            open_it(url)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_upgrading_says_what_it_was_and_waits_only_so_long(url: str):
    engine, other = open_engine(url, write=True), open_engine(url, write=True)
    try:
        assert (migrate(engine, wait_s=1), migrate(engine, wait_s=1)) == (None, HEAD)
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
        with other.begin() as connection:
            connection.execute(text("SELECT count(*) FROM methods"))
            with pytest.raises(StoreError, match="another session holds its tables: stop the collectors"):
                migrate(engine, wait_s=1)
    finally:
        engine.dispose()
        other.dispose()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_table_that_another_session_holds_is_told_and_not_waited_for_without_end(url: str, monkeypatch):
    """A commit that waits for ever would be told by nothing: not by readiness, not in the log."""
    monkeypatch.setattr(engine_module, "LOCK_TIMEOUT_S", 1)
    with Store.open(url) as store, Store.open(url) as other:
        with other.engine.begin() as connection:
            connection.execute(text("LOCK TABLE epochs, meta IN ACCESS EXCLUSIVE MODE"))
            with pytest.raises(StoreError, match="another session holds its tables"):
                store.reader().runs()
            with pytest.raises(StoreError, match="another session holds its tables"):
                Store.open(url)
        assert store.reader().runs() == []


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_writer_that_is_frozen_in_a_commit_does_not_keep_the_others_from_theirs(url: str, monkeypatch):
    """Its process is alive to the server, which would keep its turn for it until it goes on."""
    monkeypatch.setattr(engine_module, "IDLE_IN_COMMIT_S", 1)
    with Store.open(url) as frozen, Store.open(url) as store:
        connection = frozen.engine.connect()
        connection.begin()
        take_turn(connection)
        store.commit(store.changes(), 60.0)
        with pytest.raises(StoreError), explained(frozen.engine, "in a commit"):
            connection.execute(text("SELECT 1"))
        connection.rollback()
        connection.close()
        frozen.commit(frozen.changes(), 120.0)  # with a new connection


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_what_the_url_says_of_waiting_wins(url: str):
    engine = open_engine(f"{url}?options=-c%20lock_timeout%3D77s&connect_timeout=5", write=True)
    with engine.begin() as connection:
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "77s"
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "30s"
    engine.dispose()


def test_a_directory_is_no_store(tmp_path: Path):
    with pytest.raises(StoreError, match="is a directory; name a file in it"):
        Store.open(f"sqlite:///{tmp_path}")


def test_a_missing_directory_is_named(tmp_path: Path):
    with pytest.raises(StoreError, match=r"/nowhere does not exist; create it"):
        Store.open(f"sqlite:///{tmp_path}/nowhere/mirror.db")


def test_a_file_that_is_no_database(tmp_path: Path):
    path = tmp_path / "mirror.db"
    path.write_bytes(b"run: checkout\n" * 500)
    for open_it in (Store.open, Reader.open):
        with pytest.raises(
            StoreError, match=r"mirror\.db: cannot be .*not a database; the file is damaged or no store"
        ):
            open_it(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"run:")


def test_a_truncated_database_is_an_error_and_no_traceback_of_sqlite(tmp_path: Path):
    path = tmp_path / "mirror.db"
    Store.open(f"sqlite:///{path}").close()
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StoreError, match="damaged"):
        Store.open(f"sqlite:///{path}")


def test_tables_of_somebody_else_are_left_alone(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/other.db"
    with create_engine(url).begin() as connection:
        connection.execute(text("CREATE TABLE epochs (era TEXT)"))
    with pytest.raises(StoreError, match="not mirror's"):
        Store.open(url)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written(tmp_path: Path):
    path = tmp_path / "mirror.db"
    Store.open(f"sqlite:///{path}").close()
    path.chmod(0o400)
    with pytest.raises(StoreError, match="must be writable"):
        Store.open(f"sqlite:///{path}")


def test_a_reader_never_creates_a_store(tmp_path: Path):
    with pytest.raises(StoreError, match=r"no such file; has the collector run, and with this store\.url\?"):
        Reader.open(f"sqlite:///{tmp_path}/mirror.db")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_of_an_empty_database_says_what_to_do(tmp_path: Path):
    (tmp_path / "mirror.db").touch()
    with pytest.raises(StoreError, match="start the collector once"):
        Reader.open(f"sqlite:///{tmp_path}/mirror.db")


def test_a_reader_on_a_plain_engine_checks_too(tmp_path: Path):
    (tmp_path / "mirror.db").touch()
    reader = Reader(open_engine(f"sqlite:///{tmp_path}/mirror.db", write=False))
    with pytest.raises(StoreError, match="start the collector once"):
        reader.runs()
    reader.close()


def test_a_reader_cannot_write(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/mirror.db"
    Store.open(url).close()
    reader = Reader.open(url)
    with pytest.raises(StoreError, match="readonly"), reader.connect() as connection:
        connection.execute(text("DELETE FROM meta"))
    reader.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mirror.db", "is no database URL"),
        ("mysql://host/db", "not supported|no database URL"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
    ],
)
def test_urls_that_are_no_store(url: str, said: str):
    with pytest.raises(StoreError, match=said):
        Store.open(url)


def test_an_unreachable_server_is_named_without_its_password():
    with pytest.raises(StoreError, match=r"postgresql.*cannot be opened") as raised:
        Store.open("postgresql://u:secret@127.0.0.1:9/mirror")
    assert "secret" not in str(raised.value)


def test_sqlite_survives_power_loss_and_readers_do_not_wait(tmp_path: Path):
    with Store.open(f"sqlite:///{tmp_path}/mirror.db") as store, store.engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL


def test_a_file_that_was_deleted_takes_nothing_more(tmp_path: Path):
    """SQLite would go on writing to it, and all would be gone with the process."""
    path = tmp_path / "mirror.db"
    with Store.open(f"sqlite:///{path}") as store:
        commit(store, [judged("1")])
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(StoreError, match="deleted or replaced"):
            commit(store, [judged("2")])
        (tmp_path / "elsewhere.db").rename(path)
        commit(store, [judged("2")])
        assert store.reader().epochs("rewrite")[0].counts.pairs == 2
