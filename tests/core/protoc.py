"""Compiles a .proto text for a test, by the protoc of grpcio-tools."""

from __future__ import annotations

import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc


def descriptor_set(text: str, *options: str) -> bytes:
    """The serialised FileDescriptorSet of one file, dependencies included."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "test.proto"), Path(folder, "test.fds")
        source.write_text(text, encoding="utf-8")
        builtin = Path(grpc_tools.__file__).parent / "_proto"
        arguments = ["protoc", f"-I{folder}", f"-I{builtin}", f"--descriptor_set_out={target}", *options, str(source)]
        assert protoc.main(arguments) == 0
        return target.read_bytes()


SHOP = """
syntax = "proto3";
package t;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Colour { RED = 0; }
message Money { string currency = 1; int64 cents = 2; }
message Item { string sku = 1; Money price = 2; repeated string tags = 3; Item bundled = 4; }
message Quote {
  double total = 1;
  repeated Item items = 2;
  map<string, Money> by_city = 3;
  map<int32, double> by_year = 4;
  map<bool, string> by_flag = 5;
  google.protobuf.Timestamp placed_at = 6;
  google.protobuf.Duration valid_for = 7;
  google.protobuf.Any extra = 8;
  google.protobuf.DoubleValue tax = 9;
  Colour colour = 10;
  repeated double rates = 11;
  oneof delivery { string courier = 12; Money pickup = 13; }
  bytes seal = 14;
  bool express = 15;
}
message Ask { string customer = 1; }
service Shop {
  rpc GetQuote(Ask) returns (Quote);
  rpc Watch(Ask) returns (stream Quote);
  rpc Price(Ask) returns (Money);
}
"""
LEGACY = """
syntax = "proto2";
package t2;
message Warranty { required string terms = 1; extensions 100 to 199; optional group Cover = 2 { optional int32 months = 3; } }
extend Warranty { optional string insurer = 100; }
service Legacy { rpc Get(Warranty) returns (Warranty); }
"""
