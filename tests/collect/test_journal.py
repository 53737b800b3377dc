"""The journal by itself: real files; what is told to be on disk is there, what fails is a state, and it has its bounds."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirror.collect.batch import Batch
from mirror.collect.counters import Counters
from mirror.collect.journal import Entry, Journal, JournalError, JournalLimits
from mirror.collect.journal import journal as module
from mirror.collect.journal.segments import SEGMENT_BYTES, Segments
from mirror.core.model import Origin

BODY = os.urandom(10_000)


class Made:
    """A journal in a folder, and what it told."""

    def __init__(self, path: Path, *, max_bytes: int = 1 << 30, keep_s: float = 0.0) -> None:
        self.now_s = 1000.0
        self.settled: list[tuple[int, str]] = []
        self.loop = asyncio.new_event_loop()
        limits = JournalLimits(max_bytes, keep_s)
        self.journal = Journal(path, Counters(), limits=limits, clock=lambda: self.now_s, settle=self._settle)

    def _settle(self, group: Sequence[Entry], problem: str) -> None:
        self.settled += [(entry.batch.origin.position, problem) for entry in group]
        self.loop.call_soon_threadsafe(lambda: [entry.settled.set_result(problem) for entry in group])

    def append(self, *bodies: bytes) -> list[str]:
        """What each was told; "refused" for those that were not let in."""

        async def all_of_them() -> list[str]:
            waiting = []
            for body in bodies:
                entry = Entry(Batch(origin=Origin()), body, self.now_s, len(body), self.loop.create_future())
                if not self.journal.append(entry):
                    entry.settled.set_result("refused")
                waiting.append(entry.settled)
            return await asyncio.gather(*waiting)

        return self.loop.run_until_complete(all_of_them())

    def until(self, true) -> None:
        async def poll() -> None:
            async with asyncio.timeout(30):
                while not true():  # noqa: ASYNC110 - another thread changes it
                    await asyncio.sleep(0.01)

        self.loop.run_until_complete(poll())


@contextmanager
def made(path: Path, *, first: int = 0, **limits) -> Iterator[Made]:
    one = Made(path, **limits)
    assert one.journal.open()
    one.journal.serve(first)
    try:
        yield one
    finally:
        one.journal.close()
        one.loop.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mirror.journal"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_INTERVAL_S", 0.02)


def stored(one: Made, first: int = 0) -> list[tuple[int, float, bytes]]:
    return [(record.position, record.arrived_s, record.body) for record in one.journal.stored(0, first)]


def test_what_was_told_to_be_on_disk_is_there_in_order_after_a_restart(path: Path):
    bodies = [bytes([n]) * 100 for n in range(50)]
    with made(path) as one:
        assert one.append(*bodies) == [""] * 50
        name = one.journal.name
    with made(path) as again:
        assert again.journal.name == name
        assert stored(again) == [(n, 1000.0, body) for n, body in enumerate(bodies)]
        assert [row[0] for row in stored(again, 48)] == [48, 49]
        again.append(b"new")
        assert len(stored(again)) == 50, "what comes now goes its own way"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_positions_that_the_store_knows_are_not_given_again(path: Path):
    with made(path, first=700) as one:
        one.append(b"a", b"b")
        assert [position for position, _ in one.settled] == [700, 701]


def test_what_waits_while_one_is_written_goes_together(path: Path):
    with made(path) as one:
        one.append(*[b"x"] * 500)
        assert one.journal._counters.value("mirror_journal_commits_total") < 500


def test_only_what_was_counted_and_is_old_enough_goes(path: Path):
    with made(path, keep_s=60.0) as one:
        one.append(*[os.urandom(SEGMENT_BYTES)] * 4)
        one.journal.done(0, lowest_open=2)
        one.now_s += 59
        one.append(b"a look later")
        one.now_s += 2
        one.until(lambda: one.journal._opened.read(0, 99, 99)[0].position == 2)
    with made(path, keep_s=60.0) as again:
        assert [row[0] for row in stored(again)] == [2, 3, 4]


def test_the_room_of_what_went_is_used_again(path: Path):
    with made(path) as one:
        for n in range(30):
            one.append(os.urandom(SEGMENT_BYTES))
            one.journal.done(0, lowest_open=n + 1)
            one.now_s += 1
            one.until(lambda: one.journal._opened.used_bytes < 3 * SEGMENT_BYTES)
    assert path.stat().st_size < 12 * SEGMENT_BYTES


def test_a_full_journal_refuses_and_works_again_once_something_was_counted(path: Path):
    with made(path, max_bytes=4 * SEGMENT_BYTES, keep_s=3600.0) as one:
        told = [one.append(os.urandom(SEGMENT_BYTES))[0] for _ in range(6)]
        assert told[:3] == [""] * 3
        assert any("not counted yet" in one_told for one_told in told)
        assert "journal.max_bytes" in one.journal.problem
        taken = told.count("")
        one.journal.done(0, lowest_open=taken)
        # It forgets repeats before it refuses, so it need not wait for keep_s.
        one.append(os.urandom(SEGMENT_BYTES))
        one.until(lambda: not one.journal.problem)
        assert one.append(os.urandom(SEGMENT_BYTES)) == [""]


def test_a_full_disk_is_said_once_and_nothing_is_lost(path: Path, caplog: pytest.LogCaptureFixture):
    with made(path) as one:
        one.append(b"before")
        pages = one.journal._opened._connection.execute("PRAGMA page_count").fetchone()[0]
        one.journal._opened._connection.execute(f"PRAGMA max_page_count={pages}")
        (told,) = one.append(os.urandom(SEGMENT_BYTES))
        assert "full; free space on its disk" in told
        assert one.append(b"meanwhile") == ["refused"]
        one.until(lambda: one.journal._counters.value("mirror_journal_failures_total") > 3)
        assert caplog.text.count("nothing is taken") == 1
        one.journal._opened._connection.execute(f"PRAGMA max_page_count={1 << 30}")
        one.until(lambda: not one.journal.problem)
        assert one.append(b"after") == [""]
    with made(path) as again:
        assert [body for _, _, body in stored(again)] == [b"before", b"after"]


@pytest.mark.parametrize("which", ["mirror.journal", "mirror.journal-wal"])
@pytest.mark.parametrize("by", [None, b"another"])
def test_files_that_are_gone_are_a_state_and_nothing_is_acknowledged_into_them(
    path: Path, tmp_path: Path, which: str, by: bytes | None
):
    """SQLite would write on, and all of it would be gone with the process."""
    with made(path) as one:
        one.append(b"before")
        aside = (tmp_path / which).rename(tmp_path / "aside")
        if by is not None:
            (tmp_path / which).write_bytes(by)
        told = one.append(b"meanwhile")
        assert told == ["refused"] or "was deleted or replaced while the collector runs" in told[0]
        one.until(lambda: "was deleted or replaced" in one.journal.problem)
        aside.replace(tmp_path / which)
        one.until(lambda: not one.journal.problem)
        assert one.append(b"after") == [""]
    with made(path) as again:
        assert [body for _, _, body in stored(again)] == [b"before", b"after"]


def test_a_damaged_file_is_a_state_that_a_person_ends(path: Path):
    with made(path) as one:
        one.append(*[BODY] * 50)
    content = bytearray(path.read_bytes())
    content[20_000:] = b"\xa5" * (len(content) - 20_000)
    path.write_bytes(content)
    one = Made(path)
    try:
        opened = one.journal.open()
        if opened:
            with pytest.raises(JournalError):
                stored(one)
        assert one.journal.damaged
        assert "move the file away" in one.journal.problem
        assert one.append(b"x") == ["refused"]
    finally:
        one.journal.close()


def test_one_bit_that_the_disk_changed_costs_its_request_and_is_told(path: Path, caplog: pytest.LogCaptureFixture):
    """SQLite has no checksums: what a capture says must not come from a failing disk."""
    with made(path) as one:
        one.append(*[letter * 100 for letter in (b"A", b"Q", b"Z")])
    raw = path.read_bytes()
    assert raw.count(b"Q" * 100) == 1
    path.write_bytes(raw.replace(b"Q" * 100, b"Q" * 50 + b"P" + b"Q" * 49))
    with made(path) as again:
        assert [body[:1] for _, _, body in stored(again)] == [b"A", b"Z"]
        assert again.journal._counters.value("mirror_journal_failures_total") == 1
    assert "position 1 is not what was written" in caplog.text


def test_a_journal_of_another_version_is_left_alone(path: Path):
    with made(path):
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=1")
    connection.close()
    with pytest.raises(JournalError, match="was written by an older mirror"):
        Made(path).journal.open()


def test_a_file_that_is_no_database_is_a_damaged_one(path: Path):
    path.write_bytes(b"run: checkout\n" * 5000)
    one = Made(path)
    assert not one.journal.open()
    assert one.journal.damaged
    assert path.read_bytes().startswith(b"run:")


def test_another_database_is_left_alone(path: Path):
    sqlite3.connect(path).execute("CREATE TABLE theirs (x)").connection.close()
    with pytest.raises(JournalError, match=r"is another database; name another journal\.path"):
        Made(path).journal.open()


def test_two_collectors_cannot_have_one_journal(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mirror.collect.journal.file.LOCK_TIMEOUT_S", 0.1)
    with made(path), pytest.raises(JournalError, match="another collector uses it"):
        Made(path).journal.open()


def test_a_missing_directory_is_named(tmp_path: Path):
    with pytest.raises(JournalError, match=r"nowhere does not exist; create it"):
        Made(tmp_path / "nowhere" / "mirror.journal").journal.open()


def test_segments_go_whole():
    segments = Segments()
    for position in range(10):
        segments.add(position, float(position), SEGMENT_BYTES // 2)
    assert segments.first_needed(5, 100.0) == 4
    assert segments.first_needed(10, 2.5) == 2
    assert segments.first_needed(1, 100.0) == 0
    segments.forget(4)
    assert segments.first_needed(10, 100.0) == 10
