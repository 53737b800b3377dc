"""What a process says of its message types: closures, extensions, what an Any may hold, the types of status details."""

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from grpc_mirror.schemas import SCHEMAS_MAX, SchemaRegistry, fingerprint_of, loaded_files, schema_of
from grpc_mirror.v1 import schema_pb2

from tests.interceptors.echo import Note
from tests.interceptors.test_sender import record

STRING, MESSAGE, OPTIONAL = 9, 11, 1


def names(schema):
    return [descriptor_pb2.FileDescriptorProto.FromString(raw).name for raw in schema.files]


def file(name, *, dependencies=(), syntax="proto3", message=None):
    made = descriptor_pb2.FileDescriptorProto(name=f"mirrortest/{name}.proto", package="mirrortest", syntax=syntax)
    made.dependency.extend(f"mirrortest/{d}.proto" for d in dependencies)
    if message:
        made.message_type.add(name=message)
    return made


def pool_of(*files):
    pool = descriptor_pool.DescriptorPool()
    for one in files:
        pool.AddSerializedFile(one.SerializeToString())
    return pool


def test_dependencies_come_first_and_the_fingerprint_covers_all():
    top = file("top", dependencies=["middle"], message="Top")
    schema = schema_of(
        [pool_of(file("bottom"), file("middle", dependencies=["bottom"]), top).FindMessageTypeByName("mirrortest.Top")]
    )
    assert names(schema) == ["mirrortest/bottom.proto", "mirrortest/middle.proto", "mirrortest/top.proto"]
    assert schema.fingerprint == fingerprint_of(dict(zip(names(schema), schema.files, strict=True)))
    pool = descriptor_pool.DescriptorPool()
    for raw in schema.files:
        pool.AddSerializedFile(raw)


def test_the_fingerprint_does_not_depend_on_the_order_of_types():
    note, time = Note.DESCRIPTOR, timestamp_pb2.Timestamp.DESCRIPTOR
    assert schema_of([note, time]).fingerprint == schema_of([time, note]).fingerprint


def test_files_of_extensions_come_in_though_nothing_imports_them():
    base = file("base", syntax="proto2", message="Base")
    base.message_type[0].extension_range.add(start=100, end=200)
    extra = file("extra", dependencies=["base"], syntax="proto2")
    extra.extension.add(name="more", number=100, type=STRING, label=OPTIONAL, extendee=".mirrortest.Base")
    schema = schema_of([pool_of(base, extra).FindMessageTypeByName("mirrortest.Base")])
    assert names(schema) == ["mirrortest/base.proto", "mirrortest/extra.proto"]


def test_a_closure_with_any_holds_every_loaded_module():
    holding = file("holding", message="Holding")
    holding.dependency.append("google/protobuf/any.proto")
    pool = pool_of(descriptor_pb2.FileDescriptorProto.FromString(any_pb2.DESCRIPTOR.serialized_pb), holding)
    schema = schema_of([pool.FindMessageTypeByName("mirrortest.Holding")], loaded_files())
    assert "google/protobuf/timestamp.proto" in names(schema)
    assert not any(name.startswith("mirror/v1/") for name in names(schema))
    assert "google/protobuf/timestamp.proto" not in names(schema_of([Note.DESCRIPTOR], loaded_files()))


def test_types_that_only_status_details_name_are_in_the_schema():
    registry = SchemaRegistry()
    detail = (
        b"\x1a"
        + bytes([2 + len("t/google.protobuf.Timestamp")])
        + b"\n"
        + bytes([len("t/google.protobuf.Timestamp")])
        + b"t/google.protobuf.Timestamp"
    )
    types = registry.types_of(record()._replace(trailing_metadata=(("grpc-status-details-bin", detail),)))
    plain = registry.types_of(record())
    assert types.fingerprint != plain.fingerprint
    schema = schema_pb2.Schema.FromString(registry.schema(types.fingerprint))
    assert names(schema) == ["mirrortest/echo.proto", "google/protobuf/timestamp.proto"]


def test_without_messages_the_services_descriptor_says_the_types():
    types = SchemaRegistry().types_of(record()._replace(request_type=None, response_type=None))
    assert (types.request_type, types.response_type) == ("mirrortest.Note", "mirrortest.Note")
    assert types.fingerprint == SchemaRegistry().types_of(record()).fingerprint


def test_what_is_no_protobuf_message_has_no_type():
    types = SchemaRegistry().types_of(record()._replace(method="x.Y/Z", request_type=dict, response_type=None))
    assert types[:3] == ("", "", "")


def test_schemas_are_bounded():
    registry = SchemaRegistry()
    for number in range(SCHEMAS_MAX + 10):
        one = file(f"many{number}", message=f"Many{number}")
        message = message_factory.GetMessageClass(pool_of(one).FindMessageTypeByName(f"mirrortest.Many{number}"))
        registry.types_of(record()._replace(method=f"x.Y/{number}", request_type=message, response_type=message))
    assert len(registry.fingerprints()) == SCHEMAS_MAX
