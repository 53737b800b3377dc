"""OTLP over HTTP/1.1 on one kept connection, by the standard library. Shell: opens sockets, in the sender's thread only.

Bodies go from where they lie to the socket, without a copy and without the GIL: of large ones this costs a quarter of what
gRPC's channel does (measured), and it has no threads that wake up beside the handlers. No proxy is used.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from google.protobuf.message import DecodeError

from grpc_mirror.settings import Settings
from grpc_mirror.sinks.over_grpc import changed_at
from grpc_mirror.sinks.transport import SendResult
from grpc_mirror.v1 import otlp_slices_pb2
from grpc_mirror.wire import fields

PATH = "/v1/traces"
CONTENT_TYPE = "application/x-protobuf"
_OK = 200
_TOO_LARGE = 413
_BROKEN = "UNAVAILABLE"  # there was no answer
_RETRYABLE = frozenset({408, 429, 502, 503, 504})  # of the OTLP specification; and 408: the body took too long
ANSWER_MAX_BYTES = 64 * 1024  # of a longer one nothing is believed, and the connection is closed
# What is smaller is put together up to this much: each piece that is sent by itself is a call of the system.
JOIN_BYTES = 64 * 1024
_ALONE_BYTES = 16 * 1024
_IO_MIN_S = 0.001


class HttpChannel:
    """Sends export requests to one receiver."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._closed = self._exporting = False
        self._connection: http.client.HTTPConnection | None = None
        self._tls: ssl.SSLContext | None = None
        self._files: tuple[int, ...] = ()  # when those of `_tls` were written

    def send(self, request: Sequence[bytes], timeout_s: float) -> SendResult:
        """Export one serialised request, given in pieces, and say what came of it."""
        by = time.monotonic() + timeout_s
        kept = self._connection is not None
        result = self._try(request, by)
        if kept and result.reason == _BROKEN:  # the other side had closed it meanwhile, as it may
            result = self._try(request, by)
        return result

    def close(self) -> None:
        """Close the connection for good. Any thread may; an export under way ends."""
        with self._lock:
            self._closed, connection = True, self._connection
            exporting = self._exporting
        if connection is None:
            return
        if not exporting:
            self._drop()
        elif connection.sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)  # not TLS's own, which waits for the other side

    def _try(self, request: Sequence[bytes], by: float) -> SendResult:
        with self._lock:
            if self._closed:
                return SendResult(ok=False, reason="CANCELLED")
            self._exporting = True
        try:
            return self._exchange(request, by)
        except TimeoutError:
            self._drop()
            return SendResult(ok=False, retryable=True, reason="DEADLINE_EXCEEDED")
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            return SendResult(ok=False, retryable=True, reason=_BROKEN, words=_words_of(error))
        finally:
            self._exporting = False
            if self._closed:
                self._drop()

    def _exchange(self, request: Sequence[bytes], by: float) -> SendResult:
        connection = self._connection or self._connect(by)
        connection.putrequest("POST", PATH, skip_accept_encoding=True)
        connection.putheader("Content-Type", CONTENT_TYPE)
        connection.putheader("Content-Length", str(sum(map(len, request))))
        if self._settings.bearer:
            connection.putheader("Authorization", f"Bearer {self._settings.bearer}")
        # A receiver may answer before it has read all, and close: then what it says is still there.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.endheaders()
            for piece in joined(request):
                _wait_until(connection, by)
                connection.send(piece)
        _wait_until(connection, by)
        response = connection.getresponse()
        body = response.read(ANSWER_MAX_BYTES)
        if response.will_close or not response.isclosed():
            self._drop()
        return result_of(response.status, response.getheader("Retry-After"), body, response.reason)

    def _connect(self, by: float) -> http.client.HTTPConnection:
        host, _, port = self._settings.target.rpartition(":")
        host, wait_s = host.strip("[]"), max(_IO_MIN_S, by - time.monotonic())
        if self._settings.secure:
            context = self._context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, int(port), timeout=wait_s, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, int(port), timeout=wait_s)
        connection.connect()
        connection.auto_open = 0  # never anew behind our back
        self._connection = connection
        if self._closed:
            raise ConnectionAbortedError("closed meanwhile")
        return connection

    def _context(self) -> ssl.SSLContext:
        """As the files say that are there now: certificates are renewed in place."""
        files = changed_at(self._settings)
        if self._tls is None or files != self._files:
            settings = self._settings
            context = ssl.create_default_context(cafile=settings.ca_file or None)
            if settings.cert_file:
                context.load_cert_chain(settings.cert_file, settings.key_file)
            self._tls, self._files = context, files
        return self._tls

    def _drop(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def joined(pieces: Sequence[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces: small ones together, large ones as they are."""
    small: list[bytes] = []
    size = 0
    for piece in pieces:
        if small and size + len(piece) > JOIN_BYTES:
            yield b"".join(small)
            small, size = [], 0
        if len(piece) >= _ALONE_BYTES:
            if small:
                yield b"".join(small)
                small, size = [], 0
            yield piece
        else:
            small.append(piece)
            size += len(piece)
    if small:
        yield b"".join(small)


def result_of(status: int, retry_after: str | None, body: bytes, phrase: str) -> SendResult:
    """What an answer says (OTLP specification, OTLP/HTTP response)."""
    if status == _OK:
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
        words=_message_of(body) or phrase,
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
    except (TypeError, ValueError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or timezone.utc) - datetime.now(timezone.utc)).total_seconds())


def _wait_until(connection: http.client.HTTPConnection, by: float) -> None:
    """What is done next on the connection may take so long."""
    left_s = by - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    connection.sock.settimeout(left_s)


def _words_of(error: Exception) -> str:
    """Why there was no answer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
