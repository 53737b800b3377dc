"""Serves and captures one call of each server flavour, end to end, on whatever protobuf is installed. Prints its version.

Run by test_protobuf_versions.py in environments that have nothing but what grpc-mirror depends on.
"""

import google.protobuf
import grpc_mirror

from tests.interceptors.receiver import Receiver
from tests.interceptors.servers import AioEcho, Client, SyncEcho, handlers, notes, serving


def main():
    with Receiver() as receiver:
        for sink in ("direct", "tracer"):
            settings = grpc_mirror.Settings(endpoint=receiver.endpoint, sink=sink, batch_age_s=0.05)
            for aio, echo in ((False, SyncEcho()), (True, AioEcho())):
                make = grpc_mirror.aio_server_interceptor if aio else grpc_mirror.server_interceptor
                with serving(handlers(echo), [make(settings)], aio=aio) as port:
                    client = Client(port)
                    client.call("Bidi", notes("return", "more"), f"{sink} {aio}")
                    client.close()
                capture = receiver.call(f"{sink} {aio}").capture
                assert (capture.request_count, capture.response_count) == (2, 3)
                assert capture.response_type == "mirrortest.Note"
                assert capture.schema_fingerprint in {schema.fingerprint for schema in receiver.schemas}
        assert grpc_mirror.shutdown()
        assert not receiver.reports[-1].conditions
    print(google.protobuf.__version__)


if __name__ == "__main__":
    main()
