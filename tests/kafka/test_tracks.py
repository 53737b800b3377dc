"""Where a worker stands in a partition: from where it would read again, and when what was open before has been read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mirror.collect.app import new_lane
from mirror.config import Config
from mirror.core.ledger import Progress
from mirror.kafka.tracks import Track
from mirror.store import Claim


def track(position: int = 0, progress: Progress | None = None, keep_s: float = 15.0, keep_records: int = 0) -> Track:
    lane = new_lane(Config(), Claim("kafka:t", 0, 1, progress or Progress()))
    return Track(lane, position, keep_s=keep_s, wait_s=10.0, keep_records=keep_records)


def test_reading_again_begins_so_long_before_the_oldest_open_call():
    one = track()
    for position in range(100):
        one.note(position, 1000.0 + position, 0.0)
    assert one.hint(80) == 65
    assert one.hint(99) == 84
    assert track().hint(0) is None


def test_after_an_outage_it_begins_before_it_whatever_the_clock_says():
    """Requests whose acknowledgement was lost with the broker are repeated when it is back."""
    one = track(keep_records=20)
    for position in range(100):
        one.note(position, 1000.0 + position + (600 if position >= 90 else 0), 0.0)
    assert one.hint(5) == 0
    assert one.hint(95) == 75


def test_what_was_open_has_been_read_with_the_last_message_before_the_checkpoint():
    one = track(4, Progress(9, {4: b"\x01"}))
    assert one.recovering
    assert [one.note(position, 0.0, 0.0) for position in range(4, 10)] == [False, False, False, False, True, True]
    assert not track(9, Progress(9)).recovering


@given(
    st.lists(st.tuples(st.integers(1, 5), st.floats(0, 30)), min_size=1, max_size=60),
    st.floats(0, 60),
    st.data(),
)
def test_the_hint_is_never_after_the_oldest_open_call_nor_after_what_may_be_repeated(steps, keep_s, data):
    """Whatever gaps positions have, and however unevenly things arrive."""
    one, position, arrived_s, seen = track(keep_s=keep_s), 0, 1000.0, []
    for gap, wait_s in steps:
        position, arrived_s = position + gap, arrived_s + wait_s
        one.note(position, arrived_s, 0.0)
        seen.append((position, arrived_s))
    for lowest in sorted(data.draw(st.lists(st.sampled_from(seen), min_size=1, max_size=3))):
        hint = one.hint(lowest[0])
        assert hint <= lowest[0]
        repeated = [where for where, when in seen if where < lowest[0] and when > lowest[1] - keep_s]
        # Marks stand a second apart: what came within a second of one may have the next one before it.
        assert hint <= min(repeated, default=lowest[0]) or all(
            when <= lowest[1] - keep_s + 1.0 for where, when in seen if where < hint
        )
