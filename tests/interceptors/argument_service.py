"""A service with our interceptor by one argument, as the README shows it: `python argument_service.py sync|aio`.

Settings come from the environment. Prints its port when it serves. Run by test_installed.py.
"""

import asyncio
import sys
from concurrent import futures

import grpc
import grpc_mirror

from tests.interceptors.servers import AioEcho, SyncEcho, handlers


def main():
    server = grpc.server(futures.ThreadPoolExecutor(4), interceptors=[grpc_mirror.server_interceptor()])
    server.add_generic_rpc_handlers((handlers(SyncEcho()),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


async def main_aio():
    server = grpc.aio.server(interceptors=[grpc_mirror.aio_server_interceptor()])
    server.add_generic_rpc_handlers((handlers(AioEcho()),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[1] == "sync":
        main()
    else:
        asyncio.run(main_aio())
