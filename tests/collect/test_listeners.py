"""OTLP over real sockets: what is taken, what is refused, and how the sender is told."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_mirror.v1 import otlp_slices_pb2

from mirror.collect import hosting
from mirror.collect.addresses import Address, PortInUseError, bind, port_of
from mirror.collect.otlp_grpc import GrpcListener
from tests.collect.otlp import call_span, otlp_json, request
from tests.collect.servers import EXPORT, LOCAL, Listeners, with_listeners

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
GOOD = request(call_span("m1"), call_span("m2", "candidate")).SerializeToString()
PARTLY = request(call_span("m1"), call_span("m2", mirror__run=None)).SerializeToString()


async def export(listeners: Listeners, body: bytes, **options: Any) -> bytes:
    async with grpc.aio.insecure_channel(str(listeners.grpc_address)) as channel:
        answer: bytes = await channel.unary_unary(EXPORT)(body, timeout=30, **options)
        return answer


async def refused(listeners: Listeners, body: bytes, **options: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await export(listeners, body, **options)
    return caught.value


async def post(listeners: Listeners, body: bytes, headers: dict[str, str], path: str = "/v1/traces") -> httpx.Response:
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(f"http://{listeners.http_address}{path}", content=body, headers=headers)


def taken(listeners: Listeners) -> list[str]:
    batch = listeners.intake.take(0)
    return [call.key.mirror_id for call in batch.calls] if batch else []


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_grpc_takes_a_batch(compression: grpc.Compression) -> None:
    async def use(listeners: Listeners) -> None:
        assert await export(listeners, GOOD, compression=compression) == b""
        assert taken(listeners) == ["m1", "m2"]

    with_listeners(Listeners(), use)


def test_grpc_says_which_spans_it_rejected() -> None:
    async def use(listeners: Listeners) -> None:
        answer = otlp_slices_pb2.ExportTraceServiceResponse.FromString(await export(listeners, PARTLY))
        assert answer.partial_success.rejected_spans == 1
        assert "mirror.run is missing" in answer.partial_success.error_message
        assert taken(listeners) == ["m1"]

    with_listeners(Listeners(), use)


def test_grpc_refuses_what_is_no_otlp() -> None:
    async def use(listeners: Listeners) -> None:
        error = await refused(listeners, b"\xff\xff")
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "ExportTraceServiceRequest" in (error.details() or "")
        assert listeners.intake.idle
        assert await export(listeners, GOOD) == b""
        assert listeners.counters.value("mirror_batches_refused_total", protocol="grpc", reason="malformed") == 1

    with_listeners(Listeners(), use)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_grpc_refuses_a_message_over_the_limit_also_a_compressed_one(compression: grpc.Compression) -> None:
    async def use(listeners: Listeners) -> None:
        error = await refused(listeners, bytes(3 << 20), compression=compression)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await export(listeners, GOOD) == b""

    with_listeners(Listeners(), use)


def test_grpc_pushes_back_when_the_queue_is_full_with_retry_info_in_both_trailers() -> None:
    async def use(listeners: Listeners) -> None:
        assert await export(listeners, GOOD) == b""
        error = await refused(listeners, GOOD)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert error.details() == "the collector's queue is full"
        trailers = dict(error.trailing_metadata() or ())
        assert RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"]).retry_delay.seconds == 1
        status = Status.FromString(trailers["grpc-status-details-bin"])
        (detail,) = status.details
        info = RetryInfo()
        assert isinstance(detail, AnyMessage)
        assert detail.Unpack(info)
        assert (status.code, info.retry_delay.seconds) == (14, 1)
        listeners.intake.take(0)
        assert await export(listeners, GOOD) == b""

    with_listeners(Listeners(queue_max_bytes=len(GOOD)), use)


def test_http_takes_protobuf_and_answers_in_protobuf() -> None:
    async def use(listeners: Listeners) -> None:
        full = await post(listeners, GOOD, PROTOBUF)
        assert (full.status_code, full.content, full.headers["content-type"]) == (200, b"", "application/x-protobuf")
        partly = await post(listeners, PARTLY, PROTOBUF)
        answer = otlp_slices_pb2.ExportTraceServiceResponse.FromString(partly.content)
        assert answer.partial_success.rejected_spans == 1
        assert taken(listeners) == ["m1", "m2"]
        assert taken(listeners) == ["m1"]

    with_listeners(Listeners(), use)


def test_http_takes_json_and_answers_in_json() -> None:
    async def use(listeners: Listeners) -> None:
        headers = {"content-type": "application/json; charset=utf-8"}
        full = await post(listeners, json.dumps(otlp_json(call_span("m1"))).encode(), headers)
        assert (full.status_code, full.json()) == (200, {})
        partly = await post(listeners, json.dumps(otlp_json(call_span(mirror__run=None))).encode(), headers)
        assert partly.json()["partialSuccess"]["rejectedSpans"] == "1"
        assert taken(listeners) == ["m1"]

    with_listeners(Listeners(), use)


def test_http_takes_gzip() -> None:
    async def use(listeners: Listeners) -> None:
        answer = await post(listeners, gzip.compress(GOOD), PROTOBUF | {"content-encoding": "gzip"})
        assert answer.status_code == 200
        assert taken(listeners) == ["m1", "m2"]

    with_listeners(Listeners(), use)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff", PROTOBUF, 400),
        (b"{", JSON, 400),
        (b"\xff", JSON, 400),
        (b"not gzip", PROTOBUF | {"content-encoding": "gzip"}, 400),
        (gzip.compress(GOOD)[:-9], PROTOBUF | {"content-encoding": "gzip"}, 400),
        (gzip.compress(bytes(64 << 20)), PROTOBUF | {"content-encoding": "gzip"}, 413),
        (bytes(3 << 20), PROTOBUF, 413),
        (b" " * (3 << 20), JSON, 413),
        (GOOD, {"content-type": "text/plain"}, 415),
        (GOOD, {}, 415),
        (GOOD, PROTOBUF | {"content-encoding": "br"}, 415),
    ],
)
def test_http_refuses_and_goes_on(body: bytes, headers: dict[str, str], status: int) -> None:
    async def use(listeners: Listeners) -> None:
        answer = await post(listeners, body, headers)
        assert answer.status_code == status
        if headers.get("content-type") == PROTOBUF["content-type"]:
            assert Status.FromString(answer.content).message
        else:
            assert answer.json()["message"]
        assert listeners.intake.idle
        assert (await post(listeners, GOOD, PROTOBUF)).status_code == 200

    with_listeners(Listeners(), use)


def test_http_pushes_back_when_the_queue_is_full() -> None:
    async def use(listeners: Listeners) -> None:
        assert (await post(listeners, GOOD, PROTOBUF)).status_code == 200
        answer = await post(listeners, GOOD, PROTOBUF)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert Status.FromString(answer.content).code == 14

    with_listeners(Listeners(queue_max_bytes=len(GOOD)), use)


def test_bodies_that_are_read_at_a_time_are_bounded_together() -> None:
    half = bytes(600 << 10)

    async def use(listeners: Listeners) -> None:
        address = listeners.http_address
        _, first = await asyncio.open_connection(address.host, address.port)
        first.write(
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
            b"content-length: 1000000\r\n\r\n" + half
        )
        await first.drain()
        while (answer := await post(listeners, half, PROTOBUF)).status_code != 429:
            assert answer.status_code == 400  # the first was not read yet; zeros are no OTLP
        assert answer.headers["retry-after"] == "1"
        first.close()
        while (answer := await post(listeners, half, PROTOBUF)).status_code == 429:
            pass
        assert (await post(listeners, GOOD, PROTOBUF)).status_code == 200

    with_listeners(Listeners(reading_max_bytes=1 << 20), use)


def test_http_says_where_traces_go() -> None:
    async def use(listeners: Listeners) -> None:
        elsewhere = await post(listeners, GOOD, PROTOBUF, "/v1/metrics")
        assert elsewhere.status_code == 404
        assert "/v1/traces" in elsewhere.json()["message"]
        async with httpx.AsyncClient() as client:
            got = await client.get(f"http://{listeners.http_address}/v1/traces")
        assert (got.status_code, got.headers["allow"]) == (405, "POST")

    with_listeners(Listeners(), use)


def test_after_closing_senders_are_told_to_come_again() -> None:
    async def use(listeners: Listeners) -> None:
        listeners.intake.close()
        assert (await refused(listeners, GOOD)).code() is grpc.StatusCode.UNAVAILABLE
        assert (await post(listeners, GOOD, PROTOBUF)).status_code == 503

    with_listeners(Listeners(), use)


def test_an_internal_fault_is_counted_and_answered_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def slice(self, body: bytes, *, arrived_s: float) -> None:
            raise RuntimeError("secret")

    async def use(listeners: Listeners) -> None:
        listeners.receiver._slicer = Broken()  # type: ignore[assignment]
        error = await refused(listeners, GOOD)
        assert error.code() is grpc.StatusCode.INTERNAL
        assert (await post(listeners, GOOD, PROTOBUF)).status_code == 500
        assert "secret" not in f"{error.details()} {caplog.text}"
        assert "RuntimeError at" in caplog.text
        assert listeners.counters.value("mirror_internal_errors_total", stage="receive") == 2
        assert listeners.intake.idle

    with_listeners(Listeners(), use)


def test_a_large_batch_is_cut_beside_the_loop_and_arrives_whole() -> None:
    body = request(*(call_span(f"m{n}") for n in range(1500))).SerializeToString()

    async def use(listeners: Listeners) -> None:
        await export(listeners, body)
        assert len(taken(listeners)) == 1500

    with_listeners(Listeners(), use)


def test_the_error_of_a_port_in_use_says_which_and_what_to_do() -> None:
    with bind("web", LOCAL) as holder:
        address = LOCAL.with_port(port_of(holder))
        with pytest.raises(PortInUseError, match=rf"listen\.web: cannot listen on {address}: the port is in use"):
            bind("web", address)
        listeners = Listeners()
        with pytest.raises(PortInUseError, match="MIRROR_LISTEN_OTLP_GRPC"):
            asyncio.run(GrpcListener(listeners.receiver, message_max_bytes=1, reading_max_bytes=1).start(address))


def test_a_host_that_does_not_exist_is_told_as_such() -> None:
    with pytest.raises(PortInUseError, match=r"cannot listen on no\.such\.host\.invalid:0: "):
        bind("web", Address("no.such.host.invalid", 0))


def test_two_grpc_listeners_do_not_share_a_port() -> None:
    async def use(listeners: Listeners) -> None:
        with pytest.raises(PortInUseError):
            await GrpcListener(listeners.receiver, message_max_bytes=1, reading_max_bytes=1).start(
                listeners.grpc_address
            )

    with_listeners(Listeners(), use)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:4317", Address("127.0.0.1", 4317)),
        ("[::1]:0", Address("::1", 0)),
        ("localhost:80", Address("localhost", 80)),
    ],
)
def test_addresses_are_read_and_written(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["localhost", "localhost:", "localhost:http", "x:99999"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        Address.parse(text)


def test_gzip_members_that_follow_one_another_are_one_body() -> None:
    async def use(listeners: Listeners) -> None:
        body = gzip.compress(GOOD[:50]) + gzip.compress(GOOD[50:])
        assert (await post(listeners, body, PROTOBUF | {"content-encoding": "gzip"})).status_code == 200
        assert taken(listeners) == ["m1", "m2"]
        garbage = gzip.compress(GOOD) + b"garbage"
        assert (await post(listeners, garbage, PROTOBUF | {"content-encoding": "gzip"})).status_code == 400

    with_listeners(Listeners(), use)


def test_gzip_that_unpacks_to_nothing_is_bounded_as_it_is_sent() -> None:
    async def use(listeners: Listeners) -> None:
        body = gzip.compress(b"") * 2000
        assert (await post(listeners, body, PROTOBUF | {"content-encoding": "gzip"})).status_code == 413

    with_listeners(Listeners(message_max_bytes=10_000), use)


def test_connections_without_a_request_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent, dripping a head, or stalled in a second one: each would take a place for good."""
    monkeypatch.setattr(hosting, "HEAD_TIMEOUT_S", 0.1)
    whole = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"

    async def closed(listeners: Listeners, *sent: bytes) -> bool:
        reader, writer = await asyncio.open_connection(listeners.http_address.host, listeners.http_address.port)
        for piece in sent:
            writer.write(piece)
        async with asyncio.timeout(30):
            await reader.read()  # until the end
        writer.close()
        return True

    async def use(listeners: Listeners) -> None:
        assert await closed(listeners)
        assert await closed(listeners, b"POST /v1/traces HTTP/1.1\r\nx-a: ")
        assert await closed(listeners, whole, b"POST /v1")

    with_listeners(Listeners(), use)


def test_a_hundred_requests_at_once_on_a_new_connection_are_all_taken() -> None:
    """A client may open them before it knows the limit of streams; gRPC ends the connection of one that is over it."""

    async def use(listeners: Listeners) -> None:
        async with grpc.aio.insecure_channel(str(listeners.grpc_address)) as channel:
            export_one = channel.unary_unary(EXPORT)
            assert await asyncio.gather(*(export_one(GOOD, timeout=30) for _ in range(100))) == [b""] * 100

    with_listeners(Listeners(), use)
