"""The OTLP listeners with TLS, client certificates and tokens: who is let in, who is not, and that the others go on."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

import grpc
import httpx
import pytest
from google.rpc.status_pb2 import Status

from mirror.collect import doorway, hosting, otlp_grpc
from mirror.collect import guard as guards
from mirror.collect.app import Collector, open_store
from mirror.collect.guard import Guard, watch
from mirror.config import load
from tests.collect.certificates import Authority, Issued
from tests.collect.otlp import call_span, request
from tests.collect.servers import EXPORT, Listeners, with_listeners

PROTOBUF = {"content-type": "application/x-protobuf"}
GOOD = request(call_span("m1")).SerializeToString()
WRITE, READ, OTHER = "w" * 32, "r" * 32, "x" * 32


class Place:
    """An authority, the collector's certificate by it, and listeners that ask for certificates by it."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.authority = Authority(folder)
        self.server = self.authority.issue("server")
        self.client = self.authority.issue("client")
        files = {
            "MIRROR_TLS_CERT_FILE": self.server.cert_file,
            "MIRROR_TLS_KEY_FILE": self.server.key_file,
            "MIRROR_TLS_CLIENT_CA_FILE": self.authority.file,
        }
        self.guard = Guard(load(None, files | env))
        self.listeners = Listeners(guard=self.guard)

    async def by_grpc(self, client: Issued | None, *, trusts: Authority | None = None) -> bytes:
        """Send as this client; raises AioRpcError."""
        key, cert = (client.key, client.cert) if client else (None, None)
        credentials = grpc.ssl_channel_credentials((trusts or self.authority).pem, key, cert)
        port = self.listeners.grpc_address.port
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
            answer: bytes = await channel.unary_unary(EXPORT)(GOOD, timeout=30)
            return answer

    async def by_http(self, client: Issued | None, *, trusts: Authority | None = None) -> httpx.Response:
        """Send as this client; raises HTTPError."""
        context = ssl.create_default_context(cafile=(trusts or self.authority).file)
        if client:
            context.load_cert_chain(client.cert_file, client.key_file)
        async with httpx.AsyncClient(verify=context, timeout=30) as session:
            url = f"https://localhost:{self.listeners.http_address.port}/v1/traces"
            return await session.post(url, content=GOOD, headers=PROTOBUF)

    async def served(self) -> None:
        """A good client is, on both."""
        assert await self.by_grpc(self.client) == b""
        assert (await self.by_http(self.client)).status_code == 200

    def failed(self, reason: str) -> float:
        return self.listeners.counters.value("mirror_tls_handshakes_failed_total", listener="otlp_http", reason=reason)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def guarded(**env: str) -> Listeners:
    return Listeners(
        guard=Guard(load(None, {"MIRROR_AUTH_WRITE_TOKENS": WRITE, "MIRROR_AUTH_READ_TOKENS": READ} | env))
    )


async def grpc_error(
    listeners: Listeners, headers: dict[str, str], body: bytes = GOOD, method: str = EXPORT
) -> grpc.aio.AioRpcError | None:
    async with grpc.aio.insecure_channel(str(listeners.grpc_address)) as channel:
        try:
            await channel.unary_unary(method)(body, timeout=30, metadata=tuple(headers.items()))
        except grpc.aio.AioRpcError as error:
            return error
    return None


async def post(listeners: Listeners, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30) as client:
        url = f"http://{listeners.http_address}/v1/traces"
        return await client.post(url, content=GOOD, headers=PROTOBUF | headers)


@pytest.mark.parametrize(
    ("headers", "code", "status", "reason"),
    [
        ({}, grpc.StatusCode.UNAUTHENTICATED, 401, "no_token"),
        ({"authorization": WRITE}, grpc.StatusCode.UNAUTHENTICATED, 401, "no_token"),
        (bearer(OTHER), grpc.StatusCode.UNAUTHENTICATED, 401, "unknown_token"),
        (bearer(READ), grpc.StatusCode.PERMISSION_DENIED, 403, "wrong_scope"),
    ],
)
def test_who_has_no_token_that_may_write_is_told_so_and_counted(
    headers: dict[str, str], code: grpc.StatusCode, status: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(listeners: Listeners) -> None:
        error = await grpc_error(listeners, headers)
        assert error is not None
        assert error.code() is code
        answer = await post(listeners, headers)
        assert answer.status_code == status
        told = Status.FromString(answer.content)
        assert (told.code, told.message) == (code.value[0], error.details())
        assert ("www-authenticate" in answer.headers) is (status == 401)
        for protocol in ("grpc", "http"):
            assert listeners.counters.value("mirror_batches_refused_total", protocol=protocol, reason=reason) == 1
        assert listeners.intake.idle
        assert await grpc_error(listeners, bearer(WRITE)) is None
        assert (await post(listeners, bearer(WRITE))).status_code == 200
        for token in (WRITE, READ, OTHER):
            assert token not in f"{told.message} {answer.headers} {caplog.text}"

    with_listeners(guarded(), use)


def test_without_a_token_a_message_is_not_even_read() -> None:
    """Else it would be refused for its size."""

    async def use(listeners: Listeners) -> None:
        error = await grpc_error(listeners, {}, bytes(8 << 20))
        assert error is not None
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        error = await grpc_error(listeners, bearer(WRITE), bytes(8 << 20))
        assert error is not None
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    with_listeners(guarded(), use)


@pytest.mark.parametrize("method", ["/mirror.v1.Recordings/Lookup", "/no.such/Method"])
def test_every_method_asks_for_the_token(method: str) -> None:
    async def use(listeners: Listeners) -> None:
        error = await grpc_error(listeners, {}, b"", method)
        assert error is not None
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED

    with_listeners(guarded(), use)


@pytest.mark.parametrize(
    ("tokens", "served", "refused"),
    [({}, READ, WRITE), ({"MIRROR_AUTH_READ_TOKENS": ""}, WRITE, OTHER)],
    ids=["a token to read", "without such tokens: to write"],
)
def test_what_primaries_were_told_is_for_those_who_may_read(tokens: dict[str, str], served: str, refused: str) -> None:
    async def use(listeners: Listeners) -> None:
        codes = []
        for token in (served, refused):
            error = await grpc_error(listeners, bearer(token), b"", "/mirror.v1.Recordings/Lookup")
            assert error is not None
            codes.append(error.code())
        # These listeners have no such method: that is what one who is let in is told.
        assert codes[0] is grpc.StatusCode.UNIMPLEMENTED
        assert codes[1] in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)

    with_listeners(guarded(**tokens), use)


def test_a_hundred_calls_without_token_beside_a_hundred_with_one() -> None:
    async def use(listeners: Listeners) -> None:
        async with grpc.aio.insecure_channel(str(listeners.grpc_address)) as channel:
            call = channel.unary_unary(EXPORT)
            with_token = (("authorization", f"Bearer {WRITE}"),)
            calls = [call(GOOD, timeout=60, metadata=with_token if n % 2 else ()) for n in range(200)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
        assert answers[1::2] == [b""] * 100
        assert {one.code() for one in answers[::2]} == {grpc.StatusCode.UNAUTHENTICATED}

    with_listeners(guarded(), use)


def test_a_certificate_by_our_authority_is_let_in(place: Place) -> None:
    async def use(_: Listeners) -> None:
        await place.served()

    with_listeners(place.listeners, use)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("none", "no_client_certificate"),
        ("expired", "client_certificate"),
        ("foreign", "client_certificate"),
        ("self-made", "client_certificate"),
    ],
)
def test_others_are_not_and_the_rest_is_served(tmp_path: Path, kind: str, reason: str, place: Place) -> None:
    if kind == "foreign":
        client = Authority(tmp_path, "foreign").issue("stranger")
    elif kind == "self-made":
        client = Authority(tmp_path, "ca2").issue("client2")
    else:
        client = place.authority.issue("late", expired=True) if kind == "expired" else None

    async def use(listeners: Listeners) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await place.by_grpc(client)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(httpx.HTTPError):
            await place.by_http(client)
        assert place.failed(reason) == 1
        assert listeners.intake.idle
        await place.served()

    with_listeners(place.listeners, use)


def test_plain_text_and_noise_on_the_ports_of_tls_end_and_the_rest_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorway, "HANDSHAKE_TIMEOUT_S", 1.0)
    monkeypatch.setattr(otlp_grpc, "HANDSHAKE_TIMEOUT_MS", 1000)
    place = Place(tmp_path)

    async def ended(port: int, sent: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        try:
            async with asyncio.timeout(30):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def use(listeners: Listeners) -> None:
        plain = f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: {len(GOOD)}\r\n\r\n".encode() + GOOD
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        for sent in (plain, preface, b"\x16\x03\x01\x40\x00" + bytes(100), b"\x00" * 1000, b"\xff" * 1000):
            for port in (listeners.grpc_address.port, listeners.http_address.port):
                assert GOOD not in await ended(port, sent)
        assert listeners.intake.idle
        await place.served()

    with_listeners(place.listeners, use)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_handshakes_that_stop_half_way_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """Silent ones, and such as stop within the first record; a hundred at once keep nobody else out."""
    monkeypatch.setattr(doorway, "HANDSHAKE_TIMEOUT_S", 1.0)
    monkeypatch.setattr(otlp_grpc, "HANDSHAKE_TIMEOUT_MS", 1000)
    place = Place(tmp_path)

    async def use(listeners: Listeners) -> None:
        half_open = []
        for port in (listeners.grpc_address.port, listeners.http_address.port) * 50:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            half_open.append((reader, writer))
        await place.served()
        async with asyncio.timeout(60):
            for reader, writer in half_open:
                with contextlib.suppress(ConnectionError):
                    await reader.read()  # until the end
                writer.close()
        await place.served()

    with_listeners(place.listeners, use)


def test_of_too_many_handshakes_the_oldest_are_ended(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes 300 KiB: they are few, and whoever means it is still served."""
    monkeypatch.setattr(doorway, "HANDSHAKES_MAX", 5)

    async def use(listeners: Listeners) -> None:
        port = listeners.http_address.port
        half_open = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        await place.served()
        async with asyncio.timeout(60):
            for reader, _ in half_open[:15]:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
        counted = listeners.counters.value(
            "mirror_connections_closed_total", listener="otlp_http", reason="handshakes_max"
        )
        assert counted >= 15
        for _, writer in half_open:
            writer.close()

    with_listeners(place.listeners, use)


def test_a_head_that_drips_within_tls_is_ended_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "HEAD_TIMEOUT_S", 0.2)

    async def use(listeners: Listeners) -> None:
        context = ssl.create_default_context(cafile=place.authority.file)
        context.load_cert_chain(place.client.cert_file, place.client.key_file)
        port = listeners.http_address.port
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
        writer.write(b"POST /v1/traces HTTP/1.1\r\nx-a: ")
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()
        await place.served()

    with_listeners(place.listeners, use)


def test_renewed_certificates_and_authorities_reach_the_next_connection_and_broken_ones_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a restart: first all is exchanged for another authority's, then the certificate is damaged."""
    monkeypatch.setattr(guards, "REFRESH_S", 0.02)
    place = Place(tmp_path)
    other = Authority(tmp_path, "other")

    async def let_in(client: Issued) -> bool:
        try:
            return await place.by_grpc(client, trusts=other) == b""
        except grpc.aio.AioRpcError:
            return False

    async def use(listeners: Listeners) -> None:
        watching = asyncio.create_task(watch(place.guard, listeners.counters))
        await place.served()
        stranger = other.issue("stranger")
        assert not await let_in(stranger)
        new = other.take_the_place_of(place.authority).issue("server")
        assert new.cert_file == place.server.cert_file
        async with asyncio.timeout(60):
            while not await let_in(stranger):
                pass
        assert (await place.by_http(stranger, trusts=other)).status_code == 200
        for send in (place.by_grpc, place.by_http):
            with pytest.raises((grpc.aio.AioRpcError, httpx.HTTPError)):
                await send(place.client, trusts=other)
        new.damage()
        async with asyncio.timeout(60):
            while f"tls.cert_file: {new.cert_file}: not what it should be" not in caplog.text:
                assert await let_in(stranger)
        assert listeners.counters.value("mirror_reloads_total", kind="certificates", result="failed")
        assert listeners.counters.value("mirror_reloads_total", kind="certificates", result="done")
        assert await let_in(stranger)
        assert (await place.by_http(stranger, trusts=other)).status_code == 200
        watching.cancel()

    with_listeners(place.listeners, use)


def test_a_certificate_and_a_token_are_both_asked_for_where_both_are_set(tmp_path: Path) -> None:
    place = Place(tmp_path, MIRROR_AUTH_WRITE_TOKENS=WRITE)

    async def use(_: Listeners) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await place.by_grpc(place.client)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert (await place.by_http(place.client)).status_code == 401

    with_listeners(place.listeners, use)


def test_a_running_collector_follows_its_token_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "REFRESH_S", 0.02)
    tokens = tmp_path / "tokens"
    tokens.write_text(WRITE)
    env = {"MIRROR_AUTH_WRITE_TOKENS_FILE": str(tokens), "MIRROR_STORE_URL": f"sqlite:///{tmp_path}/mirror.db"}
    local = {"MIRROR_LISTEN_OTLP_GRPC": "127.0.0.1:0", "MIRROR_LISTEN_OTLP_HTTP": "127.0.0.1:0"}
    settings = load(None, env | local)

    async def lifetime(collector: Collector) -> None:
        addresses = await collector.start()
        url = f"http://{addresses.otlp_http}/v1/traces"
        async with httpx.AsyncClient(timeout=30) as client, asyncio.timeout(60):

            async def status(token: str) -> int:
                return (await client.post(url, content=GOOD, headers=PROTOBUF | bearer(token))).status_code

            assert (await status(WRITE), await status(OTHER)) == (200, 401)
            tokens.write_text(OTHER)
            while await status(OTHER) != 200:
                pass
            assert await status(WRITE) == 401
        assert collector.counters.value("mirror_reloads_total", kind="tokens", result="done") == 1
        assert await collector.stop()

    with open_store(settings) as store:
        asyncio.run(lifetime(Collector(settings, store)))
