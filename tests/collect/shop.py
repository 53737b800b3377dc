"""A tiny service made at run time, with captures and schema as its interceptors would send them; not a test."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import otlp_slices_pb2, schema_pb2

from mirror.core.schemas import fingerprint_of
from tests.collect.otlp import METHOD, call_span, capture, keys, request

_T = descriptor_pb2.FieldDescriptorProto
_FILE = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop.v1", syntax="proto3")
_product = _FILE.message_type.add(name="Product")
for _number, (_name, _type) in enumerate(
    [("id", _T.TYPE_STRING), ("name", _T.TYPE_STRING), ("price", _T.TYPE_INT32), ("tags", _T.TYPE_STRING)], start=1
):
    _label = _T.LABEL_REPEATED if _name == "tags" else _T.LABEL_OPTIONAL
    _product.field.add(name=_name, number=_number, type=_type, label=_label)

_RAW = _FILE.SerializeToString()
FINGERPRINT = fingerprint_of({_FILE.name: _RAW})
_pool = DescriptorPool()
_pool.Add(_FILE)
Product: type[Message] = GetMessageClass(_pool.FindMessageTypeByName("shop.v1.Product"))


def schema_span() -> otlp_slices_pb2.Span:
    """The span by which a process sends its schema."""
    schema = schema_pb2.Schema(fingerprint=FINGERPRINT, files=[_RAW]).SerializeToString()
    return otlp_slices_pb2.Span(
        trace_id=b"s" * 16, span_id=b"s" * 8, name=names.SPAN_SCHEMA, attributes=keys({names.SCHEMA: schema})
    )


def product_call(
    mirror_id: str, role: str, *, run: str = "checkout", expect: str = "candidate,secondary", **fields: Any
) -> otlp_slices_pb2.Span:
    """One GetProduct that answered these fields."""
    body = Product(**fields).SerializeToString()
    data = capture(
        body,
        method=METHOD,
        request_type="shop.v1.Product",
        response_type="shop.v1.Product",
        schema_fingerprint=FINGERPRINT,
    )
    return call_span(mirror_id, role, data=data, mirror__run=run, mirror__expect=expect)


def triples(ids: range, role: str, named: str = "m") -> list[otlp_slices_pb2.Span]:
    """The calls of one replica. The candidate's price is wrong in every call; its id, as the secondary's, is random."""
    price = 999 if role == "candidate" else 100
    own = {"primary": 0, "candidate": 1, "secondary": 2}[role]
    return [
        product_call(
            f"{named}{n}", role, id=f"{role}-{n}" if n % 3 == own else "same", name=f"product {n}", price=price
        )
        for n in ids
    ]


VERSIONS = {"primary": "1.0", "candidate": "2.0", "secondary": "1.0"}


def batches(ids: range, named: str = "m") -> list[bytes]:
    """One serialised batch of each replica, its schema first."""
    return [
        request(schema_span(), *triples(ids, role, named), version=version).SerializeToString()
        for role, version in VERSIONS.items()
    ]
