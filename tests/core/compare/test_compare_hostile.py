"""Messages made to hurt: the work is bounded, and what was not compared is said."""

from __future__ import annotations

import pytest
from google.protobuf import any_pb2, struct_pb2

from benchmarks.hostile import KINDS
from mirror.core.compare import CompareOptions, Comparer, compare
from mirror.core.compare.floods import EQUAL_MAX_BYTES, RECORDS_MAX, flooded, many_records, many_unknown
from mirror.core.path import Field, Index, render
from mirror.core.rules import Ignore, NormalisedText, Tolerance, UnorderedList
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


CLOSED = """
    syntax = "proto2"; package c;
    enum E { A = 0; B = -1; }
    message M {
        optional string s = 1; optional E e = 2; repeated E es = 3; map<int32, E> m = 4; optional M kid = 5;
        repeated int32 packed = 6 [packed = true]; repeated E states = 7 [packed = true]; optional group G = 8 {}
        extensions 100 to 200;
    }
    extend M { repeated int32 more = 100; }
"""
# Records of each field that the schema takes and, of the same number, that it does not know: all of a flood's size.
TAKEN = [b"\x0a\x01x", b"\x10\x00", b"\x18" + b"\xff" * 9 + b"\x01", b"\x22\x04\x08\x00\x10\x00", b"\x30\x01", b"\x38\x00", b"\x43\x44", b"\xa0\x06\x01"]  # fmt: skip
NOT_TAKEN = [b"\x08\x01", b"\x10\x07", b"\x18\x07", b"\x22\x04\x08\x00\x10\x07", b"\x35abcd", b"\x38\x07", b"\x42\x01x", b"\xa1\x06abcdefgh"]  # fmt: skip


@pytest.mark.parametrize(("known", "unknown"), list(zip(TAKEN, NOT_TAKEN, strict=True)))
def test_a_field_is_unknown_by_its_wire_type_or_a_closed_enums_value_too(known, unknown):
    """A number that the schema has does not make them known: they are decoded as unknown fields all the same."""
    made = kind(CLOSED, "c.M")
    flood = made.FromString(unknown * (200_000 // len(unknown)))
    assert many_unknown(flood)
    assert flooded(made(kid=flood))
    data = known * (200_000 // len(known))
    assert not many_unknown(made.FromString(data))
    assert not flooded(made(kid=made.FromString(data)))


@pytest.mark.parametrize("unknown", [b"\xa0\x06\x01", b"\x08\x01"])
def test_a_flood_below_is_told_where_it_is_beside_what_else_differs(unknown):
    """`==` of the messages around it would take twenty times its size in memory."""
    left, right = (
        order('main { sku: "1" } items { sku: "a" } items { sku: "b" }'),
        order('main { sku: "2" } items { sku: "b" } items { sku: "a" }'),
    )
    for message, end in ((left, b"\x01"), (right, b"\x02")):
        message.parent.MergeFromString(unknown[:-1] + end + unknown * (EQUAL_MAX_BYTES // len(unknown)))
    result = compare(left, right)
    assert [(render(d.path), d.note) for d in result.differences] == [
        ("response.main.sku", ""),
        ("response.items", "the same elements in another order"),
        ("response.parent", "too complex: over 131072 bytes of unknown fields"),
    ]
    assert compare(left, left).same
    excused = compare(
        left, right, rules(rule(Ignore, "response.main", id="m"), rule(Ignore, "response.parent", id="p"))
    )
    assert [d.rule for d in excused.ignored] == ["m", "p"]


def test_an_any_that_would_become_very_many_messages_is_not_opened():
    """Two bytes of it can become hundreds in memory."""
    sides = [order(), order()]
    for side, last in zip(sides, "ab", strict=True):
        value = b"\x2a\x00" * (RECORDS_MAX + 1) + b"\x0a\x01" + last.encode()
        side.detail.type_url, side.detail.value = "x/shop.Order", value
    assert [d.note for d in compare(*sides).differences] == [f"too complex: an Any of over {RECORDS_MAX} records"]
    for side in sides:
        side.detail.value = side.detail.value[-200_003:]
    assert [render(d.path) for d in compare(*sides).differences] == ["response.detail.(shop.Order).id"]


@pytest.mark.parametrize("data", [b"\xff" * 1_000_000, b"\x0a", b"\x0a\xff\xff\xff\xff\x0f", b"\x2b\x08", b"\x0f"])
def test_bytes_that_are_no_message_have_no_records(data):
    assert not many_records(data, kind().DESCRIPTOR)


def _documents(side: str, count: int, size: int) -> list[str]:
    return [f'["{side}", {n}' + ", 1" * (size // 3) + "]" for n in range(count)]


@pytest.mark.parametrize(
    ("own", "made"),
    [
        ({"json": True}, [_documents(side, 16, 100_000) for side in "ab"]),
        ({"replace": (("[0-9]", "n"),)}, [[f"{side} {n}" + " 1" * 400 for n in range(1000)] for side in "ab"]),
    ],
    ids=["JSON", "patterns"],
)
def test_the_work_on_texts_is_bounded_by_what_it_costs(own, made):
    """Of lists in any order each text may be held against all of the other side."""
    left, right = order(), order()
    left.main.tags.extend(made[0])
    right.main.tags.extend(made[1])
    path = "response.main.tags"
    result = compare(left, right, rules(rule(NormalisedText, path, **own), rule(UnorderedList, path, id="u")))
    assert not result.complete
    assert render(result.differences[-1].path) == path


def test_out_of_stack_it_says_how_far_it_came():
    ladder = KINDS["ladder, aligned"]
    left, right = map(ladder.message_type.FromString, ladder.build())
    comparer, place = Comparer(), rules().start
    streamed = comparer.run(lambda walk: walk.messages(left, right, (Field("responses"), Index(3)), place))
    for result, root in ((comparer.compare(left, right), "response"), (streamed, "responses[3]")):
        assert not result.complete
        last = result.differences[-1]
        assert last.note == "too complex: nested too deep; what follows was not compared"
        assert render(last.path).startswith(f"{root}.kids[0].kids[0].kids[0].kids[0].kids[0]")
