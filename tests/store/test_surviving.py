"""kill -9 at any moment leaves a store that opens and whose figures agree; readers read while the writer writes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from sqlalchemy import text

from mirror.core.model import Kind
from mirror.store import JudgeOptions, Reader, Store
from tests.store.building import commit, several

WRITER = Path(__file__).with_name("committing_forever.py")


def start(url: str, root: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, str(WRITER), url], stdout=subprocess.PIPE, text=True, cwd=root, env=_env(root)
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def _env(root: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"}


def check(reader: Reader) -> int:
    """Whether all that one commit adds together is there together; returns the pairs."""
    runs = reader.runs()
    if not runs:
        return 0
    (epoch,) = runs[0].epochs
    counts = epoch.counts
    with reader.connect() as connection:  # one state of the store
        (pairs,) = connection.execute(text("SELECT sum(pairs) FROM method_minutes")).one()
        sums = dict(connection.execute(text("SELECT kind, b + c + d FROM hypotheses")).all())
        by_minute = dict(
            connection.execute(
                text(
                    "SELECT kind, sum(m.b + m.c + m.d) FROM hypothesis_minutes m JOIN hypotheses ON id = hypothesis_id GROUP BY 1"
                )
            ).all()
        )
        (signatures,) = connection.execute(text("SELECT sum(n) FROM signatures")).one()
        (triples,) = connection.execute(text("SELECT sum(triples) FROM methods")).one()
        (blobs, rows) = connection.execute(
            text("SELECT (SELECT count(*) FROM comparison_blobs), (SELECT count(*) FROM comparisons)")
        ).one()
    assert pairs % 5 == 0
    assert pairs == triples
    assert sums[Kind.VALUE] * 5 == pairs * 2
    assert sums == by_minute
    assert signatures * 5 == pairs
    assert blobs == rows
    assert counts.matched * 2 == counts.mismatched * 3
    return counts.pairs


def test_killed_again_and_again_the_figures_still_agree(url: str, root: Path):
    pairs = 0
    for kill in range(5):
        child = start(url, root)
        reader = Reader.open(url)
        try:
            while reader.runs() == [] or check(reader) < pairs + 15 * (kill + 1):
                pass  # until it has committed a few more
        finally:
            child.kill()
            child.wait()
            reader.close()
        with Store.open(url, judge=JudgeOptions(vote_by="call")) as store:
            now = check(store.reader())
            assert now >= pairs + 15
            pairs = now


def test_readers_see_whole_commits_and_the_writer_does_not_wait_for_them(url: str):
    """One state a transaction: a reader that stays in it sees nothing new, and keeps nobody from writing."""
    with Store.open(url) as store:
        commit(store, several(2, candidate=["response.a"]))
        reader = Reader.open(url)
        query = text("SELECT sum(b) FROM hypotheses WHERE kind = 'value'")
        with reader.connect() as connection:
            assert connection.execute(query).scalar_one() == 2
            commit(store, several(3, named="more", candidate=["response.a"]))
            assert connection.execute(query).scalar_one() == 2
        with reader.connect() as connection:
            assert connection.execute(query).scalar_one() == 5
        reader.close()


def test_the_writers_own_reader_serves_other_threads(url: str):
    with Store.open(url) as store:
        reader, seen, stop = store.reader(), [], threading.Event()

        def read() -> None:
            while not stop.is_set():
                seen.append(sum(run.epochs[0].counts.pairs for run in reader.runs()))

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for i in range(10):
            commit(store, several(5, named=str(i), candidate=["response.a"]))
        stop.set()
        for thread in threads:
            thread.join()
        assert all(count % 5 == 0 for count in seen)
        assert reader.runs()[0].epochs[0].counts.pairs == 50


def test_a_second_writer_adds_to_the_same_counts(url: str):
    """It should not happen with SQLite; if it does, nothing is lost or counted twice."""
    with Store.open(url) as one, Store.open(url) as two:
        for i in range(3):
            commit(one, several(2, named=f"a{i}", candidate=["response.a"]), time.time())
            commit(two, several(2, named=f"b{i}", candidate=["response.a", f"response.b{i}"]), time.time())
        found = {h.hypothesis.pattern: h.b for h in one.reader().hypotheses(1)}
        assert found == {"(any)": 12, "response.a": 12, "response.b0": 2, "response.b1": 2, "response.b2": 2}
