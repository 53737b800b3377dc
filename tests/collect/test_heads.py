"""What is remembered of attributes that repeat changes nothing of what a span says."""

from __future__ import annotations

from typing import Any

import pytest
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import otlp_slices_pb2
from hypothesis import given
from hypothesis import strategies as st

from mirror.collect.batch import Batch
from mirror.collect.heads import HEADS_MAX, Head, Heads
from mirror.collect.slices import Slicer
from mirror.core.model import Role
from tests.collect.otlp import call_span, capture, keys, request, value

pytestmark = pytest.mark.usefixtures("either_cutter")

TEXTS = st.sampled_from(
    ["", "m1", "é", "x" * 119, "x" * 120, "x" * 600, "OK", "NOT_FOUND", "5", "primary", "shop.v1.Shop/Buy", "Buy"]
)
VALUES = st.one_of(TEXTS, st.binary(max_size=4), st.integers(0, 20), st.none())
NAMES = st.sampled_from(
    [
        names.ID,
        names.RUN,
        names.ROLE,
        names.EXPECT,
        names.ATTEMPT,
        names.RPC_METHOD,
        names.RPC_STATUS,
        "rpc.service",
        "mirror.verdict",
        "mirror.idle",
        "other",
    ]
)


def cut(slicer: Slicer, attributes: list[tuple[str, Any]], *, attempt: int = 0) -> Batch:
    span = call_span(data=capture(attempt=attempt))
    for key, content in attributes:
        span.attributes.extend(keys({key: content}))
    return slicer.slice(request(span).SerializeToString(), arrived_s=1.0)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4), st.lists(st.tuples(NAMES, VALUES), max_size=4))
def test_a_span_says_the_same_whatever_came_before(first: list[tuple[str, Any]], second: list[tuple[str, Any]]) -> None:
    """Of an attribute that is there twice the last counts."""
    slicer = Slicer()
    for attributes in (first, second, first, second):
        assert cut(slicer, attributes, attempt=2) == cut(Slicer(), attributes, attempt=2)


def test_what_the_capture_says_is_not_remembered_as_the_attributes() -> None:
    slicer = Slicer()
    spans = [call_span("m1", data=capture(status_code=5, attempt=3)), call_span("m2", data=capture(status_code=7))]
    for span in spans:
        del span.attributes[[item.key for item in span.attributes].index(names.RPC_STATUS)]
        del span.attributes[[item.key for item in span.attributes].index(names.RPC_METHOD)]
    calls = slicer.slice(request(*spans).SerializeToString(), arrived_s=1.0).calls
    assert [(call.status, call.attempt) for call in calls] == [("NOT_FOUND", 3), ("PERMISSION_DENIED", 0)]


def test_a_value_written_before_its_key_is_read_all_the_same() -> None:
    """Protobuf allows any order of fields; no library writes this one."""
    (mark,) = keys({names.ROLE: "candidate"})
    turned = b"\x12" + bytes([len(value("candidate").SerializeToString())]) + value("candidate").SerializeToString()
    turned += b"\n" + bytes([len(names.ROLE)]) + names.ROLE.encode()
    span = call_span("m1", "primary").SerializeToString() + b"\x4a" + bytes([len(turned)]) + turned
    assert type(mark).FromString(turned) == mark
    body = request(call_span("m1", "candidate")).SerializeToString()
    whole = request(call_span("m1", "primary"))
    slicer = Slicer()
    slicer.slice(body, arrived_s=1.0)
    (call,) = slicer.slice(_with(whole, span), arrived_s=1.0).calls
    assert call.role is Role.CANDIDATE


def test_heads_are_bounded() -> None:
    heads = Heads([names.RUN])
    head = Head("run", "x.Y/Z", Role.PRIMARY, frozenset(), 0, "")
    for number in range(HEADS_MAX + 1):
        heads.learn((b"%d" % number,), head)
    assert heads.get((b"0",)) is None
    assert heads.get((b"%d" % HEADS_MAX,)) is head


def _with(whole: Any, span: bytes) -> bytes:
    """The request with this serialised span in the place of its own."""
    sliced = otlp_slices_pb2.SliceRequest.FromString(whole.SerializeToString())
    sliced.resource_spans[0].scope_spans[0].spans[0] = span
    return bytes(sliced.SerializeToString())
