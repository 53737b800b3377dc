"""What a receiver answers to OTLP over HTTP: how it is read, and what it means.

Nearly all answers are one short message, which is read here; any other is left to the standard library's http.client, which takes
longer than all else of an export together (measured: of one of 500 KB two thirds).
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from google.protobuf.message import DecodeError

from grpc_mirror.sinks.transport import SendResult
from grpc_mirror.v1 import otlp_slices_pb2
from grpc_mirror.wire import fields

OK = 200
_REDIRECT = 300
_FAULT = 400
_NOT_FOUND = 404
_TOO_LARGE = 413
_RETRYABLE = frozenset({408, 429, 502, 503, 504})  # of the OTLP specification; and 408: the body took too long
ANSWER_MAX_BYTES = 64 * 1024  # of a longer one nothing is believed, and the connection is closed


def answered(sock: socket.socket, begun: bytes, by: float) -> tuple[SendResult, bool]:
    """What an answer says of which `begun` was read already, and whether the connection can be kept.

    Raises OSError, ValueError or http.client.HTTPException where it is none, and TimeoutError at `by` (monotonic).
    """
    if begun.startswith(b"\x00\x00") and begun[3:4] == b"\x04":  # a SETTINGS frame (RFC 9113, 3.4)
        raise http.client.BadStatusLine("the port speaks gRPC: take the port of HTTP (4318), or MIRROR_PROTOCOL=grpc")
    response = _answer(Begun(sock, begun, by))
    body = response.read(ANSWER_MAX_BYTES)
    kept = not response.will_close and response.isclosed()
    elsewhere = response.getheader("Location") if _REDIRECT <= response.status < _FAULT else None
    if elsewhere:  # it is not followed: the token is for the endpoint that was named
        return result_of(response.status, None, b"", f"{response.reason}: {elsewhere}"), kept
    return result_of(response.status, response.getheader("Retry-After"), body, response.reason), kept


class Begun(io.RawIOBase):
    """A socket of which something was read already, as http.client reads it."""

    def __init__(self, sock: socket.socket, begun: bytes, by: float) -> None:
        self._sock = sock
        self._begun = begun
        self._by = by
        self.ended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, into: Any) -> int:
        """What was read already, then what comes; TimeoutError at `by`."""
        piece, self._begun = self._begun[: len(into)], self._begun[len(into) :]
        if not piece:
            wait_until(self._sock, self._by)  # each time: however it drips, the time is that of the export
            size = self._sock.recv_into(into)
            self.ended = not size
            return size
        into[: len(piece)] = piece
        return len(piece)


def _answer(begun: Begun) -> http.client.HTTPResponse:
    """The answer, whose body is still to be read. Of what comes before one (1xx) http.client skips 100 alone."""
    source = _Reader(begun)
    while True:
        response = http.client.HTTPResponse(source, method="POST")  # type: ignore[arg-type] # makefile is all it asks for
        response.begin()
        if begun.ended:  # within the head: http.client takes what there is for a whole one
            raise http.client.IncompleteRead(b"")
        if response.status >= OK:
            return response


class _Reader(io.BufferedReader):
    """http.client closes it after what is no answer yet, and what it holds may be the answer's."""

    def makefile(self, _mode: str) -> io.BufferedReader:
        return self

    def close(self) -> None:
        pass


def plain_ok(answer: bytes) -> bytes | None:
    """The body of an answer that is here in full, says 200 and leaves the connection as it is; None: of any other."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end or not head.startswith(b"HTTP/1.1 200 "):
        return None
    lines = head.lower().split(b"\r\n")
    sizes = [line for line in lines if line.startswith(b"content-length:")]
    odd = any(line.startswith((b"connection:", b"transfer-encoding:", b"content-encoding:")) for line in lines)
    whole = not odd and len(sizes) == 1 and sizes[0][15:].strip() == b"%d" % len(body)
    return body if whole else None


def result_of(status: int, retry_after: str | None, body: bytes, phrase: str) -> SendResult:
    """What an answer says (OTLP specification, OTLP/HTTP response)."""
    if OK <= status < _REDIRECT:  # all are 200 by the specification; some say 202 or 204, and then have it too
        try:
            partial = otlp_slices_pb2.ExportTraceServiceResponse.FromString(body).partial_success
        except DecodeError:
            return SendResult(ok=True)  # what it said of it is not understood
        return SendResult(ok=True, rejected=max(0, int(partial.rejected_spans)), reason=partial.error_message)
    return SendResult(
        ok=False,
        retryable=status in _RETRYABLE,
        retry_after_s=_delay_s(retry_after) if status in _RETRYABLE else None,
        reason=f"HTTP {status}",
        too_large=status == _TOO_LARGE,
        words="no OTLP is taken at this address" if status == _NOT_FOUND else _message_of(body) or phrase,
    )


def _message_of(body: bytes) -> str:
    """The text of a google.rpc.Status; of anything else the beginning."""
    try:
        text = dict(fields(body)).get(2, b"")
    except ValueError:
        text = body
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else ""


def _delay_s(retry_after: str | None) -> float | None:
    """Of a Retry-After header: seconds, or a date (RFC 9110, 10.2.3)."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return min(float(retry_after), 1e9)
    try:
        when = parsedate_to_datetime(retry_after)
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or timezone.utc) - datetime.now(timezone.utc)).total_seconds())


def wait_until(sock: socket.socket, by: float) -> None:
    """What is done next on the connection may take so long."""
    left_s = by - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    sock.settimeout(left_s)
