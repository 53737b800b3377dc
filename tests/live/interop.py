"""A client of grpc's interop TestService on messages made from ../shared/components/interop/interop.protoset."""

from __future__ import annotations

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tests.conftest import SHARED

_POOL = descriptor_pool.DescriptorPool()
for _file in descriptor_pb2.FileDescriptorSet.FromString(
    (SHARED / "components/interop/interop.protoset").read_bytes()
).file:
    _POOL.Add(_file)


def message(name):
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"grpc.testing.{name}"))


class Interop:
    def __init__(self, channel):
        self.channel = channel

    def _call(self, kind, method, request, answer):
        callable_ = getattr(self.channel, kind)(
            f"/grpc.testing.TestService/{method}", lambda m: m.SerializeToString(), message(answer).FromString
        )
        return callable_(request, timeout=20)

    def unary(self, *, size):
        reply = self._call("unary_unary", "UnaryCall", message("SimpleRequest")(response_size=size), "SimpleResponse")
        assert len(reply.payload.body) == size

    def status(self, *, code, message: str):
        request = globals()["message"]("SimpleRequest")()
        request.response_status.code, request.response_status.message = code, message
        try:
            self._call("unary_unary", "UnaryCall", request, "SimpleResponse")
        except grpc.RpcError as error:
            assert (error.code().value[0], error.details()) == (code, message)  # noqa: PT017 - the error is the answer
        else:
            raise AssertionError("no error")

    def client_stream(self, sizes):
        request = message("StreamingInputCallRequest")
        requests = iter([request(payload={"body": bytes(size)}) for size in sizes])
        reply = self._call("stream_unary", "StreamingInputCall", requests, "StreamingInputCallResponse")
        assert reply.aggregated_payload_size == sum(sizes)

    def _sizes(self, sizes):
        return message("StreamingOutputCallRequest")(response_parameters=[{"size": size} for size in sizes])

    def server_stream(self, sizes):
        replies = self._call("unary_stream", "StreamingOutputCall", self._sizes(sizes), "StreamingOutputCallResponse")
        assert [len(reply.payload.body) for reply in replies] == sizes

    def bidi(self, sizes):
        requests = iter([self._sizes([size]) for size in sizes])
        replies = self._call("stream_stream", "FullDuplexCall", requests, "StreamingOutputCallResponse")
        assert [len(reply.payload.body) for reply in replies] == sizes
