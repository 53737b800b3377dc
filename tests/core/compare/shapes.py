"""Schemas for tests, from .proto source in the test itself."""

from __future__ import annotations

import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

from google.protobuf import descriptor_pb2, text_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_mirror.v1 import schema_pb2
from grpc_tools import protoc

from mirror.core.path import PathPattern
from mirror.core.rules import MethodRules, Scope
from mirror.core.schemas import fingerprint_of

SHOP = """
syntax = "proto3";
package shop;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum State { NEW = 0; PAID = 1; }
message Item { string sku = 1; double price = 2; int32 count = 3; repeated string tags = 4; string trace = 5; }
message Card { string number = 1; }
message Order {
  string id = 1;
  optional int32 gift = 2;
  State state = 3;
  Item main = 4;
  repeated Item items = 5;
  repeated int32 numbers = 6;
  repeated double rates = 7;
  map<string, string> labels = 8;
  map<int32, Item> by_number = 9;
  oneof payment { Card card = 10; string cash = 11; }
  google.protobuf.Any detail = 12;
  google.protobuf.Timestamp created = 13;
  google.protobuf.Duration took = 14;
  google.protobuf.DoubleValue discount = 15;
  google.protobuf.Struct extra = 16;
  Order parent = 17;
  float ratio = 18;
  double total = 19;
  bytes blob = 20;
  repeated State states = 21;
  int64 size = 22;
  repeated google.protobuf.Timestamp times = 23;
  map<string, double> scores = 24;
  bool open = 25;
}
"""


@cache
def descriptor_set(source: str, name: str = "shop.proto") -> descriptor_pb2.FileDescriptorSet:
    """The compiled `source` with all it imports, dependencies first."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_text(source)
        out = Path(folder) / "out.fds"
        well_known = str(files("grpc_tools") / "_proto")
        arguments = ["protoc", f"-I{folder}", f"-I{well_known}", "--include_imports", f"-o{out}", name]
        assert protoc.main(arguments) == 0
        return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())


def new_pool(source: str, name: str = "shop.proto") -> DescriptorPool:
    """A pool of its own."""
    pool = DescriptorPool()
    for file in descriptor_set(source, name).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_pool = cache(new_pool)


def kind(source: str = SHOP, type_name: str = "shop.Order") -> type[Message]:
    """A message class of `source`; the same at each call."""
    return GetMessageClass(_pool(source).FindMessageTypeByName(type_name))


def order(text: str = "", type_name: str = "shop.Order"):
    """A message of SHOP from text format."""
    return text_format.Parse(text, kind(SHOP, type_name)(), descriptor_pool=_pool(SHOP))


def schema(source: str, name: str = "shop.proto") -> tuple[str, bytes]:
    """Fingerprint and serialised mirror.v1.Schema."""
    files_ = [(file.name, file.SerializeToString()) for file in descriptor_set(source, name).file]
    fingerprint = fingerprint_of(dict(files_))
    made = schema_pb2.Schema(fingerprint=fingerprint, files=[serialized for _, serialized in files_])
    return fingerprint, made.SerializeToString()


def rule(rule_class, path: str, **own):
    """A rule at `path` with the id "r" unless told otherwise."""
    return rule_class(scope=Scope(path=PathPattern.parse(path)), id=own.pop("id", "r"), **own)


def rules(*made) -> MethodRules:
    """The rules of one method."""
    return MethodRules(made)
