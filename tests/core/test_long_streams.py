"""Streams whose middle is not in the captures: what is there is compared in its place, what is not is never missing."""

import pytest
from grpc_mirror.v1 import capture_pb2
from grpc_mirror.v1.capture_pb2 import Capture
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.model import Verdict
from mirror.core.rules import UnorderedList
from tests.core.compare.shapes import order, rule
from tests.core.test_calls import FINGERPRINT, STREAM, capture, found, outcome
from tests.core.test_requests import drift

BIDI = capture_pb2.CALL_KIND_BIDI_STREAM


def cut(ids, first=4, last=3, *, old=False) -> Capture:
    """A stream of these orders, of which the capture holds the first and the last. `old`: as interceptors without last ones."""
    last = 0 if old else last
    if len(ids) <= first + last:
        return capture(*(f'id: "{i}"' for i in ids), kind=STREAM)
    kept = [*ids[:first], *(ids[-last:] if last else [])]
    made = capture(*(f'id: "{i}"' for i in kept), kind=STREAM, response_count=len(ids))
    made.omitted.add(
        reason=capture_pb2.OMISSION_TOO_MANY_MESSAGES,
        direction=capture_pb2.DIRECTION_RESPONSE,
        messages=len(ids) - len(kept),
        kept_after=last,
    )
    return made


LONG = [f"m{n}" for n in range(20)]


def changed(*places):
    return [f"{name}x" if n in places else name for n, name in enumerate(LONG)]


@pytest.mark.parametrize("old", [False, True])
def test_streams_that_are_alike_where_they_are_captured_match_in_part(old):
    result = outcome(cut(LONG, old=old), cut(changed(10), old=old))
    assert (result.verdict, result.reason) == (Verdict.MATCHED, "in_part")


@pytest.mark.parametrize("place", [0, 3, 17, 19])
def test_a_difference_is_told_at_its_place_in_the_stream(place):
    result = outcome(cut(LONG), cut(changed(place)))
    assert (result.verdict, result.reason) == (Verdict.MISMATCHED, "in_part")
    assert [str(difference) for difference in result.differences] == [f"responses[{place}].id: value"]


def test_messages_that_changed_places_at_the_end_are_one_difference():
    swapped = [*LONG[:17], LONG[18], LONG[17], LONG[19]]
    assert found(cut(LONG), cut(swapped)) == ["responses order"]


@pytest.mark.parametrize("lost", [6, 10, 16])
def test_a_message_lost_in_the_middle_is_the_count_alone(lost):
    assert found(cut(LONG), cut(LONG[:lost] + LONG[lost + 1 :])) == ["responses value"]


def test_a_message_lost_at_the_beginning_is_missing_and_nothing_seems_added():
    assert found(cut(LONG), cut(LONG[:1] + LONG[2:])) == ["responses[1] missing"]
    assert found(cut(LONG[:1] + LONG[2:]), cut(LONG)) == ["responses[1] added"]


def test_captures_of_other_limits_meet_where_both_have_messages():
    """One holds all of it, the other the first 4 and last 3; or windows of other sizes."""
    for left in (cut(LONG, 40), cut(LONG, 6, 1), cut(LONG, 2, 5)):
        assert found(left, cut(LONG)) == []
        assert found(left, cut(changed(1, 10, 19))) == ["responses[1].id value", "responses[19].id value"]


def test_a_short_stream_against_a_long_one_differs_by_the_count():
    assert found(cut(LONG[:5]), cut(LONG)) == ["responses value"]


def test_in_streams_without_order_only_what_both_captured_can_differ():
    shuffled = [LONG[12], *LONG[:3], *LONG[4:12], LONG[3], *LONG[13:]]
    assert found(cut(LONG), cut(shuffled), rule(UnorderedList, "responses")) == []


def test_left_out_messages_without_a_count_cannot_be_placed():
    made = cut(LONG)
    made.omitted[0].messages -= 1
    assert outcome(made, cut(LONG)).reason == "too_large"


@given(st.data())
def test_no_difference_is_told_that_is_none(data):
    """Whatever is captured of two streams, with one message changed, what is told is that message or nothing."""
    count = data.draw(st.integers(1, 30))
    place = data.draw(st.integers(0, count - 1))
    ids = [f"m{n}" for n in range(count)]
    other = [*ids[:place], "x", *ids[place + 1 :]]
    sizes = [data.draw(st.tuples(st.integers(1, 12), st.integers(0, 6))) for _ in range(2)]
    told = found(cut(ids, *sizes[0]), cut(other, *sizes[1]))
    assert told in ([], [f"responses[{place}].id value"])
    firsts, lasts = zip(*((count, count) if count <= sum(size) else size for size in sizes), strict=True)
    compared = place < min(firsts) or place >= count - min(lasts)  # both first ones, both last ones; see windows
    assert compared == bool(told)


def test_requests_of_long_streams_are_held_against_each_other_by_their_place():
    def asked(ids, last):
        made = Capture(method="shop.Shop/Get", kind=BIDI, request_type="shop.Order", request_count=len(ids))
        made.schema_fingerprint = FINGERPRINT
        kept = [*ids[:2], *ids[-last:]]
        for one in kept:
            body = order(f'id: "{one}"').SerializeToString()
            made.messages.add(direction=capture_pb2.DIRECTION_REQUEST, body=body, original_size=len(body))
        made.omitted.add(
            reason=capture_pb2.OMISSION_TOO_MANY_MESSAGES,
            direction=capture_pb2.DIRECTION_REQUEST,
            messages=len(ids) - len(kept),
            kept_after=last,
        )
        return made

    assert drift(asked(LONG, 3), asked(LONG, 2)) == []
    assert drift(asked(LONG, 3), asked(changed(10), 2)) == []
    assert drift(asked(LONG, 3), asked(changed(19), 2)) == ["requests[19].id value"]
