"""What candidates' schemas changed is worked out once for each method and pair of schemas, and reaches the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import capture_pb2, otlp_slices_pb2, schema_pb2

from mirror.collect.app import open_store
from mirror.collect.schema_watch import SchemaWatch
from mirror.core.model import CallRecord, EpochKey, Group, Judged, PairKey, Release, Resource, Role
from mirror.core.schemas import SchemaBook, fingerprint_of
from tests.collect.otlp import METHOD, call_span, capture, keys, request
from tests.collect.shop import FINGERPRINT, Product, product_call, schema_span
from tests.collect.test_collector import config, run
from tests.core.compare.shapes import schema

OLD = 'syntax = "proto3"; package t; message M {int32 a = 1;}'
NEW = 'syntax = "proto3"; package t; message M {int32 a = 1; string b = 2;}'
EPOCH = EpochKey("run", "shop", "1", "2")


def record(role: Role, fingerprint: str, *, pod: str = "a", **fields: object) -> CallRecord:
    told = {"response_type": "t.M", "schema_fingerprint": fingerprint, "kind": capture_pb2.CALL_KIND_UNARY} | fields
    return CallRecord(
        key=PairKey("run", "t.S/Get", "id"),
        role=role,
        expect=frozenset({Role.CANDIDATE}),
        attempt=1,
        status="OK",
        resource=Resource("shop", "2" if role is Role.CANDIDATE else "1", pod),
        trace_id=b"",
        span_id=b"",
        capture=capture_pb2.Capture(**told).SerializeToString(),
        arrived_s=0.0,
    )


def judged(*calls: CallRecord, epoch: EpochKey = EPOCH) -> Judged:
    group = Group(calls[0].key, {c.role: c for c in calls}, frozenset({Role.CANDIDATE}), Release.COMPLETE, 0.0)
    return Judged(group, epoch, 0, {}, None)


def pair(left: str, right: str, **more: str) -> tuple[CallRecord, CallRecord]:
    return record(Role.PRIMARY, left), record(Role.CANDIDATE, right, **more)


def book(*sources: str) -> tuple[SchemaBook, list[str]]:
    made = SchemaBook()
    return made, [made.add(schema(source)[1]) for source in sources]


def test_told_once_for_each_epoch_and_pair_of_schemas() -> None:
    schemas, (old, new) = book(OLD, NEW)
    watch = SchemaWatch(schemas)
    told = watch.see(judged(*pair(old, new)))
    assert told is not None
    where, found = told
    assert (where.epoch, where.method, where.primary, where.candidate) == (EPOCH, "t.S/Get", old, new)
    assert [change.path for change in found.changes] == ["response.b"]
    assert watch.see(judged(*pair(old, new))) is None
    assert watch.see(judged(*pair(old, new, pod="b"))) is None, "another process of the same build says nothing new"
    assert watch.see(judged(*pair(old, new), epoch=EPOCH._replace(candidate_version="3"))) is not None


def test_the_same_schema_changes_nothing() -> None:
    schemas, (old,) = book(OLD)
    watch = SchemaWatch(schemas)
    assert watch.see(judged(*pair(old, old))) is None
    assert watch.see(judged(record(Role.PRIMARY, old))) is None


def test_it_waits_for_a_schema() -> None:
    schemas, (old,) = book(OLD)
    watch = SchemaWatch(schemas)
    new, serialized = schema(NEW)
    assert watch.see(judged(*pair(old, new))) is None
    schemas.add(serialized)
    assert watch.see(judged(*pair(old, new))) is not None


def test_streams_have_their_place() -> None:
    schemas, (old, new) = book(OLD, NEW)
    kind = capture_pb2.CALL_KIND_SERVER_STREAM
    told = SchemaWatch(schemas).see(
        judged(record(Role.PRIMARY, old, kind=kind), record(Role.CANDIDATE, new, kind=kind))
    )
    assert told is not None
    assert [change.path for change in told[1].changes] == ["responses[*].b"]


def test_what_tells_nothing_is_no_fault() -> None:
    schemas, (old, new) = book(OLD, NEW)
    watch = SchemaWatch(schemas)
    primary = record(Role.PRIMARY, old)
    for candidate in (
        replace(record(Role.CANDIDATE, new, pod="x"), capture=b"\xff"),
        record(Role.CANDIDATE, new, pod="y", response_type=""),
        record(Role.CANDIDATE, new, pod="z", response_type="t.Nope"),
    ):
        assert watch.see(judged(primary, candidate)) is None


def test_a_collector_keeps_what_the_candidates_schema_changed(tmp_path: Path) -> None:
    """Equal answers match whatever the schemas say; the changes stand beside them."""
    file = descriptor_pb2.FileDescriptorProto()
    Product.DESCRIPTOR.file.CopyToProto(file)  # type: ignore[attr-defined]  # the stubs know two classes of descriptors
    file.message_type[0].field.add(name="coupon", number=9, type=9, label=1)
    raw = file.SerializeToString()
    newer = fingerprint_of({file.name: raw})
    span = otlp_slices_pb2.Span(trace_id=b"s" * 16, span_id=b"t" * 8, name=names.SPAN_SCHEMA)
    span.attributes.extend(keys({names.SCHEMA: schema_pb2.Schema(fingerprint=newer, files=[raw]).SerializeToString()}))
    data = capture(
        Product(id="1").SerializeToString(), method=METHOD, response_type="shop.v1.Product", schema_fingerprint=newer
    )
    bodies = [
        request(schema_span(), product_call("m1", "primary", id="1", expect="candidate"), version="1.0"),
        request(span, call_span("m1", "candidate", data=data, mirror__run="checkout"), version="2.0"),
    ]
    settings = config(tmp_path)
    with open_store(settings) as store:
        run(settings, store, *(body.SerializeToString() for body in bodies))
        (epoch,) = store.reader().epochs("checkout")
        (told,) = store.reader().schema_changes(epoch.id)
        assert [(c.path, c.right) for c in told.changes] == [("response.coupon", "string coupon = 9")]
        assert (epoch.counts.matched, epoch.counts.mismatched) == (1, 0)
        assert newer != FINGERPRINT
