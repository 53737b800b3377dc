"""Texts as JSON: the same by value, and the same as nothing where in doubt."""

from __future__ import annotations

import json
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.compare.jsontext import DEPTH_MAX, TEXT_MAX, JsonPointers, PointerError, same_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ('{"a": 1, "b": [1, 2]}', '{"b":[1,2],"a":1}', True),
        ("1", "1.0", True),
        ("100", "1e2", True),
        ("-0", "0", True),
        ('"\\u00e9"', '"é"', True),
        ('"\\/"', '"/"', True),
        ("[1, 2]", "[2, 1]", False),
        ("[1]", "[1, null]", False),
        ('{"a": null}', "{}", False),
        ("1", "true", False),
        ("0", "false", False),
        ("1", '"1"', False),
        ("[]", "{}", False),
        ("0.1", "0.10000000000000001", False),
        ("9007199254740993", "9007199254740992", False),
        ('"A"', '"a"', False),
        ('{"a": 1}', '{"a": 1, "a": 1}', False),
        ("NaN", "NaN", False),
        ("Infinity", "Infinity", False),
        ("", "", False),
        ("{", "{", False),
        ("1 2", "1 2", False),
        ("'a'", "'a'", False),
        ("01", "01", False),
        ('"\t"', '"\t"', False),
        ("\ufeff1", "\ufeff1", False),
        ("1e400", "1e400", True),
        ("1e400", "1e401", False),
        (f"1e{10**30}", f"1e{10**30}", False),
    ],
)
def test_same_by_value(left, right, same):
    assert same_json(left, right) is same
    assert same_json(right, left) is same


@pytest.mark.parametrize(
    ("pointers", "left", "right", "same"),
    [
        (["/id"], '{"id": 1, "a": 2}', '{"id": 3, "a": 2}', True),
        (["/id"], '{"id": 1, "a": 2}', '{"a": 2}', True),
        (["/id"], '{"a": {"id": 1}}', '{"a": {"id": 2}}', False),
        (["/a/id"], '{"a": {"id": 1}}', '{"a": {"id": 2}}', True),
        (["/a/id"], '{"a": {"id": 1}}', "{}", False),
        (["/*/at"], '[{"at": 1}, {"at": 2}]', '[{"at": 3}, {}]', True),
        (["/*/at"], '{"x": {"at": 1}}', '{"x": {"at": 2}}', True),
        (["/*"], "[1]", "[1, 2, 3]", True),
        (["/1"], "[1, 2]", "[1, 3]", True),
        (["/0"], "[1, 2]", "[2]", False),
        (["/a~1b", "/c~0d"], '{"a/b": 1, "c~d": 1}', '{"a/b": 2, "c~d": 2}', True),
        (["/~01"], '{"~1": 1}', '{"~1": 2}', True),
        (["/"], '{"": 1}', '{"": 2}', True),
        (["/a", "/a/b"], '{"a": {"b": 1}}', '{"a": 2}', True),
        (["/a/b", "/*/c"], '{"a": {"b": 1, "c": 1}}', '{"a": {"b": 2, "c": 2}}', True),
    ],
)
def test_pointers_name_what_does_not_count(pointers, left, right, same):
    assert same_json(left, right, JsonPointers(pointers)) is same


@pytest.mark.parametrize(
    ("pointer", "said"), [("a", 'starts with "/"'), ("", 'starts with "/"'), ("/a~2", 'a lone "~"')]
)
def test_a_pointer_that_is_none(pointer, said):
    with pytest.raises(PointerError, match=re.escape(said)):
        JsonPointers((pointer,))


def nested(depth, value="1"):
    return "[" * depth + value + "]" * depth


def test_depth_and_size_are_bounded():
    assert same_json(nested(DEPTH_MAX), nested(DEPTH_MAX))
    assert not same_json(nested(DEPTH_MAX + 1), nested(DEPTH_MAX + 1))
    assert not same_json(nested(100_000), nested(100_000))
    assert not same_json('{"a":' * 30_000, '{"a":' * 30_000)
    large = '"' + "a" * (TEXT_MAX - 2) + '"'
    assert same_json(large, large)
    assert not same_json(large + " ", large + " ")


def test_brackets_in_strings_are_no_depth():
    text = json.dumps(["[" * 200, '\\"[[' * 200, "]" * 200])
    assert same_json(text, text)


@pytest.mark.parametrize("unit", ['"', '"\\', '\\"', '"[', "[]", '"a\\\\'])
def test_what_only_looks_like_strings_takes_no_longer_than_strings(unit):
    """A scan of the brackets that went back at each quote would not come back from a quarter of a million."""
    text = (unit * TEXT_MAX)[:TEXT_MAX]
    assert not same_json(text, text)


def test_a_stack_that_is_nearly_full_is_no_error():
    """The comparison may be asked deep inside a message; then it says no."""

    def at_the_bottom(depth):
        return same_json(nested(60), nested(60)) if depth == 0 else at_the_bottom(depth - 1)

    used = 0
    frame = sys._getframe()
    while frame is not None:
        used, frame = used + 1, frame.f_back
    assert at_the_bottom(sys.getrecursionlimit() - used - 40) in {True, False}


@given(VALUES, st.randoms())
def test_a_value_is_the_same_however_it_is_written(value, random):
    def shuffled(inner):
        if isinstance(inner, dict):
            items = [(key, shuffled(each)) for key, each in inner.items()]
            random.shuffle(items)
            return dict(items)
        return [shuffled(each) for each in inner] if isinstance(inner, list) else inner

    text = json.dumps(value)
    assert same_json(text, json.dumps(shuffled(value), indent=1, ensure_ascii=False))


@given(VALUES, VALUES)
def test_other_values_are_not_the_same(one, other):
    """Python's own equality, apart from what it has of true and 1."""
    assert same_json(json.dumps(one), json.dumps(other)) is (typed(one) == typed(other))


@given(st.text(), st.text(), st.lists(st.text().map("/{}".format).filter(lambda p: "~" not in p)))
def test_no_text_raises(left, right, pointers):
    assert same_json(left, right, JsonPointers(pointers)) in {True, False}


def typed(value):
    if isinstance(value, dict):
        return {key: typed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [typed(each) for each in value]
    return (isinstance(value, bool), value)
