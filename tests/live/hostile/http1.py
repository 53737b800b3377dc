"""Hostile HTTP/1: what can be said wrong on a bare connection, to OTLP over HTTP and to page and API; not a test.

Requests that two parsers could read in two ways (smuggling) must be refused whole, never read as two.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from tests.live.hostile.bodies import GOOD, NOISE
from tests.live.hostile.target import CLOSED, Case, Target, Told, http_told, raw, received

HOST = b"host: localhost\r\n"
KIND = b"content-type: application/x-protobuf\r\n"
END = b"connection: close\r\n\r\n"
SMUGGLED = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n"
NO_HTTP = "Invalid HTTP request received"
ONE_ANSWER = r"^(?!.*HTTP/1\.\d 200.*HTTP/1\.\d 200)"


def posted(*headers: bytes, body: bytes = b"") -> bytes:
    """A POST of traces with these headers as they are."""
    return b"POST /v1/traces HTTP/1.1\r\n" + HOST + KIND + b"".join(line + b"\r\n" for line in headers) + b"\r\n" + body


# Two lengths, or one that can be read in two ways: refused, and what hides in the body is no request.
LENGTHS = {
    "two lengths": posted(b"content-length: 0", b"content-length: 43", body=SMUGGLED),
    "a list of lengths": posted(b"content-length: 0, 43", body=SMUGGLED),
    "a length below 0": posted(b"content-length: -1", body=SMUGGLED),
    "a length with a sign": posted(b"content-length: +5", body=SMUGGLED),
    "a length in hex": posted(b"content-length: 0x10", body=SMUGGLED),
    "a length that is a word": posted(b"content-length: many", body=SMUGGLED),
    "a length that is empty": posted(b"content-length:", body=SMUGGLED),
    "a length in odd digits": posted("content-length: \u0661".encode(), body=SMUGGLED),
    "a length with a fraction": posted(b"content-length: 1.5", body=SMUGGLED),
    "chunks that are not chunked": posted(b"transfer-encoding: xchunked", body=SMUGGLED),
    "chunks within chunks": posted(b"transfer-encoding: chunked, chunked", body=SMUGGLED),
    "chunks and identity": posted(b"transfer-encoding: chunked, identity", body=SMUGGLED),
    "chunks twice": posted(b"transfer-encoding: chunked", b"transfer-encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED),
    "gzip as a transfer": posted(b"transfer-encoding: gzip, chunked", body=b"0\r\n\r\n" + SMUGGLED),
    "chunks after a vertical tab": posted(b"transfer-encoding:\x0bchunked", body=b"0\r\n\r\n" + SMUGGLED),
    "a blank before the colon": posted(b"content-length : 43", body=SMUGGLED),
    "a blank before a name": posted(b" content-length: 43", body=SMUGGLED)
    .replace(HOST + KIND + b" ", b" ")
    .replace(b" HTTP/1.1\r\n c", b" HTTP/1.1\r\n c"),
    "a name with a blank": posted(b"content length: 43", body=SMUGGLED),
    "a zero byte in a value": posted(b"x: a\x00b", body=SMUGGLED),
    "a carriage return in a value": posted(b"x: a\rcontent-length: 43", body=SMUGGLED),
    "a line without a colon": posted(b"hello", body=SMUGGLED),
    "a name that is empty": posted(b": x", body=SMUGGLED),
    "two hosts": posted(b"host: evil.example", body=SMUGGLED),
    "no host": b"POST /v1/traces HTTP/1.1\r\ncontent-length: 0\r\n\r\n" + SMUGGLED,
}

CHUNKS = {
    "a size below 0": b"-1\r\nx\r\n0\r\n\r\n",
    "a size that is a word": b"many\r\nx\r\n",
    "a size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size beyond all numbers": b"f" * 100 + b"\r\nx\r\n",
    "a size with a blank": b" 5\r\nhello\r\n0\r\n\r\n",
    "a chunk longer than it says": b"2\r\nhello\r\n0\r\n\r\n",
    "an extension without end": b"5;" + b"e" * 200_000 + b"\r\nhello\r\n0\r\n\r\n",
    "trailers without end": b"0\r\n" + b"x: y\r\n" * 50_000,
}
FIRST_LINES = {
    "nothing but ends of lines": b"\r\n" * 100,
    "noise": NOISE,
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(508),
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.1 with a blank": b"GET / HTTP/1.1 x\r\n" + HOST + END,
    "no path": b"GET HTTP/1.1\r\n" + HOST + END,
    "a path with a blank": b"GET /a b HTTP/1.1\r\n" + HOST + END,
    "a path with a zero byte": b"GET /\x00 HTTP/1.1\r\n" + HOST + END,
    "a method of symbols": b"G@T / HTTP/1.1\r\n" + HOST + END,
    "a path of 1 MiB": b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n" + HOST + END,
    "a header of 1 MiB": b"GET / HTTP/1.1\r\n" + HOST + b"x: " + b"y" * (1 << 20) + b"\r\n" + END,
    "50,000 headers": b"GET / HTTP/1.1\r\n" + HOST + b"x: y\r\n" * 50_000 + END,
    "a name of 1 MiB": b"GET / HTTP/1.1\r\n" + HOST + b"y" * (1 << 20) + b": x\r\n" + END,
}


def line(first: bytes, *headers: bytes) -> bytes:
    return first + b" HTTP/1.1\r\n" + HOST + b"".join(one + b"\r\n" for one in headers) + END


# Well-formed and out of place: the listener's own answer.
OUT_OF_PLACE = {
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), "404|421", ONE_ANSWER),
    "HTTP/9.9": (b"GET /no HTTP/9.9\r\n" + HOST + END, "404|505", ""),
    "a tunnel": (line(b"CONNECT evil.example:443"), "404|405|400", ""),
    "a proxy's request": (line(b"GET http://evil.example/"), "404|200|400|421", ""),
    "a trace": (line(b"TRACE /"), "404|405", ""),
    "a star": (line(b"OPTIONS *"), "404|400|405", ""),
    "an upgrade to HTTP/2": (line(b"GET /no", b"upgrade: h2c", b"http2-settings: AAA"), "404", ""),
    "an upgrade to a socket": (
        line(b"GET /no", b"upgrade: websocket", b"connection: upgrade", b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA=="),
        "404|400",
        "",
    ),
    "an expectation of something else": (line(b"GET /no", b"expect: miracles"), "404|417", ""),
    "four hundred headers": (line(b"GET /no", *(b"x%d: y" % n for n in range(400))), "404", ""),
}


def never_ending_chunks(target: Target) -> Told:
    """Chunks as long as anybody listens; what came back before that."""
    with target.connect("otlp_http", posted(b"transfer-encoding: chunked")) as connection:
        connection.settimeout(20)
        sent = 0
        with suppress(ConnectionError):
            while sent < 64 << 20:
                connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
                sent += 65536
        assert sent < 48 << 20, f"{sent} bytes were taken"  # what is thrown away, and the kernels' buffers
        return http_told(received(connection))


def tiny_chunks(target: Target) -> Told:
    """A body of the smallest chunks: forty bytes a byte."""
    body = b"1;" + b"x" * 32 + b"\r\n\xff\r\n"
    with target.connect("otlp_http", posted(b"transfer-encoding: chunked", body=body * 20_000 + b"0\r\n\r\n")) as open_:
        open_.shutdown(socket.SHUT_WR)
        return http_told(received(open_))


def early_end(target: Target) -> Told:
    """Less than was promised, then nothing more: there is nobody left to tell."""
    with target.connect("otlp_http", posted(b"content-length: 100000", body=GOOD)) as connection:
        connection.shutdown(socket.SHUT_WR)
        return http_told(received(connection))


def reset(listener: str) -> Callable[[Target], Told]:
    """A thousand connections that are cut off as they begin."""

    def attack(target: Target) -> Told:
        for _ in range(1000):
            with target.connect(listener, b"GET / HT") as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        return Told(CLOSED)

    return attack


def pipelined(target: Target) -> Told:
    """Three hundred requests at once on one connection: each its answer, in order."""
    one = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with target.connect("web", one * 299 + line(b"GET /healthz")) as connection:
        got = received(connection)
    return Told(str(got.count(b"HTTP/1.1 200")))


def both(name: str, sent: bytes, status: str, words: str = "") -> list[Case]:
    """On both HTTP listeners."""
    return [Case(f"{listener} raw: {name}", raw(sent, listener), status, words) for listener in ("otlp_http", "web")]


CASES = [
    *(case for name, sent in LENGTHS.items() for case in both(name, sent, "400|501|404|405", ONE_ANSWER)),
    *(Case(f"otlp_http chunks: {name}", raw(posted(b"transfer-encoding: chunked", body=body)), "400", NO_HTTP) for name, body in CHUNKS.items()),
    *(case for name, sent in FIRST_LINES.items() for case in both(name, sent, f"400|431|414|505|{CLOSED}", f"{NO_HTTP}|^$")),
    *(case for name, (sent, status, words) in OUT_OF_PLACE.items() for case in both(name, sent, status, words)),
    *(Case(f"{name} raw: a head that ends early", raw(b"GET / HTTP/1.1\r\nhost: local", name, patience_s=0.3), f"400|{CLOSED}") for name in ("otlp_http", "web")),
    Case("otlp_http: length and chunks", raw(posted(b"content-length: 5", b"transfer-encoding: chunked", body=b"0\r\n\r\n" + SMUGGLED)), "200|400", ONE_ANSWER),
    Case("otlp_http: chunks that never end", never_ending_chunks, "413", "message_max_bytes"),
    Case("otlp_http: the smallest chunks", tiny_chunks, "400", "not a serialised"),
    Case("otlp_http: a body that ends early", early_end, f"400|{CLOSED}"),
    Case("otlp_http: a thousand beginnings", reset("otlp_http"), CLOSED),
    Case("web: a thousand beginnings", reset("web"), CLOSED),
    Case("web: three hundred requests in one", pipelined, "300"),
]  # fmt: skip
