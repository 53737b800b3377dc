"""Forwarding to a real OTLP endpoint: what goes there, and what happens when it is dead."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from grpc_mirror.v1 import attributes as names
from grpc_mirror.v1 import otlp_slices_pb2

from mirror.collect.addresses import bind, port_of
from mirror.collect.counters import Counters
from mirror.collect.forward import Forwarder
from mirror.collect.forward_spans import ForwardOptions, compare_span_id, request_of, spans_of
from mirror.collect.forward_transport import RefusedError, RetryLaterError, transport_for
from mirror.core.model import Role, Verdict
from tests.collect.otlp import capture
from tests.collect.records import difference, judged
from tests.collect.servers import EXPORT, LOCAL, OtlpEndpoint

MISMATCH = judged("m1", Verdict.MISMATCHED, difference(111222333, 444555666))


def attributes(span: otlp_slices_pb2.Span) -> dict[str, Any]:
    def plain(value: otlp_slices_pb2.AnyValue) -> Any:
        if value.WhichOneof("value") == "array_value":
            return [plain(one) for one in value.array_value.values]
        return getattr(value, value.WhichOneof("value"))

    return {item.key: plain(item.value) for item in span.attributes}


def compare_span(options: ForwardOptions, pair: Any = MISMATCH) -> otlp_slices_pb2.Span:
    return otlp_slices_pb2.Span.FromString(spans_of(pair, options)[-1].span)


def test_the_compare_span_stands_in_the_trace_of_the_calls() -> None:
    span = compare_span(ForwardOptions(web_url="http://page"))
    primary = MISMATCH.group.calls["primary"]
    assert (span.trace_id, span.parent_span_id) == (primary.trace_id, primary.span_id)
    assert span.span_id == compare_span_id(MISMATCH.group.key)
    assert span.name == "mirror.compare"
    assert span.end_time_unix_nano - span.start_time_unix_nano == 5_000_000
    assert span.status.code == otlp_slices_pb2.SPAN_STATUS_CODE_ERROR
    found = attributes(span)
    assert found["mirror.verdict"] == "mismatched"
    assert found["mirror.paths"] == ["response.items[*].price"]
    assert found["mirror.differences"] == 1
    assert found["mirror.url"].startswith("http://page/comparisons/")
    assert found["rpc.method"] == found["mirror.method"] == MISMATCH.group.key.method


def test_no_payload_and_no_value_leaves_unless_asked() -> None:
    plain = request_of(spans_of(MISMATCH, ForwardOptions()))
    assert b"secret" not in plain
    assert b"111222333" not in plain
    assert names.CAPTURE.encode() not in plain
    with_values = attributes(compare_span(ForwardOptions(values=True)))
    assert with_values["mirror.values"] == ["response.items[2].price: value: 111222333 -> 444555666"]


def test_only_mismatches_are_forwarded_unless_all_are_wanted() -> None:
    matched = judged("m1", Verdict.MATCHED)
    assert spans_of(matched, ForwardOptions()) == ()
    assert len(spans_of(matched, ForwardOptions(matched=True))) == 3
    assert compare_span(ForwardOptions(matched=True), matched).status.code == 0


def test_spans_arrive_by_resource() -> None:
    endpoint, counters = OtlpEndpoint(), Counters()
    with endpoint.listening() as address:
        forwarder = Forwarder(transport_for(address), ForwardOptions(), counters)
        forwarder.start()
        forwarder.offer(MISMATCH)
        forwarder.stop(30)
    assert sorted((service, span.name) for service, span in endpoint.spans) == [
        ("mirror-collector", "mirror.compare"),
        ("shop", MISMATCH.group.key.method),
        ("shop", MISMATCH.group.key.method),
    ]
    assert len({span.trace_id for _, span in endpoint.spans}) == 1
    assert counters.value("mirror_forward_spans_total") == 3


def test_a_dead_endpoint_costs_counted_drops_and_never_blocks() -> None:
    with bind("web", LOCAL) as unused:
        address = f"127.0.0.1:{port_of(unused)}"
    counters = Counters()
    forwarder = Forwarder(transport_for(address), ForwardOptions(), counters, queue_max_bytes=2000)
    forwarder.start()
    for number in range(500):
        forwarder.offer(judged(f"m{number}", Verdict.MISMATCHED, difference()))
    forwarder.stop(0.5)
    full = counters.value("mirror_forward_dropped_total", reason="queue_full")
    rest = counters.value("mirror_forward_dropped_total", reason="shutdown")
    assert full + rest == 1500
    assert full > 1400
    assert counters.value("mirror_forward_spans_total") == 0
    assert counters.value("mirror_forward_failures_total") >= 1


def test_an_endpoint_that_comes_back_gets_what_waited() -> None:
    with bind("web", LOCAL) as unused:
        port = port_of(unused)
    endpoint, counters = OtlpEndpoint(), Counters()
    failed = threading.Event()
    transport = transport_for(f"127.0.0.1:{port}")

    class Watched:
        def send(self, request: bytes, *, timeout_s: float) -> int:
            try:
                return transport.send(request, timeout_s=timeout_s)
            except RetryLaterError:
                failed.set()
                raise

        def close(self) -> None:
            transport.close()

    forwarder = Forwarder(Watched(), ForwardOptions(), counters)
    forwarder.start()
    forwarder.offer(MISMATCH)
    assert failed.wait(30)
    with endpoint.listening(port):
        forwarder.stop(30)
    assert len(endpoint.spans) == 3
    assert counters.value("mirror_forward_dropped_total", reason="shutdown") == 0


@contextmanager
def http_endpoint(answer: Callable[[bytes], tuple[int, bytes]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, body = answer(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status if self.path == "/v1/traces" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_http_endpoints_are_posted_to() -> None:
    bodies: list[bytes] = []
    partial = otlp_slices_pb2.ExportTraceServiceResponse(partial_success={"rejected_spans": 2}).SerializeToString()

    def answer(body: bytes) -> tuple[int, bytes]:
        bodies.append(body)
        return 200, partial

    with http_endpoint(answer) as url:
        transport = transport_for(url)
        assert transport.send(b"first", timeout_s=30) == 2
        assert transport.send(b"second", timeout_s=30) == 2
        transport.close()
    assert bodies == [b"first", b"second"]


@pytest.mark.parametrize(("status", "error"), [(503, RetryLaterError), (429, RetryLaterError), (400, RefusedError)])
def test_http_answers_say_whether_to_try_again(status: int, error: type[Exception]) -> None:
    with http_endpoint(lambda _: (status, b"")) as url, pytest.raises(error):
        transport_for(url).send(b"x", timeout_s=30)


@pytest.mark.parametrize(
    ("code", "reason"), [(grpc.StatusCode.INVALID_ARGUMENT, "refused"), (grpc.StatusCode.UNIMPLEMENTED, "refused")]
)
def test_what_an_endpoint_refuses_is_dropped_and_counted(code: grpc.StatusCode, reason: str) -> None:
    def export(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(code, "no")
        return b""

    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(export)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(EXPORT.split("/")[1], {"Export": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    counters = Counters()
    forwarder = Forwarder(transport_for(f"127.0.0.1:{port}"), ForwardOptions(), counters)
    forwarder.start()
    forwarder.offer(MISMATCH)
    forwarder.stop(30)
    server.stop(0).wait()
    assert counters.value("mirror_forward_dropped_total", reason=reason) == 3


@pytest.mark.parametrize("endpoint", ["nowhere", ":4317", "host:grpc", "ftp://host", "http://"])
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"forward\.endpoint"):
        transport_for(endpoint)


def test_times_beyond_the_format_are_cut() -> None:
    calls = dict(MISMATCH.group.calls)
    data = capture(start_unix_ns=2**64 - 1, duration_ns=2**64 - 1)
    calls[Role.PRIMARY] = dataclasses.replace(calls[Role.PRIMARY], capture=data)
    pair = dataclasses.replace(MISMATCH, group=dataclasses.replace(MISMATCH.group, calls=calls))
    assert compare_span(ForwardOptions(), pair).end_time_unix_nano == 2**64 - 1
