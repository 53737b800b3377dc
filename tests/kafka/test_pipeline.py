"""The worker's pipeline over a log in memory: partitions are lost, taken and given at chosen moments, and each pair counts once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mirror.collect import stages
from mirror.collect.app import deadline_s, new_lane, parts_of
from mirror.collect.counters import Counters
from mirror.collect.slices import Slicer
from mirror.collect.writer import Writer
from mirror.config import Config
from mirror.config.sections import Kafka, Pairing
from mirror.config.sections import Store as StoreSection
from mirror.kafka import clients, pipeline
from mirror.kafka.clients import KafkaError
from mirror.kafka.messages import cut
from mirror.kafka.pipeline import Inlet, WorkerPipeline
from mirror.store import Store, StoreError
from mirror.store.checkpoints import progress_of
from tests.collect.otlp import request
from tests.collect.shop import product_call, schema_span
from tests.conftest import require
from tests.live.mesh import wait_until

PAIRS = 40


@pytest.fixture(autouse=True)
def library():
    """Of Kafka, whose errors the pipeline knows; without it these tests are skipped."""
    try:
        return clients.library()
    except KafkaError as error:
        require("kafka", str(error), present=False)


class Message:
    """As the library's."""

    def __init__(self, partition: int, offset: int, value: bytes, stamp_ms: int) -> None:
        self._partition, self._offset, self._value, self._stamp_ms = partition, offset, value, stamp_ms

    def error(self) -> None:
        return None

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return self._value

    def key(self) -> bytes:
        return b""

    def timestamp(self) -> tuple[int, int]:
        return 2, self._stamp_ms


class Log:
    """A topic of some partitions, and what is to befall its readers: called before each poll, by the number of the poll."""

    def __init__(self, partitions: int = 2) -> None:
        self.messages: list[list[Message]] = [[] for _ in range(partitions)]
        self.deleted_below = 0
        self.hints: dict[int, int] = {}
        self.befalls: dict[int, Callable[[Members], None]] = {}
        self.polls = 0
        self.may_be_read = threading.Event()

    def write(self, body: bytes, partition: int | None = None) -> None:
        for message in cut(body, message_max_bytes=1 << 20).messages:
            of = message.key[0] % len(self.messages) if partition is None else partition
            held = self.messages[of]
            held.append(Message(of, len(held), message.value, int(time.time() * 1000)))


class Members:
    """As Partitions, over a Log; reads four messages at a time of each partition that it owns."""

    client = None

    def __init__(self, log: Log, given: Any, taken: Any) -> None:
        self.log, self._given, self._taken = log, given, taken
        self.position: dict[int, int] = {}
        self._joined = False

    def give(self, partition: int) -> None:
        self.position[partition] = self._given(partition)

    def take(self, *partitions: int, lost: bool = False) -> None:
        self._taken(partitions, lost)
        for partition in partitions:
            del self.position[partition]

    def poll(self, timeout_s: float) -> list[Message]:
        if not self._joined:
            assert self.log.may_be_read.wait(30)
            self._joined = True
            for partition in range(len(self.log.messages)):
                self.give(partition)
        self.log.polls += 1
        befall = self.log.befalls.pop(self.log.polls, None)
        if befall:
            befall(self)
        found = []
        for partition, position in self.position.items():
            part = [one for one in self.log.messages[partition] if one.offset() >= position][:4]
            if part:
                self.position[partition] = part[-1].offset() + 1
            found += part
        if not found:
            time.sleep(min(timeout_s, 0.01))
        return found

    def bounds(self, partition: int) -> tuple[int, int]:
        return self.log.deleted_below, len(self.log.messages[partition])

    def known_end(self, partition: int) -> int:
        return len(self.log.messages[partition])

    def hint(self, partition: int) -> int | None:
        return self.log.hints.get(partition)

    def commit(self, hints: dict[int, int]) -> None:
        self.log.hints |= hints

    def close(self) -> None:
        if self.position:
            self.take(*self.position)


class DeadLetters:
    def __init__(self) -> None:
        self.put_away: list[tuple[int, str]] = []
        self.takes = True

    def put(self, message: Message, reason: str, _text: str) -> None:
        self.put_away.append((message.offset(), reason))

    def settled(self, _timeout_s: float) -> bool:
        return self.takes


class Working:
    """A worker over the log and its own SQLite store."""

    def __init__(self, url: str, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pipeline, "Partitions", lambda _, given, taken, **__: Members(log, given, taken))
        monkeypatch.setattr(pipeline, "PAUSE_S", 0.01)
        monkeypatch.setattr(stages, "FLUSH_INTERVAL_S", 1.0)
        self.ahead_s = 0.0  # of the clock
        config = Config(
            runs=("checkout",), store=StoreSection(url=url), kafka=Kafka(), pairing=Pairing(max_stream_duration_s=30.0)
        )
        self.store = Store.open(url, shared=True)
        self.counters = Counters()
        self.dead_letters = DeadLetters()
        writer = Writer(self.store, self.counters, policy=config.policy, clock=self.clock, kept=True)
        inlet = Inlet(
            settings=config.kafka,
            slicer=Slicer(),
            dead_letters=self.dead_letters,
            claim=lambda partition: self.store.claim("kafka:t", partition, owner="me", now_s=self.clock()),
            new_lane=lambda claim: new_lane(config, claim, lanes=2),
            wait_s=deadline_s(config),
            queue_max_bytes=1 << 20,
            on_error=lambda _: None,
        )
        parts = parts_of(config, self.store, self.counters, None, writer)
        self.pipeline = WorkerPipeline(inlet, parts, clock=self.clock)

    def clock(self) -> float:
        return time.time() + self.ahead_s

    def commit_is_due(self, members: Members) -> None:
        """From the next turn on: so a turn has something to commit, and more comes before it does."""
        self.ahead_s += 1.5

    def pairs(self) -> int:
        return sum(one.counts.pairs for run in self.store.reader().runs() for one in run.epochs)


@pytest.fixture
def worker(tmp_path, monkeypatch) -> Callable[[Log], contextlib.AbstractContextManager[Working]]:
    """Makes running workers over one store; stopped when their block ends. `held`: until the log may be read."""

    @contextlib.contextmanager
    def work(log: Log, *, held: bool = False) -> Iterator[Working]:
        if not held:
            log.may_be_read.set()
        made = Working(f"sqlite:///{tmp_path}/mirror.db", log, monkeypatch)
        made.pipeline.start()
        try:
            yield made
        finally:
            assert made.pipeline.stop(30)
            made.store.close()

    return work


def calls(log: Log, ids: range, *roles: str) -> None:
    """Calls of these roles, each in a request of its own, as the schema before."""
    log.write(request(schema_span()).SerializeToString(), partition=0)
    for number in ids:
        for role in roles:
            version = "2.0" if role == "candidate" else "1.0"
            span = product_call(f"m{number}", role, expect="candidate", name="tea")
            log.write(request(span, version=version).SerializeToString())


def counted(working: Working, n: int = PAIRS) -> None:
    """In the end it is so many, and stays so many when all is over."""
    wait_until(lambda: working.pairs() >= n, f"{n} pairs", timeout_s=30)
    assert working.pipeline.stop(30)
    counts = [one.counts for run in working.store.reader().runs() for one in run.epochs]
    assert sum(one.pairs for one in counts) == sum(one.matched for one in counts) == n


@pytest.mark.parametrize("poll", [2, 3, 4, 6])
def test_partitions_that_are_lost_are_read_again_from_the_last_checkpoint(worker, poll):
    """What was judged of them and not committed is forgotten, though other lanes closed calls in the same changes."""
    log = Log()
    calls(log, range(PAIRS), "primary", "candidate")
    with worker(log, held=True) as working:
        log.befalls[poll - 1] = working.commit_is_due
        log.befalls[poll] = lambda members: members.take(0, lost=True)
        log.may_be_read.set()
        counted(working)


@pytest.mark.parametrize("poll", [2, 4, 6])
def test_a_partition_that_moves_and_comes_back_counts_once(worker, poll):
    log = Log()
    calls(log, range(PAIRS), "primary", "candidate")
    with worker(log, held=True) as working:
        log.befalls[poll] = lambda members: members.take(1)
        log.befalls[poll + 2] = lambda members: members.give(1)
        log.may_be_read.set()
        counted(working)


def test_a_worker_that_was_fenced_forgets_and_begins_anew(worker):
    """Another claimed one of its partitions, without the group having said so."""
    log = Log()
    calls(log, range(PAIRS), "primary", "candidate")
    with worker(log, held=True) as working:
        log.befalls[3] = lambda _: working.store.claim("kafka:t", 0, owner="other", now_s=0)
        log.may_be_read.set()
        counted(working)
        assert working.counters.value("mirror_kafka_fenced_total") == 1


def test_open_calls_wait_for_the_next_worker(worker):
    """Half of each pair comes before the worker ends, the rest to the next one: nothing is told as incomplete."""
    log = Log()
    calls(log, range(PAIRS), "primary")
    with worker(log) as working:
        wait_until(lambda: log.polls > PAIRS, "all read")
        assert working.pipeline.stop(30)
        assert working.pairs() == 0
    calls(log, range(PAIRS), "candidate")
    with worker(log) as working:
        counted(working)


def test_a_repeated_request_is_known_after_a_restart_too(worker):
    log = Log()
    calls(log, range(PAIRS), "primary", "candidate")
    with worker(log) as working:
        counted(working)
    calls(log, range(PAIRS), "primary", "candidate")
    calls(log, range(PAIRS, PAIRS + 5), "primary", "candidate")
    with worker(log) as working:
        counted(working, PAIRS + 5)


def test_what_kafka_deleted_before_it_was_counted_is_counted_as_gone(worker):
    log = Log(1)
    calls(log, range(10), "primary")
    with worker(log) as working:
        wait_until(lambda: log.polls > 10, "all read")
        # The first checkpoint holds how far was read, and that all of it is open.
        wait_until(lambda: _checkpoint(working), "a checkpoint")
    log.deleted_below = 6
    log.messages[0] = log.messages[0][6:]
    calls(log, range(10), "candidate")
    for number, message in enumerate(log.messages[0]):
        message._offset = 6 + number
    with worker(log) as working:
        wait_until(lambda: working.counters.value("mirror_kafka_gone_total") == 5, "5 calls gone", timeout_s=20)


def _checkpoint(working: Working) -> bool:
    with working.store.reader().connect() as connection:
        return any(one.open_spans for one in progress_of(connection, "kafka:t").values())


def test_nothing_is_committed_while_the_dead_letters_are_not_kept(worker):
    log = Log(1)
    log.messages[0].append(Message(0, 0, b"\xff garbage", 0))
    calls(log, range(5), "primary", "candidate")
    with worker(log) as working:
        working.dead_letters.takes = False
        wait_until(lambda: working.dead_letters.put_away == [(0, "malformed")], "put away")
        polls = log.polls
        wait_until(lambda: log.polls > polls + 20, "some more turns")
        assert working.pairs() == 0
        working.dead_letters.takes = True
        counted(working, 5)


def test_a_store_that_fails_while_partitions_are_taken_costs_no_count(worker, monkeypatch):
    log = Log()
    calls(log, range(PAIRS), "primary", "candidate")
    monkeypatch.setattr(pipeline, "TAKEN_S", 0.2)
    with worker(log, held=True) as working:
        commit, failing = working.store.commit, [True]

        def broken(*given: Any) -> Any:
            if failing[0]:
                raise StoreError("away")
            return commit(*given)

        def taken(members: Members) -> None:
            monkeypatch.setattr(working.store, "commit", broken)
            members.take(0)
            failing[0] = False

        log.befalls[3] = taken
        log.may_be_read.set()
        counted(working)
