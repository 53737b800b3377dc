"""Who may not come: wrong tokens, wrong certificates, no TLS, on every listener of the secured collector; not a test."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import grpc
import httpx

from tests.collect.certificates import Authority, Issued
from tests.collect.servers import EXPORT
from tests.live.hostile.asking import LOOKUP
from tests.live.hostile.bodies import GOOD, bomb
from tests.live.hostile.target import (
    ANSWER_S,
    CLOSED,
    MESSAGE_MAX_BYTES,
    OTHER,
    READ,
    WRITE,
    Case,
    Target,
    Told,
    call,
    get,
    http_told,
    post,
    raw,
)

LISTENERS = ("otlp_grpc", "otlp_http", "web")
NOBODY = "a token is missing|holds no token"
UNKNOWN = "not one of the collector's"

# What stands in `authorization`, and what the caller is told. Of gRPC a header that is no text never leaves the client.
WRONG: dict[str, tuple[str, str]] = {
    "nothing": ("", NOBODY),
    "no scheme": (WRITE, NOBODY),
    "no token": ("Bearer", NOBODY),
    "another scheme": (f"Token {WRITE}", NOBODY),
    "a token of nobody": (f"Bearer {OTHER}", UNKNOWN),
    "the beginning of a token": (f"Bearer {WRITE[:-1]}", UNKNOWN),
    "more than a token": (f"Bearer {WRITE}x", UNKNOWN),
    "a token in capitals": (f"Bearer {WRITE.upper()}", UNKNOWN),
    "two tokens": (f"Bearer {WRITE} {READ}", UNKNOWN),
    "a list of tokens": (f"Bearer {OTHER}, Bearer {WRITE}", UNKNOWN),
    "a quoted token": (f'Bearer "{WRITE}"', UNKNOWN),
    "a token of 6,000 letters": (f"Bearer {'a' * 6000}", NOBODY),
}


def two_headers(target: Target) -> Told:
    """The right token, and a wrong one before it."""
    with target.session("otlp_http") as session:
        both = [("authorization", f"Bearer {OTHER}"), ("authorization", f"Bearer {WRITE}")]
        answer = session.post("/v1/traces", content=GOOD, headers=[("content-type", "application/x-protobuf"), *both])
    return Told(str(answer.status_code), answer.content.decode("utf-8", "replace"))


def stranger(kind: str, listener: str) -> Callable[[Target], Told]:
    """A client whose certificate is not good, with the right token."""

    def attack(target: Target) -> Told:
        client = certificate(target, kind)
        if listener == "otlp_grpc":
            return _by_grpc(target, client)
        try:
            with target.session(listener, client=client) as session:
                token = WRITE if listener == "otlp_http" else READ
                answer = session.get("/api/v1/runs", headers={"authorization": f"Bearer {token}"})
        except httpx.HTTPError as error:
            return Told(CLOSED, str(error))
        return Told(str(answer.status_code), answer.text)

    return attack


def _by_grpc(target: Target, client: Issued | None) -> Told:
    key, cert = (client.key, client.cert) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(target.authority.pem, key, cert)
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(target.addresses["otlp_grpc"], credentials, options) as channel:
        try:
            channel.unary_unary(EXPORT)(GOOD, timeout=ANSWER_S, metadata=(("authorization", f"Bearer {WRITE}"),))
        except grpc.RpcError as error:
            return Told(error.code().name, error.details() or "")
    return Told("OK")


def certificate(target: Target, kind: str) -> Issued | None:
    folder = target.folder
    match kind:
        case "none":
            return None
        case "expired":
            return target.authority.issue("late", expired=True)
        case "foreign":
            return Authority(folder, "foreign").issue("stranger")
        case "of the same name":
            (Path(folder) / "same").mkdir(exist_ok=True)
            return Authority(folder / "same", "ca").issue("client")
    raise AssertionError(kind)


def old_tls(listener: str) -> Callable[[Target], Told]:
    """TLS 1.1."""

    def attack(target: Target) -> Told:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        return shaken(target, listener, context)

    return attack


def without_protocol(target: Target) -> Told:
    """TLS to gRPC that speaks HTTP/1 only."""
    context = target.context(target.client)
    context.set_alpn_protocols(["http/1.1"])
    return shaken(target, "otlp_grpc", context)


def shaken(target: Target, listener: str, context: ssl.SSLContext) -> Told:
    with target.connect(listener) as connection:
        try:
            with context.wrap_socket(connection, server_hostname="localhost") as encrypted:
                encrypted.sendall(b"GET /no HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
                got = b""
                with suppress(ssl.SSLError):
                    while piece := encrypted.recv(65536):
                        got += piece
                return http_told(got)
        except OSError as error:
            return Told(CLOSED, str(error))


NO_TLS: dict[str, bytes] = {
    "HTTP/1 in plain": b"GET /api/v1/runs HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "HTTP/2 in plain": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "noise": bytes(range(256)) * 64,
    "a record that lies about its length": b"\x16\x03\x01\xff\xff" + b"\x01" * 70_000,
    "a hello of SSL 2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(40),
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "ten thousand empty records": b"\x16\x03\x01\x00\x00" * 10_000,
}


def with_token(token: str, path: str = "/api/v1/runs") -> Callable[[Target], Told]:
    return get(path, authorization=token)


def _tokens() -> list[Case]:
    made: list[Case] = []
    for name, (token, said) in WRONG.items():
        words = f"(?i){said}"
        headers = {"authorization": token} if token else {}
        made += [
            Case(f"otlp_http token: {name}", post(GOOD, **headers), "401", words),
            Case(f"otlp_grpc token: {name}", call(GOOD, metadata=tuple(headers.items())), "UNAUTHENTICATED", words),
            Case(f"web token: {name}", get("/api/v1/runs", **headers), "401", words),
        ]
    return made


def _bearer(token: str) -> Sequence[tuple[str, str]]:
    return (("authorization", f"Bearer {token}"),)


LARGE = bytes(MESSAGE_MAX_BYTES + 1)
CASES = [
    *_tokens(),
    Case("otlp_http token: one that reads", post(GOOD, authorization=f"Bearer {READ}"), "403", "one is needed that may send"),
    Case("otlp_grpc token: one that reads", call(GOOD, metadata=_bearer(READ)), "PERMISSION_DENIED", "one is needed that may send"),
    Case("web token: one that writes", with_token(f"Bearer {WRITE}"), "403", "one is needed that may read"),
    Case("web token: a page with one that writes", with_token(f"Bearer {WRITE}", "/"), "403", "one is needed that may read"),
    Case("web token: figures with one that writes", with_token(f"Bearer {WRITE}", "/metrics"), "403", "one is needed that may read"),
    Case("web token: a password that is none", with_token("Basic %%%"), "401", "holds no token"),
    Case("web token: a password without a name", with_token("Basic Og=="), "401", "holds no token"),
    Case("web token: in the address", get(f"/api/v1/runs?token={READ}&access_token={READ}"), "401", "token is missing"),
    Case("otlp_http: two tokens in two headers", two_headers, "401", "holds no token"),
    Case("otlp_grpc: two tokens", call(GOOD, metadata=(*_bearer(OTHER), *_bearer(WRITE))), "UNAUTHENTICATED", "holds no token"),
    Case("otlp_http: too large, without a token", post(LARGE), "401", "token is missing"),
    Case("otlp_http: a bomb without a token", post(lambda: bomb(64 << 20), content_encoding="gzip"), "401", "token is missing"),
    Case("otlp_grpc: too large, without a token", call(LARGE), "UNAUTHENTICATED", "token is missing"),
    Case("lookup without a token", call(b"", LOOKUP), "UNAUTHENTICATED", "token is missing"),
    Case("lookup with a token that sends", call(b"", LOOKUP, metadata=_bearer(WRITE)), "PERMISSION_DENIED", "may read"),
    Case("no method at all without a token", call(b"", "/a/b"), "UNAUTHENTICATED", "token is missing"),
    *(Case(f"web without a token: {path}", get(path), "401", "token is missing") for path in ("/", "/metrics", "/static/mirror.css", "/api/openapi.json", "/no", "//healthz", "/healthz/", "/HEALTHZ", "/static/../healthz/..")),
    *(
        Case(f"{listener} certificate: {kind}", stranger(kind, listener), f"{CLOSED}|UNAVAILABLE")
        for kind in ("expired", "foreign", "of the same name")
        for listener in LISTENERS
    ),
    *(Case(f"{listener} certificate: none", stranger("none", listener), f"{CLOSED}|UNAVAILABLE") for listener in LISTENERS[:2]),
    Case("web certificate: none", stranger("none", "web"), "403", "client certificate is missing"),
    *(Case(f"{listener}: TLS 1.1", old_tls(listener), CLOSED, "(?i)alert|version|protocol|reset|eof|cipher") for listener in LISTENERS),
    Case("otlp_grpc: TLS that speaks HTTP/1 only", without_protocol, CLOSED),
    *(Case(f"{listener} without TLS: {name}", raw(sent, listener), CLOSED) for name, sent in NO_TLS.items() for listener in LISTENERS),
]  # fmt: skip
