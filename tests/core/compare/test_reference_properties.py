"""What holds for any two messages: no difference exactly if MessageDifferencer calls them equal, and the report is whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.protobuf import any_pb2, descriptor_pb2, struct_pb2
from google.protobuf.message import DecodeError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mirror.core.compare import REFERENCE, CompareOptions, Lists, compare
from mirror.core.model import Difference, Kind
from mirror.core.path import Field, Path
from tests.core.compare.applying import apply
from tests.core.compare.reference import equal
from tests.core.compare.strategies import options, pairs, rooted
from tests.core.compare.unknown import records_of, rewrite
from tests.core.compare.zoo import New, Old, messages_in

ROOT: Path = (Field("response"),)
OTHER = {Kind.MISSING: Kind.ADDED, Kind.ADDED: Kind.MISSING}
REMARKS = {"matches": True, "moves": True, "ignores": True, "aggregates": True}


def found(left, right, chosen: CompareOptions):
    return compare(left, right, root=ROOT, options=chosen)


def told(differences) -> list[str]:
    """For the message of a failed assertion."""
    return [f"{d} ({d.left!r:.60}, {d.right!r:.60})" for d in differences]


# --- equality: the important one ---


@given(pairs())
@settings(max_examples=2500)
def test_as_the_reference_comes_differences_are_empty_exactly_if_it_says_equal(pair):
    result, expected = found(*pair, REFERENCE), equal(*pair, REFERENCE)
    assert result.same == expected, told(result.differences)
    assert (result.count == 0) == (not result.differences)


@given(options())
@settings(max_examples=7000)
def test_under_any_options_differences_are_empty_exactly_if_the_reference_says_equal(drawn):
    pair, chosen = drawn
    result, expected = found(*pair, chosen), equal(*pair, chosen)
    assert result.same == expected, told(result.differences)
    assert (result.count == 0) == (not result.differences)


@given(rooted())
@settings(max_examples=1500)
def test_with_chosen_root_fields_differences_are_empty_exactly_if_the_reference_says_equal(drawn):
    pair, chosen = drawn
    result, expected = found(*pair, chosen), equal(*pair, chosen)
    assert result.same == expected, told(result.differences)


@given(options())
@settings(max_examples=800)
def test_remarks_are_no_differences(drawn):
    """What is asked for beside the differences changes neither their number nor the differences themselves."""
    pair, chosen = drawn
    bare = found(*pair, replace(chosen, **dict.fromkeys(REMARKS, False)))
    full = found(*pair, replace(chosen, **{**REMARKS, "aggregates": False}))
    assert bare.count == full.count
    assert told(bare.differences) == told(full.differences)
    assert bare.same == found(*pair, replace(chosen, **REMARKS)).same


# --- a message and itself ---


@given(options(), st.booleans())
@settings(max_examples=1000)
def test_a_message_differs_from_itself_nowhere(drawn, meant):
    (message, _), chosen = drawn
    chosen = replace(chosen, nan_equal=True, by_meaning=meant)
    again = type(message).FromString(message.SerializePartialToString())
    for other in (message, again):
        result = found(message, other, chosen)
        assert result.same, told(result.differences)
    assert compare(message, again).same


# --- the report is whole ---


@given(pairs(wild=False))
@settings(max_examples=2500)
@pytest.mark.parametrize("lists", [Lists.LIST, Lists.ALIGNED])
def test_the_left_message_with_the_differences_applied_is_the_right_one(lists, pair):
    """Two lists of the same elements in another order are left out: of these one difference says no more than that."""
    chosen = replace(REFERENCE, lists=lists)
    left, right = pair
    result = found(left, right, chosen)
    assume(not any(d.kind is Kind.ORDER for d in result.differences))
    made = apply(left, result.differences, ROOT)
    whole = equal(made, right, replace(REFERENCE, nan_equal=True))
    assert whole, told(result.differences)


# --- the other way round ---


def ends(difference: Difference) -> tuple[Kind, Path, Path]:
    """The kind with the places on the left and on the right."""
    if difference.kind in OTHER:
        return difference.kind, difference.path, difference.path
    return difference.kind, difference.path, difference.right_path or difference.path


def by_name(found_ends):
    return sorted(found_ends, key=repr)


@given(pairs())
@settings(max_examples=1200)
@pytest.mark.parametrize("lists", [Lists.LIST, Lists.SET])
def test_the_other_way_round_missing_and_added_change_places_and_so_do_paths(lists, pair):
    left, right = pair
    chosen = replace(REFERENCE, lists=lists)
    there, back = found(left, right, chosen), found(right, left, chosen)
    assert there.count == back.count
    mirrored = [(OTHER.get(kind, kind), theirs, ours) for kind, ours, theirs in map(ends, back.differences)]
    assert by_name(map(ends, there.differences)) == by_name(mirrored)


@given(pairs())
@settings(max_examples=1000)
def test_unknown_fields_in_another_order_are_no_difference(pair):
    """Unless they are of one number and wire type: then the order is theirs."""
    left, _ = pair
    right = type(left)()
    right.CopyFrom(left)
    for place in list(messages_in(right)):
        records = sorted(records_of(place), key=lambda record: (-record[0], record[1]))
        if records:
            rewrite(place, records)
    chosen = replace(REFERENCE, nan_equal=True)
    assert found(left, right, chosen).same


# --- any bytes ---

TYPES = {
    "old": Old,
    "new": New,
    "any": any_pb2.Any,
    "struct": struct_pb2.Struct,
    "descriptor": descriptor_pb2.FileDescriptorProto,
}


@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from(sorted(TYPES)), st.integers(0, 5), options())
@settings(max_examples=1500)
def test_any_bytes_of_any_type_end_in_a_result_within_bounds(one, other, name, differences_max, drawn):
    try:
        left, right = TYPES[name].FromString(one), TYPES[name].FromString(other)
    except DecodeError:
        return
    for chosen in (CompareOptions(), replace(drawn[1], **REMARKS)):
        result = found(left, right, replace(chosen, differences_max=differences_max))
        assert len(result.differences) <= 2 * differences_max
        assert result.count >= len(result.differences)
        assert all(d.pattern and str(d) for d in result.differences)


@given(options(), st.integers(0, 3), st.sampled_from([0, 1, 10, 100]))
@settings(max_examples=1000)
def test_within_small_limits_there_is_a_result_too(drawn, depth_max, work_max):
    """A comparison that was cut short says so and never calls two messages the same that differ."""
    pair, chosen = drawn
    limited = found(*pair, replace(chosen, depth_max=depth_max, work_max=work_max, differences_max=2))
    assert len(limited.differences) <= 4
    if limited.same:
        assert equal(*pair, chosen)
