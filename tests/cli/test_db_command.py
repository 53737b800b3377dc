"""`mirror db`: what operators type, what they are told, and the exit code that a script acts on."""

import json
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

import mirror.store as store_package
from mirror.store import Store
from mirror.store.engine import open_engine
from mirror.store.migrating import HEAD
from tests.cli.test_verdict import mirror
from tests.serve.shopdata import NOW_S, fill, store_url

RUN = "checkout-rewrite"


@pytest.fixture
def url(tmp_path):
    made = store_url(tmp_path)
    fill(made, requests=600, minutes=10)
    return made


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No mirror.yaml in the current folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def db(capsys, monkeypatch):
    """Run `mirror db ...`."""
    return lambda *arguments: mirror(capsys, monkeypatch, "db", *arguments)


@pytest.fixture
def at(monkeypatch):
    """Set the clock by which is pruned; the shop's data have one of their own."""
    return lambda now_s: monkeypatch.setattr("mirror.cli.db.prune.time", SimpleNamespace(time=lambda: now_s))


def at_revision(url, revision):
    """A store as a collector of before made it."""
    config = Config()
    config.set_main_option("script_location", str(Path(store_package.__file__).parent / "migrations"))
    engine = open_engine(url, write=True)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_upgrade_says_from_which_to_which_and_what_of_older_collectors(db, tmp_path):
    url = f"sqlite:///{tmp_path}/old.db"
    at_revision(url, "0002")
    assert db("check", "--store", url)[0] == 1
    code, out, _ = db("upgrade", "--store", url)
    assert code == 0
    assert f"upgraded from revision 0002 to {HEAD}" in out
    assert "A collector of an older version that still runs" in out
    code, out, _ = db("upgrade", "--store", url)
    assert (code, out.strip()) == (0, f"store {url}: of revision {HEAD} already, nothing to do")
    assert db("check", "--store", url)[0] == 0


def test_upgrade_as_json(db, tmp_path):
    url = f"sqlite:///{tmp_path}/old.db"
    at_revision(url, "0001")
    _, out, _ = db("upgrade", "--store", url, "--json")
    assert json.loads(out) == {"store": url, "from": "0001", "to": HEAD, "upgraded": True}


def test_upgrade_of_a_newer_store_is_refused(db, url):
    with Store.open(url) as store, store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    code, _, err = db("upgrade", "--store", url)
    assert code == 1
    assert "written by a newer mirror (revision 9999" in err


def test_upgrade_waits_only_so_long_for_who_writes(db, tmp_path, monkeypatch):
    monkeypatch.setattr("mirror.store.engine.BUSY_TIMEOUT_S", 0.05)
    url = f"sqlite:///{tmp_path}/old.db"
    at_revision(url, "0003")
    other = open_engine(url, write=True)
    with other.begin():
        code, _, err = db("upgrade", "--store", url)
    other.dispose()
    assert code == 1
    assert "another process is writing" in err


@pytest.mark.parametrize("name", ["upgrade", "check", "prune", "export"])
def test_a_store_that_is_not_there_is_2_and_none_is_made(db, tmp_path, name):
    code, out, err = db(name, "--store", f"sqlite:///{tmp_path}/none.db")
    assert (code, out) == (2, "")
    assert "there is no such file" in err
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("name", ["prune", "export"])
def test_an_older_store_is_1_and_says_what_to_do(db, tmp_path, name):
    url = f"sqlite:///{tmp_path}/old.db"
    at_revision(url, "0003")
    code, _, err = db(name, "--store", url)
    assert code == 1
    assert "run mirror db upgrade" in err


def test_the_store_is_found_by_the_environment(db, url, monkeypatch):
    monkeypatch.setenv("MIRROR_STORE_URL", url)
    code, out, _ = db("check", "--json")
    assert (code, json.loads(out)["store"]) == (0, url)


def test_check_of_a_sound_store(db, url):
    code, out, _ = db("check", "--store", url)
    assert code == 0
    assert "sound: nothing is wrong" in out
    assert f"revision  {HEAD}" in out


def test_check_names_run_and_method_and_what_to_do(db, url):
    with Store.open(url) as store, store.engine.begin() as connection:
        connection.execute(text("UPDATE method_minutes SET matched = matched + 1 WHERE method_id = 1"))
    code, out, _ = db("check", "--store", url)
    assert code == 1
    assert f"run {RUN}, shop.v1.Shop/" in out
    assert "what to do: " in out
    code, out, _ = db("check", "--store", url, "--json")
    found = json.loads(out)
    assert (code, found["ok"], found["findings"][0]["code"]) == (1, False, "sums")


def test_prune_deletes_what_its_dry_run_says(db, url):
    args = ("prune", "--store", url, "--max-bytes", "100KiB", "--json")
    _, told, _ = db(*args, "--dry-run")
    _, done, _ = db(*args)
    told, done = json.loads(told), json.loads(done)
    assert told.pop("dry_run")
    assert not done.pop("dry_run")
    assert told == done
    assert done["crowded"] > 0
    _, again, _ = db(*args)
    assert json.loads(again)["crowded"] == 0


def test_prune_by_age(db, url, at):
    at(NOW_S + 3600)
    code, out, _ = db("prune", "--store", url, "--older-than", "1s")
    assert code == 0
    assert " for their age, 0 for their bytes" in out
    _, out, _ = db("check", "--store", url, "--json")
    assert json.loads(out)["sizes"]["kept_count"] == 0


def test_prune_without_options_goes_by_the_configuration(db, url, monkeypatch):
    monkeypatch.setenv("MIRROR_STORE_PAYLOAD_MAX_BYTES", "1")
    _, out, _ = db("prune", "--store", url, "--json")
    found = json.loads(out)
    assert found["aged"] + found["crowded"] > 0
    _, out, _ = db("check", "--store", url, "--json")
    assert json.loads(out)["sizes"]["kept_count"] == 0


def test_a_run_is_pruned_only_when_it_is_over_and_said_twice(db, url, at):
    at(NOW_S + 60)
    code, _, err = db("prune", "--store", url, "--run", RUN, "--yes")
    assert (code, "is not over: its last pair came within the hour" in err) == (1, True)
    at(NOW_S + 3600)
    code, _, err = db("prune", "--store", url, "--run", RUN)
    assert code == 2
    assert "would be deleted, its verdict too; there is no way back. Say --yes" in err
    code, out, _ = db("prune", "--store", url, "--run", RUN, "--yes")
    assert code == 0
    assert f"run {RUN}: " in out
    code, _, err = db("prune", "--store", url, "--run", RUN, "--yes")
    assert (code, f"There is no run {RUN!r}" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["prune", "--older-than", "soon"], "--older-than soon: not a duration"),
        (["prune", "--max-bytes", "much"], "--max-bytes much: not a size"),
        (["prune", "--run", RUN, "--max-bytes", "1KiB"], "it does not go with"),
        (["prune", "--yes"], "--yes is for --run"),
        (["export", "--since", "lately"], "--since lately: say how long ago"),
        (["export", "--run", "chekout-rewrite"], "Did you mean 'checkout-rewrite'?"),
        (["export", "--path", "response.a", "--what", "counts"], "does not go with --what counts"),
        (["export", "--out", "nowhere/x.jsonl"], "name a file in a directory that exists"),
        (["export", "--format", "parquet"], "say --out FILE"),
        (["export", "--format", "parquet", "--out", "x"], "one sort of rows"),
    ],
)
def test_what_cannot_be_meant_is_2(db, url, arguments, told):
    code, _, err = db(*arguments, "--store", url)
    assert code == 2
    assert told in err


def exported(db, url, out, *arguments):
    code, _, err = db("export", "--store", url, "--out", str(out), *arguments)
    assert (code, err.startswith("exported ")) == (0, True)
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_export_has_differences_and_all_sides_as_json(db, url, tmp_path):
    out = tmp_path / "rows.jsonl"
    rows = exported(db, url, out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert {row["type"] for row in rows} == {"comparison", "counts"}
    one = next(
        r for r in rows if any(d["path"] == "response.tags" for s in r.get("sides", ()) for d in s["differences"])
    )
    answers = {
        s["role"]: m["json"] for s in one["sides"] for m in s["call"]["messages"] if m["direction"] == "response"
    }
    assert answers["primary"]["tags"] == ["gift", "eu", "priority"]
    assert answers["candidate"]["tags"] == ["eu", "gift", "priority"]
    with Store.open(url) as store:
        (run,) = store.reader().runs()
    counted = [row for row in rows if row["type"] == "counts"]
    assert sum(row["pairs"] for row in counted) == sum(epoch.counts.pairs for epoch in run.epochs)
    assert [p.name for p in tmp_path.iterdir() if "rows" in p.name] == ["rows.jsonl"]


def test_export_filters(db, url, tmp_path):
    out = tmp_path / "rows.jsonl"
    rows = exported(db, url, out, "--path", "response.tags", "--run", RUN)
    assert rows
    assert all("response.tags" in {d["pattern"] for s in row["sides"] for d in s["differences"]} for row in rows)
    rows = exported(db, url, out, "--method", "shop.v1.Shop/GetOrder")
    assert {row["method"] for row in rows} == {"shop.v1.Shop/GetOrder"}
    assert exported(db, url, out, "--since", "2999-01-01") == []
    assert {row["type"] for row in exported(db, url, out, "--what", "counts")} == {"counts"}


def test_parquet_without_pyarrow_says_how_to_get_it(db, url, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    code, _, err = db("export", "--store", url, "--format", "parquet", "--what", "counts", "--out", str(tmp_path / "x"))
    assert code == 2
    assert "pip install 'grpc-mirror-collector[parquet]'" in err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("what", ["counts", "comparisons"])
def test_parquet_has_the_same_rows(db, url, tmp_path, what):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (extra parquet)")
    lines = exported(db, url, tmp_path / "rows.jsonl", "--what", what)
    out = tmp_path / "rows.parquet"
    assert db("export", "--store", url, "--what", what, "--format", "parquet", "--out", str(out))[0] == 0
    nested = "reasons" if what == "counts" else "sides"
    rows = [row | {nested: json.loads(row[nested])} for row in parquet.read_table(out).to_pylist()]
    assert rows == lines
