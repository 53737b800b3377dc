"""Messages made to hurt: the work is bounded, and what was not compared is said."""

from __future__ import annotations

from google.protobuf import any_pb2, struct_pb2

from mirror.core.compare import CompareOptions, compare
from mirror.core.path import render
from mirror.core.rules import Tolerance, UnorderedList
from tests.core.compare.shapes import kind, order, rule, rules


def _nested_any(depth: int, inside: str) -> any_pb2.Any:
    made = any_pb2.Any(type_url="x/" + inside)
    for _ in range(depth):
        made = any_pb2.Any(type_url="x/google.protobuf.Any", value=made.SerializeToString())
    return made


def test_anys_in_anys_end_at_the_depth_limit():
    """Each unpacking starts the parser's own depth limit anew, so ours has to hold."""
    result = compare(_nested_any(1000, "a"), _nested_any(1000, "b"))
    assert result.count == 1
    assert result.differences[0].note == "too complex: nested deeper than 128 messages"


def test_as_deep_as_the_parser_allows():
    left, right = struct_pb2.Value(number_value=1), struct_pb2.Value(number_value=2)
    for _ in range(48):
        left, right = (struct_pb2.Value(list_value=struct_pb2.ListValue(values=[v])) for v in (left, right))
    result = compare(left, right)
    assert render(result.differences[0].path).endswith("values[0].number_value")


def test_a_list_of_near_equal_elements_is_not_matched_for_ever():
    made = rules(rule(UnorderedList, "response.rates"), rule(Tolerance, "response.rates[*]", absolute=1e-9))
    left, right = order(), order()
    left.rates.extend(float(n) for n in range(50_000))
    right.rates.extend(n + 0.5 for n in range(50_000))
    result = compare(left, right, made)
    assert [d.note for d in result.differences] == [
        "too complex: 50000 and 50000 elements in any order, too many of them differ"
    ]


def test_a_large_map_ends_at_the_work_limit():
    left, right = order(), order()
    for n in range(50_000):
        left.scores[str(n)] = n
        right.scores[str(n)] = n + 1
    limited = compare(left, right, options=CompareOptions(work_max=1000))
    assert not limited.complete
    assert limited.differences[-1].note.startswith("too complex: over 1000 steps")
    whole = compare(left, right)
    assert whole.complete
    assert (whole.count, len(whole.differences)) == (50_000, 100)


def test_what_was_found_before_the_work_limit_stands():
    left, right = order('id: "1"'), order('id: "2"')
    left.numbers.extend(range(5000))
    right.numbers.extend(range(1, 5001))
    result = compare(left, right, options=CompareOptions(work_max=100))
    assert [render(d.path) for d in result.differences] == ["response.id", "response.numbers"]


def test_a_flood_of_unknown_fields_is_not_decoded():
    left, right = (kind().FromString(b"\xa0\x06" + end + b"\xa0\x06\x01" * 200_000) for end in (b"\x01", b"\x02"))
    result = compare(left, right)
    assert [d.note for d in result.differences] == ["too complex: over 131072 bytes of unknown fields"]


def test_long_lists_with_one_element_lost():
    """Trimming what is equal at both ends leaves nothing to align."""
    left, right = order(), order()
    left.numbers.extend(range(100_000))
    right.numbers.extend(n for n in range(100_000) if n != 50_000)
    assert [str(d) for d in compare(left, right).differences] == ["response.numbers[50000]: missing"]


def test_many_lists_that_all_differ_stay_within_the_work_limit():
    left, right = order(), order()
    for message, shift in ((left, 0), (right, 1000)):
        for n in range(300):
            item = message.items.add(sku=str(n + shift), count=n)
            item.tags.extend(str(tag + shift) for tag in range(50 + shift // 1000))
    assert compare(left, right).count > 0
