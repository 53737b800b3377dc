"""A small service for the tests: its descriptors are made here, so that it needs no protoc and loads on any protobuf.

One message type both ways. What a handler does is said by the request's `text`, see `behave`.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "mirrortest.Echo"
KINDS = ("Unary", "ClientStream", "ServerStream", "Bidi")


def _file():
    file = descriptor_pb2.FileDescriptorProto(name="mirrortest/echo.proto", package="mirrortest", syntax="proto3")
    message = file.message_type.add(name="Note")
    for number, (name, kind) in enumerate((("text", 9), ("number", 5), ("blob", 12)), start=1):
        message.field.add(name=name, number=number, type=kind, label=1)
    service = file.service.add(name="Echo")
    for kind in KINDS:
        service.method.add(
            name=kind,
            input_type=".mirrortest.Note",
            output_type=".mirrortest.Note",
            client_streaming=kind in ("ClientStream", "Bidi"),
            server_streaming=kind in ("ServerStream", "Bidi"),
        )
    return file


def _note():
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(_file().SerializeToString())
    descriptor = pool.FindMessageTypeByName("mirrortest.Note")
    make = getattr(message_factory, "GetMessageClass", None)
    return make(descriptor) if make else message_factory.MessageFactory(pool).GetPrototype(descriptor)


Note = _note()
