"""OTLP over HTTP/1.1 on one kept connection. Shell: opens sockets, in the sender's thread only.

Bodies go from where they lie to the socket, without a copy and without the GIL. Nearly all answers are one short message, which
is read here; any other is left to the standard library's http.client, which takes longer than everything else here together
(measured: of an export of 500 KB two thirds). There are no threads that wake up beside the handlers. No proxy is used.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from google.protobuf.message import DecodeError

from grpc_mirror.settings import Settings
from grpc_mirror.sinks.over_grpc import changed_at
from grpc_mirror.sinks.transport import SendResult
from grpc_mirror.v1 import otlp_slices_pb2
from grpc_mirror.wire import fields

PATH = "/v1/traces"
CONTENT_TYPE = "application/x-protobuf"
_OK = 200
_REDIRECT = 300
_FAULT = 400
_TOO_LARGE = 413
_BROKEN = "UNAVAILABLE"  # there was no answer
_RETRYABLE = frozenset({408, 429, 502, 503, 504})  # of the OTLP specification; and 408: the body took too long
ANSWER_MAX_BYTES = 64 * 1024  # of a longer one nothing is believed, and the connection is closed
# What is smaller is put together up to this much: each piece that is sent by itself is a call of the system.
JOIN_BYTES = 64 * 1024
_ALONE_BYTES = 16 * 1024
_Socket = TypeVar("_Socket", bound=socket.socket)


class HttpChannel:
    """Sends export requests to one receiver."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._closed = self._exporting = False
        self._sock: socket.socket | None = None
        bearer = f"Authorization: Bearer {settings.bearer}\r\n" if settings.bearer else ""
        name, _, port = settings.target.rpartition(":")
        host = f"{name.encode('idna').decode()}:{port}"
        head = f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {CONTENT_TYPE}\r\n{bearer}Content-Length: "
        self._head = head.encode("latin-1")
        self._tls: ssl.SSLContext | None = None
        self._files: tuple[int, ...] = ()  # when those of `_tls` were written

    def send(self, request: Sequence[bytes], timeout_s: float) -> SendResult:
        """Export one serialised request, given in pieces, and say what came of it."""
        by = time.monotonic() + timeout_s
        kept = self._sock is not None
        result = self._try(request, by)
        if kept and result.reason == _BROKEN:  # the other side had closed it meanwhile, as it may
            result = self._try(request, by)
        return result

    def close(self) -> None:
        """Close the connection for good. Any thread may; an export under way ends."""
        with self._lock:
            self._closed, sock = True, self._sock
            exporting = self._exporting
        if sock is None:
            return
        if exporting:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, which waits for the other side
        else:
            self._drop()

    def _try(self, request: Sequence[bytes], by: float) -> SendResult:
        with self._lock:
            if self._closed:
                return SendResult(ok=False, retryable=True, reason="CANCELLED")  # as over gRPC: not a refusal
            self._exporting = True
        try:
            return self._exchange(request, by)
        except TimeoutError:
            self._drop()
            return SendResult(ok=False, retryable=True, reason="DEADLINE_EXCEEDED")
        except (OSError, http.client.HTTPException, ValueError) as error:  # the last: of a chunk of a negative size
            self._drop()
            return SendResult(ok=False, retryable=True, reason=_BROKEN, words=_words_of(error))
        except BaseException:
            self._drop()  # or the next request would get this one's answer
            raise
        finally:
            self._exporting = False
            if self._closed:
                self._drop()

    def _exchange(self, request: Sequence[bytes], by: float) -> SendResult:
        sock = self._sock or self._connect(by)
        head = b"%b%d\r\n\r\n" % (self._head, sum(map(len, request)))
        # A receiver may answer before it has read all, and close: then what it says is still there.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in joined([head, *request]):
                _wait_until(sock, by)
                sock.sendall(piece)
        _wait_until(sock, by)
        begun = sock.recv(ANSWER_MAX_BYTES)
        body = plain_ok(begun)
        if body is not None:
            return result_of(_OK, None, body, "")
        response = _answer(_Begun(sock, begun, by))
        body = response.read(ANSWER_MAX_BYTES)
        if response.will_close or not response.isclosed():
            self._drop()
        elsewhere = response.getheader("Location") if _REDIRECT <= response.status < _FAULT else None
        if elsewhere:  # it is not followed: the token is for the endpoint that was named
            return result_of(response.status, None, b"", f"{response.reason}: {elsewhere}")
        return result_of(response.status, response.getheader("Retry-After"), body, response.reason)

    def _connect(self, by: float) -> socket.socket:
        host, _, port = self._settings.target.rpartition(":")
        host = host.strip("[]")
        context = self._context() if self._settings.secure else None
        failed: OSError | None = None
        addresses = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            try:
                sock = self._use(socket.socket(family, kind, protocol))
                now = time.monotonic()  # one that is silent leaves time for the others
                _wait_until(sock, now + (by - now) / (len(addresses) - number))
                sock.connect(address)
                break
            except OSError as error:
                failed = error
                self._drop()
        else:
            raise failed or OSError("the name has no address")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            sock = self._use(context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False))
            _wait_until(sock, by)
            sock.do_handshake()
        if self._closed:
            raise ConnectionAbortedError("closed meanwhile")
        return sock

    def _use(self, sock: _Socket) -> _Socket:
        """`close` reaches it from here on: connecting takes its time too."""
        with self._lock:
            self._sock = sock
            if self._closed:
                raise ConnectionAbortedError("closed meanwhile")
        return sock

    def _context(self) -> ssl.SSLContext:
        """As the files say that are there now: certificates are renewed in place."""
        files = changed_at(self._settings)
        if self._tls is None or files != self._files:
            settings = self._settings
            context = ssl.create_default_context(cafile=settings.ca_file or None)
            if settings.cert_file:
                # A password, though there is none: it would ask the terminal.
                context.load_cert_chain(settings.cert_file, settings.key_file, "")
            self._tls, self._files = context, files
        return self._tls

    def _drop(self) -> None:
        with self._lock:
            sock, self._sock = self._sock, None
        if sock is not None:
            # Else the other side hears of it only once no forked child has it any more.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            sock.close()


class _Begun(io.RawIOBase):
    """A socket of which something was read already, as http.client reads it."""

    def __init__(self, sock: socket.socket, begun: bytes, by: float) -> None:
        self._sock = sock
        self._begun = begun
        self._by = by
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        piece, self._begun = self._begun[: len(into)], self._begun[len(into) :]
        if not piece:
            _wait_until(self._sock, self._by)  # each time: however it drips, the time is that of the export
            size = self._sock.recv_into(into)
            self.ended = not size
            return size
        into[: len(piece)] = piece
        return len(piece)


def _answer(begun: _Begun) -> http.client.HTTPResponse:
    """The answer, whose body is still to be read. Of what comes before one (1xx) http.client skips 100 alone."""
    source = _Reader(begun)
    while True:
        response = http.client.HTTPResponse(source, method="POST")  # type: ignore[arg-type] # makefile is all it asks for
        response.begin()
        if begun.ended:  # within the head: http.client takes what there is for a whole one
            raise http.client.IncompleteRead(b"")
        if response.status >= _OK:
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
    if _OK <= status < _REDIRECT:  # all are 200 by the specification; some say 202 or 204, and then have it too
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
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or timezone.utc) - datetime.now(timezone.utc)).total_seconds())


def _wait_until(sock: socket.socket, by: float) -> None:
    """What is done next on the connection may take so long."""
    left_s = by - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    sock.settimeout(left_s)


def _words_of(error: Exception) -> str:
    """Why there was no answer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
