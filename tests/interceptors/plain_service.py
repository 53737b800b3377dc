"""A service that knows nothing of grpc_mirror: `opentelemetry-instrument python plain_service.py FLAVOUR BACK_PORT`.

Its Unary calls the Unary of a service behind it and tells what came of that. Prints its port when it serves. Run by
test_instrumentor.py.
"""

# ruff: noqa: N802 - gRPC names handlers after their methods

import asyncio
import sys
from concurrent import futures

import grpc

from tests.interceptors.echo import SERVICE, Note
from tests.interceptors.servers import AioEcho, SyncEcho, handlers

CODECS = {"request_serializer": Note.SerializeToString, "response_deserializer": Note.FromString}


class Front(SyncEcho):
    def __init__(self, channel):
        super().__init__()
        self.back = channel.unary_unary(f"/{SERVICE}/Unary", **CODECS)

    def Unary(self, request, context):
        try:
            return self.back(request)
        except grpc.RpcError as error:
            return Note(text=error.code().name)


class AioFront(AioEcho):
    def __init__(self, channel):
        super().__init__()
        self.back = channel.unary_unary(f"/{SERVICE}/Unary", **CODECS)

    async def Unary(self, request, context):
        try:
            return await self.back(request)
        except grpc.RpcError as error:
            return Note(text=error.code().name)


def main(target):
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((handlers(Front(grpc.insecure_channel(target))),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


async def main_aio(target):
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(AioFront(grpc.aio.insecure_channel(target))),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[1] == "sync":
        main(sys.argv[2])
    else:
        asyncio.run(main_aio(sys.argv[2]))
