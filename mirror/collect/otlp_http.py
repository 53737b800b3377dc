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

from mirror.collect.otlp_grpc import response_of
from mirror.collect.otlp_json import request_bytes, response_json
from mirror.collect.receive import Accepted, Busy, Failed, Malformed, Receiver

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
BODY_TIMEOUT_S: Final = 30.0
_CHUNK_BYTES: Final = 64 << 10
# google.rpc.Code of the answers
_INVALID_ARGUMENT, _DEADLINE, _NOT_FOUND, _EXHAUSTED, _UNIMPLEMENTED, _INTERNAL, _UNAVAILABLE = 3, 4, 5, 8, 12, 13, 14


class _Refused(Exception):  # noqa: N818 - an answer, not a fault
    def __init__(self, http_status: int, code: int, message: str, reason: str) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.message = message
        self.reason = reason  # the counter's label


def http_app(receiver: Receiver, *, message_max_bytes: int) -> Starlette:
    """The ASGI application. `message_max_bytes` bounds a body, as sent and after decompression."""

    async def traces(request: Request) -> Response:
        encoding = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if encoding not in (PROTOBUF, JSON):
            receiver.refused("http", "content_type")
            return _error(encoding, 415, _INVALID_ARGUMENT, f"the content type must be {PROTOBUF} or {JSON}")
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await _body(request, message_max_bytes)
        except _Refused as refused:
            receiver.refused("http", refused.reason)
            return _error(encoding, refused.http_status, refused.code, refused.message)
        except TimeoutError:
            receiver.refused("http", "timeout")
            return _error(encoding, 408, _DEADLINE, f"the body did not come within {BODY_TIMEOUT_S:.0f} s")
        except ClientDisconnect:
            receiver.refused("http", "disconnected")
            return Response(status_code=400)
        return await _answer(receiver, body, encoding)

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
        case Busy(message, retry_after_s):
            answer = _error(encoding, 503, _UNAVAILABLE, message)
            answer.headers["retry-after"] = str(retry_after_s)
            return answer
        case Failed(message):
            return _error(encoding, 500, _INTERNAL, message)


async def _body(request: Request, max_bytes: int) -> bytes:
    """The whole body, decompressed. Raises _Refused."""
    too_large = _Refused(413, _EXHAUSTED, f"the body is over {max_bytes} bytes (intake.message_max_bytes)", "too_large")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("gzip", "identity", ""):
        raise _Refused(415, _INVALID_ARGUMENT, "the content encoding must be gzip or none", "content_encoding")
    pieces = bytearray()
    stream = _gunzip(request.stream()) if coding == "gzip" else request.stream()
    async for piece in stream:
        if len(pieces) + len(piece) > max_bytes:
            raise too_large
        pieces += piece
    return bytes(pieces)


async def _gunzip(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Decompress in pieces of at most _CHUNK_BYTES, so that the reader can stop in time. Raises _Refused."""
    bad = _Refused(400, _INVALID_ARGUMENT, "the body is not gzip", "malformed")
    unzip = zlib.decompressobj(wbits=31)
    try:
        async for compressed in stream:
            data = compressed
            while data and not unzip.eof:
                yield unzip.decompress(data, _CHUNK_BYTES)
                data = unzip.unconsumed_tail
    except zlib.error:
        raise bad from None
    if not unzip.eof:
        raise bad


def _error(encoding: str, http_status: int, code: int, message: str) -> Response:
    if encoding == PROTOBUF:
        content = Status(code=code, message=message).SerializeToString()
        return Response(content, http_status, media_type=PROTOBUF)
    return Response(json.dumps({"code": code, "message": message}), http_status, media_type=JSON)


async def _not_found(_request: Request, _problem: Exception) -> Response:
    return _error(JSON, 404, _NOT_FOUND, "OTLP traces are taken at POST /v1/traces")


async def _not_allowed(_request: Request, _problem: Exception) -> Response:
    answer = _error(JSON, 405, _UNIMPLEMENTED, "OTLP traces are taken at POST /v1/traces")
    answer.headers["allow"] = "POST"
    return answer
