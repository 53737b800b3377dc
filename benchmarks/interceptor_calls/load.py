"""Calls at a steady rate, and the servers that they go to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import grpc

from interceptor_calls import servers
from interceptor_calls.servers import COLLECT, SERVICE

STREAMED = 8  # messages each way of a stream


@contextlib.contextmanager
def started(*commands: Sequence[str]) -> Iterator[list[int]]:
    """This file in other processes, one for each command, all started at once; yields the ports that they print."""
    environment = os.environ | {"OTEL_SERVICE_NAME": "bench", "OTEL_RESOURCE_ATTRIBUTES": "service.version=1"}
    with contextlib.ExitStack() as stack:
        processes = []
        for command in commands:
            whole = [sys.executable, servers.__file__, *command]
            process = subprocess.Popen(whole, stdout=subprocess.PIPE, env=environment)
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        yield [int(process.stdout.readline()) for process in processes if process.stdout]


class Target:
    """One variant's server, as the client sees it."""

    def __init__(self, port: int, *, mirrored: bool) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
        self._unary = self._channel.unary_unary(f"/{SERVICE}/unary")
        self._stream = self._channel.stream_stream(f"/{SERVICE}/stream")
        self._used = self._channel.unary_unary(f"/{SERVICE}/used")
        self._mirrored = mirrored

    async def used(self, *, collect: bool = False) -> dict[str, Any]:
        """CPU seconds, peak memory and drops of the server; `collect`: after a full collection of its garbage."""
        return dict(json.loads(await self._used(COLLECT if collect else b"")))

    async def load(self, kind: str, body: bytes, *, rate: int, seconds: float) -> list[float]:
        """Call at a steady rate. Returns the seconds that each call took."""
        taken: list[float] = []
        call = self._one_unary if kind == "unary" else self._one_stream
        calls, began = [], time.perf_counter()
        for number in range(max(1, round(rate * seconds))):
            await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
            calls.append(asyncio.ensure_future(call(body, taken)))
        await asyncio.gather(*calls)
        return taken

    async def _one_unary(self, body: bytes, taken: list[float]) -> None:
        metadata, began = self._headers(), time.perf_counter()
        await self._unary(body, metadata=metadata)
        taken.append(time.perf_counter() - began)

    async def _one_stream(self, body: bytes, taken: list[float]) -> None:
        metadata, began = self._headers(), time.perf_counter()
        stream = self._stream(metadata=metadata)
        for _ in range(STREAMED):
            await stream.write(body)
            await stream.read()
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        taken.append(time.perf_counter() - began)

    def _headers(self) -> tuple[tuple[str, str], ...]:
        trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
        plain = (("x-request-id", secrets.token_hex(16)), ("traceparent", trace))
        if not self._mirrored:
            return plain
        mirror = (("x-mirror-id", secrets.token_hex(16)), ("x-mirror-run", "bench"), ("x-mirror-expect", "candidate"))
        return (*plain, *mirror)
