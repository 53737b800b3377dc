"""The compiled cutter makes of every request what the Python makes of it, hostile ones included."""

from __future__ import annotations

import random

import pytest
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import capture_pb2, otlp_slices_pb2
from hypothesis import event, given, settings
from hypothesis import strategies as st

from mirror.collect.batch import Batch
from mirror.collect.slices import NATIVE, BadBatch, Slicer
from mirror.native import new_cutter
from tests.collect.otlp import call_span, capture, keys, request

TEXTS = st.sampled_from(
    ["", "m1", "é", "x" * 119, "x" * 120, "x" * 600, "OK", "5", "primary", "shop.v1.Shop/Buy", "Buy"]
)
KEYS = [names.ID, names.RUN, names.ROLE, names.EXPECT, names.ATTEMPT, names.CAPTURE, names.SCHEMA, names.REPORT]
KEYS += [names.OUTBOUND, names.RPC_METHOD, names.RPC_STATUS, "rpc.service", "mirror.verdict", "mirror.idle", "other"]
VALUES = st.one_of(TEXTS, st.binary(max_size=4), st.integers(0, 20), st.none())
captures = st.builds(
    capture,
    st.binary(max_size=3),
    attempt=st.sampled_from([0, 1, 2**31]),
    status_code=st.sampled_from([0, 5, -1]),
    status_message=st.sampled_from(["", "no", "né"]),
    outbound_calls=st.sampled_from([0, 3]),
    exception_type=st.sampled_from(["", "E", "É"]),
    private_leaves=st.sampled_from([[], [capture_pb2.PrivateLeaf(path="a", hmac=b"h", key_id="k")]]),
    request_metadata=st.sampled_from([[], [capture_pb2.MetadataEntry(key="k", value=b"\xff")]]),
    omitted=st.sampled_from([[], [capture_pb2.Omitted(messages=2)]]),
)


@st.composite
def spans(draw: st.DrawFn) -> otlp_slices_pb2.Span:
    made = call_span(draw(st.sampled_from(["m1", "m2"])), draw(st.sampled_from(names.ROLES)), data=draw(captures))
    made.trace_id = draw(st.sampled_from([made.trace_id] * 5 + [b"", bytes(16), b"short"]))
    made.span_id = draw(st.sampled_from([made.span_id] * 5 + [b"", bytes(8), b"short"]))
    for key, content in draw(st.lists(st.tuples(st.sampled_from(KEYS), VALUES), max_size=2)):
        made.attributes.extend(keys({key: content}))
    if draw(st.integers(0, 5)) == 0:
        made.attributes.sort(key=lambda one: draw(st.integers(0, 9)))
    return made


def both(*bodies: bytes) -> list[tuple[Batch | str, Batch | str]]:
    """What either makes of requests that come one after the other."""
    compiled, python = Slicer(cutter=NATIVE), Slicer(cutter=None)
    return [(cut(compiled, body), cut(python, body)) for body in bodies]


def cut(slicer: Slicer, body: bytes) -> Batch | str:
    """What is in a request, or what is wrong with it."""
    try:
        return slicer.slice(body, arrived_s=1.0)
    except BadBatch as problem:
        return str(problem)


@given(st.lists(spans(), max_size=4))
@settings(max_examples=300, deadline=None)
def test_spans_are_cut_alike(found: list[otlp_slices_pb2.Span]) -> None:
    body = request(*found).SerializeToString()
    for compiled, python in both(body, body):  # the second time the heads are known
        assert compiled == python
        event(f"{len(python.calls)} calls, {python.rejected_spans} rejected")


@given(st.lists(spans(), min_size=1, max_size=3), st.randoms(use_true_random=False), st.integers(1, 4))
@settings(max_examples=600, deadline=None)
def test_broken_bytes_are_cut_alike(found: list[otlp_slices_pb2.Span], chance: random.Random, changes: int) -> None:
    whole = request(*found).SerializeToString()
    broken = bytearray(whole)
    for _ in range(changes):
        at = chance.randrange(len(broken))
        match chance.randrange(4):
            case 0:
                broken[at] = chance.randrange(256)
            case 1:
                del broken[at]
            case 2:
                broken.insert(at, chance.choice([0, 1, 0x0A, 0x7F, 0x80, 0xFF, chance.randrange(256)]))
            case _:
                del broken[at:]
        if not broken:
            break
    for compiled, python in both(whole, bytes(broken)):
        assert compiled == python
        event("refused" if isinstance(python, str) else f"{len(python.calls)} calls")


@given(st.binary(max_size=40))
def test_any_bytes_are_cut_alike(body: bytes) -> None:
    for compiled, python in both(body):
        assert compiled == python


def test_a_call_as_interceptors_write_it_is_cut_and_not_handed_back() -> None:
    assert NATIVE is not None
    ((_, (call, ordinary, odd)),) = NATIVE.cut(
        request(
            call_span("m1", data=capture(b"a", attempt=2, status_code=5, outbound_calls=3)),
            otlp_slices_pb2.Span(name="SELECT 1"),
            call_span("m1", data=capture(status_message="né")),
        ).SerializeToString()
    )
    assert isinstance(call, tuple)
    assert call[1] == "m1"
    assert call[5:8] == (2, 5, 3)
    assert ordinary is None
    assert isinstance(odd, bytes)


def test_a_name_that_no_span_could_begin_with_is_refused() -> None:
    assert new_cutter is not None
    with pytest.raises(ValueError, match="too long"):
        new_cutter("x" * 128, names.CAPTURE, [])
