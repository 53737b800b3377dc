"""Trees beside each other: every line of each side once, in order, equal things in one row."""

import json

from hypothesis import given
from hypothesis import strategies as st

from mirror.serve import align, tree

JSON = st.recursive(
    st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=1), inner, max_size=4),
    max_leaves=12,
)


def _node(value, path="r", key=""):
    if isinstance(value, dict):
        return tree.group(path, key, (_node(v, f"{path}.{k}", k) for k, v in sorted(value.items())))
    if isinstance(value, list):
        return tree.array(path, key, (_node(v, f"{path}[{i}]") for i, v in enumerate(value)))
    return tree.leaf(path, key, value)


def _texts(pairs):
    return [tuple(line.text if line else None for line in pair) for pair in pairs]


def test_a_lost_element_leaves_one_gap_and_not_a_shifted_tail():
    rows = _texts(align.align(_node([1, 2, 3]), _node([1, 3])))
    assert rows == [("[", "["), ("1", "1"), ("2", None), ("3", "3"), ("]", "]")]


def test_a_changed_element_stands_beside_its_counterpart():
    rows = _texts(align.align(_node({"a": 1, "b": 2}), _node({"a": 1, "b": 5})))
    assert ('"b": 2', '"b": 5') in rows


def test_a_field_on_one_side_leaves_a_gap_in_its_place():
    rows = _texts(align.align(_node({"a": 1, "c": 3}), _node({"a": 1, "b": 2, "c": 3})))
    assert rows[2] == (None, '"b": 2')


def test_lines_are_json():
    value = {"a": [1, {"b": "x"}], "c": [], "d": {}}
    text = "\n".join(line.text + ("," if line.comma else "") for line in align.lines(_node(value)))
    assert json.loads(text) == value


@given(JSON, JSON)
def test_each_side_keeps_all_its_lines_in_order(left, right):
    pairs = align.align(_node(left), _node(right))
    for side, value in ((0, left), (1, right)):
        kept = [pair[side] for pair in pairs if pair[side] is not None]
        assert [(line.path, line.text) for line in kept] == [
            (line.path, line.text) for line in align.lines(_node(value))
        ]


@given(JSON)
def test_equal_trees_stand_row_by_row(value):
    assert all(
        left is not None and right is not None and left.text == right.text
        for left, right in align.align(_node(value), _node(value))
    )


@given(JSON, JSON, JSON)
def test_three_sides_keep_all_their_lines_in_order(left, middle, right):
    rows = align.merge(align.align(_node(left), _node(middle)), align.align(_node(left), _node(right)))
    for side, value in enumerate((left, middle, right)):
        kept = [row[side].text for row in rows if row[side] is not None]
        assert kept == [line.text for line in align.lines(_node(value))]


def test_rows_near_a_mark_stay():
    assert align.folded([False, False, True, False, False], context=1) == [True, False, False, False, True]
