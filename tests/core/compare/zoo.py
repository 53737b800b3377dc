"""Message types with every shape of field there is, for properties: `Old` (proto2, presence) and `New` (proto3, none).

Both are recursive. Names are short, since tests show them.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from mirror.core.compare.values import is_map, is_repeated
from tests.core.compare.shapes import kind

_TYPES = (
    *("int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64"),
    *("bool", "float", "double", "string", "bytes", "E"),
)
_SINGLE = "\n".join(f"  %s{name} one_{name.lower()} = {number};" for number, name in enumerate(_TYPES, 1))
_LISTS = "\n".join(f"  repeated {name} all_{name.lower()} = {number};" for number, name in enumerate(_TYPES, 31))
_MAPS = """
  map<string, int32> by_text = 61;
  map<int32, double> by_number = 62;
  map<bool, string> by_flag = 63;
  map<uint64, E> by_long = 64;
  map<sint32, {0}> by_node = 65;
"""
OLD = f"""
syntax = "proto2";
package old;
import "google/protobuf/any.proto";
enum E {{ A = 0; B = 1; C = 2; }}
message Node {{
{_SINGLE.replace("%s", "optional ")}
  optional int32 five = 17 [default = 5];
  optional float half = 18 [default = 0.5];
  optional string hello = 19 [default = "hello"];
{_LISTS}
  repeated int64 packed = 47 [packed = true];
{_MAPS.format("Node")}
  optional Node kid = 71;
  repeated Node kids = 72;
  optional group Part = 73 {{ optional int32 n = 1; optional string x = 2; optional Node inner = 3; }}
  repeated group Parts = 74 {{ optional int32 n = 1; optional string x = 2; }}
  oneof choice {{ int32 number = 75; Node other = 76; string text = 77; }}
  optional google.protobuf.Any any = 78;
  repeated google.protobuf.Any anys = 79;
  extensions 200 to 299;
}}
extend Node {{
  optional int32 more = 200;
  repeated string tags = 201;
  optional Node far = 202;
  repeated Node fars = 203;
  optional double ratio = 204;
}}
"""
NEW = f"""
syntax = "proto3";
package new;
import "google/protobuf/any.proto";
enum E {{ A = 0; B = 1; C = 2; }}
message Node {{
{_SINGLE.replace("%s", "")}
  optional int32 maybe = 17;
{_LISTS}
{_MAPS.format("Node")}
  Node kid = 71;
  repeated Node kids = 72;
  oneof choice {{ int32 number = 75; Node other = 76; string text = 77; }}
  google.protobuf.Any any = 78;
  repeated google.protobuf.Any anys = 79;
}}
"""
Old = kind(OLD, "old.Node")
New = kind(NEW, "new.Node")
SOURCES: dict[type[Message], str] = {Old: OLD, New: NEW}


def fields_of(message: Message) -> list[FieldDescriptor]:
    """The declared fields and the known extensions of a message, in order of number."""
    descriptor = message.DESCRIPTOR
    extensions = descriptor.file.pool.FindAllExtensions(descriptor)
    return sorted([*descriptor.fields, *extensions], key=lambda field: field.number)


def get(message: Message, field: FieldDescriptor):
    """The value, container or message of a field or extension."""
    return message.Extensions[field] if field.is_extension else getattr(message, field.name)


def put(message: Message, field: FieldDescriptor, value) -> None:
    """Set a single scalar or message."""
    if field.message_type is not None:
        get(message, field).CopyFrom(value)
        get(message, field).SetInParent()
    elif field.is_extension:
        message.Extensions[field] = value
    else:
        setattr(message, field.name, value)


def clear(message: Message, field: FieldDescriptor) -> None:
    """Unset a field, or empty it."""
    if field.is_extension:
        message.ClearExtension(field)
    else:
        message.ClearField(field.name)


def shape(field: FieldDescriptor) -> str:
    """`map`, `list`, `message` or `scalar`."""
    if is_map(field):
        return "map"
    if is_repeated(field):
        return "list"
    return "scalar" if field.message_type is None else "message"


def messages_in(message: Message) -> Iterator[Message]:
    """The message and all messages below it, Anys closed."""
    yield message
    for field, value in message.ListFields():
        match shape(field):
            case "message":
                yield from messages_in(value)
            case "list" if field.message_type is not None:
                for element in value:
                    yield from messages_in(element)
            case "map" if field.message_type.fields_by_name["value"].message_type is not None:
                for key in sorted(value):
                    yield from messages_in(value[key])
