"""Those who come and then say nothing, or too slowly, or wait for ever: begun early, looked at late; not a test."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress

import grpc
from grpc_mirror.v1 import lookup_pb2

from tests.live.beside import Beside
from tests.live.hostile.asking import LOOKUP
from tests.live.hostile.http1 import HOST, posted
from tests.live.hostile.http2 import OPEN
from tests.live.hostile.target import Target, http_told, wait_s

HEAD_S, BODY_S, HANDSHAKE_S = 15.0, 30.0, 10.0  # what the collector gives
MARGIN_S = 15.0  # of a busy machine
WAITERS = 1_250  # more than may wait at once
_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

# What was sent, before silence; how long it may stand; and the status that it is told (none: it is closed).
IN_PLAIN: dict[str, tuple[str, bytes, float, str]] = {
    "otlp_http: nothing": ("otlp_http", b"", HEAD_S, "closed"),
    "web: nothing": ("web", b"", HEAD_S, "closed"),
    "otlp_http: half a head": ("otlp_http", b"POST /v1/traces HTTP/1.1\r\n" + HOST, HEAD_S, "closed"),
    "web: half a head": ("web", b"GET / HTTP/1.1\r\n" + HOST, HEAD_S, "closed"),
    "otlp_http: half a second head": ("otlp_http", b"GET /no HTTP/1.1\r\n" + HOST + b"\r\nGET /", HEAD_S, "404"),
    "otlp_http: half a body": ("otlp_http", posted(b"content-length: 1000", body=b"half"), BODY_S, "408"),
    "otlp_http: half a chunk": ("otlp_http", posted(b"transfer-encoding: chunked", body=b"ff\r\nx"), BODY_S, "408"),
    "otlp_http: half of gzip": ("otlp_http", posted(b"content-encoding: gzip", b"content-length: 1000", body=b"\x1f\x8b"), BODY_S, "408"),
    "otlp_grpc: nothing": ("otlp_grpc", b"", HANDSHAKE_S, "closed"),
    "otlp_grpc: half a preface": ("otlp_grpc", OPEN[:10], HANDSHAKE_S, "closed"),
}  # fmt: skip
BY_TLS: dict[str, tuple[str, bytes, float, str]] = {
    f"{listener}: {what}": (listener, sent, HANDSHAKE_S, "closed")
    for listener in ("otlp_grpc", "otlp_http", "web")
    for what, sent in (("nothing", b""), ("half a handshake", _HELLO))
}


class Slow(Beside):
    """Ten of each kind, begun at once; a thread lets their heads drip, so that none is quite silent."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        kinds = BY_TLS if target.secure else IN_PLAIN
        self._begun_s = time.monotonic()
        self.open = {
            name: [target.connect(listener, sent) for _ in range(10)] for name, (listener, sent, _, _) in kinds.items()
        }
        self._dripping = [target.connect("otlp_http", b"POST / HTTP/1.1\r\nx: ") for _ in range(10)]
        self._kinds = kinds

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        for one in (*self._dripping, *(one for many in self.open.values() for one in many)):
            one.close()

    def _go_on(self) -> None:
        while not self._stop.wait(0.5):
            for one in self._dripping:
                with suppress(OSError):
                    one.send(b"y")

    def ends(self) -> Iterator[tuple[str, str, str]]:
        """Name, status wanted and status told of each, once it was ended; waits for that."""
        for name, many in self.open.items():
            _, _, limit_s, wanted = self._kinds[name]
            for one in many:
                yield name, wanted, _end_of(one, wait_s(self._begun_s, limit_s + MARGIN_S))
        for one in self._dripping:
            yield "a head that drips", "closed", _end_of(one, wait_s(self._begun_s, HEAD_S + MARGIN_S))


def _end_of(connection: socket.socket, limit_s: float) -> str:
    connection.settimeout(max(limit_s, 0.01))
    try:
        got = b""
        with suppress(ConnectionError):
            while b"\r\n\r\n" not in got and (piece := connection.recv(65536)):
                got += piece
        return http_told(got).status
    except (TimeoutError, ssl.SSLError):
        return "still open"


class Waiters:
    """Shadows that ask for an answer that never comes, more than may wait."""

    def __init__(self, target: Target) -> None:
        self._channels = [target.channel() for _ in range(5)]  # a connection carries 256 calls
        asked = lookup_pb2.LookupRequest(run="checkout", mirror_id="never", wait_ms=2**32 - 1).SerializeToString()
        self._calls = [
            channel.unary_unary(LOOKUP).future(asked, timeout=60)  # type: ignore[misc]
            for channel in self._channels
            for _ in range(WAITERS // 5)
        ]

    def answers(self) -> list[str]:
        """What each was told, once all were: a result, or gRPC's code (it cancels some itself where over 1,000 wait to be begun)."""
        told = [_result_of(call) for call in self._calls]
        for channel in self._channels:
            channel.close()
        return told


def _result_of(call: grpc.Future) -> str:  # type: ignore[type-arg]
    try:
        found = lookup_pb2.LookupResponse.FromString(call.result()).result
    except grpc.RpcError as error:
        return str(error.code().name)
    return lookup_pb2.LookupResult.Name(found).removeprefix("LOOKUP_RESULT_")
