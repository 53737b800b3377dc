"""Connections of the gRPC listener are bounded, and those without calls do not stay."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from mirror.collect import otlp_grpc
from tests.collect.servers import Listeners, with_listeners
from tests.collect.test_listeners import GOOD, PROTOBUF, export, post


async def settled(listeners: Listeners, count: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """So many connections to the gRPC listener that say hello, and were answered or closed."""
    address, hello = listeners.grpc_address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
    made = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(hello)
        with contextlib.suppress(ConnectionError):
            await reader.read(9)
        made.append((reader, writer))
    return made


def test_grpc_connections_are_bounded_and_one_that_goes_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a file, and without any left the other listeners could take nobody either."""
    monkeypatch.setattr(otlp_grpc, "CONNECTIONS_MAX", 4)

    async def use(listeners: Listeners) -> None:
        held = await settled(listeners, 4)
        async with asyncio.timeout(30):
            (reader, _), *_ = await settled(listeners, 1)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            assert (await post(listeners, GOOD, PROTOBUF)).status_code == 200
            for _, writer in held:
                writer.close()
            assert await export(listeners, GOOD, wait_for_ready=True) == b""

    with_listeners(Listeners(), use)


def test_a_grpc_connection_without_calls_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_grpc, "IDLE_MAX_MS", 100)

    async def use(listeners: Listeners) -> None:
        ((reader, writer),) = await settled(listeners, 1)
        async with asyncio.timeout(30):
            said = await reader.read()  # until the end
        assert b"connection idle" in said
        writer.close()
        assert await export(listeners, GOOD) == b""

    with_listeners(Listeners(), use)
