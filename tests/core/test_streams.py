"""Streams: one lost message is one difference, another order is one difference, whatever noise the messages hold."""

from __future__ import annotations

import random

import pytest

from mirror.core.compare import Comparer
from mirror.core.path import Field, render
from mirror.core.rules import Ignore, KeyedList, UnorderedList
from mirror.core.streams import Body, compare_stream
from tests.core.compare.shapes import kind, order, rule, rules

RESPONSES = (Field("responses"),)


def item(sku: str, count: int = 1, trace: str = ""):
    return order(f'sku: "{sku}" price: {ord(sku[0])} count: {count} trace: "{trace}"', "shop.Item")


def found(left, right, *made):
    """Each difference as `path kind`. Elements are messages, or ready Bodies."""
    comparer = Comparer(rules(*made))
    ours, theirs = ([m if isinstance(m, Body) else Body(m) for m in side] for side in (left, right))
    place = comparer.rules.walk(RESPONSES)
    result = comparer.run(lambda walk: compare_stream(walk, ours, theirs, RESPONSES, place))
    return [f"{render(d.path)} {d.kind}" for d in result.differences]


def items(skus: str, side: str = "", counts=None):
    """One item a letter; with `side`, a field that is another in every message."""
    return [item(sku, counts[n] if counts else 1, f"{side} {n} {sku}" if side else "") for n, sku in enumerate(skus)]


def test_the_same():
    assert found([], []) == []
    assert found(items("abc"), items("abc")) == []


@pytest.mark.parametrize("lost", range(6))
def test_one_lost_message_is_one_difference(lost):
    rest = "abcdef".replace("abcdef"[lost], "")
    assert found(items("abcdef"), items(rest)) == [f"responses[{lost}] missing"]
    assert found(items(rest), items("abcdef")) == [f"responses[{lost}] added"]


@pytest.mark.parametrize("lost", range(6))
def test_a_lost_message_among_noise_no_rule_covers(lost):
    """Each message that is there differs in the noisy field alone."""
    rest = "abcdef".replace("abcdef"[lost], "")
    differing = found(items("abcdef", "left"), items(rest, "right"))
    assert sorted(differing) == sorted(
        [f"responses[{n}].trace value" for n in range(6) if n != lost] + [f"responses[{lost}] missing"]
    )


@pytest.mark.parametrize("length", [200, 1000])
def test_a_lost_message_in_a_long_noisy_stream(length):
    skus = "".join(random.Random(length).choices("abcdefghijklmnop", k=length))
    lost = length // 2
    left = [item(sku, n, f"left {n}") for n, sku in enumerate(skus)]
    right = [item(sku, n, f"right {n}") for n, sku in enumerate(skus) if n != lost]
    differing = found(left, right)
    assert f"responses[{lost}] missing" in differing
    assert not [d for d in differing if not d.endswith((".trace value", "] missing"))]


@pytest.mark.parametrize("other", ["bacdef", "abcdfe", "acbdef", "fbcdea", "fedcba", "bcdefa", "fabcde"])
def test_another_order_is_one_difference(other):
    assert found(items("abcdef"), items(other)) == ["responses order"]


@pytest.mark.parametrize("other", ["bacdef", "abcdfe", "fbcdea", "bcdefa", "fabcde"])
def test_another_order_with_ignored_noise(other):
    made = rule(Ignore, "responses[*].trace")
    assert found(items("abcdef", "left"), items(other, "right"), made) == ["responses order"]


@pytest.mark.parametrize("other", ["bacdef", "abcdfe", "fbcdea", "bcdefa", "fabcde"])
def test_another_order_with_noise_no_rule_covers(other):
    """The order is seen, and beside it only the noise."""
    differing = found(items("abcdef", "left"), items(other, "right"))
    assert differing[0] == "responses order"
    assert sorted(differing[1:]) == [f"responses[{n}].trace value" for n in range(6)]


def test_a_wrong_value_is_no_order():
    assert found(items("abc"), items("abc", counts=[1, 7, 1])) == ["responses[1].count value"]
    assert found(items("ab", counts=[1, 2]), items("ab", counts=[2, 1])) == [
        "responses[0].count value",
        "responses[1].count value",
    ]


def test_unordered_and_keyed_streams():
    assert found(items("abc"), items("cab"), rule(UnorderedList, "responses")) == []
    keyed = rule(KeyedList, "responses", by=("sku",))
    assert found(items("abc"), items("ca", counts=[5, 1]), keyed) == [
        "responses[2].count value",
        "responses[1] missing",
    ]


def test_messages_that_cannot_be_read_are_elements_too():
    """Equal bytes are the same; others differ with the reason."""
    broken = Body(None, b"\xff", b"\xff", "cannot be decoded")
    worse = Body(None, b"\xfe", b"\xfe", "cannot be decoded")
    assert found([item("a"), broken], [item("a"), broken]) == []
    assert found([item("a"), broken], [item("a"), worse]) == ["responses[1] value"]
    assert found([broken, item("a")], [item("a")]) == ["responses[0] missing"]
    assert found([broken], [item("a")]) == ["responses[0] value"]


def test_private_leaves_compare_by_their_hashes():
    left = [Body(item("a"), private={"card.number": b"1", "pin": b""}), Body(item("b"), private={"x": b"1"})]
    right = [Body(item("a"), private={"card.number": b"2", "pin": b""}), Body(item("b"), private={})]
    assert found(left, left) == []
    assert found(left, right) == ["responses[0].card.number value", "responses[1].x missing"]
    assert found(left, right, rule(Ignore, "responses[*].card.number"), rule(Ignore, "responses[1]")) == []


def broken(content: bytes) -> Body:
    return Body(None, content, content, "cannot be decoded")


@pytest.mark.parametrize("seed", range(3))
def test_a_lost_message_in_the_middle_of_a_thousand_noisy_ones(seed):
    """Every message differs in a field of its own; the lost one is one difference."""
    rng = random.Random(seed)
    skus, lost = [f"s{rng.randrange(50)}" for _ in range(1000)], rng.randrange(1000)
    left, right = (
        [order(f'sku: "{sku}" price: {n % 7} count: {n} trace: "{side}{n}"', "shop.Item") for n, sku in enumerate(skus)]
        for side in ("left", "right")
    )
    del right[lost]
    differing = found(left, right)
    assert [d for d in differing if not d.endswith(".trace value")] == [f"responses[{lost}] missing"]
    assert found(left, right, rule(Ignore, "responses[*].trace")) == [f"responses[{lost}] missing"]


def test_a_message_sent_twice_is_one_added():
    assert found(items("abcd"), items("abbcd")) == ["responses[2] added"]
    assert found(items("abbcd"), items("abcd")) == ["responses[2] missing"]
    noisy = found(items("abcd", "left"), items("abbcd", "right"))
    assert [d for d in noisy if not d.endswith(".trace value")] in (["responses[1] added"], ["responses[2] added"])
    assert found(items("aaaa"), items("aaaaa")) == ["responses[4] added"]


def test_swapped_neighbours_far_inside_a_long_stream():
    """One difference of kind order, and nothing beside it."""
    left = [item(chr(97 + n % 26), n) for n in range(300)]
    right = [*left[:150], left[151], left[150], *left[152:]]
    assert found(left, right) == ["responses order"]


def test_one_side_empty():
    """Each message is missing or added; together they are one hypothesis."""
    assert found(items("ab"), []) == ["responses[0] missing", "responses[1] missing"]
    assert found([], items("ab")) == ["responses[0] added", "responses[1] added"]
    for made in (rule(UnorderedList, "responses"), rule(KeyedList, "responses", by=("sku",))):
        assert found(items("ab"), [], made) == ["responses[0] missing", "responses[1] missing"]


def test_an_unordered_stream():
    """As many as possible are the same; the rest pairs by likeness or stands alone."""
    unordered = rule(UnorderedList, "responses")
    assert found(items("abcdef"), items("fedcba"), unordered) == []
    assert found(items("abcdef"), items("fedba"), unordered) == ["responses[2] missing"]
    assert found(items("abc"), items("cba", counts=[1, 1, 9]), unordered) == ["responses[0].count value"]
    assert found(items("aab"), items("abb"), unordered) == ["responses[2] added", "responses[1] missing"]
    noise = rule(Ignore, "responses[*].trace", id="noise")
    assert found(items("abcdef", "left"), items("fedcba", "right"), unordered, noise) == []


def test_a_keyed_stream_with_keys_that_occur_twice():
    """Of several with one key the same ones first, the rest in order."""
    keyed = rule(KeyedList, "responses", by=("sku",))
    left, right = items("aab", counts=[1, 2, 3]), items("baa", counts=[3, 2, 1])
    assert found(left, right, keyed) == []
    assert found(left, items("aab", counts=[2, 9, 3]), keyed) == ["responses[0].count value"]
    assert found(left, items("ab", counts=[2, 3]), keyed) == ["responses[0] missing"]
    assert found(items("ab"), items("aab"), keyed) == ["responses[1] added"]


def test_messages_with_private_leaves_align_by_their_hashes():
    """Else equal, they are told apart by what was taken out of them."""

    def cards(*pins: bytes) -> list[Body]:
        return [Body(item("a"), private={"pin": pin}) for pin in pins]

    assert found(cards(b"1", b"2", b"3"), cards(b"1", b"3")) == ["responses[1] missing"]
    assert found(cards(b"1", b"2", b"3"), cards(b"1", b"3", b"2")) == ["responses order"]
    assert found(cards(b"1", b"2"), cards(b"1", b"9")) == ["responses[1].pin value"]
    assert found(cards(b"1", b""), cards(b"", b"2")) == []
    unordered = rule(UnorderedList, "responses")
    assert found(cards(b"1", b"2", b"3"), cards(b"3", b"1", b"2"), unordered) == []


def test_messages_nobody_can_read_align_by_their_bytes():
    left = [item("a"), broken(b"1"), broken(b"2"), item("b")]
    assert found(left, [item("a"), broken(b"2"), item("b")]) == ["responses[1] missing"]
    assert found(left, [item("a"), broken(b"2"), broken(b"1"), item("b")]) == ["responses order"]
    assert found(left, left[::-1], rule(UnorderedList, "responses")) == []
    assert found(left, left[::-1], rule(KeyedList, "responses", by=("sku",))) == []
    assert found([broken(b"1")], [broken(b"2")], rule(Ignore, "responses[*]")) == []


@pytest.mark.parametrize("by", ["a", "b"])
def test_keys_are_read_by_each_sides_own_schema_though_the_first_message_cannot_be_read(by):
    """A key has either side's name, for fields meet by number."""
    old = kind('syntax = "proto3"; package t; message M {string a = 1; int32 n = 2;}', "t.M")
    new = kind('syntax = "proto3"; package t; message M {string b = 1; int32 n = 2;}', "t.M")
    unread = Body(None, b"\xff", b"\xff", "cannot be decoded")
    left, right = [unread, old(a="x", n=1), old(a="y")], [unread, new(b="y"), new(b="x", n=2)]
    keyed = rule(KeyedList, "responses", by=(by,))
    assert found(left, right, keyed) == ["responses[1].n value"]
    assert found(left[1:], right, keyed) == ["responses[0].n value", "responses[0] added"]
