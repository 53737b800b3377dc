"""What holds for any two messages: reflexive, symmetric, exactly as equal as a plain recursive reference says."""

from __future__ import annotations

import math

import pytest
from google.protobuf import any_pb2, descriptor_pb2, struct_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.core.compare import CompareOptions, Lists, compare
from mirror.core.model import Kind
from mirror.core.rules import Ignore, KeyedList, Tolerance, UnorderedList, ValueClass
from tests.core.compare.shapes import kind, rule, rules

F = descriptor_pb2.FieldDescriptorProto


def _schema():
    """A small recursive type with every shape of field."""
    file = descriptor_pb2.FileDescriptorProto(name="p.proto", package="p", syntax="proto2")
    node = file.message_type.add(name="N")
    for number, (name, type_, label) in enumerate(
        [
            ("i", F.TYPE_INT32, F.LABEL_OPTIONAL),
            ("d", F.TYPE_DOUBLE, F.LABEL_OPTIONAL),
            ("s", F.TYPE_STRING, F.LABEL_OPTIONAL),
            ("kid", F.TYPE_MESSAGE, F.LABEL_OPTIONAL),
            ("kids", F.TYPE_MESSAGE, F.LABEL_REPEATED),
            ("is", F.TYPE_INT32, F.LABEL_REPEATED),
            ("ds", F.TYPE_DOUBLE, F.LABEL_REPEATED),
        ],
        1,
    ):
        message = {"type_name": ".p.N"} if type_ == F.TYPE_MESSAGE else {}
        node.field.add(name=name, number=number, type=type_, label=label, **message)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("p.N"))


Node = _schema()
doubles = st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf])
small = st.integers(0, 2)


def _filled(children):
    return st.fixed_dictionaries(
        {},
        optional={
            "i": small,
            "d": doubles,
            "s": st.sampled_from(["", "a"]),
            "kid": children,
            "kids": st.lists(children, max_size=3),
            "is": st.lists(small, max_size=3),
            "ds": st.lists(doubles, max_size=2),
        },
    )


nodes = st.recursive(_filled(st.just({})), _filled, max_leaves=6).map(lambda fields: Node(**fields))


def reference(left, right) -> bool:
    """Equal as MessageDifferencer says, with NaN equal to NaN: presence counts, -0.0 equals 0.0, lists in order."""
    ours, theirs = ({field.name: value for field, value in m.ListFields()} for m in (left, right))
    if ours.keys() != theirs.keys():
        return False
    return all(_same(ours[name], theirs[name]) for name in ours)


def _same(one, other) -> bool:
    if hasattr(one, "ListFields"):
        return reference(one, other)
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, int | str):
        return one == other
    return len(one) == len(other) and all(map(_same, one, other))


@given(nodes)
def test_a_message_differs_from_itself_nowhere(message):
    other = Node.FromString(message.SerializeToString())
    for left, right in ((message, message), (message, other)):
        assert compare(left, right).count == 0


@given(nodes, nodes)
@settings(max_examples=300)
def test_no_differences_exactly_if_the_reference_says_equal(left, right):
    assert compare(left, right).same == reference(left, right)


@given(nodes, nodes)
@settings(max_examples=300)
def test_the_other_way_round_missing_and_added_change_places(left, right):
    there, back = compare(left, right), compare(right, left)
    swapped = {Kind.MISSING: Kind.ADDED, Kind.ADDED: Kind.MISSING}
    assert there.count == back.count
    assert sorted((d.pattern, d.kind) for d in there.differences) == sorted(
        (d.pattern, swapped.get(d.kind, d.kind)) for d in back.differences
    )


RULES = rules(
    rule(Ignore, "response.**.s"),
    rule(Tolerance, "response.d", absolute=1),
    rule(UnorderedList, "response.**.is"),
    rule(KeyedList, "response.kids", by=("i",)),
    rule(ValueClass, "response.i", name="non_empty"),
)


@given(nodes, nodes)
@settings(max_examples=300)
def test_rules_never_make_a_difference_and_excuse_only_real_ones(left, right):
    plain, ruled = compare(left, right), compare(left, right, RULES)
    if plain.same:
        assert ruled.same
        assert ruled.ignored_count == 0
    elif ruled.same:
        assert ruled.ignored_count > 0


@given(nodes, nodes)
def test_positions_or_aligned_is_no_question_of_equality(left, right):
    assert compare(left, right).same == compare(left, right, options=CompareOptions(lists=Lists.LIST)).same


@given(st.binary(max_size=200), st.binary(max_size=200), st.sampled_from(["order", "struct", "any", "descriptor"]))
@settings(max_examples=300)
def test_any_bytes_end_in_a_result(one, other, name):
    """Whatever the parser takes, the comparer compares; reading the result's paths and patterns never fails."""
    types = {
        "order": kind(),
        "struct": struct_pb2.Struct,
        "any": any_pb2.Any,
        "descriptor": descriptor_pb2.FileDescriptorProto,
    }
    try:
        left, right = types[name].FromString(one), types[name].FromString(other)
    except DecodeError:
        return
    result = compare(left, right)
    assert result.complete
    assert (result.count == 0) >= (left == right)
    assert all(d.pattern and str(d) for d in result.differences)


@pytest.mark.parametrize("shape", ["wide", "ints"])
def test_equal_under_any_order_however_shuffled(shape):
    made = rules(rule(UnorderedList, "response.kids"), rule(UnorderedList, "response.is"))
    forward = Node(kids=[Node(i=n % 7) for n in range(300)]) if shape == "wide" else Node(**{"is": range(1000)})
    backward = Node(kids=reversed(forward.kids), **{"is": reversed(getattr(forward, "is"))})
    result = compare(forward, backward, made)
    assert result.same
    assert [d.kind for d in result.ignored] == [Kind.ORDER]
