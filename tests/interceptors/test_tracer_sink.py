"""The tracer sink: the same spans and attributes through an OpenTelemetry SDK, whatever the service's own says."""

from dataclasses import replace

import grpc_mirror
import pytest
from grpc_mirror.v1 import attributes, capture_pb2
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.interceptors.servers import Client, SyncEcho, handlers, notes, serving

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = [("traceparent", f"00-{TRACE}-{SPAN}-00"), ("tracestate", "a=b"), ("x-mirror-expect", "candidate")]


def serve_one(settings, mirror_id, headers=()):
    interceptor = grpc_mirror.server_interceptor(settings)
    with serving(handlers(SyncEcho()), [interceptor], aio=False) as port:
        client = Client(port)
        client.call("Unary", notes("abort"), mirror_id, headers)
        client.close()
    grpc_mirror.flush(20)


@pytest.mark.parametrize("headers", [HEADERS, []], ids=["traceparent", "derived"])
def test_both_sinks_send_the_same(receiver, settings, headers, monkeypatch):
    # Nothing that the service sets for its own tracing reaches ours.
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
    serve_one(settings, "one", headers)
    serve_one(replace(settings, sink="tracer"), "one", headers)
    direct, tracer = receiver.wait_calls(2)
    assert direct.attributes.keys() == tracer.attributes.keys()
    volatile = {attributes.CAPTURE}
    assert {k: v for k, v in direct.attributes.items() if k not in volatile} == {
        k: v for k, v in tracer.attributes.items() if k not in volatile
    }
    left, right = direct.capture, tracer.capture
    for capture in (left, right):
        for message in capture.messages:
            message.offset_ns = 0
        capture.start_unix_ns = capture.duration_ns = 0
    assert left == right
    for name in ("trace_id", "parent_span_id", "kind", "name", "trace_state", "status"):
        assert getattr(direct.span, name) == getattr(tracer.span, name), name
    assert len(tracer.span.span_id) == 8
    assert {o.resource["service.name"] for o in (direct, tracer)} == {"echo"}


def test_a_users_exporter_gets_spans_with_bytes_attributes(receiver, settings):
    exporter = InMemorySpanExporter()
    serve_one(replace(settings, sink="tracer", endpoint="", exporter=exporter), "mine", HEADERS)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    call = spans["mirrortest.Echo/Unary"]
    assert capture_pb2.Capture.FromString(call.attributes[attributes.CAPTURE]).status_code == 3
    assert attributes.SPAN_SCHEMA in spans
    assert receiver.calls == []


class Broken(SpanExporter):
    def __init__(self, result):
        self.result = result

    def export(self, _spans):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def shutdown(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("result", [SpanExportResult.FAILURE, RuntimeError("broken")])
def test_an_exporter_that_fails_is_counted(settings, result):
    interceptor = grpc_mirror.server_interceptor(replace(settings, sink="tracer", endpoint="", exporter=Broken(result)))
    with serving(handlers(SyncEcho()), [interceptor], aio=False) as port:
        client = Client(port)
        assert client.call("Unary", notes("return"), "x").responses
        client.close()
    grpc_mirror.flush(20)
    assert interceptor._observer.counters.read().dropped["export_refused"] >= 1
    grpc_mirror.shutdown(5)
