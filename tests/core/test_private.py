"""Private leaves: compared by their keyed hashes, never shown, and not led astray by a lost list element."""

from __future__ import annotations

import pytest

from mirror.core.compare import Comparer, value_text
from mirror.core.model import Hashed
from mirror.core.path import Field, render
from mirror.core.private import EMPTY, LEAVES_MAX, PRIVATE_NOTE, compare_private
from mirror.core.rules import Ignore, KeyedList, UnorderedList
from tests.core.compare.shapes import rule, rules

ROOT = (Field("response"),)


def run(left, right, *made):
    comparer = Comparer(rules(*made))
    return comparer.run(lambda walk: compare_private(walk, left, right, ROOT, comparer.rules.walk(ROOT)))


def found(left, right, *made) -> list[str]:
    return [f"{render(d.path)} {d.kind}" for d in run(left, right, *made).differences]


CASES = [
    ("equal hashes", {"card.number": b"1"}, {"card.number": b"1"}, []),
    ("other hashes", {"card.number": b"1"}, {"card.number": b"2"}, ["response.card.number value"]),
    ("only the primary had it", {"pin": b"1"}, {}, ["response.pin missing"]),
    ("only the shadow had it", {}, {"pin": b"1"}, ["response.pin added"]),
    ("removed without a hash on both", {"pin": b""}, {"pin": b""}, []),
    ("without a hash on one side says nothing", {"pin": b""}, {"pin": b"1"}, []),
    ("without a hash, and not there at all", {"pin": b""}, {}, ["response.pin missing"]),
    ("empty on both", {"pin": EMPTY}, {"pin": EMPTY}, []),
    ("empty, and not, under a key", {"pin": EMPTY}, {"pin": b"1"}, ["response.pin value"]),
    ("empty, and not, without a hash", {"pin": EMPTY}, {"pin": b""}, ["response.pin value"]),
    ("empty, and not there at all", {"pin": EMPTY}, {}, ["response.pin missing"]),
    ("a key of a map", {'cards["a.b"].pin': b"1"}, {'cards["a.b"].pin': b"2"}, ['response.cards["a.b"].pin value']),
    ("a path that is none", {"a..b": b"1"}, {"a..b": b"2"}, ["response.a..b value"]),
    ("a pattern is no path", {"a[*]": b"1"}, {"a[*]": b"2"}, ["response.a[*] value"]),
    ("by position", {"i[0].pin": b"1", "i[1].pin": b"2"}, {"i[0].pin": b"1", "i[1].pin": b"3"}, ["response.i[1].pin value"]),
    ("another order", {"i[0].pin": b"1", "i[1].pin": b"2"}, {"i[0].pin": b"2", "i[1].pin": b"1"}, ["response.i[0].pin value", "response.i[1].pin value"]),
    ("the first element lost", {f"i[{n}].pin": bytes([n]) for n in range(1, 12)}, {f"i[{n}].pin": bytes([n + 1]) for n in range(1, 11)}, ["response.i[1].pin missing"]),
    ("an element more", {"i[0]": b"1"}, {"i[0]": b"9", "i[1]": b"1"}, ["response.i[0] added"]),
    ("lost, and another changed", {"i[0]": b"1", "i[1]": b"2", "i[2]": b"3"}, {"i[0]": b"2", "i[1]": b"4"}, ["response.i[0] value", "response.i[2] missing"]),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_leaves(left, right, expected):
    assert found(left, right) == expected
    swapped = {"missing": "added", "added": "missing", "value": "value"}
    kinds = [line.rpartition(" ")[2] for line in expected]
    assert [line.rpartition(" ")[2] for line in found(right, left)] == [swapped[kind] for kind in kinds]


def test_no_values_are_shown():
    (difference,) = run({"card.number": b"1"}, {"card.number": b"2"}).differences
    assert (difference.left, difference.right, difference.note) == (Hashed(b"1"), Hashed(b"2"), PRIVATE_NOTE)
    assert (value_text(difference.left), value_text(difference.right)) == ("", "")
    assert "1" not in repr(difference.left)  # not even the hash is


def test_unset_and_empty_stay_visible():
    (turned_empty,) = run({"card.number": b"1"}, {"card.number": EMPTY}).differences
    assert (turned_empty.right, turned_empty.kind) == (Hashed(b"", empty=True), "value")
    (lost,) = run({"card.number": b"1"}, {}).differences
    assert (lost.left, lost.right) == (Hashed(b"1"), None)


def test_a_rule_at_the_leaf_or_above_excuses():
    left, right = {"card.number": b"1"}, {"card.number": b"2"}
    for path in ("response.card.number", "response.card", "response", "**.number"):
        result = run(left, right, rule(Ignore, path))
        assert (result.count, [d.rule for d in result.ignored]) == (0, ["r"])
    assert found(left, right, rule(Ignore, "response.cards")) == ["response.card.number value"]


@pytest.mark.parametrize("made", [rule(UnorderedList, "response.i"), rule(KeyedList, "response.i", by=("k",))])
def test_where_order_means_nothing_the_hashes_count_as_a_whole(made):
    left = {"i[0].pin": b"1", "i[1].pin": b"2"}
    assert found(left, {"i[0].pin": b"2", "i[1].pin": b"1"}, made) == []
    assert found(left, {"i[0].pin": b"2", "i[1].pin": b"3"}, made) == ["response.i[0].pin value"]


def test_a_flood_of_leaves_is_not_read():
    left, right = ({f"i[{n}].pin": side for n in range(LEAVES_MAX)} for side in (b"1", b"2"))
    result = run(left, right)
    assert [d.note for d in result.differences] == [
        f"too complex: {LEAVES_MAX} and {LEAVES_MAX} private leaves; they were not compared"
    ]
    few = {f"i[{n}].pin": b"2" for n in range(1000)}
    assert run(left | {"i[0].pin": b"2"}, left).complete
    assert run(few | {"j[1].pin": b"1"}, few | {"j[2].pin": b"1"}, rule(UnorderedList, "response.j")).same
