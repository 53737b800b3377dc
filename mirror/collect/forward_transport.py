"""How forwarded spans reach an OTLP endpoint: gRPC or HTTP. Only here the forwarder touches a socket.

`send` either succeeds, or raises RetryLaterError (the endpoint may take it later) or RefusedError (it never will).
"""

from __future__ import annotations

import http.client
from typing import Final, Protocol
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError
from grpc_mirror.v1.otlp_slices_pb2 import ExportTraceServiceResponse

_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_RETRY_HTTP: Final = frozenset({408, 429, 502, 503, 504})
# The OTLP specification's list; UNKNOWN and RESOURCE_EXHAUSTED are what proxies and overloaded receivers really say.
_RETRY_GRPC: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)  # fmt: skip


class RetryLaterError(Exception):
    """The endpoint could not take it now. The text says why."""


class RefusedError(Exception):
    """The endpoint will never take it. The text says why."""


class Transport(Protocol):
    """Sends one serialised ExportTraceServiceRequest at a time."""

    def send(self, request: bytes, *, timeout_s: float) -> int:
        """Send; returns how many spans the endpoint rejected. Raises RetryLaterError or RefusedError."""

    def close(self) -> None:
        """Give up the connection; a `send` under way fails."""


def transport_for(endpoint: str) -> Transport:
    """The transport of an endpoint: ``host:port`` is OTLP gRPC, ``http(s)://host[:port][/path]`` is OTLP HTTP.

    Raises ValueError that says what is wrong with it.
    """
    if "://" not in endpoint:
        host, colon, port = endpoint.rpartition(":")
        if not colon or not host or not port.isdigit():
            raise ValueError(f"forward.endpoint {endpoint!r} is neither host:port nor an http(s) URL")
        return _Grpc(endpoint)
    return _Http(endpoint)


def _rejected(body: bytes) -> int:
    try:
        return ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans
    except DecodeError:
        return 0  # it said success; a body that we cannot read changes nothing


class _Grpc:
    def __init__(self, endpoint: str) -> None:
        options = [("grpc.max_reconnect_backoff_ms", 5000), ("grpc.initial_reconnect_backoff_ms", 200)]
        self._channel = grpc.insecure_channel(endpoint, options=options)
        self._export = self._channel.unary_unary(_EXPORT, request_serializer=None, response_deserializer=None)

    def send(self, request: bytes, *, timeout_s: float) -> int:
        try:
            return _rejected(self._export(request, timeout=timeout_s))
        except grpc.RpcError as error:
            code = error.code()
            if code in _RETRY_GRPC:
                raise RetryLaterError(f"it answered {code.name}") from None
            raise RefusedError(f"it answered {code.name}") from None
        except ValueError as error:  # the channel was closed
            raise RetryLaterError("the connection was closed") from error

    def close(self) -> None:
        self._channel.close()


class _Http:
    def __init__(self, endpoint: str) -> None:
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"forward.endpoint {endpoint!r} is neither host:port nor an http(s) URL")
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(url.hostname, url.port)
        self._path = url.path if url.path not in ("", "/") else "/v1/traces"

    def send(self, request: bytes, *, timeout_s: float) -> int:
        self._connection.timeout = timeout_s
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout_s)
        try:
            self._connection.request("POST", self._path, request, {"Content-Type": "application/x-protobuf"})
            answer = self._connection.getresponse()
            body = answer.read(1 << 20)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise RetryLaterError(type(error).__name__) from None
        if answer.will_close or not answer.isclosed():
            self._connection.close()
        if answer.status in _RETRY_HTTP:
            raise RetryLaterError(f"it answered {answer.status}")
        if not 200 <= answer.status < 300:
            raise RefusedError(f"it answered {answer.status}")
        return _rejected(body)

    def close(self) -> None:
        self._connection.close()
