"""A front that calls a back, as a process: a primary, or with MIRROR_ROLE a shadow with the policy `recorded`. Not a test.

Arguments: the collector's endpoint, the back's port. Prints its port; then, for each line on stdin, its counts.
"""

# ruff: noqa: N802 - gRPC names handlers after their methods

import json
import os
import sys
from concurrent import futures

import grpc
import grpc_mirror

from tests.interceptors.calling import METHOD, Stubs
from tests.interceptors.echo import Note
from tests.interceptors.servers import SyncEcho, handlers

THREADS = 64
WAIT_S = 5.0  # a loaded machine is no reason to fail


class Front(SyncEcho):
    def __init__(self, stubs):
        super().__init__()
        self.stubs = stubs

    def Unary(self, request, context):
        try:
            return Note(text="|".join(self.stubs.unary(Note(text=f"{request.text}-{n}")).text for n in range(2)))
        except grpc.RpcError as error:
            return Note(text=error.code().name)


def main(endpoint, back_port):
    policies = grpc_mirror.client_interceptor({METHOD: grpc_mirror.recorded(wait_s=WAIT_S)})
    channel = grpc.intercept_channel(grpc.insecure_channel(f"127.0.0.1:{back_port}"), policies)
    settings = grpc_mirror.Settings(
        endpoint=endpoint, service_name="front", role=os.environ.get("MIRROR_ROLE", ""), flush_on_sigterm=False
    )
    server = grpc.server(futures.ThreadPoolExecutor(THREADS), interceptors=[grpc_mirror.server_interceptor(settings)])
    server.add_generic_rpc_handlers((handlers(Front(Stubs(channel))),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    for _ in sys.stdin:
        print(json.dumps(grpc_mirror.counts()[endpoint].conditions), flush=True)
    server.stop(None).wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
