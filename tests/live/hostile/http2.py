"""Hostile HTTP/2 to the gRPC listener, frame by frame: what clients say wrong, and floods; not a test.

Told are: the name of the error in GOAWAY or RST_STREAM and its debug text, a gRPC status, an HTTP status, or CLOSED.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from tests.collect.servers import EXPORT
from tests.live.hostile.bodies import GOOD
from tests.live.hostile.target import ANSWER_S, CLOSED, Case, Target, Told

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, ACK = 1, 4, 8, 1
ERRORS = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip
ANSWERED, SILENT = "ANSWERED", "silent"
ANY = f"{ANSWERED}|{SILENT}|{CLOSED}|ENHANCE_YOUR_CALM|PROTOCOL_ERROR|FLOW_CONTROL_ERROR"  # it does no harm
SETTLED_S = 0.5  # what is ignored gets no answer


def frame(kind: int, flags: int, stream: int, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """One frame; `length`: said in the place of the payload's."""
    return (
        struct.pack(">I", len(payload) if length is None else length)[1:]
        + struct.pack(">BBI", kind, flags, stream)
        + payload
    )


def literal(name: str, value: bytes | str) -> bytes:
    """A header that is not indexed, without Huffman."""

    def text(content: bytes) -> bytes:
        return number(len(content), 7) + content

    return b"\x00" + text(name.encode()) + text(value if isinstance(value, bytes) else value.encode())


def number(value: int, bits: int, first: int = 0) -> bytes:
    """HPACK's integers (RFC 7541, 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    out, value = bytes((first | most,)), value - most
    while value > 127:
        out, value = out + bytes((value & 127 | 128,)), value >> 7
    return out + bytes((value,))


def headers(**changed: str | None) -> bytes:
    """Those of an export; None leaves one out. `__` stands for `:`, `_` for `-`."""
    usual: dict[str, str | None] = {
        "__method": "POST",
        "__scheme": "http",
        "__path": EXPORT,
        "__authority": "localhost",
        "te": "trailers",
        "content_type": "application/grpc",
    }
    merged = usual | changed
    return b"".join(
        literal(name.replace("__", ":").replace("_", "-"), value) for name, value in merged.items() if value is not None
    )


def message(body: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    """A gRPC message; `length`: said in the place of the body's."""
    return struct.pack(">BI", flag, len(body) if length is None else length) + body


OPEN = PREFACE + frame(SETTINGS, 0, 0)


def request(block: bytes = headers(), body: bytes | None = message(GOOD), stream: int = 1) -> bytes:
    """A whole export on a new connection."""
    if body is None:
        return OPEN + frame(HEADERS, END_HEADERS | END_STREAM, stream, block)
    return OPEN + frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, body)


def frames(got: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload)."""
    at = 0
    while at + 9 <= len(got):
        end = at + 9 + int.from_bytes(got[at : at + 3], "big")
        yield got[at + 3], got[at + 9 : end]
        at = end


def told(got: bytes, *, ended: bool) -> Told:
    """The worst of what came. The words: what can be read of answers and of GOAWAY's debug data."""
    found: dict[int, bytes] = {}
    for kind, payload in frames(got):
        found.setdefault(kind, payload)
    words = " ".join(
        text.decode() for text in re.findall(rb"[ -~]{6,}", found.get(HEADERS, b"") + found.get(GOAWAY, b""))
    )
    for wanted, at in ((GOAWAY, 4), (RST, 0)):
        code = int.from_bytes(found.get(wanted, b"")[at : at + 4], "big")
        if code:  # NO_ERROR only says that an answer was early, or that the connection ends
            return Told(ERRORS[code] if code < len(ERRORS) else str(code), words)
    if HEADERS in found:
        return Told(ANSWERED, words)
    return Told(CLOSED if ended or GOAWAY in found else SILENT, words)


def http2(sent: bytes | Callable[[], bytes], patience_s: float = ANSWER_S) -> Callable[[Target], Told]:
    """Bytes on a bare connection; what came back until it was closed, or nothing more came for so long."""

    def attack(target: Target) -> Told:
        content = sent if isinstance(sent, bytes) else sent()
        with target.connect("otlp_grpc", content) as connection:
            return heard(connection, patience_s)

    return attack


def heard(connection: socket.socket, quiet_s: float) -> Told:
    """All that comes until the connection ends, or nothing came for so long; after an answer, for a tenth of a second."""
    got, ended = b"", False
    connection.settimeout(quiet_s)
    try:
        while not ended:
            piece = connection.recv(1 << 20)
            got, ended = got + piece, not piece
            if told(got[:4096], ended=ended).status != SILENT:
                connection.settimeout(0.1)
    except TimeoutError:
        pass
    except OSError:
        ended = True
    return told(got, ended=ended)


def flood(piece: bytes, first: bytes = OPEN, most: int = 8 << 20) -> Callable[[Target], Told]:
    """So much of it as the other side takes, within a second; then what came."""

    def attack(target: Target) -> Told:
        block = piece * max(1, 65536 // len(piece))
        with target.connect("otlp_grpc", first) as connection:
            end_s, sent = time.monotonic() + 1, 0
            connection.settimeout(1)
            with suppress(OSError):
                while sent < most and time.monotonic() < end_s:
                    connection.sendall(block)
                    sent += len(block)
            return heard(connection, 0.2)

    return attack


def streams(each: Callable[[int], bytes], most: int) -> bytes:
    """One connection with so many streams."""
    return OPEN + b"".join(each(2 * n + 1) for n in range(most))


def begun(stream: int) -> bytes:
    return frame(HEADERS, END_HEADERS, stream, headers())


def reset(stream: int) -> bytes:
    return begun(stream) + frame(RST, 0, stream, struct.pack(">I", 8))


def many_connections(target: Target) -> Told:
    """Three hundred, each with a stream half way."""
    open_ = [target.connect("otlp_grpc", OPEN + begun(1) + frame(DATA, 0, 1, message(GOOD)[:20])) for _ in range(300)]
    for one in open_:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        one.close()
    return Told(CLOSED)


# What breaks the protocol before any call: the connection is closed.
CLOSING: dict[str, bytes] = {
    "HTTP/1": b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "another preface": PREFACE.replace(b"SM", b"XX") + frame(SETTINGS, 0, 0),
    "noise": bytes(range(256)) * 64,
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(508),
    "settings of 5 bytes": PREFACE + frame(SETTINGS, 0, 0, b"12345"),
    "settings on a stream": PREFACE + frame(SETTINGS, 0, 1),
    "a frame of 16 MiB": OPEN + frame(DATA, 0, 1, b"x", length=0xFFFFFF),
    "a frame larger than allowed": OPEN + frame(HEADERS, END_HEADERS, 1, headers(x="y" * 5_000_000)),
    "a ping of 7 bytes": OPEN + frame(PING, 0, 0, bytes(7)),
    "a window of 0": OPEN + frame(WINDOW, 0, 0, bytes(4)),
    "a window of 3 bytes": OPEN + frame(WINDOW, 0, 0, bytes(3)),
    "a continuation of nothing": OPEN + frame(CONTINUATION, END_HEADERS, 1, headers()),
}

# What is no call of gRPC, or breaks one: that stream is told why.
REFUSED: dict[str, tuple[bytes, str]] = {
    "a reset of 3 bytes": (OPEN + begun(1) + frame(RST, 0, 1, bytes(3)), "invalid rst_stream"),
    "padding beyond the frame": (
        OPEN + frame(HEADERS, END_HEADERS | PADDED, 1, b"\xff" + headers()[:20]),
        "Failed parsing",
    ),
    "headers cut by a ping": (
        OPEN + frame(HEADERS, 0, 1, headers()[:20]) + frame(PING, 0, 0, bytes(8)),
        "Expected CONTINUATION",
    ),
    "headers cut by another stream": (OPEN + frame(HEADERS, 0, 1, headers()[:20]) + begun(3), "Expected CONTINUATION"),
    "an index beyond the table": (
        OPEN + frame(HEADERS, END_HEADERS, 1, headers() + b"\xff\xff\xff\x07"),
        "Invalid HPACK index",
    ),
    "a table larger than allowed": (
        OPEN + frame(HEADERS, END_HEADERS, 1, number(1 << 28, 5, 0x20) + headers()),
        "hpack table",
    ),
    "a header that ends early": (OPEN + frame(HEADERS, END_HEADERS, 1, headers()[:-3]), "Incomplete header"),
    "a header of 4 GiB by its length": (
        OPEN + frame(HEADERS, END_HEADERS, 1, b"\x00\x01x\x7f\xff\xff\xff\xff\x0f"),
        "integer overflow",
    ),
    "Huffman that is none": (
        OPEN + frame(HEADERS, END_HEADERS, 1, b"\x00\x81\xff\x81\xff" * 3),
        "Metadata keys|parsing",
    ),
    "a method of symbols": (request(headers(__method="G@T")), "':method'"),
    "an unknown encoding": (request(headers(grpc_encoding="br"), message(GOOD, flag=1)), "'grpc-encoding'"),
    "compressed without an encoding": (request(headers(), message(GOOD, flag=1)), "no encoding configured"),
    "gzip that is none": (request(headers(grpc_encoding="gzip"), message(b"no gzip", flag=1)), "Decompression failed"),
    "4 GiB by its length": (request(headers(), message(b"x", length=0xFFFFFFFF)), "larger than max"),
    "a timeout that is none": (request(headers(grpc_timeout="soon")), "'grpc-timeout'"),
    "text that is no base64": (request(headers(x_bin="%%%")), "illegal base64"),
    "a header of 60,000 letters": (request(b"".join(literal(f"x{n}", "y" * 4000) for n in range(4)) + headers()), ""),
}
RESET: dict[str, bytes] = {
    "no path": request(headers(__path=None)),
    "no method": request(headers(__method=None)),
    "GET": request(headers(__method="GET")),
}

# What gRPC lets pass as if it were nothing wrong, or waits with for the rest.
LET: dict[str, bytes] = {
    "headers on stream 0": OPEN + frame(HEADERS, END_HEADERS, 0, headers()),
    "data on stream 0": OPEN + frame(DATA, 0, 0, b"x"),
    "a push": OPEN + frame(PUSH, END_HEADERS, 1, bytes(4) + headers()),
    "a message that is cut off": request(headers(), message(GOOD)[:-5]),
    "a head that is cut off": request(headers(), b"\x00\x00"),
    "no message": request(headers(), None),
    "two messages": request(headers(), message(GOOD) * 2),
    "a text": request(headers(content_type="text/plain")),
    "no content type": request(headers(content_type=None)),
    "a flag of 255": request(headers(), message(GOOD, flag=255)),
}
FLOODS: dict[str, tuple[Callable[[Target], Told], str]] = {
    "pings": (flood(frame(PING, 0, 0, bytes(8))), "ENHANCE_YOUR_CALM"),
    "resets": (http2(lambda: streams(reset, 20_000)), f"ENHANCE_YOUR_CALM|{CLOSED}"),
    "streams": (http2(lambda: streams(begun, 5_000)), f"ENHANCE_YOUR_CALM|{CLOSED}"),
    "empty data": (flood(frame(DATA, 0, 1), OPEN + begun(1)), f"{ANSWERED}|{CLOSED}"),
    "headers that never end": (
        flood(frame(CONTINUATION, 0, 1, headers()), OPEN + frame(HEADERS, 0, 1, headers())),
        ANY,
    ),
    "empty headers that never end": (
        flood(frame(CONTINUATION, 0, 1), OPEN + frame(HEADERS, 0, 1, headers())),
        f"INTERNAL_ERROR|{ANSWERED}|{CLOSED}",
    ),
    "settings": (flood(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535))), ANY),
    "windows": (flood(frame(WINDOW, 0, 0, struct.pack(">I", 1))), ANY),
    "priorities": (flood(frame(PRIORITY, 0, 1, bytes(4) + b"\x10")), ANY),
    "unknown frames": (flood(frame(99, 0, 0, bytes(100))), ANY),
    "calls without end of their messages": (
        http2(lambda: streams(lambda n: begun(n) + frame(DATA, 0, n, message(GOOD, length=900_000)), 200), SETTLED_S),
        ANY,
    ),
    "connections": (many_connections, CLOSED),
}

CASES = [
    *(Case(f"http2: {name}", http2(sent), CLOSED) for name, sent in CLOSING.items()),
    *(Case(f"http2: {name}", http2(sent), ANSWERED, words) for name, (sent, words) in REFUSED.items()),
    *(Case(f"http2: {name}", http2(sent), "INTERNAL_ERROR|PROTOCOL_ERROR") for name, sent in RESET.items()),
    *(Case(f"http2: {name}", http2(sent, SETTLED_S), f"{SILENT}|{ANSWERED}") for name, sent in LET.items()),
    *(Case(f"http2 flood: {name}", attack, status) for name, (attack, status) in FLOODS.items()),
]  # fmt: skip
