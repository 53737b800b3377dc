"""OTLP over HTTP: POST /v1/traces with protobuf or JSON, plain or gzip.

The answer has the request's encoding; errors are a google.rpc.Status. Bodies are counted as they are read and as they are
decompressed, so that neither a long one nor a gzip bomb is ever held in full. It is an ASGI application and opens no socket.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from typing import Final

from google.rpc.status_pb2 import Status
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from mirror.collect.access import Denied, Scope
from mirror.collect.guard import Guard
from mirror.collect.otlp_grpc import response_of
from mirror.collect.otlp_json import request_bytes, response_json
from mirror.collect.receive import RETRY_AFTER_S, Accepted, Busy, Failed, Malformed, Receiver

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
BODY_TIMEOUT_S: Final = 30.0
_CHUNK_BYTES: Final = 64 << 10
# google.rpc.Code of the answers
_INVALID_ARGUMENT, _DEADLINE, _NOT_FOUND, _EXHAUSTED, _UNIMPLEMENTED, _INTERNAL, _UNAVAILABLE = 3, 4, 5, 8, 12, 13, 14
_DENIED, _UNAUTHENTICATED = 7, 16


class _Refused(Exception):  # noqa: N818 - an answer, not a fault
    def __init__(self, http_status: int, code: int, message: str, reason: str) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.message = message
        self.reason = reason  # the counter's label


class _Reading:
    """Bytes of bodies that are being read, of all connections together. One event loop uses it."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes

    def take(self, size: int) -> None:
        if size > self._left:
            raise _Refused(429, _UNAVAILABLE, "too much is being read at this moment", "queue_full")
        self._left -= size

    def give(self, size: int) -> None:
        self._left += size


def http_app(
    receiver: Receiver, *, message_max_bytes: int, reading_max_bytes: int, guard: Guard | None = None
) -> Starlette:
    """The ASGI application. `guard`: who may send; None: anybody.

    `message_max_bytes` bounds a body, as sent and after decompression; `reading_max_bytes` all that are read at a time.
    """
    reading = _Reading(max(reading_max_bytes, message_max_bytes))

    async def traces(request: Request) -> Response:
        encoding = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if guard and (denied := guard.denial(Scope.WRITE, request.headers.getlist("authorization"))):
            receiver.refused("http", denied.reason)
            return _turned_away(encoding, denied)
        if encoding not in (PROTOBUF, JSON):
            receiver.refused("http", "content_type")
            return _error(encoding, 415, _INVALID_ARGUMENT, f"the content type must be {PROTOBUF} or {JSON}")
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                await _read(request, body, message_max_bytes, reading)
            return await _answer(receiver, bytes(body), encoding)
        except _Refused as refused:
            receiver.refused("http", refused.reason)
            return _error(encoding, refused.http_status, refused.code, refused.message)
        except TimeoutError:
            receiver.refused("http", "timeout")
            return _error(encoding, 408, _DEADLINE, f"the body did not come within {BODY_TIMEOUT_S:.0f} s")
        except ClientDisconnect:
            receiver.refused("http", "disconnected")
            return Response(status_code=400)
        finally:
            reading.give(len(body))

    handlers = {404: _not_found, 405: _not_allowed}
    return Starlette(routes=[Route("/v1/traces", traces, methods=["POST"])], exception_handlers=handlers)


async def _answer(receiver: Receiver, body: bytes, encoding: str) -> Response:
    is_json = encoding == JSON
    reply = await receiver.receive(body, "http", convert=request_bytes if is_json else None)
    match reply:
        case Accepted():
            response = response_of(reply)
            partial = response.partial_success if response.HasField("partial_success") else None
            content = response_json(partial) if is_json else response.SerializeToString()
            return Response(content, media_type=encoding)
        case Malformed(message):
            return _error(encoding, 400, _INVALID_ARGUMENT, message)
        case Busy():
            status = 429 if reply.full else 503  # exporters heed Retry-After with both
            return _error(encoding, status, _UNAVAILABLE, reply.message, retry_after_s=reply.retry_after_s)
        case Failed(message):
            return _error(encoding, 500, _INTERNAL, message)


async def _read(request: Request, body: bytearray, max_bytes: int, reading: _Reading) -> None:
    """Read the whole body, decompressed, into `body`, whose length is taken from `reading`. Raises _Refused."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("gzip", "identity", ""):
        raise _Refused(415, _INVALID_ARGUMENT, "the content encoding must be gzip or none", "content_encoding")
    stream = _gunzip(_within(request.stream(), max_bytes)) if coding == "gzip" else request.stream()
    async for piece in stream:
        if len(body) + len(piece) > max_bytes:
            raise _too_large(max_bytes)
        reading.take(len(piece))
        body += piece


def _too_large(max_bytes: int) -> _Refused:
    message = f"the body is over {max_bytes} bytes (intake.message_max_bytes)"
    return _Refused(413, _EXHAUSTED, message, "too_large")


async def _within(stream: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    """The stream as it was sent, which gzip may make of nothing; raises _Refused beyond `max_bytes`."""
    sent = 0
    async for piece in stream:
        sent += len(piece)
        if sent > max_bytes:
            raise _too_large(max_bytes)
        yield piece


async def _gunzip(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Decompress in pieces of at most _CHUNK_BYTES, so that the reader can stop in time. Raises _Refused."""
    bad = _Refused(400, _INVALID_ARGUMENT, "the body is not gzip", "malformed")
    unzip = zlib.decompressobj(wbits=31)
    try:
        async for compressed in stream:
            data = compressed
            while data:
                if unzip.eof:
                    unzip = zlib.decompressobj(wbits=31)  # gzip files may follow one another, and are one
                yield unzip.decompress(data, _CHUNK_BYTES)
                data = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
    except zlib.error:
        raise bad from None
    if not unzip.eof:
        raise bad


def _error(encoding: str, http_status: int, code: int, message: str, *, retry_after_s: int = RETRY_AFTER_S) -> Response:
    headers = {"retry-after": str(retry_after_s)} if http_status in (429, 503) else None
    if encoding == PROTOBUF:
        content = Status(code=code, message=message).SerializeToString()
        return Response(content, http_status, headers, media_type=PROTOBUF)
    return Response(json.dumps({"code": code, "message": message}), http_status, headers, media_type=JSON)


def _turned_away(encoding: str, denied: Denied) -> Response:
    if denied.known:
        return _error(encoding, 403, _DENIED, denied.message)
    answer = _error(encoding, 401, _UNAUTHENTICATED, denied.message)
    answer.headers["www-authenticate"] = 'Bearer realm="mirror"'
    return answer


async def _not_found(_request: Request, _problem: Exception) -> Response:
    return _error(JSON, 404, _NOT_FOUND, "OTLP traces are taken at POST /v1/traces")


async def _not_allowed(_request: Request, _problem: Exception) -> Response:
    answer = _error(JSON, 405, _UNIMPLEMENTED, "OTLP traces are taken at POST /v1/traces")
    answer.headers["allow"] = "POST"
    return answer
