"""Small OTLP receivers in this process, over gRPC and HTTP: real sockets, everything that came kept for the test."""

import http.server
import threading
from concurrent import futures
from contextlib import suppress
from dataclasses import dataclass, field

import grpc
from grpc_mirror.v1 import attributes, capture_pb2, otlp_slices_pb2, schema_pb2

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@dataclass
class Received:
    """One span with its attributes as Python values."""

    span: otlp_slices_pb2.Span
    resource: dict
    attributes: dict = field(default_factory=dict)

    @property
    def capture(self):
        return capture_pb2.Capture.FromString(self.attributes[attributes.CAPTURE])


def values(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}


class Inbox:
    """What came so far, and how a test waits for more."""

    def __init__(self):
        self._changed = threading.Condition()
        self.spans = []
        self.peers = []  # of answered and unanswered exports
        self.requests = []
        self.metadata = []

    def begun(self, peer):
        """An export came; it is not answered yet."""
        with self._changed:
            self.peers.append(peer)
            self._changed.notify_all()

    def took(self, raw, metadata):
        """It was taken."""
        with self._changed:
            self.requests.append(raw)
            self.metadata.append(metadata)
            for resource_spans in otlp_slices_pb2.ExportTraceServiceRequest.FromString(raw).resource_spans:
                resource = values(resource_spans.resource.attributes)
                for scope in resource_spans.scope_spans:
                    self.spans += [Received(span, resource, values(span.attributes)) for span in scope.spans]
            self._changed.notify_all()

    def wait_for(self, condition, timeout_s=20):
        """Wait until `condition()` holds."""
        with self._changed:
            assert self._changed.wait_for(condition, timeout_s), f"not in {timeout_s} s; {len(self.spans)} spans came"

    @property
    def calls(self):
        return [one for one in self.spans if attributes.CAPTURE in one.attributes]

    @property
    def schemas(self):
        return [
            schema_pb2.Schema.FromString(o.attributes[attributes.SCHEMA])
            for o in self.spans
            if attributes.SCHEMA in o.attributes
        ]

    @property
    def reports(self):
        return [
            schema_pb2.SourceReport.FromString(o.attributes[attributes.REPORT])
            for o in self.spans
            if attributes.REPORT in o.attributes
        ]

    def wait_calls(self, count=1):
        self.wait_for(lambda: len(self.calls) >= count)
        return self.calls

    def call(self, mirror_id):
        """The capture span of one mirrored call."""
        self.wait_for(lambda: any(one.attributes[attributes.ID] == mirror_id for one in self.calls))
        return next(one for one in self.calls if one.attributes[attributes.ID] == mirror_id)


class Receiver(Inbox):
    """Over gRPC. Use as a context manager. `answer(request, context)` may abort or return a response."""

    def __init__(self, answer=None, credentials=None, max_bytes=64 << 20):
        super().__init__()
        self._answer = answer
        self._server = grpc.server(
            futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", max_bytes)]
        )
        handler = grpc.unary_unary_rpc_method_handler(
            self._export, lambda raw: raw, lambda message: message.SerializeToString()
        )
        service, method = EXPORT.lstrip("/").split("/")
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        address = "127.0.0.1:0"
        add = self._server.add_insecure_port
        self.port = self._server.add_secure_port(address, credentials) if credentials else add(address)

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(None).wait()

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.port}"

    def _export(self, raw, context):
        self.begun(context.peer())
        request = otlp_slices_pb2.ExportTraceServiceRequest.FromString(raw)
        response = self._answer(request, context) if self._answer else None
        self.took(raw, dict(context.invocation_metadata()))
        return response or otlp_slices_pb2.ExportTraceServiceResponse()


class HttpReceiver(Inbox):
    """Over HTTP. `answer(raw)` returns (status, headers, body), or None: it is taken. `tls`: an ssl.SSLContext."""

    def __init__(self, answer=None, tls=None):
        super().__init__()
        inbox = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                inbox.begun(self.client_address)
                raw = self.rfile.read(int(self.headers["content-length"]))
                told = (answer and answer(raw)) or (200, {}, b"")
                if told[0] == 200:
                    inbox.took(raw, {"path": self.path} | {key.lower(): value for key, value in self.headers.items()})
                self.send_response(told[0])
                for key, value in {"content-length": str(len(told[2])), **told[1]}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(told[2])

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def shutdown_request(self, request):
                with suppress(OSError):
                    super().shutdown_request(request)

            def handle_error(self, *_):
                pass  # a client that goes is none of its business

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.port}"
