"""A server that nobody here wrote, with our interceptor added by one argument: `python service.py health|interop sync|aio`.

`health` is grpcio-health-checking's Health service, with its own generated stubs; `interop` is grpc's TestService from
../shared/components/interop, on message classes made at run time from a descriptor set. Prints its port when it serves; SIGTERM stops it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
import threading
from concurrent import futures
from pathlib import Path

import grpc
import grpc_mirror
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

INTEROP = Path(__file__).resolve().parents[3] / "shared/components/interop/py_server.py"
# What the old build says of "flaky", and what the new build got wrong.
SERVING = {"": True, "shop": True, "flaky": os.environ.get("BUILD") != "new"}


def health_servicer() -> health.HealthServicer:
    servicer = health.HealthServicer()
    for name, serving in SERVING.items():
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        servicer.set(name, status)
    return servicer


def serve_sync() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(8), interceptors=[grpc_mirror.server_interceptor()])
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server.start()
    print(port, flush=True)
    while not stop.wait(0.1):  # a signal that another thread was given is seen only between waits
        pass
    server.stop(1).wait()
    grpc_mirror.shutdown()


async def serve_interop() -> None:
    spec = importlib.util.spec_from_file_location("interop_server", INTEROP)
    source = INTEROP.read_text().replace("asyncio.run(main())", "")  # its handlers, not its process
    module = importlib.util.module_from_spec(spec)
    exec(compile(source, str(INTEROP), "exec"), module.__dict__)
    server = grpc.aio.server(interceptors=[grpc_mirror.aio_server_interceptor()])
    handlers = grpc.method_handlers_generic_handler("grpc.testing.TestService", module.h)
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(1)
    grpc_mirror.shutdown()


if __name__ == "__main__":
    if sys.argv[1] == "health":
        serve_sync()
    else:
        asyncio.run(serve_interop())
