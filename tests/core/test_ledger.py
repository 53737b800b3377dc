"""How far a partition was read, and what recovery takes of it: each span once, whatever came before the crash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.ledger import BadProgress, Ledger, Progress, decode_open, encode_open

MASKS = st.binary(min_size=1, max_size=20).filter(any)
PROGRESS = st.dictionaries(st.integers(0, 2**62), MASKS, max_size=20).map(
    lambda held: Progress(max(held, default=0) + 1, held)
)
# Records of up to 20 spans, gaps between their positions, and the order in which some spans are closed.
RECORDS = st.lists(st.tuples(st.integers(1, 5), st.sets(st.integers(0, 19))), max_size=12)


def test_all_is_taken_of_a_partition_that_nobody_read():
    assert Progress().takes(0, 0)
    assert Progress().lowest_open == 0


def test_below_the_checkpoint_only_open_spans_are_taken_and_above_everything():
    ledger = Ledger()
    ledger.read(7, [0, 3, 9])
    ledger.close(7, 3)
    progress = ledger.progress()
    assert [index for index in range(12) if progress.takes(7, index)] == [0, 9]
    assert not progress.takes(6, 0)
    assert progress.takes(8, 5)
    assert (progress.next_position, progress.lowest_open, progress.open_spans) == (8, 7, 2)


def test_a_record_of_which_all_was_counted_is_no_longer_open():
    ledger = Ledger()
    ledger.read(1, [0])
    ledger.read(2, [])
    ledger.close(1, 0)
    ledger.close(1, 0)
    assert ledger.progress() == Progress(3, {})
    assert ledger.progress().lowest_open == 3


@given(PROGRESS)
def test_open_positions_survive_as_bytes(progress: Progress):
    assert decode_open(encode_open(progress)) == progress.open


@given(PROGRESS, st.data())
def test_bytes_that_were_cut_are_refused_or_shorter_but_never_others(progress: Progress, data: st.DataObject):
    raw = encode_open(progress)
    cut = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        found = decode_open(cut)
    except BadProgress:
        return
    assert found.items() <= progress.open.items()


def test_what_is_no_list_of_positions_is_refused():
    for raw in (b"\x80", b"\x01\x09ab", b"\x01"):
        with pytest.raises(BadProgress):
            decode_open(raw)


@given(RECORDS, st.data())
def test_each_span_is_counted_once_over_any_number_of_crashes(records: list[tuple[int, set[int]]], data: st.DataObject):
    """Read, count some, checkpoint now and then, crash, read again: in the end each span was counted once."""
    log: dict[int, set[int]] = {}
    for gap, spans in records:
        log[max(log, default=-1) + gap] = spans
    committed, counted = Progress(), list[tuple[int, int]]()
    for _ in range(data.draw(st.integers(0, 4))):
        committed, kept = life(log, committed, data, all_of_it=False)
        counted += kept
    _, kept = life(log, committed, data, all_of_it=True)
    counted += kept
    assert sorted(counted) == sorted((position, index) for position, spans in log.items() for index in spans)


def life(log, committed, data, *, all_of_it: bool):
    """One life of a reader: its last checkpoint, and what it had counted by then."""
    ledger, uncommitted, kept = Ledger(committed), list[tuple[int, int]](), list[tuple[int, int]]()
    held: list[tuple[int, int]] = []
    for position in sorted(position for position in log if position >= committed.lowest_open):
        taken = [index for index in log[position] if committed.takes(position, index)]
        ledger.read(position, taken)
        held += [(position, index) for index in taken]
        for place in list(held):
            if all_of_it or data.draw(st.booleans()):
                held.remove(place)
                ledger.close(*place)
                uncommitted.append(place)
        if all_of_it or data.draw(st.booleans()):
            committed = ledger.progress()
            kept, uncommitted = kept + uncommitted, []
        if not all_of_it and data.draw(st.booleans()):
            break
    return committed, kept
