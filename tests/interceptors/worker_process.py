"""A server in a process of its own: `python worker_process.py MODE ENDPOINT`. Run by test_process_ends.py.

Prints its port when it serves, and "served" after each call. Modes: `default` waits (SIGTERM has Python's default), `own` handles SIGTERM itself
and leaves by the normal exit, `exit` leaves after its first call, `aio` is `default` on an aio server, `fork` serves from a forked child, interceptor made in the parent;
`busy` leaves while a daemon thread goes on capturing; `prefork` captures in the parent and then serves from two forked workers, which leave after a call each.
"""

# ruff: noqa: N802 - gRPC names handlers after their methods

import asyncio
import os
import signal
import sys
import threading
from concurrent import futures

import grpc
import grpc_mirror

from tests.interceptors.servers import AioEcho, SyncEcho, handlers
from tests.interceptors.test_sender import record


class CountedEcho(SyncEcho):
    def Unary(self, request, context):
        context.add_callback(lambda: (print("served", flush=True), served.set()))
        return super().Unary(request, context)


served = threading.Event()
stopped = threading.Event()


def serve(interceptor):
    server = grpc.server(futures.ThreadPoolExecutor(4), interceptors=[interceptor])
    server.add_generic_rpc_handlers((handlers(CountedEcho()),))
    server.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"{server.port}\n", end="", flush=True)  # in one piece: forked ones tell theirs at the same moment
    return server


class CountedAioEcho(AioEcho):
    async def Unary(self, request, context):
        context.add_done_callback(lambda _: print("served", flush=True))
        return await super().Unary(request, context)


async def serve_aio(endpoint):
    interceptor = grpc_mirror.aio_server_interceptor(endpoint=endpoint, batch_age_s=3600.0)
    server = grpc.aio.server(interceptors=[interceptor])
    server.add_generic_rpc_handlers((handlers(CountedAioEcho()),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


def go_on_capturing(interceptor):
    """Captures without end, on a thread that the process does not wait for."""

    def run():
        while True:
            interceptor._observer.sink.put(record("busy"))
            served.set()

    threading.Thread(target=run, daemon=True).start()


def prefork(interceptor):
    """As pre-fork servers do, at their worst: the parent has captured and sent already, and goes on after the fork."""
    sink = interceptor._observer.sink
    sink.put(record("parent before"))
    assert grpc_mirror.flush(20)
    workers = []
    for _ in range(2):
        worker = os.fork()
        if not worker:
            server = serve(interceptor)
            served.wait()
            server.stop(0).wait()
            sys.exit(0)  # by the normal exit
        workers.append(worker)
    sink.put(record("parent after"))
    for worker in workers:
        assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0


def main(mode, endpoint):
    if mode == "aio":
        asyncio.run(serve_aio(endpoint))
        return
    # Far beyond the test: what arrives was flushed.
    interceptor = grpc_mirror.server_interceptor(endpoint=endpoint, batch_age_s=3600.0)
    if mode == "prefork":
        prefork(interceptor)
        return
    if mode == "fork":
        child = os.fork()
        if child:
            signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    if mode == "own":
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    server = serve(interceptor)
    if mode == "default":
        server.wait_for_termination()
    elif mode == "own":
        stopped.wait()
    elif mode == "busy":
        go_on_capturing(interceptor)
        served.wait()
    else:
        served.wait()
    server.stop(0).wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
