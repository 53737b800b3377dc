"""OTLP over HTTP/1.1 on one kept connection. Shell: opens sockets, in the sender's thread only.

Bodies go from where they lie to the socket, without a copy and without the GIL. There are no threads that wake up beside the
handlers. No proxy is used.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from grpc_mirror.settings import Settings
from grpc_mirror.sinks.http_answers import ANSWER_MAX_BYTES, OK, answered, plain_ok, result_of, wait_until
from grpc_mirror.sinks.otlp import ALONE_BYTES
from grpc_mirror.sinks.over_grpc import changed_at
from grpc_mirror.sinks.transport import SendResult

PATH = "/v1/traces"
CONTENT_TYPE = "application/x-protobuf"
_BROKEN = "UNAVAILABLE"  # there was no answer
# What is smaller is put together up to this much: each piece that is sent by itself is a call of the system.
JOIN_BYTES = 64 * 1024
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
                wait_until(sock, by)
                sock.sendall(piece)
        wait_until(sock, by)
        begun = sock.recv(ANSWER_MAX_BYTES)
        body = plain_ok(begun)
        if body is not None:
            return result_of(OK, None, body, "")
        result, kept = answered(sock, begun, by)
        if not kept:
            self._drop()
        return result

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
                wait_until(sock, now + (by - now) / (len(addresses) - number))
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
            wait_until(sock, by)
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


def joined(pieces: Sequence[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces: small ones together, large ones as they are."""
    small: list[bytes] = []
    size = 0
    for piece in pieces:
        if small and size + len(piece) > JOIN_BYTES:
            yield b"".join(small)
            small, size = [], 0
        if len(piece) >= ALONE_BYTES:
            if small:
                yield b"".join(small)
                small, size = [], 0
            yield piece
        else:
            small.append(piece)
            size += len(piece)
    if small:
        yield b"".join(small)


def _words_of(error: Exception) -> str:
    """Why there was no answer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}; MIRROR_CA_FILE names the authorities to trust"
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return "the port speaks no TLS; where it is plain write http:// and unset MIRROR_TLS and its files"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
