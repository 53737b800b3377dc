"""Value classes: what belongs to each, and that no value makes one raise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from google.protobuf import descriptor_pb2, duration_pb2, struct_pb2, timestamp_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.compare import compare
from mirror.core.compare.classes import in_class
from mirror.core.rules import VALUE_CLASSES, ValueClass
from tests.core.compare.shapes import order, rule, rules

NOW_S = 1_700_000_000
U = "00112233-4455-6677-8899-aabbccddeeff"


@pytest.mark.parametrize(
    ("name", "value", "belongs"),
    [
        ("uuid", U, True),
        ("uuid", U.upper(), True),
        ("uuid", U.replace("-", ""), True),
        ("uuid", "{" + U + "}", True),
        ("uuid", "urn:uuid:" + U, True),
        ("uuid", b"0123456789abcdef", True),
        ("uuid", "{" + U, False),
        ("uuid", U + "}", False),
        ("uuid", U + "\n", False),
        ("uuid", U[:-1], False),
        ("uuid", U.replace("-", "", 1), False),
        ("uuid", U[:-1] + "g", False),
        ("uuid", b"0123456789abcde", False),
        ("timestamp", "2026-01-31T10:00:00Z", True),
        ("timestamp", "2026-01-31t10:00:00.123456789012z", True),
        ("timestamp", "2026-01-31 10:00:00", True),
        ("timestamp", "2026-01-31T10:00:00-23:59", True),
        ("timestamp", "2016-12-31T23:59:60Z", True),
        ("timestamp", "2026-01-31T10:00:61Z", False),
        ("timestamp", "2026-01-31T24:00:00Z", False),
        ("timestamp", "2026-02-30T10:00:00Z", False),
        ("timestamp", "2026-01-31T10:00:00+24:00", False),
        ("timestamp", "0000-01-31T10:00:00Z", False),
        ("timestamp", "2026-01-31", False),
        ("timestamp", "\uff12\uff10\uff12\uff16-01-31T10:00:00Z", False),
        ("timestamp", NOW_S, True),
        ("timestamp", NOW_S * 1_000_000_000, True),
        ("timestamp", float(NOW_S), True),
        ("timestamp", 0, False),
        ("timestamp", True, False),
        ("timestamp", float("nan"), False),
        ("timestamp", timestamp_pb2.Timestamp(seconds=NOW_S), True),
        ("timestamp", timestamp_pb2.Timestamp(), False),
        ("timestamp", duration_pb2.Duration(seconds=NOW_S), False),
        ("non_empty", "a", True),
        ("non_empty", "", False),
        ("non_empty", 0, False),
        ("non_empty", -0.0, False),
        ("non_empty", timestamp_pb2.Timestamp(nanos=1), True),
        ("non_empty", timestamp_pb2.Timestamp(), False),
    ],
)
def test_what_belongs(name, value, belongs):
    assert in_class(name, value, value) is belongs


@pytest.mark.parametrize(
    ("name", "left", "right", "belong"),
    [
        ("same_length", "é", "a", True),
        ("same_length", b"\xc3\xa9", "é", True),
        ("same_length", b"a", "é", False),
        ("same_sign", 10**400, 1.0, True),
        ("same_sign", 0, -0.0, True),
        ("same_sign", 0, 1, False),
        ("same_sign", float("nan"), float("nan"), False),
        ("same_sign", "1", "1", False),
        ("no_such_class", "a", "a", False),
    ],
)
def test_both_at_once(name, left, right, belong):
    assert in_class(name, left, right) is belong


def strange_timestamps():
    """Types of strangers: a Timestamp whose seconds are a message, or text, or many."""
    for kind, label in ((11, 1), (9, 1), (3, 3)):
        file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="google.protobuf", syntax="proto2")
        seconds = file.message_type.add(name="Timestamp").field.add(name="seconds", number=1, label=label, type=kind)
        if kind == 11:
            seconds.type_name = ".google.protobuf.Timestamp"
        pool = DescriptorPool()
        pool.AddSerializedFile(file.SerializeToString())
        yield GetMessageClass(pool.FindMessageTypeByName("google.protobuf.Timestamp"))()


def test_a_timestamp_that_is_none_is_none():
    for message in strange_timestamps():
        assert not in_class("timestamp", message, message)


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64),
    st.floats(),
    st.text(),
    st.text().map(lambda text: text + "\ud800"),
    st.binary(),
    st.text("0123456789-:TtZz+. abcdef{}", max_size=40),
    st.lists(st.integers(), max_size=2),
    st.builds(timestamp_pb2.Timestamp, seconds=st.integers(-(2**63), 2**63 - 1)),
    st.builds(struct_pb2.Value, string_value=st.text()),
    st.sampled_from([*strange_timestamps(), order(""), order("main {}"), order("numbers: 1").numbers]),
)


@given(st.sampled_from([*VALUE_CLASSES, "other"]), ANYTHING, ANYTHING)
def test_no_value_raises_and_the_sides_are_exchangeable(name, left, right):
    assert in_class(name, left, right) is in_class(name, right, left)


@given(st.uuids(), st.uuids())
def test_every_uuid_is_one(left, right):
    assert in_class("uuid", str(left), right.hex)
    assert in_class("uuid", right.urn, left.bytes)


@given(st.text("0123456789abcdef-{}", max_size=45))
def test_a_uuid_is_what_the_library_reads(text):
    """Ours is stricter about where hyphens stand."""
    if in_class("uuid", text, text):
        assert UUID(text)


@given(st.datetimes(min_value=datetime(1, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001 - the zone comes after
def test_every_moment_in_rfc_3339_is_a_timestamp(moment, minutes):
    text = moment.replace(tzinfo=timezone(timedelta(minutes=minutes))).isoformat()
    assert in_class("timestamp", text, moment.replace(tzinfo=UTC).isoformat())


@pytest.mark.parametrize("name", VALUE_CLASSES)
def test_enums_and_bools_are_of_no_class(name):
    found = compare(
        order("state: NEW states: PAID open: true"),
        order("state: PAID states: NEW"),
        rules(rule(ValueClass, "response.**", name=name)),
    )
    assert found.ignored == ()
    assert found.count == 3
