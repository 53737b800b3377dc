"""The queue of finished calls, the Python one and the compiled: bounded, first in first out, nothing lost without a count."""

from __future__ import annotations

import gc
import threading
from typing import Any, NamedTuple

import pytest
from grpc_mirror import native
from grpc_mirror.counters import Counters
from grpc_mirror.recorder import size_of
from grpc_mirror.seen import Seen
from grpc_mirror.sinks.queue import ANY_BYTES, NEVER_BYTES, BoundedQueue
from hypothesis import given
from hypothesis import strategies as st

from tests.interceptors.test_plain_calls import SETTINGS, Encoders, plain_call
from tests.interceptors.test_sender import record

MIB = 1 << 20
COMPILED: Any = getattr(native.part("queueing"), "Queue", None)
steps = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 40)),
    st.tuples(st.just("take"), st.integers(0, 5)),
    st.tuples(st.just("ask"), st.sampled_from([ANY_BYTES, 30, 60, NEVER_BYTES])),
    st.tuples(st.sampled_from(["close", "clear"]), st.just(0)),
)


class Sized(NamedTuple):
    """A record of which only the size counts."""

    size: int
    number: int = 0


@pytest.fixture(params=["compiled", "python"])
def kind(request: pytest.FixtureRequest) -> Any:
    if request.param == "compiled":
        request.getfixturevalue("compiled")
        return COMPILED
    return BoundedQueue


class Watched:
    """A queue for ten records and a hundred bytes, and how often it has roused somebody."""

    def __init__(self, kind: Any) -> None:
        self.roused = 0
        self.counters = Counters()
        self.queue = kind(self.counters, max_bytes=100, max_calls=10, rouse=self._rouse)

    def _rouse(self) -> None:
        self.roused += 1

    def do(self, number: int, step: tuple[str, int]) -> Any:
        """A step, and what it gives."""
        queue = self.queue
        match step:
            case "put", size:
                return queue.put(Sized(size, number))
            case "take", count:
                return queue.take(count)
            case "ask", size:
                queue.rouse_at = size
            case "close", _:
                queue.close(f"closed {number}")
            case "clear", _ if queue.closed:
                return queue.clear()
        return None

    @property
    def state(self) -> Any:
        """All that can be seen of it."""
        queue, counts = self.queue, self.counters.read()
        figures = len(queue), queue.held_bytes, queue.taken, queue.accepted, queue.filled, queue.closed, queue.rouse_at
        return (*figures, self.roused, counts.captured, counts.dropped)


@given(st.lists(steps, max_size=60))
@pytest.mark.usefixtures("compiled")
def test_both_do_the_same(steps: list[tuple[str, int]]) -> None:
    ours, theirs = Watched(BoundedQueue), Watched(COMPILED)
    for number, step in enumerate(steps):
        assert ours.do(number, step) == theirs.do(number, step)
        assert ours.state == theirs.state


@given(st.lists(steps, max_size=60), st.sampled_from([BoundedQueue, *([COMPILED] if COMPILED else [])]))
def test_every_record_is_taken_or_waits_or_is_counted(steps: list[tuple[str, int]], kind: Any) -> None:
    watched = Watched(kind)
    taken: list[Sized] = []
    for number, step in enumerate(steps):
        found = watched.do(number, step)
        taken += found if step[0] == "take" else []
        counts = watched.counters.read()
        assert counts.captured == len(taken) + len(watched.queue) + sum(counts.dropped.values())
        assert watched.queue.held_bytes <= 100
        assert len(watched.queue) <= 10
    assert [one.number for one in taken] == sorted(one.number for one in taken)


def test_whoever_sleeps_is_roused_once_enough_is_queued(kind: Any) -> None:
    watched = Watched(kind)
    watched.queue.rouse_at = 30
    for size, roused in ((20, 0), (10, 1), (10, 1)):
        watched.queue.put(Sized(size))
        assert watched.roused == roused


def test_whatever_comes_rouses_who_waits_for_anything(kind: Any) -> None:
    watched = Watched(kind)
    for roused in (1, 2):
        watched.queue.put(Sized(0))
        assert watched.roused == roused
        watched.queue.rouse_at = ANY_BYTES


def test_a_record_that_finds_no_room_rouses_too(kind: Any) -> None:
    """Else nobody would tell the collector of drops where no call ever found room."""
    watched = Watched(kind)
    assert not watched.queue.put(Sized(1000))
    assert (watched.roused, watched.counters.read().dropped) == (1, {"queue_full": 1})
    assert not watched.queue.put(Sized(1000))
    assert watched.roused == 1


def test_what_small_messages_cost_counts(kind: Any) -> None:
    """A stream of a thousand empty messages holds far more than no bytes."""
    requests, responses = Seen(1000), Seen(1000)
    for number in range(1000):
        requests.add(b"", number, lambda _size: None, room=0)
    stream = record()._replace(requests=requests.release(), size=size_of(requests, responses))
    queue = kind(Counters(), max_bytes=MIB, max_calls=10_000, rouse=lambda: None)
    assert sum(queue.put(stream) for _ in range(100)) < 10


def test_it_may_be_entered_again_by_the_thread_that_is_in_it() -> None:
    """Garbage collection may finish a call in the middle of another's."""
    queue = BoundedQueue(Counters(), max_bytes=MIB, max_calls=10)
    with queue._lock:
        assert queue.put(record())
    assert [taken.method for taken in queue.take(5)] == [record().method]


def test_garbage_that_puts_records_when_it_is_collected_harms_nothing(kind: Any) -> None:
    """Such as streams that a service has left: each is finished where it is collected, also in the middle of `put` and `take`."""
    counters = Counters()
    queue = kind(counters, max_bytes=MIB, max_calls=100_000, rouse=lambda: None)

    class Left:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            queue.put(Sized(1))

    taken = 0
    before = gc.get_threshold()
    gc.set_threshold(3)
    try:
        for _ in range(2000):
            Left()
            queue.put(Sized(2))
            taken += len(queue.take(3))
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert counters.read().captured == 4000
    assert taken + len(queue.take(4000)) == 4000
    assert queue.held_bytes == 0


@pytest.mark.parametrize("method", ["take", "take_written"])
def test_a_finaliser_that_fills_the_queue_while_its_list_is_read_harms_nothing(kind: Any, method: str) -> None:
    """The records move elsewhere in memory as there become more of them. That ended the process where a slice of them was made."""
    queue = kind(Counters(), max_bytes=1 << 40, max_calls=1_000_000, rouse=lambda: None)
    spans = [one for one in Encoders(SETTINGS).plain.spans([plain_call()] * 8) if one is not None]
    ready = dict.fromkeys([span.form for span in spans], 0)
    written = method == "take_written" and kind is not BoundedQueue
    before: list[Any] = list(spans) if written else [Sized(1, number) for number in range(8)]
    for one in before:
        queue.put(one)
    held = queue.held_bytes

    class Left:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            for _ in range(50_000):
                queue.put(Sized(1))

    threshold = gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        unused = [[] for _ in range(1000)]  # type: ignore[var-annotated] # so that none are kept for the next list to be made
        Left()
        gc.set_threshold(1)
        gc.enable()
        found = queue.take_written(ready, MIB, MIB, 6)[0] if written else queue.take(6)
    finally:
        gc.set_threshold(*threshold)
        gc.enable()
    assert len(unused) == 1000
    gc.collect()
    assert found == before[:6]
    assert queue.take(2) == before[6:]
    assert (len(queue), queue.held_bytes) == (50_000, 50_000)
    assert held == sum(one.size for one in before)


def test_a_record_whose_size_takes_python_may_put_others(kind: Any) -> None:
    queue = kind(Counters(), max_bytes=MIB, max_calls=10, rouse=lambda: None)

    class Odd:
        @property
        def size(self) -> int:
            if not queue.accepted:
                queue.put(Sized(5))
            return 1

    queue.put(Odd())
    assert (len(queue), queue.held_bytes) == (2, 6)


def test_threads_that_put_while_one_takes_lose_nothing(kind: Any) -> None:
    counters = Counters()
    queue = kind(counters, max_bytes=MIB, max_calls=100_000, rouse=lambda: None)
    each, writers = 5000, 4
    started = threading.Barrier(writers + 1)

    def write() -> None:
        started.wait(10)
        for number in range(each):
            queue.put(Sized(3, number))

    threads = [threading.Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    started.wait(10)
    taken = 0
    while taken < each * writers:
        taken += len(queue.take(7))
    for thread in threads:
        thread.join(10)
    assert (taken, len(queue), queue.held_bytes) == (each * writers, 0, 0)
    assert counters.read().captured == queue.accepted == each * writers


@pytest.mark.usefixtures("compiled")
class TestWritten:
    """Spans that were written where their calls ended go from the queue to a batch as they are."""

    @pytest.fixture
    def spans(self) -> list[Any]:
        """Of two methods: two, one, one."""
        plain = Encoders(SETTINGS).plain
        calls = [plain_call(method=f"a.B/{name}") for name in "CCDC"]
        found = plain.spans(calls)
        assert None not in found
        for span in found:
            assert span is not None
            span.size = 7
        return found

    @pytest.fixture
    def queue(self, spans: list[Any]) -> Any:
        queue = COMPILED(Counters(), max_bytes=MIB, max_calls=100, rouse=lambda: None)
        for span in spans:
            queue.put(span)
        return queue

    def test_as_far_as_their_form_is_known(self, queue: Any, spans: list[Any]) -> None:
        ready = {spans[0].form: 5}
        found, size = queue.take_written(ready, MIB, MIB, 100)
        assert found == spans[:2]
        assert size == sum(len(piece) for span in found for piece in span.content)
        assert ready == {spans[0].form: 7}
        assert (len(queue), queue.held_bytes, queue.taken) == (2, 14, 2)
        assert queue.take_written(ready, MIB, MIB, 100) == ([], 0)

    def test_in_their_order_whatever_else_waits(self, queue: Any, spans: list[Any]) -> None:
        queue.put(Sized(1))
        ready = dict.fromkeys([span.form for span in spans], 0)
        assert queue.take_written(ready, MIB, MIB, 100)[0] == spans
        assert ready == {spans[0].form: 3, spans[2].form: 1}
        assert queue.take_written(ready, MIB, MIB, 100) == ([], 0)
        assert queue.take(9) == [Sized(1)]

    def test_as_far_as_the_batch_has_room(self, queue: Any, spans: list[Any]) -> None:
        ready = dict.fromkeys([span.form for span in spans], 0)
        one = spans[0].bytes
        assert queue.take_written(ready, one - 1, MIB, 100) == ([], 0)
        assert queue.take_written(ready, MIB, MIB, 1) == (spans[:1], one)
        assert queue.take_written(ready, one, MIB, 100) == (spans[1:2], one)
        assert queue.take_written(ready, MIB, 1, 100)[0] == spans[2:3]  # it is full then
        assert sum(ready.values()) == 3
