"""Which connections an HTTP listener closes where there are too many."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from mirror.collect import hosting
from tests.collect.servers import Listeners, with_listeners
from tests.collect.test_listeners import GOOD, PROTOBUF, post


def test_of_too_many_connections_those_longest_without_a_request_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of silent ones keeps nobody out, and a request under way is never ended for it."""
    monkeypatch.setattr(hosting, "CONNECTIONS_MAX", 5)

    async def use(listeners: Listeners) -> None:
        host, port = listeners.http_address.host, listeners.http_address.port
        reader, writer = await asyncio.open_connection(host, port)
        head = f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {len(GOOD)}"
        writer.write(f"{head}\r\nexpect: 100-continue\r\n\r\n".encode())
        assert b"100" in await reader.readline()
        silent = [await asyncio.open_connection(host, port) for _ in range(20)]
        assert (await post(listeners, GOOD, PROTOBUF)).status_code == 200
        async with asyncio.timeout(30):
            for silent_reader, _ in silent[:15]:
                with contextlib.suppress(ConnectionError):
                    assert await silent_reader.read() == b""
        writer.write(GOOD)
        assert (await reader.readline()).strip() == b""
        assert b" 200 " in await reader.readline()
        reason = {"listener": "otlp_http", "reason": "connections_max"}
        assert listeners.counters.value("mirror_connections_closed_total", **reason) >= 15
        for _, other in [(reader, writer), *silent]:
            other.close()

    with_listeners(Listeners(), use)


def test_a_burst_of_strangers_does_not_take_the_place_of_a_client_between_two_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those who never asked anything are closed first; then the longest idle of the others; one under way never."""
    monkeypatch.setattr(hosting, "CONNECTIONS_MAX", 5)
    whole = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-type: application/x-protobuf\r\n\r\n"

    async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(whole)
        return await reader.readuntil(b"\r\n\r\n")

    async def use(listeners: Listeners) -> None:
        host, port = listeners.http_address.host, listeners.http_address.port
        clients = [await asyncio.open_connection(host, port) for _ in range(4)]
        for client in clients:
            assert b" 200 " in await asked(*client)
        strangers = [await asyncio.open_connection(host, port) for _ in range(20)]
        async with asyncio.timeout(30):
            for stranger, _ in strangers[:19]:
                with contextlib.suppress(ConnectionError):
                    assert await stranger.read() == b""
        for client in clients:
            assert b" 200 " in await asked(*client)
        assert b" 200 " in await asked(*strangers[19])  # now known itself
        newcomer = await asyncio.open_connection(host, port)
        assert b" 200 " in await asked(*newcomer)
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                assert await clients[0][0].read() == b""
        for _, writer in [*clients, *strangers, newcomer]:
            writer.close()

    with_listeners(Listeners(), use)
